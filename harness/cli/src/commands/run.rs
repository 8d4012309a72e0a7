//! `shakedown run`: flash, boot and test an image on one slot.

mod again;
mod list;
mod sabotage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shakedown_boards::Catalogue;
use shakedown_core::event::RunHead;
use shakedown_core::{Board, Case, Clock, Deadline, ExitCode, OsProfile, Pace, RealClock};
use shakedown_history::{History, Recorder};
use shakedown_runner::{Examine, Follower, Writing};
use shakedown_simulated::VirtualClock;
use shakedown_suites::{Ask, Entry, Plan, Suites, TEST_IMAGE};
use tokio_util::sync::CancellationToken;

use crate::compose::evidence::{self, Found};
use crate::compose::execute::{self, Executed, Job};
use crate::compose::image::Chosen;
use crate::compose::keep::Keep;
use crate::compose::reference::WithCompanions;
use crate::compose::rig::{Rig as RigFile, SlotDoc};
use crate::compose::signals::cancelled_by_signals;
use crate::compose::{folder, image, keep, reference, standin};
use crate::follow::{MessageFormat, Recording, follower};
use crate::keeper::client::{Caller, Right};
use crate::say::{err, out};
use crate::{CliError, CliResult};

pub use crate::compose::execute::Done;

/// `shakedown run`.
#[derive(clap::Args, Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The board type to test on: the rig's first slot for it is taken.
    #[arg(long, value_name = "SLUG")]
    board: Option<String>,
    /// The slot to test on, by its name in the rig file. Else SHAKEDOWN_SLOT, when no board is given.
    #[arg(long, value_name = "NAME", conflicts_with = "board")]
    slot: Option<String>,
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, value_name = "FILE")]
    rig: Option<PathBuf>,
    /// The image under test: raw, .gz, .xz, .zst or .zip. Else the reference OS, built when needed.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The OS profile. Else the one that knows the image's os-release.
    #[arg(long, value_name = "ID")]
    os: Option<String>,
    /// A file that belongs to the image, as ROLE=FILE (update, update-broken-init …; repeatable).
    #[arg(long = "companion", value_name = "ROLE=FILE")]
    companions: Vec<String>,
    /// A named selection of cases (demo, quick, all …).
    #[arg(long, value_name = "NAME")]
    selection: Option<String>,
    /// Only this suite.
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Only cases that match, for example 'container::*' (repeatable).
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Print what would run, and why what would not, and stop.
    #[arg(long)]
    list: bool,
    /// Attempts at each case.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// How often `power::cuts::cold-boots` cuts the power.
    #[arg(long, value_name = "N", default_value_t = COLD_BOOTS, value_parser = clap::value_parser!(u32).range(1..=MOST_COLD_BOOTS))]
    cold_boots: u32,
    /// Only a bring-up does.
    #[arg(skip)]
    examine: Examine,
    /// Leave the DUT switched on at the end, and tell how to get into it. A virtual one is held until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Do not write: go on only when the medium is proven to hold the image.
    #[arg(long)]
    no_flash: bool,
    /// Write only what differs from what the medium holds: all of it is read and compared first, and read
    /// back afterwards. Pays where reading is quicker than writing.
    #[arg(long, conflicts_with = "no_flash")]
    delta: bool,
    /// A known-good image that settles whose fault it is when that stays open.
    #[arg(long, value_name = "FILE")]
    control: Option<PathBuf>,
    /// Instead of the cases, prove that they fail as they declare when the OS is sabotaged.
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, default_missing_value = "proven")]
    sabotage: Option<Which>,
    /// Where run folders are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep the attempts in this history as well, each when it has ended.
    #[arg(long, value_name = "FILE", env = evidence::VARIABLE)]
    history: Option<PathBuf>,
    /// How the run is shown while it happens.
    #[arg(long, value_enum, default_value = "human")]
    message_format: MessageFormat,
}

/// Cold boots, where nobody says how many.
pub(super) const COLD_BOOTS: u32 = 10;
/// The case has 100 minutes at pace 1, 5 for each: more than any board's own deadlines. A soak
/// repeats the case.
pub(super) const MOST_COLD_BOOTS: i64 = 20;

impl Args {
    fn writing(&self) -> Writing {
        match (self.no_flash, self.delta) {
            (true, _) => Writing::Nothing,
            (_, true) => Writing::Delta,
            (false, false) => Writing::Whole,
        }
    }

