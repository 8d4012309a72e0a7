//! `shakedown boards`: the catalogue of board types.

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::{Board, ExitCode};

use crate::CliResult;

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
                    Ok(board) => println!("{:<28} {:<8} {}", listed.slug, board.arch.to_string(), board.name),
                    Err(error) => println!("{:<28} broken: {error}", listed.slug),
                }
            }
            Ok(ExitCode::Ok)
        }
        Command::Show { slug, resolved } => {
            let shown = catalogue.resolved(slug)?;
            if *resolved {
                let width = shown.origins.iter().map(|origin| origin.field.len()).max().unwrap_or(0);
                for origin in &shown.origins {
                    println!("{:<width$}  {:<40}  # {}", origin.field, origin.value, origin.from());
                }
            } else {
                show(&shown.board);
            }
            Ok(ExitCode::Ok)
        }
        Command::Check => {
            let errors = catalogue.check();
            for error in &errors {
                eprintln!("error: {error:#}");
            }
            let boards = catalogue.slugs().count();
            println!(
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
    println!("{} ({})", board.name, board.slug);
    println!("  arch          {}", board.arch);
    println!("  soc           {}", board.soc.as_deref().unwrap_or("unknown"));
    println!("  provision     {:?}", board.provision);
    println!("  console       {} baud", board.baud);
    println!("  min off time  {:?}", board.min_off);
    println!("  capabilities  {}", list(board.capabilities.iter().map(ToString::to_string).collect()));
    println!("  boot stages   {}", list(board.stages.iter().map(|stage| stage.name.clone()).collect()));
    println!("  known-bad     {}", list(board.bad.iter().map(|bad| bad.id.clone()).collect()));
    println!("`--resolved` shows every value and where it came from.");
}
