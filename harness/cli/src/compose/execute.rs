//! One run on one slot, from an opened slot to its reports: for `run`, and for every job of a campaign.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::event::RunHead;
use shakedown_core::{
    Act, Board, Case, Clock, Deadline, ExitCode, Ledger, Pace, Procedure, RealClock, Rig, Sha, journal,
};
use shakedown_host::KeyPair;
use shakedown_media::Identity as Identified;
use shakedown_runner::{Examine, Follower, Identity, JournalSink, Kept, Request, RunFolder, Writing};
use shakedown_simulated::VirtualClock;
use tokio_util::sync::CancellationToken;

use super::image::Chosen;
use super::rig::{Rig as RigFile, SlotDoc};
use super::{evidence, folder, slot};
use crate::CliError;
use crate::commands::report;
use crate::keeper::borrowed::Borrowed;
use crate::say::err;

/// What is to be run, where, and what is known before the slot is opened.
pub struct Job<'a> {
    /// The rig file.
    pub rig: &'a RigFile,
    /// The slot's name in it.
    pub slot: &'a str,
    /// Its document.
    pub doc: &'a SlotDoc,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The image under test, and its OS profile.
    pub chosen: &'a Chosen,
    /// A known-good image that settles an open question of blame.
    pub control: Option<Arc<Identified>>,
    /// In order of effect.
    pub cases: Vec<Arc<dyn Case>>,
    /// What was asked for, by its name.
    pub selection: String,
    /// Of all suites.
    pub suites: Sha,
    /// The command that repeats it.
    pub command: String,
    /// Attempts at each case.
    pub repeat: u32,
    /// How often `power::cuts::cold-boots` cuts the power.
    pub cold_boots: u32,
    /// What is looked at before the first boot counts.
    pub examine: Examine,
    /// Leave the DUT switched on at the end.
    pub keep: bool,
    /// How much of the image is written.
    pub writing: Writing,
    /// What a keeper lends of the slot.
    pub borrowed: Option<&'a Borrowed>,
    /// How long a place on this host is waited for.
    pub patience: Duration,
    /// Where run folders are made.
    pub out: &'a Path,
    /// The run's id.
    pub run: String,
    /// What tells a simulated run from another one of the same image on the same slot.
    pub nonce: String,
    /// Stops it.
    pub cancel: CancellationToken,
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

/// A run whose DUT may still be on.
pub struct Executed {
    /// What came of it.
    pub done: Done,
    /// The DUT and the run's private key, if it was to be kept.
    pub kept: Option<(Kept, Arc<str>)>,
    /// The journal could not be written to its end.
    pub broken: Option<CliError>,
}

/// A runtime for a run and, where the slot is simulated, the clock that passes with it.
pub fn runtime(simulated: bool) -> std::io::Result<(tokio::runtime::Runtime, Option<Arc<VirtualClock>>)> {
    if !simulated {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return Ok((runtime, None));
    }
    let clock = VirtualClock::start();
    let idle = clock.clone();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok((builder.enable_all().on_thread_park(move || idle.idle()).build()?, Some(clock)))
}

