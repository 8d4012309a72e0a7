//! `shakedown run`: flash, boot and test an image on one slot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_boards::Catalogue;
use shakedown_core::event::RunHead;
use shakedown_core::{
    Case, Clock, Deadline, Effect, ExitCode, Ledger, OsProfile, Pace, RealClock, Sabotage, Sha,
};
use shakedown_host::{HostShells, KeyPair, LockError};
use shakedown_runner::{Identity, JournalSink, Request, RunFolder, Sabotaged};
use shakedown_suites::{Ask, Plan, Suites};
use tokio_util::sync::CancellationToken;

use super::report;
use crate::compose::image::Chosen;
use crate::compose::reference::WithCompanions;
use crate::compose::rig::Rig;
use crate::compose::{folder, image, reference, slot};
use crate::follow::{MessageFormat, follower};
use crate::{CliError, CliResult};

/// `shakedown run`.
#[derive(clap::Args, Debug, Clone)]
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
    /// Leave the DUT switched on at the end.
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
    let ask = Ask { selection: args.selection.clone(), cases: args.cases.clone(), suite: args.suite.clone() };
    let plan = suites.select(&ask)?;
    if args.list {
        return Ok(list(&plan));
    }
    let done = execute(paths, &suites, &plan, args)?;
    if args.message_format == MessageFormat::Human {
        println!("report: {}", done.folder.join("report.html").display());
    }
    Ok(done.exit)
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
    if let Some(board) = &args.board {
        // An unknown slug is told from the catalogue, with its nearest name, before any rig is asked.
        catalogue.board(board)?;
    }
    let rig = Rig::find(args.rig.as_deref())?;
    // A board on the line means more than a slot in the environment.
    let usual =
        || std::env::var("SHAKEDOWN_SLOT").ok().filter(|slot| args.board.is_none() && !slot.is_empty());
    let slot = args.slot.clone().or_else(usual);
    let (slot_name, slot_doc) = rig.slot(slot.as_deref(), args.board.as_deref())?;
    let board = rig.board(&catalogue, slot_name, slot_doc)?;
    rig.check(slot_name, slot_doc, &board)?;
    if plan.entries.is_empty() {
        let error = CliError { exit: ExitCode::NothingRan, ..CliError::refused("no case is selected") };
        let what = format!("`{}` leaves nothing; `shakedown run --list` shows what there is", plan.name);
        return Err(error.hint(what));
    }
    let own = companions(args)?;
    let cancel = cancelled_by_signals();
    let clock: Arc<dyn Clock> = RealClock::start();
    let wait = |name: &str, span| Deadline::new(name, span, Pace::Rig, clock.clone(), cancel.clone());
    let id = format!("{}/{slot_name}", rig.doc.value.rig);
    let holding = wait("slot lock", Duration::from_secs(10));
    let typed = std::env::args().collect::<Vec<_>>().join(" ");
    let locks = shakedown_host::lock::folder()?;
    let lock = shakedown_host::lock::acquire(&locks, &rig.doc.value.rig, slot_name, &typed, &holding).await;
    let _lock = lock.map_err(|error| match error {
        LockError::Held(held) => CliError::infra(held).hint("wait for it, or take another slot with --slot"),
        LockError::Rig(fault) => fault.into(),
    })?;
    let (image, mut companions) = image_of(args, &board.slug, plan, &reference::deadline(&cancel)).await?;
    companions.extend(own);
    let scratch = shakedown_host::dirs::cache()?;
    let chosen = image::choose(&catalogue, &image, args.os.as_deref(), companions, &scratch)?;
    let control = args.control.as_deref().map(image::identified).transpose()?;

    // The run's own time begins here, not with the build of its image.
    let clock: Arc<dyn Clock> = RealClock::start();
    let run = folder::run_id(&board.slug);
    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let path = folder::create(&out, &run)?;
    let journal = std::fs::File::create(path.join("journal.jsonl"))?;
    let sink = JournalSink::new(&run, Box::new(journal), vec![follower(args.message_format)], clock.clone());
    let ask = slot::Ask { id, board, clock: clock.clone(), sink: sink.clone() };
    let spec = shakedown_boards::boot_spec(&ask.board, &chosen.profile);
    let slot =
        slot::open(slot_doc, ask, &wait("a free place for the slot", Duration::from_secs(600))).await?;
    let health = slot.log().map(|log| folder::record(&path, &run, log, &clock)).transpose()?;
    let keys = KeyPair::generate()?;
    let identity = identity(&keys);
    let cases = cases(suites, plan, &chosen.profile, args.sabotage)?;
    let head = head(args, &slot, &chosen, plan, suites.hash());
    let keep = args.keep;
    let request = Request {
        slot,
        profile: chosen.profile,
        head,
        spec,
        image: chosen.identity,
        cases,
        repeat: args.repeat,
        keep,
        no_flash: args.no_flash,
        control,
        identity,
        shells: Arc::new(HostShells),
        sink: sink.clone(),
        folder: RunFolder::new(path.clone(), sink.clone()),
        recordings: folder::RECORDINGS.map(|(name, role)| (name.to_owned(), role.to_owned())).to_vec(),
        cancel,
        verdict,
    };
    let exit = shakedown_runner::run(request).await;
    for trouble in health.iter().flat_map(shakedown_console::Health::troubles) {
        eprintln!("warning: {} is cut at byte {}: {}", trouble.file, trouble.off, trouble.why);
    }
    let ledger = sink.ledger();
    report::render(&ledger, &path)?;
    match sink.health() {
        Ok(()) => Ok(Done { exit, ledger, folder: path }),
        Err(fault) => Err(CliError { exit, ..fault.into() }),
    }
}

