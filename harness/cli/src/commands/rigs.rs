//! `shakedown rigs`: the slots of a rig file, whether they fit their boards, and how they are wired.

mod discover;
mod doctor;
mod show;

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::ExitCode;

use crate::compose::rig::Rig;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown rigs`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, global = true, value_name = "FILE")]
    rig: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Every slot, a line each.
    List(Which),
    /// A slot, or all: what is wired to what, and what it offers. Nothing is opened.
    Show {
        /// Its name in the rig file, or `rig/slot`.
        slot: Option<String>,
    },
    /// Checks the file and each slot against its board. Nothing is opened.
    Check(Which),
    /// Proves the wiring: looks at every part, then switches one slot at a time and listens to all consoles.
    Doctor(doctor::Args),
    /// What is plugged into this host, as the draft of a rig file. Nothing is opened.
    Discover,
}

/// A rig file, as people name it.
#[derive(clap::Args, Debug)]
struct Which {
    /// The rig file, `desk` for `desk.yaml`. Else as --rig says.
    #[arg(value_name = "RIG")]
    file: Option<PathBuf>,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    match &args.command {
        Command::Discover => return discover::run(),
        Command::Doctor(doctor) => return doctor::run(paths, args.rig.as_deref(), doctor),
        _ => {}
    }
    let named = match &args.command {
        Command::List(which) | Command::Check(which) => which.file.as_deref(),
        _ => None,
    };
    let rig = Rig::find(named.or(args.rig.as_deref()))?;
    let slots = &rig.doc.value.slots;
    match &args.command {
        Command::Discover | Command::Doctor(_) => {}
        Command::Show { slot } => show::run(paths, &rig, slot.as_deref())?,
        Command::List(_) => {
            for (name, slot) in slots {
                let kind = match (&slot.simulated, &slot.qemu) {
                    (Some(_), _) => "simulated",
                    (None, Some(_)) => "QEMU",
                    (None, None) => "hardware",
                };
                out!("{:<24} {:<28} {kind}", format!("{}/{name}", rig.doc.value.rig), slot.board);
            }
        }
        Command::Check(_) => {
            let catalogue = Catalogue::with_paths(paths)?;
            let checked = slots.iter().map(|(name, slot)| {
                let board = rig.board(&catalogue, name, slot)?;
                rig.check(name, slot, &board)?;
                match Rig::missing_tools(slot).as_slice() {
                    [] => Ok(()),
                    missing => Err(CliError::infra(format!("slot {name}: {}", missing.join("; ")))),
                }
            });
            let errors: Vec<_> = checked.filter_map(Result::err).chain(rig.shared()).collect();
            for error in &errors {
                err!("{error}");
            }
            out!("{}: {} slot(s), {} error(s)", rig.from, slots.len(), errors.len());
            return Ok(errors.iter().fold(ExitCode::Ok, |exit, error| exit.and(error.exit)));
        }
    }
    Ok(ExitCode::Ok)
}