/// Runs it, on a runtime of [`runtime`]. `followers` get every line as it is written.
pub async fn execute(
    job: Job<'_>,
    simulated: Option<Arc<VirtualClock>>,
    followers: impl FnOnce(&Arc<dyn Clock>) -> Vec<Box<dyn Follower>>,
) -> Result<Executed, CliError> {
    // Before anything is made or opened: what cannot be done is refused.
    let procedure = slot::procedure(job.slot, job.doc, &job.board, Some(&job.chosen.profile))?;
    shakedown_runner::executable(&procedure).map_err(CliError::refused)?;
    own_storage_fits(&job, &procedure)?;
    netboot_fits(&job, &procedure)?;
    let Job { rig, doc, board, chosen, cases, run, cancel, .. } = job;
    let id = format!("{}/{}", rig.doc.value.rig, job.slot);
    let keys = KeyPair::generate()?;
    // The run's own time begins here, not with the build of its image.
    let clock: Arc<dyn Clock> = match simulated {
        Some(clock) => clock,
        None => RealClock::start(),
    };
    let path = folder::create(job.out, &run)?;
    let journal = std::fs::File::create(path.join("journal.jsonl"))?;
    // Whoever tidies up sees by it that the run goes on; the kernel takes it back when this process ends.
    journal.try_lock().map_err(|error| CliError::infra(format!("{}: {error}", path.display())))?;
    let sink = JournalSink::new(&run, Box::new(journal), followers(&clock), clock.clone());
    let profile = doc.offered(&chosen.profile);
    let spec = shakedown_boards::boot_spec(&board, &profile);
    let mut head = head(&id, doc, &board, chosen, job.selection, job.suites, job.command);
    let ask = slot::Ask {
        file: shakedown_host::lock::file_name(&rig.doc.value.rig, job.slot),
        id,
        board,
        chosen,
        control: job.control.as_ref().map(|control| control.image().clone()),
        spec: spec.clone(),
        nonce: job.nonce,
        clock: clock.clone(),
        sink: sink.clone(),
        borrowed: job.borrowed,
    };
    let opening: Rig<_> = async {
        let name = "a free place for the slot";
        let free = Deadline::new(name, job.patience, Pace::Rig, clock.clone(), cancel.clone());
        let opened = slot::open(doc, ask, &free).await?;
        let log = opened.slot.log();
        let health = log.map(|log| folder::record(&path, &run, log, &clock)).transpose()?;
        Ok((opened, health))
    }
    .await;
    let (opened, health) = match opening {
        Ok(opened) => opened,
        Err(fault) => {
            let error = CliError::from(fault.clone());
            shakedown_runner::not_opened(head, fault, error.exit, &sink, shakedown_reports::verdict);
            let error = CliError { exit: with_reports(&sink.ledger(), &path, error.exit), ..error };
            return Err(error);
        }
    };
    head.facts.extend(opened.slot.facts.clone());
    let request = Request {
        slot: opened.slot,
        profile,
        head,
        spec,
        image: chosen.identity.clone(),
        procedure,
        cases,
        repeat: job.repeat,
        cold_boots: job.cold_boots,
        examine: job.examine,
        keep: job.keep,
        writing: job.writing,
        control: job.control,
        identity: identity(&keys),
        shells: opened.shells,
        sink: sink.clone(),
        folder: RunFolder::new(path.clone(), sink.clone()),
        recordings: folder::RECORDINGS.map(|(name, role)| (name.to_owned(), role.to_owned())).to_vec(),
        cancel,
        verdict: shakedown_reports::verdict,
    };
    let ended = shakedown_runner::run(request).await;
    for trouble in health.iter().flat_map(shakedown_console::Health::troubles) {
        err!("warning: {} is cut at byte {}: {}", trouble.file, trouble.off, trouble.why);
    }
    let ledger = as_written(&path, sink.ledger());
    let exit = with_reports(&ledger, &path, ended.exit);
    // What a simulated slot says is no evidence about an image.
    if sink.health().is_ok() && ledger.end.is_some() && doc.simulated.is_none() {
        evidence::seal(&path);
    }
    let broken = sink.health().err().map(|fault| CliError { exit, ..fault.into() });
    let broken = broken.or_else(|| (!path.join("journal.jsonl").exists()).then(|| gone(&path, exit)));
    let kept = ended.kept.map(|kept| (kept, keys.private));
    Ok(Executed { done: Done { exit, ledger, folder: path }, kept, broken })
}

/// What cannot be done with a boot loader that is told what it boots is refused before anything is made.
fn netboot_fits(job: &Job<'_>, procedure: &Procedure) -> Result<(), CliError> {
    let refuse = |what: &str| Err(CliError::refused(what).hint("leave it out"));
    if shakedown_runner::netboots(procedure) && job.control.is_some() {
        return refuse(
            "--control: the control image's boot files would have to be served, which is not built",
        );
    }
    let option = match job.writing {
        Writing::Whole => None,
        Writing::Delta => Some("--delta"),
        Writing::Nothing => Some("--no-flash"),
    };
    if let (true, Some(option)) = (shakedown_runner::in_memory(procedure), option) {
        return refuse(&format!("{option}: there is no medium: the boot files come off a copy of the image"));
    }
    Ok(())
}

