//! `shakedown nightly PLAN`: boards × images × suites over all slots of the given rigs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use shakedown_boards::Catalogue;
use shakedown_campaign::book::{BookError, Entry};
use shakedown_campaign::engine;
use shakedown_campaign::night::summary::Summary;
use shakedown_campaign::night::{Night, Policy, page};
use shakedown_campaign::plan::{Job, Plan};
use shakedown_campaign::{Book, Happened, Why};
use shakedown_conf::{Document, load};
use shakedown_core::{ExitCode, Sha};
use shakedown_simulated::SimulationDoc;
use shakedown_suites::Suites;

use crate::compose::bench::{self, Place, Shares, SlotsBench};
use crate::compose::image::Chosen;
use crate::compose::images::Images;
use crate::compose::reference;
use crate::compose::rig::Rig as RigFile;
use crate::compose::signals::cancelled_by_signals;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown nightly`.
#[derive(clap::Args, Debug)]
#[expect(clippy::option_option, reason = "an option whose value may be left out, as clap has it")]
pub(super) struct Args {
    /// The plan.
    plan: PathBuf,
    /// A rig file (repeatable): all its slots are used. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long = "rig", value_name = "FILE")]
    rigs: Vec<PathBuf>,
    /// Simulate every slot, with images that stand in for the plan's. FILE says what goes wrong.
    /// Without --rig, the slots are made up.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    simulate: Option<Option<PathBuf>>,
    /// With --simulate and without --rig: slots for each board.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "simulate")]
    slots: usize,
    /// Go on with a night that was killed or interrupted: the last one of this plan, or the one in DIR.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    resume: Option<Option<PathBuf>>,
    /// Runs at once. Else what this host bears.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where run folders and the night's folder are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print what would run, and stop.
    #[arg(long)]
    list: bool,
}

/// The book's name in a campaign's folder.
pub(super) const BOOK: &str = "book.jsonl";

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
    let images = Images { catalogue: &catalogue, plan: &plan, folder, simulated: args.simulate.is_some() };
    let control = plan.doc.value.retry.undetermined.clone();
    let chosen = runtime.block_on(chosen(&images, &jobs, control.as_ref(), &reference::deadline(&cancel)))?;
    let about = about(&plan, &jobs, &chosen, args)?;

    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let name = plan.doc.value.plan.clone();
    let slots: Vec<_> = places.iter().map(Place::spec).collect();
    let mut night = Night::new(jobs.clone(), slots, Policy::of(&plan.doc.value));
    let (mut book, folder) = match &args.resume {
        None => begin(&out, &name, about, jobs.len(), &chosen, args.simulate.is_some())?,
        Some(named) => resume(&out, &name, named.as_deref(), about, &mut night)?,
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
        shares: Shares::of_host(args.jobs.map(usize::from))?,
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
    let exit = finish(&mut book, &folder, &out, &name, &night, over, cancel.is_cancelled())?;
    if args.simulate.is_some() {
        out!("{}", cost(&night, began.elapsed()));
    }
    Ok(exit)
}

pub(super) fn failed(error: BookError) -> CliError {
    match error {
        BookError::Io { .. } => CliError::infra(error),
        BookError::Busy { .. } | BookError::Broken { .. } => CliError::refused(error),
    }
}

/// The slots that there are, simulated if that is asked for.
fn places(catalogue: &Catalogue, plan: &Plan, args: &Args) -> Result<Vec<Place>, CliError> {
    let Some(file) = &args.simulate else {
        let rigs = if args.rigs.is_empty() { vec![RigFile::find(None)?] } else { named(&args.rigs)? };
        return known(plan, bench::places(catalogue, rigs)?);
    };
    let simulation = simulation(file.as_deref())?;
    let mut rigs = named(&args.rigs)?;
    if rigs.is_empty() {
        let boards: BTreeSet<_> = plan.doc.value.work.iter().flat_map(|work| &work.boards).cloned().collect();
        if boards.is_empty() {
            return Err(CliError::refused("the plan names no board, so no slot can be made up")
                .hint("name the rigs whose boards are meant with --rig"));
        }
        rigs.push(RigFile::made_up(&boards.into_iter().collect::<Vec<_>>(), args.slots)?);
    }
    let rigs = rigs.into_iter().map(|rig| rig.simulated(&simulation)).collect();
    known(plan, bench::places(catalogue, rigs)?)
}

pub(super) fn named(files: &[PathBuf]) -> Result<Vec<RigFile>, CliError> {
    files.iter().map(|file| RigFile::find(Some(file))).collect()
}

/// What goes wrong: as a file says, or nothing.
pub(super) fn simulation(file: Option<&Path>) -> Result<SimulationDoc, CliError> {
    let Some(file) = file else { return Ok(SimulationDoc::default()) };
    let doc = load::<SimulationDoc>(&Document::read(file)?)?;
    doc.value.check().map_err(|problem| doc.invalid(&problem.field, problem.what))?;
    Ok(doc.value)
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
    if let Some(Some(file)) = &args.simulate {
        text.push_str(&std::fs::read_to_string(file)?);
    }
    Ok(Sha::of(text.as_bytes()))
}

fn begin(
    out: &Path,
    name: &str,
    about: Sha,
    jobs: usize,
    images: &ImagesByPlace,
    simulated: bool,
) -> Result<(Book, PathBuf), CliError> {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    // Two may begin in the same second.
    let folder = out.join(format!("nightly-{name}-{now}-{:04x}", std::process::id() & 0xffff));
    std::fs::create_dir_all(&folder).map_err(|error| {
        CliError::refused(format!("cannot make {}: {error}", folder.display()))
            .hint("name another place with --out")
    })?;
    let mut book = Book::create(&folder.join(BOOK)).map_err(failed)?;
    let line = |((label, board), chosen): (&(String, String), &Arc<Chosen>)| {
        (format!("{label}@{board}"), chosen.image.payload, chosen.image.path.clone())
    };
    let words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    book.write(&Happened::Begun {
        name: name.to_owned(),
        about,
        jobs,
        images: images.iter().map(line).collect(),
        simulated,
        command: words.join(" "),
    })
    .map_err(failed)?;
    Ok((book, folder))
}

/// Campaigns of this name below `out`, the last one last.
pub(super) fn campaigns(out: &Path, kind: &str, name: &str) -> Vec<PathBuf> {
    let prefix = format!("{kind}-{name}-");
    let is_one = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // A plan whose name begins with this one's is another plan.
        let rest = name.strip_prefix(&prefix).unwrap_or_default();
        rest.len() == "20260101-000000-0000".len()
            && rest.starts_with(|c: char| c.is_ascii_digit())
            && path.join(BOOK).exists()
    };
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_one).collect();
    found.sort();
    found
}

pub(super) fn is_finished(entries: &[Entry]) -> bool {
    matches!(entries.last(), Some((_, Happened::Finished { .. })))
}

fn resume(
    out: &Path,
    name: &str,
    named: Option<&Path>,
    about: Sha,
    night: &mut Night,
) -> Result<(Book, PathBuf), CliError> {
    let folder = match named {
        Some(folder) => folder.to_owned(),
        None => campaigns(out, "nightly", name).pop().ok_or_else(|| {
            CliError::refused(format!("no night of `{name}` was begun in {}", out.display()))
        })?,
    };
    let (mut book, entries) = Book::resume(&folder.join(BOOK)).map_err(failed)?;
    if is_finished(&entries) {
        return Err(CliError::refused(format!(
            "{} came to its end: nothing is left to do",
            folder.display()
        )));
    }
    match entries.first() {
        Some((_, Happened::Begun { about: then, .. })) if *then == about => {}
        // Killed in its first line: nothing was begun.
        None => {
            return Err(CliError::refused(format!("{} has not begun anything", folder.display()))
                .hint("begin anew, without --resume"));
        }
        _ => {
            let what = format!(
                "the plan, an image or the simulation is another one than when {} began",
                folder.display()
            );
            return Err(CliError::refused(what).hint("begin anew, without --resume"));
        }
    }
    book.write(&Happened::Resumed).map_err(failed)?;
    for (run, job, slot) in night.replay(&entries) {
        let why = entries.iter().find_map(|(_, happened)| match happened {
            Happened::Started { run: begun, why, .. } if *begun == run => Some(*why),
            _ => None,
        });
        let why = why.unwrap_or(Why::Planned);
        let came = bench::came_of(out, &run, why);
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
    out: &Path,
    name: &str,
    night: &Night,
    over: Option<&str>,
    interrupted: bool,
) -> CliResult {
    let entries = Book::read(&folder.join(BOOK)).map_err(failed)?;
    let before = campaigns(out, "nightly", name)
        .into_iter()
        .rev()
        .filter(|other| other != folder)
        .filter_map(|other| Book::read(&other.join(BOOK)).ok())
        .find(|entries| is_finished(entries));
    let summary = Summary::of(name, night, &entries, before.as_deref(), over);
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
        err!("interrupted: go on with `shakedown nightly PLAN --resume`");
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
