//! `shakedown bisect`: the first bad image, over all slots of a board at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_boards::Catalogue;
use shakedown_campaign::bisect::{Answer, Bisect, Look};
use shakedown_campaign::{Book, Happened, Why, engine};
use shakedown_core::ledger::BOOT;
use shakedown_core::names;
use shakedown_core::{CaseId, ExitCode, Sha};
use shakedown_suites::{Plan, Suites};

use super::campaigns::{Begun, Campaigns, Where, failed};
use crate::compose::bench::{self, Place, SlotsBench};
use crate::compose::image::{self, Chosen};
use crate::compose::images::in_order;
use crate::compose::signals::cancelled_by_signals;
use crate::compose::{reference, standin};
use crate::say::out;
use crate::{CliError, CliResult};

/// `shakedown bisect`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// An image that is known to be good: its file's name in the folder.
    #[arg(long, value_name = "NAME")]
    good: String,
    /// An image that is known to be bad.
    #[arg(long, value_name = "NAME")]
    bad: String,
    /// The folder with the images, ordered by the versions in their names.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The case that tells good from bad, or boot::cold::ready.
    #[arg(long, value_name = "ID")]
    case: String,
    /// The board type: all slots with it are used.
    #[arg(long, value_name = "SLUG")]
    board: String,
    /// How sure the answer must be, below 1.
    #[arg(long, value_name = "P", default_value_t = 0.99)]
    confidence: f64,
    /// The OS profile. Else the one that knows the image's os-release.
    #[arg(long, value_name = "ID")]
    os: Option<String>,
    #[command(flatten)]
    place: Where,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    if !(0.5..1.0).contains(&args.confidence) {
        let what = format!("--confidence {}: expected a number from 0.5 to below 1", args.confidence);
        return Err(CliError::refused(what));
    }
    let catalogue = Catalogue::with_paths(paths)?;
    let suites = Suites::with_paths(paths)?;
    let plan = plan(&suites, &args.case)?;
    let files = between(&args.images, &args.good, &args.bad)?;
    let places = places(&catalogue, args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let cancel = runtime.block_on(async { cancelled_by_signals("ending the runs; `--resume` goes on") });

    let keys: Vec<_> = files.iter().map(|file| name(file)).collect();
    let case = CaseId(args.case.clone());
    let specs = places.iter().map(Place::spec).collect();
    let mut bisect = Bisect::new(case, keys.clone(), specs, args.confidence);
    let out = args.place.out();
    let about = about(args, &keys);
    let searches = Campaigns { out: &out, kind: "bisect", name: args.case.replace("::", ".") };
    let (mut book, folder) = match &args.place.resume {
        None => searches.begin(Begun {
            name: args.case.clone(),
            about,
            jobs: keys.len(),
            images: Vec::new(),
            simulated: args.place.is_simulated(),
        })?,
        Some(named) => resume(&searches, named.as_deref(), about, &mut bisect)?,
    };
    let known: Mutex<BTreeMap<String, Arc<Chosen>>> = Mutex::default();
    let choose = |label: &str, _: &str| -> Result<Arc<Chosen>, CliError> {
        // Held until it is there: two slots that ask for one image at once must not both make it.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(label) {
            return Ok(known.clone());
        }
        let file = files.iter().find(|file| name(file) == label);
        let file = file.ok_or_else(|| CliError::infra(format!("no image {label}")))?;
        let file = if args.place.is_simulated() {
            let profile = catalogue.profile(args.os.as_deref().unwrap_or(reference::PROFILE))?;
            standin::image(&profile, version(label), label)?
        } else {
            file.clone()
        };
        let companions = shakedown_runner::companions(&file).into_iter().collect();
        let scratch = shakedown_host::dirs::cache()?;
        let chosen = Arc::new(image::choose(&catalogue, &file, args.os.as_deref(), companions, &scratch)?);
        known.insert(label.to_owned(), chosen.clone());
        Ok(chosen)
    };
    let bench = SlotsBench {
        paths,
        places: &places,
        suites: &suites,
        plans: BTreeMap::from([(args.case.clone(), plan)]),
        suite_of: vec![args.case.clone(); keys.len()],
        images: &choose,
        labels: keys.clone(),
        control: None,
        out: &out,
        shares: args.place.shares()?,
        until: None,
        cancel: cancel.clone(),
        ended: AtomicUsize::new(bisect.path().len()),
        looks: AtomicUsize::new(0),
        tell: true,
    };
    let room = bench.shares.room();
    engine::run(&mut bisect, &mut book, &bench, places.len(), room).map_err(failed)?;
    let (text, exit) = told(&bisect, &keys, cancel.is_cancelled());
    if !cancel.is_cancelled() {
        book.write(&Happened::Finished { exit }).map_err(failed)?;
    }
    let path = folder.join("path.txt");
    std::fs::write(&path, &text)
        .map_err(|error| CliError::infra(format!("cannot write {}: {error}", path.display())))?;
    out!("{}", text.trim_end());
    Ok(exit)
}

