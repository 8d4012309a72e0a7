//! The composition root: the one place that knows every crate.
//!
//! The library loads documents, opens slots and puts runs together; the binary
//! has one file a subcommand in [`commands`]. Everything a command prints is
//! printed here.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the crate that talks to the terminal")]

pub mod commands;
pub mod compose;
mod error;
mod follow;

use clap::Parser;
use shakedown_core::ExitCode;

pub use error::{CliError, CliResult};

/// Runs the command line of this process.
pub fn main() -> std::process::ExitCode {
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, and print to standard output.
            let exit = if error.use_stderr() { ExitCode::Refused } else { ExitCode::Ok };
            let shown = error.print();
            return std::process::ExitCode::from(if shown.is_ok() {
                exit.code()
            } else {
                ExitCode::Infra.code()
            });
        }
    };
    let exit = match commands::run(cli) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("{error}");
            error.exit
        }
    };
    std::process::ExitCode::from(exit.code())
}
