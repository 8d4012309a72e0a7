//! The cases of a run, in order of their effect, each with its outcome and its blame.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Blame, Capability, Case, CaseId, Cmd, Cursor, Cut, Deadline, Dut, Effect, Event, Mono, Outcome, Reboot,
    Sink, Stop,
};

use crate::adjudicate::{Decision, adjudicate, adjudicate_pass};
use crate::dut::LiveDut;
use crate::observe::{heard, last_lines, observe};
use crate::provision::power_cycle;
use crate::sink::JournalSink;

/// What a case may take beyond its own deadline before it is called hung: its
/// commands have the same deadline and must get to say theirs first.
const GRACE: Duration = Duration::from_secs(10);
/// Console lines that go with a failure.
const LINES: usize = 24;
/// The longest answer to `true` of a DUT that is well, also right after a heavy case.
const WELL: Duration = Duration::from_secs(20);

/// Why the cases ended before the last one.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The run was interrupted.
    Interrupted,
    /// The journal cannot be written any more; its sink has the fault.
    Journal,
}

/// Runs cases one after another.
pub(crate) struct Executor<'a> {
    pub(crate) dut: &'a Arc<LiveDut>,
    pub(crate) sink: &'a Arc<JournalSink>,
    pub(crate) repeat: u32,
    /// Everything that is left is blocked by this.
    pub(crate) blocked: Option<String>,
    failed: BTreeSet<CaseId>,
    /// The last case may have left the DUT unwell.
    shaken: bool,
}

impl<'a> Executor<'a> {
    pub(crate) fn new(dut: &'a Arc<LiveDut>, sink: &'a Arc<JournalSink>, repeat: u32) -> Self {
        Self { dut, sink, repeat, blocked: None, failed: BTreeSet::new(), shaken: false }
    }

    /// All of them. `cases` are in order of effect and were not skipped.
    pub(crate) async fn run(&mut self, cases: &[Arc<dyn Case>]) -> Result<(), Halt> {
        let (sharing, others): (Vec<_>, Vec<_>) =
            cases.iter().cloned().partition(|case| case.spec().effect == Effect::SharesReboot);
        let split = others.partition_point(|case| case.spec().effect < Effect::SharesReboot);
        for case in &others[..split] {
            self.repeated(case).await?;
        }
        if !sharing.is_empty() {
            for attempt in 1..=self.repeat {
                self.sharing_a_reboot(&sharing, attempt).await?;
            }
        }
        for case in &others[split..] {
            self.repeated(case).await?;
        }
        Ok(())
    }

    async fn repeated(&mut self, case: &Arc<dyn Case>) -> Result<(), Halt> {
        for attempt in 1..=self.repeat {
            self.one(case, attempt).await?;
        }
        Ok(())
    }

    async fn one(&mut self, case: &Arc<dyn Case>, attempt: u32) -> Result<(), Halt> {
        self.recover_if_shaken(&case.spec().id).await?;
        if self.is_blocked(case, attempt) {
            return Ok(());
        }
        self.shaken = case.spec().effect >= Effect::Dirties;
        let (began, since) = self.start(case, attempt);
        let result = guarded(self.dut, case, Phase::Check).await;
        let took = self.now().since(began);
        self.end(case, attempt, took, since, result).await
    }

