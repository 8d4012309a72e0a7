//! `shakedown rigs`: the slots of a rig file, and whether they fit their boards.

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::ExitCode;

use crate::CliResult;
use crate::compose::rig::Rig;

/// `shakedown rigs`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, value_name = "FILE")]
    rig: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Every slot, a line each.
    List,
    /// Checks the file and each slot against its board. Nothing is opened.
    Check,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let rig = Rig::find(args.rig.as_deref())?;
    let slots = &rig.doc.value.slots;
    match args.command {
        Command::List => {
            for (name, slot) in slots {
                let kind = if slot.qemu.is_some() { "QEMU" } else { "hardware" };
                println!("{:<24} {:<28} {kind}", format!("{}/{name}", rig.doc.value.rig), slot.board);
            }
        }
        Command::Check => {
            let catalogue = Catalogue::with_paths(paths)?;
            for (name, slot) in slots {
                let board = catalogue.board(&slot.board)?;
                rig.check(name, slot, &board)?;
            }
            println!("{}: {} slot(s), no errors", rig.from, slots.len());
        }
    }
    Ok(ExitCode::Ok)
}
