//! `shakedown replay FILE --board SLUG`: a recorded console through the board's boot stages.

use std::fs::File;
use std::path::PathBuf;

use shakedown_boards::{Catalogue, boot_spec};
use shakedown_console::{BootMachine, BootStep, Recording};
use shakedown_core::{Blame, BootFailure, BootSpec, ExitCode, Mono, Seen, StageTime};

use crate::compose::reference;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown replay`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The recording: an asciicast v2 (.cast) or a run's console.jsonl.
    file: PathBuf,
    /// The board type whose stages count.
    #[arg(long, value_name = "SLUG")]
    board: String,
    /// The OS profile whose stages follow.
    #[arg(long, value_name = "ID", default_value = reference::PROFILE)]
    os: String,
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
    let mut spec = boot_spec(&board, &profile);
    let (seen, outside): (Vec<_>, Vec<_>) =
        spec.stages.into_iter().partition(|stage| matches!(stage.seen, Seen::Console(_)));
    spec.stages = seen;
    let (stages, failure) = climb(&spec, &recording).map_err(CliError::refused)?;
    out!("{shown}, by the stages of {} and {}", board.slug, profile.id);
    for stage in &spec.stages {
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
    Ok(verdict(failure.as_ref()))
}

/// The stages that were reached, and how it ended. Time goes on after the last byte, until that is known.
fn climb(
    spec: &BootSpec,
    recording: &Recording,
) -> Result<(Vec<StageTime>, Option<BootFailure>), shakedown_console::PatternError> {
    let mut machine = BootMachine::new(spec, recording.start(), 1.0)?;
    let mut steps = Vec::new();
    let wake = |machine: &BootMachine, before: Option<Mono>| {
        machine.wake_at(1.0).filter(|due| before.is_none_or(|before| *due < before))
    };
    for chunk in recording.chunks.iter().filter(|chunk| chunk.at >= recording.start()) {
        // Bytes that come at the very moment of a deadline are in time.
        while let Some(due) = wake(&machine, Some(chunk.at)) {
            machine.tick(due, 1.0, &mut steps);
        }
        machine.feed(chunk, 1.0, &mut steps);
    }
    while let Some(due) = wake(&machine, None) {
        machine.tick(due, 1.0, &mut steps);
    }
    let (mut stages, mut failure) = (Vec::new(), None);
    for step in steps {
        match step {
            BootStep::Stage(stage) => stages.push(stage),
            BootStep::Failed(failed) => failure = failure.or(Some(failed)),
        }
    }
    Ok((stages, failure))
}

fn verdict(failure: Option<&BootFailure>) -> ExitCode {
    let Some(failure) = failure else {
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
