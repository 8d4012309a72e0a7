//! Makes cargo notice added and removed suite files: `include_dir!` follows only those it has seen.

fn main() {
    for folder in ["os", "container", "update", "console", "power", "hardware", "selections", "programs"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
