//! `shakedown boards`: the catalogue of board types.

mod import;
mod list;
mod new;
mod show;

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::ExitCode;

use crate::CliResult;
use crate::say::{err, out};

/// `shakedown boards`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Every board type, a line each.
    List(list::Args),
    /// One board type.
    Show(show::Args),
    /// Checks every document of the catalogue.
    Check,
    /// What two board types do not have in common.
    Diff {
        /// One slug.
        a: String,
        /// Another.
        b: String,
    },
    /// One board type in words: what is known, how an image gets onto it, what a rig needs, how it boots.
    Explain {
        /// Its slug, or another name of it.
        slug: String,
    },
    /// A first descriptor of a new board, from a console's log where there is one; each proposal cites its line.
    New(new::Args),
    /// Makes descriptors of a document of device types like balena's (JSON).
    Import(import::Args),
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let catalogue = Catalogue::with_paths(paths)?;
    match &args.command {
        Command::List(args) => Ok(list::run(&catalogue, args)),
        Command::Show(args) => show::run(&catalogue, args),
        Command::Diff { a, b } => show::diff(&catalogue, a, b),
        Command::Explain { slug } => {
            let text = shakedown_boards::explain(&catalogue.resolved(slug)?);
            crate::say::to_out(format_args!("{text}"));
            Ok(ExitCode::Ok)
        }
        Command::New(args) => new::run(&catalogue, args),
        Command::Import(args) => import::run(paths, args),
        Command::Check => {
            let errors = catalogue.check();
            for error in &errors {
                err!("error: {error:#}");
            }
            let boards = catalogue.slugs().count();
            out!(
                "{boards} board(s), {} OS profile(s): {} error(s)",
                catalogue.profiles().count(),
                errors.len()
            );
            Ok(if errors.is_empty() { ExitCode::Ok } else { ExitCode::Refused })
        }
    }
}
