//! The composition root: the one place that knows every crate.
//!
//! The library loads documents, opens slots and puts runs together; the binary
//! has one file a subcommand in [`commands`]. Everything a command prints is
//! printed here.

pub mod commands;
pub mod compose;
mod error;
mod follow;
pub mod keeper;
mod say;

use clap::Parser;
use shakedown_core::ExitCode;

use crate::say::err;
pub use error::{CliError, CliResult};

/// Runs the command line of this process.
pub fn main() -> std::process::ExitCode {
    commands::make_safe::this_is_the_command();
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, and print to standard output.
            let exit = if error.use_stderr() { ExitCode::Refused } else { ExitCode::Ok };
            let shown = say::quiet(error.print());
            return std::process::ExitCode::from(if shown.is_ok() {
                exit.code()
            } else {
                ExitCode::Infra.code()
            });
        }
    };
    let mut exit = guarded(|| commands::run(cli));
    if let Some(complaint) = say::complaint() {
        err!("error: {complaint}");
        exit = exit.and(ExitCode::Infra);
    }
    std::process::ExitCode::from(exit.code())
}

/// Tells an error, and a panic as what it is: the harness's own defect, which is no failure of the OS.
fn guarded(work: impl FnOnce() -> CliResult) -> ExitCode {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            err!("{error}");
            error.exit
        }
        // The panic's own words and place stand above this already.
        Err(_) => {
            err!(
                "error: this is a defect of shakedown {}, not of the OS under test\n \
                 hint: please report it with the lines above, the command line and the run's journal.jsonl",
                env!("CARGO_PKG_VERSION")
            );
            ExitCode::Bug
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_an_error_keeps_its_code() {
        assert_eq!(guarded(|| panic!("an index out of bounds")), ExitCode::Bug);
        assert_eq!(guarded(|| Err(CliError::refused("no"))), ExitCode::Refused);
        assert_eq!(guarded(|| Ok(ExitCode::NothingRan)), ExitCode::NothingRan);
    }
}
