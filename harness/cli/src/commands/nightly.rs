//! `shakedown nightly PLAN`: boards × images × suites over all slots of the given rigs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use shakedown_boards::Catalogue;
use shakedown_campaign::book::Entry;
use shakedown_campaign::engine;
use shakedown_campaign::night::summary::Summary;
use shakedown_campaign::night::{Night, Policy, page};
use shakedown_campaign::plan::{Job, Plan};
use shakedown_campaign::{Book, Happened, Why};
use shakedown_conf::Document;
use shakedown_core::{ExitCode, Sha};
use shakedown_suites::Suites;

use super::campaigns::{BOOK, Begun, Campaigns, Where, failed, is_finished};
use super::history;
use crate::compose::bench::{self, Place, SlotsBench};
use crate::compose::evidence;
use crate::compose::image::Chosen;
use crate::compose::images::Images;
use crate::compose::reference;
use crate::compose::signals::cancelled_by_signals;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown nightly`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The plan.
    plan: PathBuf,
    #[command(flatten)]
    place: Where,
    /// Add the night's runs to this history at its end. Else SHAKEDOWN_HISTORY, else to none.
    #[arg(long, value_name = "FILE", env = evidence::VARIABLE)]
    history: Option<PathBuf>,
    /// Print what would run, and stop.
    #[arg(long)]
    list: bool,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let began = Instant::now();
    let plan = Plan::load(&Document::read(&args.plan)?)?;
    let catalogue = Catalogue::with_paths(paths)?;
    let suites = Suites::with_paths(paths)?;
    let places = places(&catalogue, &plan, args)?;
    let offering = |wanted: &[String]| {
        let boards: BTreeSet<_> = places
            .iter()
            .filter(|place| place.offers(wanted))
            .map(|place| place.board.slug.clone())
            .collect();
        boards.into_iter().collect()
    };
    let jobs = plan.jobs(&offering)?;
    let plans = plans(&plan, &suites)?;
    if args.list {
        for job in &jobs {
            out!("{:<48} {} case(s)", job.key, plans[&job.suite].entries.len());
        }
        out!("{} run(s) on {} slot(s)", jobs.len(), places.len());
        return Ok(ExitCode::Ok);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let cancel = runtime.block_on(async { cancelled_by_signals("ending the runs; `--resume` goes on") });
    let folder = args.plan.parent().unwrap_or(Path::new("."));
    let images = Images { catalogue: &catalogue, plan: &plan, folder, simulated: args.place.is_simulated() };
    let control = plan.doc.value.retry.undetermined.clone();
    let chosen = runtime.block_on(chosen(&images, &jobs, control.as_ref(), &reference::deadline(&cancel)))?;
    let about = about(&plan, &jobs, &chosen, args)?;

    let out = args.place.out();
    let name = plan.doc.value.plan.clone();
    let nights = Campaigns { out: &out, kind: "nightly", name: name.clone() };
    let slots: Vec<_> = places.iter().map(Place::spec).collect();
    let mut night = Night::new(jobs.clone(), slots, Policy::of(&plan.doc.value));
    let (mut book, folder) = match &args.place.resume {
        None => nights.begin(Begun {
            name: name.clone(),
            about,
            jobs: jobs.len(),
            images: chosen.iter().map(line).collect(),
            simulated: args.place.is_simulated(),
        })?,
        Some(named) => resume(&nights, named.as_deref(), about, &mut night)?,
    };
    let begun = Book::read(&folder.join(BOOK)).map_err(failed)?;
    let until = plan.doc.value.budget.map(|budget| until(&begun, budget.get()));
    let image = |label: &str, board: &str| {
        chosen
            .get(&(label.to_owned(), board.to_owned()))
            .cloned()
            .ok_or_else(|| CliError::infra(format!("no image `{label}` for {board} was prepared")))
    };
    let bench = SlotsBench {
        paths,
        places: &places,
        suites: &suites,
        plans,
        suite_of: jobs.iter().map(|job| job.suite.clone()).collect(),
        images: &image,
        labels: plan.doc.value.images.keys().cloned().collect(),
        control,
        out: &out,
        shares: args.place.shares()?,
        until,
        cancel: cancel.clone(),
        ended: AtomicUsize::new(night.jobs().iter().map(|job| job.parts.len()).sum()),
        looks: AtomicUsize::new(0),
        tell: true,
    };
    let room = bench.shares.room();
    engine::run(&mut night, &mut book, &bench, places.len(), room).map_err(failed)?;
    let over = match (cancel.is_cancelled(), until) {
        (true, _) => Some("the night was interrupted"),
        (false, Some(until)) if Instant::now() >= until => Some("the time was over"),
        _ => None,
    };
    let mut exit = finish(&mut book, &folder, &nights, &night, over, cancel.is_cancelled())?;
    if let Some(file) = &args.history {
        let runs: Vec<_> =
            night.jobs().iter().flat_map(|job| &job.parts).map(|part| out.join(&part.run)).collect();
        // A run that never began has no folder.
        let runs: Vec<_> = runs.into_iter().filter(|run| run.is_dir()).collect();
        if !runs.is_empty() {
            exit = exit.and(history::add(&mut history::open(Some(file), true)?, &runs)?);
        }
    }
    if args.place.is_simulated() {
        out!("{}", cost(&night, began.elapsed()));
    }
    Ok(exit)
}

/// The slots that there are, simulated if that is asked for.
fn places(catalogue: &Catalogue, plan: &Plan, args: &Args) -> Result<Vec<Place>, CliError> {
    let boards: BTreeSet<_> = plan.doc.value.work.iter().flat_map(|work| &work.boards).cloned().collect();
    let rigs = args.place.rigs(&boards.into_iter().collect::<Vec<_>>())?;
    known(plan, bench::places(catalogue, rigs)?)
}

/// Every board that the plan names has a slot.
fn known(plan: &Plan, places: Vec<Place>) -> Result<Vec<Place>, CliError> {
    let boards: BTreeSet<_> = places.iter().map(|place| place.board.slug.clone()).collect();
    for (index, work) in plan.doc.value.work.iter().enumerate() {
        if let Some(at) = work.boards.iter().position(|board| !boards.contains(board)) {
            let (field, board) = (format!("work[{index}].boards[{at}]"), work.boards[at].clone());
            let error = plan.doc.unknown_name(&field, "board with a slot", board, boards.iter().cloned());
            return Err(error.into());
        }
    }
    Ok(places)
}

/// The cases of each suite that the plan names.
fn plans(plan: &Plan, suites: &Suites) -> Result<BTreeMap<String, shakedown_suites::Plan>, CliError> {
    let mut plans = BTreeMap::new();
    for (index, work) in plan.doc.value.work.iter().enumerate() {
        for (at, name) in work.suites.iter().enumerate() {
            let found = bench::plan_of(suites, name).map_err(|error| {
                let field = format!("work[{index}].suites[{at}]");
                CliError::from(plan.doc.invalid(&field, error.to_string()))
            })?;
            plans.insert(name.clone(), found);
        }
    }
    Ok(plans)
}

type ImagesByPlace = BTreeMap<(String, String), Arc<Chosen>>;

/// Every image of the plan, for every board that needs it, read once.
async fn chosen(
    images: &Images<'_>,
    jobs: &[Job],
    control: Option<&String>,
    by: &shakedown_core::Deadline,
) -> Result<ImagesByPlace, CliError> {
    let mut wanted: BTreeSet<_> = jobs.iter().map(|job| (job.image.clone(), job.board.clone())).collect();
    wanted.extend(
        control.into_iter().flat_map(|label| jobs.iter().map(|job| (label.clone(), job.board.clone()))),
    );
    let mut chosen = BTreeMap::new();
    for (label, board) in wanted {
        let image = images.choose(&label, &board, by).await?;
        chosen.insert((label, board), image);
    }
    Ok(chosen)
}

/// A hash of everything that decides what the night is about.
fn about(plan: &Plan, jobs: &[Job], images: &ImagesByPlace, args: &Args) -> Result<Sha, CliError> {
    let mut text = plan.doc.document().text().to_owned();
    for job in jobs {
        let _ = writeln!(text, "\n{}", job.key);
    }
    for ((label, board), chosen) in images {
        let _ = writeln!(text, "{label}@{board} {}", chosen.image.payload);
    }
    if let Some(Some(file)) = &args.place.simulate {
        text.push_str(&std::fs::read_to_string(file)?);
    }
    Ok(Sha::of(text.as_bytes()))
}

/// An image as the book has it.
fn line(((label, board), chosen): (&(String, String), &Arc<Chosen>)) -> (String, Sha, PathBuf) {
    (format!("{label}@{board}"), chosen.image.payload, chosen.image.path.clone())
}

fn resume(
    nights: &Campaigns<'_>,
    named: Option<&Path>,
    about: Sha,
    night: &mut Night,
) -> Result<(Book, PathBuf), CliError> {
    let (mut book, folder, entries) = nights.resume(named, about)?;
    for (run, job, slot) in night.replay(&entries) {
        let why = entries.iter().find_map(|(_, happened)| match happened {
            Happened::Started { run: begun, why, .. } if *begun == run => Some(*why),
            _ => None,
        });
        let why = why.unwrap_or(Why::Planned);
        let came = bench::came_of(nights.out, &run, why);
        book.write(&Happened::Ended { run: run.clone(), came: came.clone() }).map_err(failed)?;
        night.found(&run, &job, why, &slot, &came);
    }
    Ok((book, folder))
}

/// When the night's time is over, counted from its first line also when it is resumed.
fn until(entries: &[Entry], budget: Duration) -> Instant {
    let gone = entries.first().map(|(began, _)| (jiff::Timestamp::now() - *began).get_seconds().max(0));
    Instant::now() + budget.saturating_sub(Duration::from_secs(gone.unwrap_or_default() as u64))
}

fn finish(
    book: &mut Book,
    folder: &Path,
    nights: &Campaigns<'_>,
    night: &Night,
    over: Option<&str>,
    interrupted: bool,
) -> CliResult {
    let entries = Book::read(&folder.join(BOOK)).map_err(failed)?;
    let before = nights
        .all()
        .into_iter()
        .rev()
        .filter(|other| other != folder)
        .filter_map(|other| Book::read(&other.join(BOOK)).ok())
        .find(|entries| is_finished(entries));
    let summary = Summary::of(&nights.name, night, &entries, before.as_deref(), over);
    let exit = if interrupted { ExitCode::Interrupted } else { summary.exit };
    if !interrupted {
        book.write(&Happened::Finished { exit }).map_err(failed)?;
    }
    let write = |file: &str, text: String| {
        let path = folder.join(file);
        std::fs::write(&path, text)
            .map_err(|error| CliError::infra(format!("cannot write {}: {error}", path.display())))
    };
    write("nightly.html", page::page(&summary, ".."))?;
    write("summary.md", summary.markdown())?;
    for case in summary.new_failures().iter().take(20) {
        let new = if summary.compared.is_some() { "NEW " } else { "" };
        out!(
            "{new}{:<6} {} on {} with {}: {}",
            case.verdict.text(),
            case.case,
            case.board,
            case.image,
            case.standing.says
        );
    }
    for (id, _, _, _, why) in summary.slots.iter().filter(|slot| slot.4.is_some()) {
        out!("OUT    {id}: {}", why.as_deref().unwrap_or_default());
    }
    out!("{}", summary.verdict());
    out!("report: {}", folder.join("nightly.html").display());
    if interrupted {
        err!("interrupted: go on with the same command and `--resume`");
    }
    Ok(exit)
}

/// What the harness itself took: in a simulation nothing else takes time.
fn cost(night: &Night, took: Duration) -> String {
    let parts = || night.jobs().iter().flat_map(|job| &job.parts);
    let attempts: usize = parts().map(|part| part.came.seen.len()).sum();
    // A busy host makes the night longer, and not this.
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let each = |seconds: f64| seconds * 1000.0 / attempts.max(1) as f64;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024;
    format!(
        "cost: {} runs, {attempts} attempts in {:.2} s, {cpu:.2} s of CPU: {:.2} ms an attempt, {:.2} ms of CPU, at most {peak} MiB",
        parts().count(),
        took.as_secs_f64(),
        each(took.as_secs_f64()),
        each(cpu)
    )
}
