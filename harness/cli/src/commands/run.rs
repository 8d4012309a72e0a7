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
use shakedown_core::{Board, Case, Clock, Deadline, ExitCode, Ledger, OsProfile, Pace, RealClock, Rig, Sha};
use shakedown_host::{HostShells, KeyPair, LockError};
use shakedown_runner::{Identity, JournalSink, Request, RunFolder};
use shakedown_suites::{Ask, Plan, Suites};

use super::report;
use crate::compose::image::Chosen;
use crate::compose::keep::Keep;
use crate::compose::reference::WithCompanions;
use crate::compose::rig::Rig as RigFile;
use crate::compose::signals::cancelled_by_signals;
use crate::compose::{folder, image, keep, reference, slot};
use crate::follow::{MessageFormat, follower};
use crate::say::{err, out};
use crate::{CliError, CliResult};

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
    /// Leave the DUT switched on at the end, and tell how to get into it. A virtual one is held until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Do not write: go on only when the medium is proven to hold the image.
    #[arg(long)]
    no_flash: bool,
    /// A known-good image that settles whose fault it is when that stays open.
    #[arg(long, value_name = "FILE")]
    control: Option<PathBuf>,
    /// Instead of the cases, prove that they fail as they declare when the OS is sabotaged.
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, default_missing_value = "proven")]
    sabotage: Option<Which>,
    /// Where run folders are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the run is shown while it happens.
    #[arg(long, value_enum, default_value = "human")]
    message_format: MessageFormat,
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
        return list::list(paths, &plan, args);
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

/// A run that came to its end, whatever came of it.
pub struct Done {
    /// What the process returns.
    pub exit: ExitCode,
    /// What the journal adds up to.
    pub ledger: Ledger,
    /// Where everything is.
    pub folder: PathBuf,
}

/// The whole run, with its reports written.
pub fn execute(paths: &[PathBuf], suites: &Suites, plan: &Plan, args: &Args) -> Result<Done, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(whole(paths, suites, plan, args))
}

async fn whole(paths: &[PathBuf], suites: &Suites, plan: &Plan, args: &Args) -> Result<Done, CliError> {
    let catalogue = Catalogue::with_paths(paths)?;
    let place = Place::find(&catalogue, args)?;
    let (rig, slot_name, board) = (&place.rig, place.slot.as_str(), place.board.clone());
    let (_, slot_doc) = rig.slot(Some(slot_name), None)?;
    if plan.entries.is_empty() {
        let error = CliError { exit: ExitCode::NothingRan, ..CliError::refused("no case is selected") };
        let what = format!("`{}` leaves nothing; `shakedown run --list` shows what there is", plan.name);
        return Err(error.hint(what));
    }
    let own = companions(args)?;
    let cancel = cancelled_by_signals("making the slot safe");
    let clock: Arc<dyn Clock> = RealClock::start();
    let wait = |name: &str, span| Deadline::new(name, span, Pace::Rig, clock.clone(), cancel.clone());
    let id = format!("{}/{slot_name}", rig.doc.value.rig);
    let holding = wait("slot lock", Duration::from_secs(10));
    let typed: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let locks = shakedown_host::lock::folder()?;
    let lock =
        shakedown_host::lock::acquire(&locks, &rig.doc.value.rig, slot_name, &typed.join(" "), &holding)
            .await;
    let _lock = lock.map_err(|error| match error {
        LockError::Held(held) => CliError::infra(held).hint("wait for it, or take another slot with --slot"),
        LockError::Rig(fault) => fault.into(),
    })?;
    let (image, mut companions) = image_of(args, &board.slug, plan, &reference::deadline(&cancel)).await?;
    companions.extend(own);
    let scratch = shakedown_host::dirs::cache()?;
    let chosen = image::choose(&catalogue, &image, args.os.as_deref(), companions, &scratch)?;
    let control = args.control.as_deref().map(image::identified).transpose()?;
    let cases = cases(suites, plan, &chosen.profile, args.sabotage)?;
    let keys = KeyPair::generate()?;

    // The run's own time begins here, not with the build of its image.
    let clock: Arc<dyn Clock> = RealClock::start();
    let run = folder::run_id(&board.slug);
    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let path = folder::create(&out, &run)?;
    let journal = std::fs::File::create(path.join("journal.jsonl"))?;
    let followers = vec![follower(args.message_format, &clock)];
    let sink = JournalSink::new(&run, Box::new(journal), followers, clock.clone());
    let spec = shakedown_boards::boot_spec(&board, &chosen.profile);
    let mut head = head(&id, &board, &chosen, plan, suites.hash(), again::command(paths, args, slot_name));
    let file = shakedown_host::lock::file_name(&rig.doc.value.rig, slot_name);
    let ask = slot::Ask { id, file, board, clock: clock.clone(), sink: sink.clone() };
    let opening: Rig<_> = async {
        let free = wait("a free place for the slot", Duration::from_secs(600));
        let slot = slot::open(slot_doc, ask, &free).await?;
        let health = slot.log().map(|log| folder::record(&path, &run, log, &clock)).transpose()?;
        Ok((slot, health))
    }
    .await;
    let (slot, health) = match opening {
        Ok(opened) => opened,
        Err(fault) => {
            let error = CliError::from(fault.clone());
            shakedown_runner::not_opened(head, fault, error.exit, &sink, shakedown_reports::verdict);
            let error = CliError { exit: with_reports(&sink.ledger(), &path, error.exit), ..error };
            return Err(error);
        }
    };
    head.facts.extend(slot.facts.clone());
    let request = Request {
        slot,
        profile: chosen.profile,
        head,
        spec,
        image: chosen.identity,
        cases,
        repeat: args.repeat,
        keep: args.keep,
        no_flash: args.no_flash,
        control,
        identity: identity(&keys),
        shells: Arc::new(HostShells),
        sink: sink.clone(),
        folder: RunFolder::new(path.clone(), sink.clone()),
        recordings: folder::RECORDINGS.map(|(name, role)| (name.to_owned(), role.to_owned())).to_vec(),
        cancel: cancel.clone(),
        verdict: shakedown_reports::verdict,
    };
    let ended = shakedown_runner::run(request).await;
    for trouble in health.iter().flat_map(shakedown_console::Health::troubles) {
        err!("warning: {} is cut at byte {}: {}", trouble.file, trouble.off, trouble.why);
    }
    let ledger = sink.ledger();
    let mut exit = with_reports(&ledger, &path, ended.exit);
    if let Some(kept) = ended.kept {
        let keep = Keep { kept, folder: &path, key: &keys.private, ours: slot_doc.qemu.is_some() };
        if let Err(error) =
            keep::keep(keep, &cancel, &wait("the DUT's address", Duration::from_secs(10))).await
        {
            err!("{error}");
            exit = exit.and(error.exit);
        }
    }
    match sink.health() {
        Ok(()) => Ok(Done { exit, ledger, folder: path }),
        Err(fault) => Err(CliError { exit, ..fault.into() }),
    }
}