    /// A run of these cases for a bring-up, which may look at the wiring and the supply first.
    pub(super) fn of_bringup(bringup: &super::bringup::Args, cases: Vec<String>, examine: Examine) -> Self {
        Self {
            board: None,
            slot: Some(bringup.slot.clone()),
            rig: bringup.rig.clone(),
            image: bringup.image.clone(),
            os: bringup.os.clone(),
            companions: bringup.companions.clone(),
            selection: Some("bringup".to_owned()),
            suite: None,
            cases,
            list: false,
            repeat: 1,
            cold_boots: bringup.cold_boots,
            examine,
            keep: false,
            no_flash: false,
            delta: false,
            control: None,
            sabotage: None,
            out: bringup.out.clone(),
            history: None,
            message_format: MessageFormat::Human,
        }
    }
}

/// Which sabotages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// The quick ones that the test command proves.
    Proven,
    /// All that the selected cases declare.
    All,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let suites = Suites::with_paths(paths)?;
    let mut ask =
        Ask { selection: args.selection.clone(), cases: args.cases.clone(), suite: args.suite.clone() };
    if args.sabotage == Some(Which::Proven) && ask.cases.is_empty() && ask.suite.is_none() {
        // The list is short by itself.
        ask.selection.get_or_insert_with(|| "all".to_owned());
    }
    let mut plan = suites.select(&ask)?;
    if let Some(which) = args.sabotage {
        sabotage::narrow(&suites, &mut plan, which);
    }
    if args.list {
        return list::list(paths, &suites, &plan, args);
    }
    let done = execute(paths, &suites, &plan, args)?;
    if args.message_format == MessageFormat::Human {
        out!("report: {}", done.folder.join("report.html").display());
    }
    Ok(done.exit)
}

/// Where a run takes place.
struct Place {
    rig: RigFile,
    slot: String,
    board: Arc<Board>,
}

impl Place {
    /// The slot that is asked for, with the board type that sits in it. Nothing is opened.
    fn find(catalogue: &Catalogue, args: &Args) -> Result<Self, CliError> {
        if let Some(board) = &args.board {
            // An unknown slug is told from the catalogue, with its nearest name, before any rig is asked.
            catalogue.board(board)?;
        }
        let rig = RigFile::find(args.rig.as_deref())?;
        let (name, doc) = rig.slot(Self::named(args).as_deref(), args.board.as_deref())?;
        let board = rig.board(catalogue, name, doc)?;
        rig.check(name, doc, &board)?;
        Ok(Self { slot: name.to_owned(), board, rig })
    }

    /// The slot as it is written.
    fn doc(&self) -> Result<&SlotDoc, CliError> {
        self.rig.slot(Some(&self.slot), None).map(|(_, doc)| doc)
    }

    /// Whether nothing says which of several slots is meant.
    fn is_open(args: &Args) -> Result<bool, CliError> {
        let unsaid = Self::named(args).is_none() && args.board.is_none();
        Ok(unsaid && RigFile::find(args.rig.as_deref())?.doc.value.slots.len() > 1)
    }

    /// A board on the line means more than a slot in the environment.
    fn named(args: &Args) -> Option<String> {
        let usual =
            || std::env::var("SHAKEDOWN_SLOT").ok().filter(|slot| args.board.is_none() && !slot.is_empty());
        args.slot.clone().or_else(usual)
    }
}

/// A run without cases: the image is brought onto the board, and the board is booted.
pub(super) fn provision(
    paths: &[PathBuf],
    slot: String,
    image: PathBuf,
    rig: Option<PathBuf>,
    os: Option<String>,
    out: Option<PathBuf>,
) -> CliResult {
    let args = Args {
        board: None,
        slot: Some(slot),
        rig,
        image: Some(image),
        os,
        companions: Vec::new(),
        selection: None,
        suite: None,
        cases: Vec::new(),
        list: false,
        repeat: 1,
        cold_boots: COLD_BOOTS,
        examine: Examine::default(),
        keep: false,
        no_flash: false,
        delta: false,
        control: None,
        sabotage: None,
        out,
        history: None,
        message_format: MessageFormat::Human,
    };
    let plan = Plan { name: "provision".to_owned(), entries: Vec::new() };
    let done = started(paths, &Suites::with_paths(paths)?, &plan, &args)?;
    out!("report: {}", done.folder.join("report.html").display());
    Ok(done.exit)
}

/// The whole run, with its reports written.
pub fn execute(paths: &[PathBuf], suites: &Suites, plan: &Plan, args: &Args) -> Result<Done, CliError> {
    if plan.entries.is_empty() {
        let error = CliError { exit: ExitCode::NothingRan, ..CliError::refused("no case is selected") };
        let what = format!("`{}` leaves nothing; `shakedown run --list` shows what there is", plan.name);
        return Err(error.hint(what));
    }
    started(paths, suites, plan, args)
}