/// The case alone; a boot is tried without any.
fn plan(suites: &Suites, case: &str) -> Result<Plan, CliError> {
    if case == BOOT {
        return Ok(Plan { name: BOOT.to_owned(), entries: Vec::new() });
    }
    let plan = bench::plan_of(suites, case)?;
    match plan.entries.as_slice() {
        [entry] if entry.spec().id.0 == case => Ok(plan),
        _ => Err(CliError::refused(format!("`{case}` is no single case"))
            .hint("`shakedown run --list --selection all` shows the cases")),
    }
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a simulation calls an image: `1.0.37` of `os-1.0.37.img.zst`, or the name where no number is in it.
fn version(name: &str) -> &str {
    let stem = name.split(".img").next().unwrap_or(name);
    stem.find(|c: char| c.is_ascii_digit()).map_or(stem, |at| &stem[at..])
}

/// The images from the good one to the bad one.
fn between(folder: &Path, good: &str, bad: &str) -> Result<Vec<PathBuf>, CliError> {
    let files = in_order(folder).map_err(CliError::refused)?;
    let at = |option: &str, wanted: &str| {
        let wanted = name(Path::new(wanted));
        files.iter().position(|file| name(file) == wanted).ok_or_else(|| {
            let names: Vec<_> = files.iter().map(|file| name(file)).collect();
            let error =
                CliError::refused(format!("{option} {wanted}: no such image in {}", folder.display()));
            match shakedown_conf::nearest(&wanted, names.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("there are {} images", names.len())),
            }
        })
    };
    let (first, last) = (at("--good", good)?, at("--bad", bad)?);
    if first >= last {
        let order = names::compare(good, bad);
        return Err(CliError::refused(format!(
            "the good image {good} does not come before the bad one {bad} ({order:?})"
        ))
        .hint("images are ordered by the numbers in their names"));
    }
    Ok(files[first..=last].to_vec())
}

/// Every slot with this board.
fn places(catalogue: &Catalogue, args: &Args) -> Result<Vec<Place>, CliError> {
    catalogue.board(&args.board)?;
    let rigs = args.place.rigs(std::slice::from_ref(&args.board))?;
    let mut places = bench::places(catalogue, rigs)?;
    places.retain(|place| place.board.slug == args.board);
    if places.is_empty() {
        return Err(CliError::refused(format!("no slot of the rigs has a {}", args.board)));
    }
    Ok(places)
}

fn about(args: &Args, keys: &[String]) -> Sha {
    let Args { case, board, confidence, .. } = args;
    Sha::of(format!("{case}\n{board}\n{confidence}\n{}", keys.join("\n")).as_bytes())
}

fn resume(
    searches: &Campaigns<'_>,
    named: Option<&Path>,
    about: Sha,
    bisect: &mut Bisect,
) -> Result<(Book, PathBuf), CliError> {
    let (mut book, folder, entries) = searches.resume(named, about)?;
    for (run, image) in bisect.replay(&entries) {
        let came = bench::came_of(searches.out, &run, Why::Planned);
        book.write(&Happened::Ended { run: run.clone(), came: came.clone() }).map_err(failed)?;
        bisect.found(&run, image, &came);
    }
    Ok((book, folder))
}

/// The path and the answer, for people.
fn told(bisect: &Bisect, keys: &[String], interrupted: bool) -> (String, ExitCode) {
    let mut text = String::from("path:\n");
    for line in bisect.path() {
        let word = match line.look {
            Look::Pass => "good",
            Look::Fail => "BAD",
            Look::Dead => "no boot",
            Look::Nothing => "nothing",
        };
        let says = if line.says.is_empty() { String::new() } else { format!(": {}", line.says) };
        let _ = writeln!(text, "  {word:<8} {}  {}{says}", keys[line.image], line.run);
    }
    let likely = bisect.search().likely();
    text.push_str("images that were tried:\n");
    for (image, tally) in bisect.search().tallies().iter().enumerate() {
        let dead = if tally.dead > 0 { format!(", {} did not boot", tally.dead) } else { String::new() };
        if tally.pass + tally.fail + tally.dead + tally.nothing > 0 {
            let first = 100.0 * likely[image];
            let _ = writeln!(
                text,
                "  {:<40} {:>3} passed, {:>3} failed{dead}; the first bad one with {first:.1} %",
                keys[image], tally.pass, tally.fail
            );
        }
    }
    let percent = |sure: f64| (1000.0 * sure).floor() / 10.0;
    let (says, exit) = match bisect.search().answer() {
        Answer::Found { first, sure } => {
            let names: Vec<_> = first.iter().map(|image| keys[*image].as_str()).collect();
            let before = &keys[first[0] - 1];
            let or = if names.len() > 1 { " (those between could not be tried)" } else { "" };
            (
                format!("first bad: {}{or}, {} % sure; {before} is good", names.join(" or "), percent(sure)),
                ExitCode::Ok,
            )
        }
        Answer::NotSeen { attempts } => {
            (format!("the bad image passed {attempts} times: the fault was not seen"), ExitCode::Infra)
        }
        Answer::GoodFails { sure } => {
            (format!("the good image is bad as well, {} % sure", percent(sure)), ExitCode::Infra)
        }
        Answer::EndDead(image) => {
            (format!("{} cannot be tried: it does not boot", keys[image]), ExitCode::Infra)
        }
        Answer::Open if interrupted => ("interrupted: go on with --resume".to_owned(), ExitCode::Interrupted),
        Answer::Open => {
            let out: Vec<_> = bisect.slots().iter().filter_map(|slot| slot.out.clone()).collect();
            (format!("not found: no slot is left in service: {}", out.join("; ")), ExitCode::Infra)
        }
    };
    let _ = writeln!(text, "{says}");
    (text, exit)
}
