//! One virtual machine over all of its power cycles.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_core::event::Sink;
use shakedown_core::{Clock, ConsoleLog, Deadline, Pace, PaceGauge, ProcessState, Rig, VitalSigns, Vitals};
use shakedown_host::dirs;
use shakedown_media::FileMedium;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::args::{Plan, Start};
use crate::card;
use crate::machines::{Firmware, Load};
use crate::session::Session;
use crate::strain::{EVERY, Follower, Strain};
use crate::tokens::Token;

/// Less room than this for a disk's file, and the guest will see write errors that are not its own.
const ROOM: u64 = 64 << 20;
/// Nobody waits for the end of a machine by a limit: it runs as long as it runs.
const AS_LONG_AS_IT_RUNS: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(crate) struct Unit {
    pub(crate) plan: Plan,
    /// QEMU's working directory: sockets, firmware variables, disks.
    pub(crate) folder: PathBuf,
    pub(crate) log: Arc<ConsoleLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) pace: Arc<PaceGauge>,
    pub(crate) strain: Arc<Strain>,
    life: Mutex<Option<Life>>,
    /// Disks by name that the next machine starts without.
    away: Mutex<BTreeSet<String>>,
    /// One switching at a time.
    turn: tokio::sync::Mutex<()>,
    /// Held from the opening of the slot on, so that no run waits for a token in its middle.
    _token: Token,
}

struct Life {
    session: Arc<Session>,
    watcher: AbortHandle,
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(life) = self.life().take() {
            life.watcher.abort();
            if matches!(life.session.how_ended(), Ok(None)) {
                shakedown_host::group::kill(life.session.child.pid());
            }
        }
    }
}

/// What a unit is made of besides its plan.
pub(crate) struct Parts {
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) token: Token,
}

impl Unit {
    pub(crate) fn new(plan: Plan, parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            plan,
            folder: parts.folder,
            log: Arc::new(ConsoleLog::new(parts.clock.clone())),
            clock: parts.clock,
            sink: parts.sink,
            pace: Arc::default(),
            strain: Arc::default(),
            life: Mutex::default(),
            away: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            _token: parts.token,
        })
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Disks by name that are not in the machine: they were switched back to the host.
    pub(crate) fn away(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last QEMU that was started, running or not.
    fn last(&self) -> Option<Arc<Session>> {
        self.life().as_ref().map(|life| life.session.clone())
    }

    /// The QEMU that runs now.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.last().filter(|session| matches!(session.how_ended(), Ok(None)))
    }

    /// Asks the kernel.
    pub(crate) fn runs(&self) -> Rig<bool> {
        match self.last() {
            Some(session) => Ok(session.how_ended()?.is_none()),
            None => Ok(false),
        }
    }

    pub(crate) async fn switch_on(&self, by: &Deadline) -> Rig<()> {
        let _turn = self.turn.lock().await;
        if self.runs()? {
            return Ok(());
        }
        let session = self.start(Start::Cold, by).await?;
        session.resume(&self.plan.name, by).await
    }

    /// Starts QEMU, paused, and watches it from now on.
    pub(crate) async fn start(&self, start: Start, by: &Deadline) -> Rig<Arc<Session>> {
        if let Some(last) = self.last() {
            // Its last words belong before the first of the next.
            last.ended(by).await?;
        }
        self.disks_are_free()?;
        self.log.reopen();
        let mut plan = Plan { start, away: self.away().clone(), ..self.plan.clone() };
        if let Some(Firmware { load: Load::Card, .. }) = plan.doc.machine().firmware(plan.doc.firmware)
            && !plan.away.contains("main")
        {
            plan.card = card::read(&plan.disk, &self.folder)?;
        }
        let session = Arc::new(Session::start(&plan, &self.folder, &self.log, by).await?);
        let watcher = tokio::spawn(Watch::of(self, &session).follow()).abort_handle();
        *self.life() = Some(Life { session: session.clone(), watcher });
        Ok(session)
    }

    pub(crate) async fn switch_off(&self, by: &Deadline) -> Rig<()> {
        let _turn = self.turn.lock().await;
        match self.last() {
            Some(session) if session.how_ended()?.is_none() => session.cut(by).await,
            Some(session) => session.ended(by).await,
            None => Ok(()),
        }
    }

    /// Nobody writes an image while the machine starts, and each disk is there.
    fn disks_are_free(&self) -> Rig<()> {
        let doc = &self.plan.doc;
        FileMedium::create(&self.plan.disk, doc.disk.size.0)?;
        for (name, file) in &self.plan.extra {
            if let Some(disk) = doc.extra_disks.get(name) {
                FileMedium::create(file, disk.size.0)?;
            }
        }
        Ok(())
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.session().map(|session| session.child.pid())
    }
}

impl Vitals for Unit {
    fn look(&self) -> VitalSigns {
        let process = match self.last().map(|session| session.how_ended()) {
            None => ProcessState::Off,
            Some(Ok(None)) => ProcessState::Running,
            Some(Ok(Some(end))) => end.state(),
            Some(Err(fault)) => ProcessState::Died(fault.to_string()),
        };
        let host = dirs::need_space(&self.folder, ROOM).err();
        VitalSigns { process, starved: self.strain.get(), host: host.map(|fault| fault.to_string()) }
    }
}

/// Follows one QEMU to its end. Holds nothing of the unit, which must be free to end before it.
struct Watch {
    session: Arc<Session>,
    log: Arc<ConsoleLog>,
    pace: Arc<PaceGauge>,
    strain: Arc<Strain>,
    sink: Arc<dyn Sink>,
    forever: Deadline,
}

impl Watch {
    fn of(unit: &Unit, session: &Arc<Session>) -> Self {
        let (clock, cancel) = (unit.clock.clone(), CancellationToken::new());
        Self {
            session: session.clone(),
            log: unit.log.clone(),
            pace: unit.pace.clone(),
            strain: unit.strain.clone(),
            sink: unit.sink.clone(),
            forever: Deadline::new("the end of QEMU", AS_LONG_AS_IT_RUNS, Pace::Rig, clock, cancel),
        }
    }

    async fn follow(self) {
        let clock = self.forever.clock().clone();
        let mut follower = Follower::default();
        let status = loop {
            tokio::select! {
                status = self.session.child.wait(&self.forever) => break status,
                () = clock.sleep_until(clock.now() + EVERY) => {
                    let stretch = self.session.child.starved();
                    follower.follow(stretch, clock.now(), &self.strain, &self.pace, &*self.sink);
                }
            }
        };
        self.session.settle(status, &self.log, &self.forever).await;
    }
}
