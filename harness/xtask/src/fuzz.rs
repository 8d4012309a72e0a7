//! Coverage-guided fuzzing of the loader of descriptors, with libFuzzer.

use anyhow::Context;

use crate::shell::{cargo, line, root, target_dir};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// What `cargo fuzz` passes too, but for the address sanitizer, which needs a nightly compiler: no
/// crate of the loader has `unsafe`.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Seconds.
const LONG: u32 = 120;

/// Builds the target and runs it on the catalogue's descriptors and what it makes of them. An input
/// that takes 10 s (a second, on a busy host) or asks for 100 MB at once is a failure as a panic is.
pub(crate) fn run() -> anyhow::Result<()> {
    let folder = target_dir().join("fuzz");
    let found = folder.join("board");
    std::fs::create_dir_all(&found).context("the folder of inputs")?;
    let manifest = root().join("fuzz/Cargo.toml");
    cargo(["build", "--release", "--locked", "--target", TRIPLE, "--manifest-path"])
        .arg(&manifest)
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    line([folder.join(TRIPLE).join("release/board")])
        .arg(&found)
        .arg(root().join("boards/catalogue"))
        .arg(format!("-artifact_prefix={}/", folder.display()))
        .arg(format!("-max_total_time={LONG}"))
        .arg("-max_len=8192")
        .arg("-timeout=10")
        .arg("-malloc_limit_mb=100")
        .run()
}