fn verdict(ledger: &Ledger, exit: ExitCode) -> String {
    let _ = exit;
    shakedown_reports::verdict(ledger)
}

/// What was named, or the reference OS for the board with the companion files that the plan asks for.
async fn image_of(args: &Args, board: &str, plan: &Plan, by: &Deadline) -> Result<WithCompanions, CliError> {
    if let Some(image) = &args.image {
        return Ok((image.clone(), shakedown_runner::companions(image).into_iter().collect()));
    }
    let needs = plan.entries.iter().flat_map(|entry| &entry.spec().needs);
    let roles = needs.filter_map(|need| need.0.strip_prefix("companion-")).map(str::to_owned).collect();
    reference::image(board, &roles, by).await
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
    sabotage: Option<Which>,
) -> Result<Vec<Arc<dyn Case>>, CliError> {
    let cases = plan.cases(profile).into_iter();
    match sabotage {
        None => Ok(cases.collect()),
        Some(Which::All) => {
            let each = |case: Arc<dyn Case>| {
                let declared = case.spec().sabotage.clone();
                declared
                    .into_iter()
                    .filter_map(|sabotage| sabotaged(suites, &case, sabotage))
                    .collect::<Vec<_>>()
            };
            Ok(cases.flat_map(each).collect())
        }
        Some(Which::Proven) => {
            let mut proven = Vec::new();
            for (id, name) in suites.proven() {
                let case = suites.get(&id.0).map_err(CliError::refused)?.for_profile(profile);
                let declared = case.spec().sabotage.iter().find(|sabotage| sabotage.id == *name).cloned();
                proven.extend(declared.and_then(|sabotage| sabotaged(suites, &case, sabotage)));
            }
            proven.sort_by_key(|case| case.spec().effect);
            Ok(proven)
        }
    }
}

/// With the first read-only case of another module as the one that must still pass.
fn sabotaged(suites: &Suites, case: &Arc<dyn Case>, sabotage: Sabotage) -> Option<Arc<dyn Case>> {
    let module = case.spec().id.module().to_owned();
    let unrelated = suites.cases().into_iter().find(|other| {
        let spec = other.spec();
        spec.effect == Effect::ReadOnly && spec.needs.is_empty() && spec.id.module() != module
    })?;
    Some(Arc::new(Sabotaged::new(case.clone(), sabotage, unrelated)?))
}

fn head(
    args: &Args,
    slot: &shakedown_core::Slot,
    chosen: &Chosen,
    plan: &Plan,
    suites: shakedown_core::Sha,
) -> RunHead {
    let mut facts = slot.facts.clone();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    facts.insert("host".into(), host.trim().to_owned());
    facts.insert("cores".into(), std::thread::available_parallelism().map_or(0, usize::from).to_string());
    RunHead {
        board: slot.board.slug.clone(),
        slot: slot.id.clone(),
        profile: chosen.profile.id.clone(),
        image: chosen.image.clone(),
        selection: plan.name.clone(),
        command: command(args, &slot.id, &chosen.image.path),
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        hashes: BTreeMap::from([
            ("board".to_owned(), slot.board.hash),
            ("profile".to_owned(), chosen.profile.hash),
            ("suites".to_owned(), suites),
        ]),
        facts,
    }
}

/// The command that repeats this run.
fn command(args: &Args, slot: &str, image: &Path) -> String {
    let mut words = vec!["shakedown".to_owned(), "run".to_owned()];
    let mut option =
        |name: &str, value: &str| words.extend([name.to_owned(), shakedown_core::shell::quote(value)]);
    if let Some(rig) = &args.rig {
        option("--rig", &rig.display().to_string());
    }
    option("--slot", slot.rsplit('/').next().unwrap_or(slot));
    option("--image", &image.display().to_string());
    if let Some(os) = &args.os {
        option("--os", os);
    }
    if let Some(selection) = &args.selection {
        option("--selection", selection);
    }
    if let Some(suite) = &args.suite {
        option("--suite", suite);
    }
    for case in &args.cases {
        option("--case", case);
    }
    words.join(" ")
}

/// What would run. Skips are decided by what the slot offers, when it is open.
fn list(plan: &Plan) -> ExitCode {
    let width = plan.entries.iter().map(|entry| entry.spec().id.0.len()).max().unwrap_or(0);
    for entry in &plan.entries {
        let spec = entry.spec();
        let needs: Vec<_> = spec.needs.iter().map(ToString::to_string).collect();
        let needs = if needs.is_empty() { String::new() } else { format!("  [needs {}]", needs.join(", ")) };
        println!("{:<width$}  {}{needs}", spec.id.0, spec.title);
    }
    println!("{} cases in `{}`", plan.entries.len(), plan.name);
    if plan.entries.is_empty() { ExitCode::NothingRan } else { ExitCode::Ok }
}

/// The first interrupt stops the run in order; the second ends the process, and the warden cleans up.
fn cancelled_by_signals() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        eprintln!("interrupted: making the slot safe (once more to end at once)");
        cancel.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(i32::from(ExitCode::Interrupted.code()));
    });
    token
}
