//! `shakedown provision SLOT IMAGE`: an image onto the board in a slot, and the proof that it boots.

use std::path::PathBuf;

use shakedown_boards::{Catalogue, plan};
use shakedown_core::ExitCode;

use super::run as runs;
use crate::compose::rig::Rig;
use crate::compose::slot;
use crate::say::{out, to_out};
use crate::{CliError, CliResult};

/// `shakedown provision`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The slot, by its name in the rig file.
    slot: String,
    /// The image: raw, .gz, .xz, .zst or .zip.
    image: PathBuf,
    /// Print the steps and stop. Nothing is opened.
    #[arg(long)]
    dry_run: bool,
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, value_name = "FILE")]
    rig: Option<PathBuf>,
    /// The OS profile. Else the one that knows the image's os-release.
    #[arg(long, value_name = "ID")]
    os: Option<String>,
    /// Where run folders are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    if args.dry_run {
        return dry(paths, args);
    }
    let Args { slot, image, rig, os, out, .. } = args;
    runs::provision(paths, slot.clone(), image.clone(), rig.clone(), os.clone(), out.clone())
}

fn dry(paths: &[PathBuf], args: &Args) -> CliResult {
    let catalogue = Catalogue::with_paths(paths)?;
    let rig = Rig::find(args.rig.as_deref())?;
    let (name, doc) = rig.slot(Some(&args.slot), None)?;
    let board = rig.board(&catalogue, name, doc)?;
    rig.check(name, doc, &board)?;
    if let Err(error) = std::fs::File::open(&args.image) {
        return Err(CliError::refused(format!("{}: cannot be read: {error}", args.image.display())));
    }
    let os = args.os.as_deref().map(|os| catalogue.profile(os)).transpose()?;
    let procedure = slot::procedure(name, doc, &board, os.as_deref())?;
    out!(
        "{} onto {} in {}/{name}, by {}",
        args.image.display(),
        board.slug,
        rig.doc.value.rig,
        procedure.kind
    );
    to_out(format_args!("{}", shakedown_boards::procedure(&procedure)));
    if let Some(why) = plan::unproven(&procedure) {
        return Err(CliError::refused(format!("the procedure proves too little: {why}")));
    }
    match shakedown_runner::executable(&procedure) {
        Ok(()) => {
            let missing = Rig::missing_tools(doc);
            for missing in &missing {
                out!("\nnothing would be switched: {missing}");
            }
            Ok(if missing.is_empty() { ExitCode::Ok } else { ExitCode::Infra })
        }
        Err(why) => {
            out!("\n{why}");
            Ok(ExitCode::Ok)
        }
    }
}
