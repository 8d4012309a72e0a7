//! The recipe is embedded: a file that is added to it must rebuild the crate.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for folder in ["assemble", "boot", "flasher", "initramfs", "packages", "tree", "tree-web", "balena"] {
        writeln!(out, "cargo::rerun-if-changed={folder}")?;
    }
    Ok(())
}