/// Writes the reports. One that cannot be written is the host's failure, and hides no worse one.
fn with_reports(ledger: &Ledger, folder: &std::path::Path, exit: ExitCode) -> ExitCode {
    match report::render(ledger, folder) {
        Ok(()) => exit,
        Err(error) => {
            err!("{error}");
            exit.and(error.exit)
        }
    }
}

/// What was named, or the reference OS for the board with the companion files that the plan asks for.
async fn image_of(args: &Args, board: &str, plan: &Plan, by: &Deadline) -> Result<WithCompanions, CliError> {
    if let Some(image) = &args.image {
        return Ok((image.clone(), shakedown_runner::companions(image).into_iter().collect()));
    }
    reference::image(board, &roles(plan), by).await
}

/// The companion files that the plan's cases need.
fn roles(plan: &Plan) -> BTreeSet<String> {
    let needs = plan.entries.iter().flat_map(|entry| &entry.spec().needs);
    needs.filter_map(|need| need.0.strip_prefix("companion-")).map(str::to_owned).collect()
}

/// The companion files of the command line, before anything takes time.
fn companions(args: &Args) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut companions = BTreeMap::new();
    for companion in &args.companions {
        let Some((role, file)) = companion.split_once('=').filter(|(role, _)| !role.is_empty()) else {
            return Err(CliError::refused(format!("--companion `{companion}`: expected ROLE=FILE"))
                .hint("for example --companion update=FILE"));
        };
        std::fs::File::open(file).map_err(|error| {
            CliError::refused(format!("--companion {companion}: cannot be read: {error}"))
        })?;
        companions.insert(role.to_owned(), PathBuf::from(file));
    }
    Ok(companions)
}

fn identity(keys: &KeyPair) -> Identity {
    // As unique as the key, and the same for whoever looks at it.
    let uuid = Sha::of(keys.public.as_bytes()).to_string()[..32].to_owned();
    Identity {
        hostname: uuid[..7].to_owned(),
        uuid,
        private_key: keys.private.clone(),
        public_key: keys.public.clone(),
    }
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

/// What the run is about; the slot adds its own facts when it is open.
fn head(id: &str, board: &Board, chosen: &Chosen, plan: &Plan, suites: Sha, command: String) -> RunHead {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    RunHead {
        board: board.slug.clone(),
        slot: id.to_owned(),
        profile: chosen.profile.id.clone(),
        image: chosen.image.clone(),
        selection: plan.name.clone(),
        command,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        hashes: BTreeMap::from([
            ("board".to_owned(), board.hash),
            ("profile".to_owned(), chosen.profile.hash),
            ("suites".to_owned(), suites),
        ]),
        facts: BTreeMap::from([
            ("host".to_owned(), host.trim().to_owned()),
            ("cores".to_owned(), cores.to_string()),
        ]),
    }
}