/// What cannot be done with storage of the board's own is refused before anything is made.
fn own_storage_fits(job: &Job<'_>, procedure: &Procedure) -> Result<(), CliError> {
    if !shakedown_runner::own_storage(procedure) {
        return Ok(());
    }
    // The rig has it for a while, and can read it then.
    let shown = procedure.steps.iter().any(|step| matches!(step.act, Act::AwaitMedium { .. }));
    let refuse = |what: &str, hint: &str| Err(CliError::refused(what).hint(hint));
    if job.writing == Writing::Nothing && !shown {
        return refuse(
            "--no-flash: the board's own storage is written by an installer or a tool, and the rig cannot read it",
            "leave it out: the board is written anew",
        );
    }
    let by_tool = procedure.steps.iter().any(|step| matches!(step.act, Act::Tool { .. }));
    if job.writing == Writing::Delta && by_tool && !shown {
        return refuse(
            "--delta: a tool writes the board's own storage, and takes the whole image",
            "leave it out",
        );
    }
    if job.control.is_some() {
        return refuse(
            "--control: the control image would have to be brought onto the board's own storage first, which is not built",
            "leave it out",
        );
    }
    if job.doc.simulated.is_some() {
        return refuse("a simulated DUT has no storage of its own to install on", "use a QEMU slot");
    }
    if job.doc.qemu.as_ref().is_some_and(|machine| machine.extra_disks.is_empty()) {
        return refuse(
            "the machine has no internal disk: there is only the one that an installer boots from",
            "add `extra-disks: { internal: { bus: nvme } }` to the slot's `qemu`",
        );
    }
    Ok(())
}

/// What was seen is in this process alone, and ends with it.
fn gone(folder: &Path, exit: ExitCode) -> CliError {
    let exit = exit.and(ExitCode::Infra);
    CliError { exit, ..CliError::infra(format!("{} was removed while the run went on", folder.display())) }
}

/// The run as every later reader adds it up: the journal has whole milliseconds, and reports that are
/// made again, or compared by the gate, must be the same. A journal that could not be written to its
/// end has less than this process knows.
fn as_written(folder: &Path, ledger: Ledger) -> Ledger {
    let Ok(text) = std::fs::read(folder.join("journal.jsonl")) else { return ledger };
    let read = journal::read(&text);
    if read.problems.is_empty() { Ledger::of(&read) } else { ledger }
}

/// Writes the reports. One that cannot be written is the host's failure, and hides no worse one.
fn with_reports(ledger: &Ledger, folder: &Path, exit: ExitCode) -> ExitCode {
    match report::render(ledger, folder) {
        Ok(()) => exit,
        Err(error) => {
            err!("{error}");
            exit.and(error.exit)
        }
    }
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

/// What the run is about; the slot adds its own facts when it is open.
pub(crate) fn head(
    id: &str,
    doc: &SlotDoc,
    board: &Board,
    chosen: &Chosen,
    selection: String,
    suites: Sha,
    command: String,
) -> RunHead {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    RunHead {
        board: board.slug.clone(),
        slot: id.to_owned(),
        profile: chosen.profile.id.clone(),
        image: chosen.image.clone(),
        selection,
        command,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        hashes: BTreeMap::from([
            ("board".to_owned(), board.hash),
            ("profile".to_owned(), chosen.profile.hash),
            ("suites".to_owned(), suites),
        ]),
        facts: [("host", host.trim().to_owned()), ("cores", cores.to_string())]
            .into_iter()
            // The slot tells more of it when it is open.
            .chain(doc.simulated.is_some().then(|| (RunHead::SIMULATED, "yes".to_owned())))
            .map(|(fact, says)| (fact.to_owned(), says))
            .collect(),
    }
}