fn started(paths: &[PathBuf], suites: &Suites, plan: &Plan, args: &Args) -> Result<Done, CliError> {
    let catalogue = Catalogue::with_paths(paths)?;
    let place = Place::find(&catalogue, args)?;
    let simulated = place.doc()?.simulated.is_some();
    let (runtime, clock) = execute::runtime(simulated)?;
    runtime.block_on(whole(paths, suites, plan, args, &catalogue, &place, clock))
}

/// What such a run would be about. Nothing is opened or written but the image's place in the cache.
pub(super) fn about(
    paths: &[PathBuf],
    suites: &Suites,
    plan: &Plan,
    args: &Args,
) -> Result<RunHead, CliError> {
    let catalogue = Catalogue::with_paths(paths)?;
    let place = Place::find(&catalogue, args)?;
    let simulated = place.doc()?.simulated.is_some();
    let (runtime, _) = execute::runtime(simulated)?;
    let own = companions(suites, args)?;
    let cancel = CancellationToken::new();
    let slug = &place.board.slug;
    let chosen = runtime.block_on(chosen(args, &catalogue, slug, plan, simulated, own, &cancel))?;
    let id = format!("{}/{}", place.rig.doc.value.rig, place.slot);
    let command = again::command(paths, args, &place.slot);
    Ok(execute::head(&id, place.doc()?, &place.board, &chosen, plan.name.clone(), suites.hash(), command))
}

/// The image under test, identified, with its companion files and its OS profile.
async fn chosen(
    args: &Args,
    catalogue: &Catalogue,
    board: &str,
    plan: &Plan,
    simulated: bool,
    own: BTreeMap<String, PathBuf>,
    cancel: &CancellationToken,
) -> Result<Chosen, CliError> {
    let (image, mut companions) = match (&args.image, simulated) {
        (None, true) => {
            let profile = catalogue.profile(args.os.as_deref().unwrap_or(reference::PROFILE))?;
            (standin::image(&profile, "1.0.0", "run")?, BTreeMap::new())
        }
        _ => image_of(args, board, plan, &reference::deadline(cancel)).await?,
    };
    companions.extend(own);
    let scratch = shakedown_host::dirs::cache()?;
    image::choose(catalogue, &image, args.os.as_deref(), companions, &scratch)
}

async fn whole(
    paths: &[PathBuf],
    suites: &Suites,
    plan: &Plan,
    args: &Args,
    catalogue: &Catalogue,
    place: &Place,
    simulated: Option<Arc<VirtualClock>>,
) -> Result<Done, CliError> {
    let (rig, slot_name, board) = (&place.rig, place.slot.as_str(), place.board.clone());
    let doc = place.doc()?;
    let own = companions(suites, args)?;
    if simulated.is_some() && args.sabotage.is_some() {
        return Err(CliError::refused(
            "--sabotage on a simulated slot proves nothing: no OS is there to sabotage",
        ));
    }
    let cancel = cancelled_by_signals("making the slot safe");
    let clock: Arc<dyn Clock> = RealClock::start();
    let wait = |name: &str, span| Deadline::new(name, span, Pace::Rig, clock.clone(), cancel.clone());
    let caller = Caller::new(rig, paths, cancel.clone());
    // A simulated slot lives in this process: nobody else can be on it.
    let free = caller.wait("slot lock", Duration::from_secs(10));
    let mut right = if simulated.is_some() { None } else { Some(caller.take(slot_name, &free).await?) };
    let chosen = chosen(args, catalogue, &board.slug, plan, simulated.is_some(), own, &cancel).await?;
    let control = args.control.as_deref().map(image::identified).transpose()?;
    let mut cases = cases(suites, plan, &chosen.profile, args.sabotage)?;
    if simulated.is_some() {
        cases = cases.iter().map(shakedown_simulated::case).collect();
    }
    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let job = Job {
        rig,
        slot: slot_name,
        doc,
        board: board.clone(),
        chosen: &chosen,
        control,
        cases,
        selection: plan.name.clone(),
        suites: suites.hash(),
        command: if plan.entries.is_empty() {
            again::provisioning(paths, args, slot_name)
        } else {
            again::command(paths, args, slot_name)
        },
        repeat: args.repeat,
        cold_boots: args.cold_boots,
        examine: args.examine,
        keep: args.keep,
        writing: args.writing(),
        borrowed: right.as_ref().and_then(Right::borrowed),
        patience: Duration::from_secs(600),
        out: &out,
        run: folder::run_id(&board.slug),
        nonce: String::new(),
        cancel: cancel.clone(),
    };
    let journal = std::path::absolute(out.join(&job.run).join("journal.jsonl"))?;
    // Before the slot is touched: a history that cannot be written is told at once.
    let history = args.history.as_deref().map(History::open).transpose()?;
    let followers = |clock: &_| {
        let recording = history.map(|history| Recording(Recorder::new(history, journal)));
        let mut all = vec![follower(args.message_format, clock)];
        all.extend(recording.map(|recording| Box::new(recording) as Box<dyn Follower>));
        all
    };
    let executed = execute::execute(job, simulated, followers).await;
    let keeps = executed.as_ref().is_ok_and(|executed| executed.kept.is_some());
    // A lock of our own is kept as long as a machine of our own is.
    let back = match right.take_if(|right| right.borrowed().is_some()) {
        Some(loan) => loan.give_back(keeps).await,
        None => ExitCode::Ok,
    };
    let Executed { mut done, kept, broken } = executed?;
    done.exit = done.exit.and(back);
    if let Some(file) = &args.history {
        done.exit = done.exit.and(in_history(file, &done.folder));
    }
    if let Some((kept, key)) = kept {
        let ours = doc.qemu.is_some() || doc.simulated.is_some();
        let keep = Keep { kept, folder: &done.folder, key: &key, ours };
        if let Err(error) =
            keep::keep(keep, &cancel, &wait("the DUT's address", Duration::from_secs(10))).await
        {
            err!("{error}");
            done.exit = done.exit.and(error.exit);
        }
    }
    broken.map_or(Ok(done), Err)
}

