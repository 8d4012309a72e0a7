//! Makes cargo notice added and removed suite files: `include_dir!` follows only those it has seen.

#![expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    for folder in ["os", "container", "update", "selections", "programs"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
