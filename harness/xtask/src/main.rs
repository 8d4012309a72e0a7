//! Workspace tasks. `cargo xtask demo` and `cargo xtask test` are all that a newcomer needs.

#![expect(clippy::print_stdout, reason = "a task runner talks to the person at the terminal")]

mod bench;
mod cross;
mod demo;
mod fuzz;
mod lab;
mod lanes;
mod packages;
mod shell;
mod stages;
mod test;
mod tidy;

use clap::{Parser, Subcommand};

/// Workspace tasks of shakedown.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the reference OS, boot it on QEMU, test it, and show where the report is.
    Demo(demo::Args),
    /// Everything that `.ci/run` runs: formatting, lints, and the tests in their tiers.
    Test(test::Args),
    /// Drivers of GPIO and USB hardware, in a guest that has some: QEMU's hubs, served models of devices.
    Lab,
    /// Side by side with the peers, in the same run; prints ratios.
    Bench(bench::Args),
    /// Write the JSON Schemas and goldens that are generated from the code anew.
    Generate,
    /// Check the rules of the workspace: who depends on whom, who names boards, how long files are.
    Tidy,
}

fn main() -> anyhow::Result<()> {
    std::env::set_current_dir(shell::root())?;
    match Cli::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Lab => lab::run(),
        Task::Bench(args) => bench::run(&args),
        Task::Generate => generate(),
        Task::Tidy => tidy::run(),
    }
}

/// The tests that compare with committed files write them instead.
fn generate() -> anyhow::Result<()> {
    let of = |package: &str, names: &[&str]| {
        let names: Vec<_> = names.iter().flat_map(|name| ["--test", name]).collect();
        shell::cargo(["test", "--package", package].into_iter().chain(names))
            .env("SHAKEDOWN_BLESS", "1")
            .run()
    };
    of("shakedown-boards", &["catalogue", "import", "plan", "porter", "reference"])?;
    of("shakedown-rigs", &["slot"])?;
    of("shakedown-suites", &["embedded"])?;
    of("shakedown", &["docs"])?;
    of("shakedown-reports", &["goldens", "chromium"])?;
    println!("look at `git diff` before committing it");
    Ok(())
}