/// What the run's folder adds to what was recorded: the kernel's log, and all of it where recording broke.
fn in_history(file: &std::path::Path, folder: &std::path::Path) -> ExitCode {
    let added = History::open(file).map_err(CliError::from);
    let found = added.and_then(|history| Ok((history, Found::read(folder)?)));
    found.and_then(|(mut history, found)| evidence::add(&mut history, &found)).map_or_else(
        |error| {
            err!("{error}");
            error.exit
        },
        |_| ExitCode::Ok,
    )
}

/// What was named, or the reference OS for the board with the companion files that the plan asks for.
async fn image_of(args: &Args, board: &str, plan: &Plan, by: &Deadline) -> Result<WithCompanions, CliError> {
    if let Some(image) = &args.image {
        return Ok((image.clone(), shakedown_runner::companions(image).into_iter().collect()));
    }
    reference::image(board, &roles(&plan.entries), by).await
}

/// The companion files that these cases need.
fn roles(entries: &[Entry]) -> BTreeSet<String> {
    let needs = entries.iter().flat_map(|entry| &entry.spec().needs);
    needs.filter_map(|need| need.0.strip_prefix("companion-")).map(str::to_owned).collect()
}

/// The companion files of the command line, before anything takes time.
fn companions(suites: &Suites, args: &Args) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut known = roles(suites.entries());
    // Not a need of the case itself: most OSes that it runs on have the image already.
    known.extend(suites.entries().iter().filter(|entry| entry.test_image).map(|_| TEST_IMAGE.to_owned()));
    let mut companions = BTreeMap::new();
    for companion in &args.companions {
        let Some((role, file)) = companion.split_once('=').filter(|(role, _)| !role.is_empty()) else {
            return Err(CliError::refused(format!("--companion `{companion}`: expected ROLE=FILE"))
                .hint("for example --companion update=FILE"));
        };
        if !known.contains(role) {
            let error = CliError::refused(format!("--companion {companion}: no case needs a `{role}`"));
            let all = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(error.hint(match shakedown_conf::nearest(role, &known) {
                Some(near) => format!("did you mean `{near}`? The roles are: {all}"),
                None => format!("the roles are: {all}"),
            }));
        }
        std::fs::File::open(file).map_err(|error| {
            CliError::refused(format!("--companion {companion}: cannot be read: {error}"))
        })?;
        companions.insert(role.to_owned(), PathBuf::from(file));
    }
    Ok(companions)
}

/// The cases themselves, or each sabotage of them as a case of its own.
fn cases(
    suites: &Suites,
    plan: &Plan,
    profile: &OsProfile,
    which: Option<Which>,
) -> Result<Vec<Arc<dyn Case>>, CliError> {
    let Some(which) = which else { return Ok(plan.cases(profile)) };
    let all = sabotage::cases(suites, plan, profile, which);
    if all.any() {
        return Ok(all.cases);
    }
    let error = CliError::refused(format!("no sabotage of `{}` can be made", plan.name));
    Err(CliError { exit: ExitCode::NothingRan, ..error }.hint(all.left_out.join("\n       ")))
}