    /// Everybody prepares, one reboot, everybody checks.
    async fn sharing_a_reboot(&mut self, cases: &[Arc<dyn Case>], attempt: u32) -> Result<(), Halt> {
        let mut ready = Vec::new();
        for case in cases {
            // One that failed to prepare must not fail the others.
            self.recover_if_shaken(&case.spec().id).await?;
            if self.is_blocked(case, attempt) {
                continue;
            }
            // The attempt stays open over the reboot: what it measures and shows is its own.
            let (began, since) = self.start(case, attempt);
            let prepared = guarded(self.dut, case, Phase::Prepare).await;
            let took = self.now().since(began);
            match prepared {
                Ok(()) => ready.push((case, took)),
                Err(cut) => self.end(case, attempt, took, since, Err(cut)).await?,
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        self.dut.enter(None);
        let step = "shared reboot";
        self.sink.emit(Event::StepStarted { step: step.into() });
        let began = self.dut.console.log.clock().now();
        let whole = self.dut.profile.shutdown
            + self.dut.spec.stages.iter().map(|stage| stage.within).sum::<Duration>();
        let since = self.dut.console.log.here();
        let booted = self.dut.reboot(Reboot::Clean, &self.dut.wait(step, whole)).await;
        let took = self.dut.console.log.clock().now().since(began);
        match booted {
            Ok(report) => {
                let proof = format!("ready again, {} bootloader banner(s) seen", report.banners);
                self.sink.emit(Event::StepEnded { step: step.into(), proof, took });
            }
            Err(cut) => {
                let Decision { outcome, blame, because } = adjudicate(&cut, &observe(self.dut, since).await);
                self.sink.emit(Event::StepFailed {
                    step: step.into(),
                    outcome,
                    blame,
                    because: because.into(),
                    took,
                });
                self.interrupted(&cut)?;
                self.blocked = Some(step.into());
            }
        }
        for (case, preparing) in ready {
            self.recover_if_shaken(&case.spec().id).await?;
            if self.is_blocked(case, attempt) {
                continue;
            }
            let (began, since) = self.enter(case);
            let result = guarded(self.dut, case, Phase::Check).await;
            let took = preparing + self.now().since(began);
            self.end(case, attempt, took, since, result).await?;
        }
        Ok(())
    }

    fn now(&self) -> Mono {
        self.dut.console.log.clock().now()
    }

    fn start(&self, case: &Arc<dyn Case>, attempt: u32) -> (Mono, Cursor) {
        self.sink.emit(Event::CaseStarted { case: case.spec().id.clone(), attempt });
        self.enter(case)
    }

    /// What comes now belongs to this case.
    fn enter(&self, case: &Arc<dyn Case>) -> (Mono, Cursor) {
        self.dut.enter(Some(case.spec().id.clone()));
        (self.now(), self.dut.console.log.here())
    }

    async fn end(
        &mut self,
        case: &Arc<dyn Case>,
        attempt: u32,
        took: Duration,
        since: Cursor,
        result: Result<(), Cut>,
    ) -> Result<(), Halt> {
        let id = case.spec().id.clone();
        // Before we look around: what we type there is no word of the DUT's.
        let lines = || last_lines(&self.dut.console.log, since, LINES);
        let (decision, console) = match &result {
            Ok(()) => {
                let decision = adjudicate_pass(&heard(self.dut, since));
                let console = decision.as_ref().map(|_| lines()).unwrap_or_default();
                (decision, console)
            }
            Err(cut) => {
                let console = lines();
                (Some(adjudicate(cut, &observe(self.dut, since).await)), console)
            }
        };
        let (outcome, blame, because) = match decision {
            None => (Outcome::Pass, None, None),
            Some(Decision { outcome, blame, because }) => (outcome, Some(blame), Some(because.to_owned())),
        };
        self.shaken |= outcome != Outcome::Pass;
        if outcome != Outcome::Pass {
            self.failed.insert(id.clone());
        }
        if let (Outcome::Infra(fault), true) = (&outcome, blame == Some(Blame::Rig)) {
            // A dead process or host cannot run the rest; a recovery decides whether it can.
            self.sink.emit(Event::Trouble(fault.clone()));
        }
        self.dut.enter(None);
        self.sink.emit(Event::CaseEnded { case: id, attempt, outcome, blame, because, took, console });
        self.sink.health().map_err(|_| Halt::Journal)?;
        result.as_ref().err().map_or(Ok(()), |cut| self.interrupted(cut))
    }

    fn interrupted(&self, cut: &Cut) -> Result<(), Halt> {
        let cancelled = self.dut.cancel.is_cancelled() || matches!(cut, Cut::Late(Stop::Cancelled(_)));
        if cancelled { Err(Halt::Interrupted) } else { Ok(()) }
    }

    fn is_blocked(&mut self, case: &Arc<dyn Case>, attempt: u32) -> bool {
        let spec = case.spec();
        let needs = spec.after.iter().find(|id| self.failed.contains(*id)).map(ToString::to_string);
        let Some(by) = self.blocked.clone().or(needs) else { return false };
        self.sink.emit(Event::CaseEnded {
            case: spec.id.clone(),
            attempt,
            outcome: Outcome::Blocked { by },
            blame: None,
            because: None,
            took: Duration::ZERO,
            console: Vec::new(),
        });
        self.failed.insert(spec.id.clone());
        true
    }

    /// A case that failed or dirtied the DUT must not fail the next one: look, and power-cycle if it is dead.
    async fn recover_if_shaken(&mut self, next: &CaseId) -> Result<(), Halt> {
        if !std::mem::take(&mut self.shaken) || self.blocked.is_some() {
            return Ok(());
        }
        let well = self.dut.wait("the DUT to be well", WELL);
        if is_well(self.dut, &well).await {
            return Ok(());
        }
        let step = format!("recover before {next}");
        self.sink.emit(Event::StepStarted { step: step.clone() });
        let since = self.dut.console.log.here();
        let began = self.dut.console.log.clock().now();
        let cycled = power_cycle(self.dut).await;
        let took = self.dut.console.log.clock().now().since(began);
        match cycled {
            Ok(_) => {
                let proof = "power cycled, ready again".into();
                self.sink.emit(Event::StepEnded { step, proof, took });
            }
            Err(cut) => {
                let Decision { outcome, blame, because } = adjudicate(&cut, &observe(self.dut, since).await);
                self.blocked = Some(step.clone());
                self.sink.emit(Event::StepFailed { step, outcome, blame, because: because.into(), took });
                self.interrupted(&cut)?;
            }
        }
        Ok(())
    }
}

async fn is_well(dut: &LiveDut, by: &Deadline) -> bool {
    // Without an engine an answer is all that can be asked for.
    let engine = dut.profile.engine.as_ref().filter(|_| dut.offers(&Capability::new("engine")));
    let healthy = Cmd::sh(engine.map_or("true", |engine| engine.healthy.as_str()));
    loop {
        let look = by.child("one look", Duration::from_secs(8));
        if dut.quietly(&healthy, &look).await.is_ok_and(|ran| ran.exit.is_ok()) {
            return true;
        }
        if by.is_over() || by.pause(Duration::from_millis(300), String::new).await.is_err() {
            return false;
        }
    }
}

#[derive(Clone, Copy)]
enum Phase {
    Prepare,
    Check,
}

/// Runs a phase on a task of its own, so that a case that panics or never returns ends only itself.
async fn guarded(dut: &Arc<LiveDut>, case: &Arc<dyn Case>, phase: Phase) -> Result<(), Cut> {
    let spec = case.spec();
    let by = dut.wait(&spec.title, spec.within);
    let outer = dut.wait(&spec.title, spec.within + GRACE);
    let (dut_too, case, limit) = (dut.clone(), case.clone(), by.clone());
    let task = tokio::spawn(async move {
        let work = async {
            match phase {
                Phase::Prepare => case.prepare(dut_too.as_ref(), &limit).await,
                Phase::Check => case.run(dut_too.as_ref(), &limit).await,
            }
        };
        dut_too.waiting.on(work).await
    });
    let abort = task.abort_handle();
    match outer.run(|| dut.console.log.last_line(), task).await {
        Ok(Ok(result)) => result,
        Ok(Err(join)) => Err(Cut::Broken(panicked(join))),
        Err(stop) => {
            abort.abort();
            Err(Cut::Late(stop))
        }
    }
}

fn panicked(join: tokio::task::JoinError) -> String {
    let Ok(payload) = join.try_into_panic() else { return "the case was aborted".into() };
    let text =
        payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    format!("the case panicked: {}", text.unwrap_or("without a message"))
}
