//! `shakedown replay FILE --board SLUG`: a recorded console through the board's boot stages.

use std::fs::File;
use std::path::PathBuf;

use shakedown_boards::{Catalogue, boot_spec};
use shakedown_console::{BootOutcome, Recording, replayed};
use shakedown_core::{Blame, BootFailure, ExitCode, Resets, Seen};

use crate::compose::reference;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown replay`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    /// The recording: an asciicast v2 (.cast) or a run's console.jsonl.
    pub(in crate::commands) file: PathBuf,
    /// The board type whose stages count.
    #[arg(long, value_name = "SLUG")]
    pub(in crate::commands) board: String,
    /// The OS profile whose stages follow.
    #[arg(long, value_name = "ID", default_value = reference::PROFILE)]
    pub(in crate::commands) os: String,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let catalogue = Catalogue::with_paths(paths)?;
    let board = catalogue.board(&args.board)?;
    let profile = catalogue.profile(&args.os)?;
    let shown = args.file.display();
    let refuse = |error: &dyn std::fmt::Display| CliError::refused(format!("{shown}: {error}"));
    let file = File::open(&args.file).map_err(|error| refuse(&error))?;
    let jsonl = args.file.extension().is_some_and(|end| end == "jsonl");
    let recording = if jsonl { Recording::from_jsonl(file) } else { Recording::from_cast(file) };
    let recording = recording
        .map_err(|error| refuse(&error).hint("a run's folder has console.cast and console.jsonl"))?;
    if recording.cut_off {
        err!("warning: {shown}: the last line is cut off and was left out");
    }
    let spec = boot_spec(&board, &profile);
    let (shows, outside): (Vec<_>, Vec<_>) =
        spec.stages.iter().partition(|stage| matches!(stage.seen, Seen::Console(_)));
    let (stages, outcome) = replayed(&spec, &Resets::default(), recording.start(), &recording.chunks)
        .map_err(CliError::refused)?;
    out!("{shown}, by the stages of {} and {}", board.slug, profile.id);
    for stage in shows {
        match stages.iter().find(|reached| reached.name == stage.name) {
            Some(reached) => {
                out!("  {:<12} {:>8.3} s  {}", stage.name, reached.after.as_secs_f64(), reached.saw.trim());
            }
            None if stage.optional => out!("  {:<12}        -    not shown, which it may", stage.name),
            None => out!("  {:<12}        -    not reached", stage.name),
        }
    }
    let outside: Vec<_> = outside.iter().map(|stage| stage.name.as_str()).collect();
    out!("  a console cannot show: {}", outside.join(", "));
    if stages.is_empty() && matches!(outcome, BootOutcome::Up(_)) {
        out!("nothing that it shows is a stage: whether it came up stays open");
        return Ok(ExitCode::Infra);
    }
    Ok(verdict(&outcome))
}

fn verdict(outcome: &BootOutcome) -> ExitCode {
    let BootOutcome::Failed(failure) = outcome else {
        out!("up, as far as a console shows it");
        return ExitCode::Ok;
    };
    out!("failed: {}", failure.headline());
    if let BootFailure::Bad { id, blame, lines, .. } = failure {
        for line in lines {
            out!("  | {line}");
        }
        out!("  known-bad line `{id}`; blame when nothing else speaks against it: {}", blame.word());
        if matches!(blame, Blame::Os | Blame::Image) {
            return ExitCode::Failed;
        }
    }
    ExitCode::Infra
}
