//! `shakedown boards`: the catalogue of board types.

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::{Board, ExitCode};

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
    List,
    /// One board type.
    Show {
        /// Its slug.
        slug: String,
        /// The merged descriptor, with where each value came from.
        #[arg(long)]
        resolved: bool,
    },
    /// Checks every document of the catalogue.
    Check,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let catalogue = Catalogue::with_paths(paths)?;
    match &args.command {
        Command::List => {
            for listed in catalogue.list() {
                match &listed.board {
                    Ok(board) => out!("{:<28} {:<8} {}", listed.slug, board.arch.to_string(), board.name),
                    Err(error) => out!("{:<28} broken: {error}", listed.slug),
                }
            }
            Ok(ExitCode::Ok)
        }
        Command::Show { slug, resolved } => {
            let shown = catalogue.resolved(slug)?;
            if *resolved {
                let width = shown.origins.iter().map(|origin| origin.field.len()).max().unwrap_or(0);
                for origin in &shown.origins {
                    out!("{:<width$}  {:<40}  # {}", origin.field, origin.value, origin.from());
                }
            } else {
                show(&shown.board);
            }
            Ok(ExitCode::Ok)
        }
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

fn show(board: &Board) {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    out!("{} ({})", board.name, board.slug);
    out!("  arch          {}", board.arch);
    out!("  soc           {}", board.soc.as_deref().unwrap_or("unknown"));
    out!("  provision     {:?}", board.provision);
    out!("  console       {} baud", board.baud);
    out!("  min off time  {:?}", board.min_off);
    out!("  capabilities  {}", list(board.capabilities.iter().map(ToString::to_string).collect()));
    out!("  boot stages   {}", list(board.stages.iter().map(|stage| stage.name.clone()).collect()));
    out!("  known-bad     {}", list(board.bad.iter().map(|bad| bad.id.clone()).collect()));
    out!("`--resolved` shows every value and where it came from.");
}
