//! `shakedown history`: what all runs say together.

mod ask;
mod show;

use std::path::{Path, PathBuf};

use shakedown_core::ExitCode;
use shakedown_core::names::many;
use shakedown_core::outcome::Word;
use shakedown_history::flakes::By;
use shakedown_history::stats::Method;
use shakedown_history::{About, Filter, History};
use shakedown_suites::Suites;

use crate::compose::evidence::{self, Found};
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown history`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = false)]
pub(super) struct Args {
    /// The history: one SQLite file.
    #[arg(long, value_name = "FILE", env = evidence::VARIABLE, global = true)]
    history: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show at most so many.
    #[arg(long, value_name = "N", default_value_t = 20, global = true)]
    most: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which attempts a question is about.
#[derive(clap::Args, Debug)]
struct FilterArgs {
    /// Only on this board type.
    #[arg(long, value_name = "SLUG", global = true)]
    board: Option<String>,
    /// Only on this slot (rig/slot).
    #[arg(long, value_name = "SLOT", global = true)]
    slot: Option<String>,
    /// Only of this image: the beginning of its hash, or its version.
    #[arg(long, value_name = "HASH|VERSION", global = true)]
    image: Option<String>,
    /// Only cases that match, for example 'os::*'.
    #[arg(long, value_name = "GLOB", global = true)]
    case: Option<String>,
    /// Only attempts that ended so: pass, fail, skip, blocked, error, infra, undetermined, cut-off.
    #[arg(long, value_name = "WORD", value_parser = word, global = true)]
    outcome: Option<Word>,
    /// Only from this time on: 2026-11-01T00:00:00Z, or a span back from now: 14d, 12h.
    #[arg(long, value_name = "TIME", value_parser = ask::time, global = true)]
    since: Option<jiff::Timestamp>,
    /// Only before this time.
    #[arg(long, value_name = "TIME", value_parser = ask::time, global = true)]
    until: Option<jiff::Timestamp>,
    /// Only this run.
    #[arg(long, value_name = "ID", global = true)]
    run: Option<String>,
    /// Also runs on simulated slots, which say nothing of an image.
    #[arg(long, global = true)]
    simulated: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Add runs by their folders or journals; a folder of run folders adds all of them.
    Add {
        /// Run folders.
        #[arg(required = true, value_name = "RUN-DIR")]
        runs: Vec<PathBuf>,
    },
    /// Rates of failure, with their bounds and what explains them.
    Flakes {
        /// One row for each of these.
        #[arg(long, value_enum, default_value = "case")]
        by: ByArg,
        /// What is counted as bad: fail, infra, undetermined … (not pass or skip).
        #[arg(long, value_name = "WORD", value_parser = word, default_value = "fail")]
        bad: Word,
        /// The interval's confidence.
        #[arg(long, default_value_t = 0.95, value_parser = ask::confidence)]
        confidence: f64,
        /// Wilson's interval in place of the exact one (Clopper and Pearson).
        #[arg(long)]
        wilson: bool,
        /// Also those that never ended badly.
        #[arg(long)]
        all: bool,
    },
    /// A measure over images and time, for example boot.kernel.
    Trend {
        /// Its name; without it, all names are listed.
        measure: Option<String>,
        /// Of this case, or of boots that were started so: power-on (the default), 'clean reboot' …
        #[arg(long, value_name = "WHAT")]
        of: Option<String>,
        /// Also write a drawing.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Two images: new failures, what is fixed, what became slower, new kernel warnings.
    Diff {
        /// The image before: the beginning of its hash, or its version.
        before: String,
        /// The image after.
        after: String,
    },
    /// Add other programs' results.
    Import {
        /// What the files are.
        #[arg(value_enum)]
        format: Format,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write attempts and measures to standard output, one JSON object a line.
    Export {
        /// As a KCIDB report (5.3) of this origin, for example our_lab.
        #[arg(long, value_name = "ORIGIN", num_args = 0..=1, default_missing_value = "shakedown")]
        kcidb: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ByArg {
    Case,
    Slot,
    Board,
    Image,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Junit,
    Kcidb,
}

fn word(text: &str) -> Result<Word, String> {
    Word::named(text).ok_or_else(|| format!("expected one of {}", Word::ALL.map(Word::text).join(", ")))
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        let Self { board, slot, image, case, outcome, since, until, run, simulated } = self;
        Filter {
            board: board.clone(),
            slot: slot.clone(),
            image: image.clone(),
            case: case.clone(),
            outcome: *outcome,
            since: *since,
            until: *until,
            run: run.clone(),
            simulated: *simulated,
        }
    }
}

/// The history that is configured; no question is asked of one that is not there.
pub(crate) fn open(named: Option<&Path>, may_make: bool) -> Result<History, CliError> {
    let Some(path) = named else {
        return Err(CliError::refused("no history is named")
            .hint(format!("give --history FILE, or set {}", evidence::VARIABLE)));
    };
    if !may_make && !path.exists() {
        return Err(CliError::refused(format!("there is no history {}", path.display()))
            .hint("make it: shakedown history add RUN-DIR"));
    }
    Ok(History::open(path)?)
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let adds = matches!(args.command, Some(Command::Add { .. } | Command::Import { .. }));
    let mut history = open(args.history.as_deref(), adds)?;
    history.renamed(&Suites::with_paths(paths)?.renames())?;
    let filter = args.filter.filter();
    let asks = !adds && !matches!(args.command, Some(Command::Export { .. }));
    let left_out = if !adds && !filter.simulated && filter.run.is_none() { history.simulated()? } else { 0 };
    match &args.command {
        None if filter.case.is_some() || filter.outcome.is_some() || filter.run.is_some() => {
            show::attempts(&history.attempts(&filter, args.most)?);
        }
        None => show::runs(&history.runs(&filter, args.most)?),
        Some(Command::Add { runs }) => return add(&mut history, runs),
        Some(Command::Flakes { by, bad, confidence, wilson, all }) => {
            let by = match by {
                ByArg::Case => By::Case,
                ByArg::Slot => By::Slot,
                ByArg::Board => By::Board,
                ByArg::Image => By::Image,
            };
            let method = if *wilson { Method::Wilson } else { Method::Exact };
            let ask =
                shakedown_history::flakes::Ask { filter, by, bad: *bad, confidence: *confidence, method };
            let flakes = history.flakes(&ask)?;
            let most = if *all { usize::MAX } else { args.most };
            show::flakes(&flakes, &ask, *all, most);
        }
        Some(Command::Trend { measure: None, .. }) => {
            for name in history.measures()? {
                out!("{name}");
            }
        }
        Some(Command::Trend { measure: Some(measure), of, svg }) => {
            let most = args.most.max(200);
            let trend = history.trend(measure, of.as_deref(), &filter, most)?;
            show::trend(&trend);
            if let Some(file) = svg {
                if let Some(drawing) = shakedown_history::svg::svg(&trend) {
                    std::fs::write(file, drawing).map_err(|error| {
                        CliError::infra(format!("cannot write {}: {error}", file.display()))
                    })?;
                    out!("drawing: {}", file.display());
                } else {
                    out!("no drawing is written: there is nothing to draw");
                }
            }
        }
        Some(Command::Diff { before, after }) => {
            show::diff(&history.diff(before, after, &filter)?);
        }
        Some(Command::Import { format, files }) => return import(&mut history, *format, files, &args.filter),
        Some(Command::Export { kcidb: None }) => history.export(&filter, &mut |line| out!("{line}"))?,
        Some(Command::Export { kcidb: Some(origin) }) => out!("{}", history.export_kcidb(&filter, origin)?),
    }
    if left_out > 0 {
        let left_out = many(left_out, "run on a simulated slot is", "runs on simulated slots are");
        let told = format!("{left_out} left out (--simulated shows them)");
        // What is exported is for programs, and nothing else belongs between its lines.
        if asks { out!("{told}") } else { err!("{told}") }
    }
    Ok(ExitCode::Ok)
}

/// Runs that are added in one transaction.
const TOGETHER: usize = 40;

/// Adds what can be added; one that cannot does not stop the others.
pub(super) fn add(history: &mut History, runs: &[PathBuf]) -> CliResult {
    let (mut exit, mut all, mut new) = (ExitCode::Ok, 0, 0);
    let mut refused = |error: CliError| {
        err!("{error}");
        exit = exit.and(error.exit);
    };
    for runs in evidence::journals(runs)?.chunks(TOGETHER) {
        let read: Vec<_> =
            runs.iter().filter_map(|run| Found::read(run).map_err(&mut refused).ok()).collect();
        if let Ok(added) = evidence::add_together(history, &read) {
            (all, new) = (all + read.len(), new + added.new);
            continue;
        }
        // One by one, each tells what is wrong with it.
        for run in &read {
            match evidence::add(history, run) {
                Ok((_, added)) => (all, new) = (all + 1, new + added.new),
                Err(error) => refused(error),
            }
        }
    }
    out!("{}, {}", many(all as u64, "run", "runs"), many(new as u64, "new attempt", "new attempts"));
    if all == 0 && exit == ExitCode::Ok {
        return Err(CliError::refused("no run was found").hint("give run folders, or a folder of them"));
    }
    Ok(exit)
}

fn import(history: &mut History, format: Format, files: &[PathBuf], about: &FilterArgs) -> CliResult {
    let unknown = |given: &Option<String>| given.clone().unwrap_or_else(|| "unknown".to_owned());
    let (mut new, mut copies) = (0, 0);
    for file in files {
        let unreadable =
            |error: std::io::Error| CliError::refused(format!("cannot read {}: {error}", file.display()));
        let text = std::fs::read(file).map_err(unreadable)?;
        let written = std::fs::metadata(file).and_then(|meta| meta.modified()).map_err(unreadable)?;
        let about = About {
            board: unknown(&about.board),
            slot: unknown(&about.slot),
            image: unknown(&about.image),
            version: None,
            at: jiff::Timestamp::try_from(written).unwrap_or_default(),
        };
        let added = match format {
            Format::Junit => history.import_junit(&text, &about),
            Format::Kcidb => history.import_kcidb(&text, &about),
        };
        let added = added.map_err(|error| CliError::refused(format!("{}: {error}", file.display())))?;
        (new, copies) = (new + added.new, copies + added.copies);
    }
    out!("{}", many(new as u64, "new attempt", "new attempts"));
    if copies == 1 {
        out!("1 run is in the history by itself: nothing was added of it");
    } else if copies > 1 {
        out!("{copies} runs are in the history by themselves: nothing was added of them");
    }
    Ok(ExitCode::Ok)
}
