//! One way up: from power-on or a reboot to *ready*, on the console and, for the last stages, through the shell.

use std::time::Duration;

use shakedown_console::{BootMachine, BootStep, Capture, Finder, PatternError, Patterns};
use shakedown_core::{
    BootFailure, BootReport, Cmd, Cursor, Cut, Deadline, Event, Fut, Matcher, Measure, Mono, Resets, Seen,
    ShellError, StageSpec, WaitEnd, event,
};

use crate::dut::LiveDut;
use crate::host_key::HostKey;
use crate::netboot;

/// Between two looks at a stage that is seen over the network.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The longest single look: SSH under emulation takes 1-2 s to let us in (measured), ten times that when starved.
const ONE_LOOK: Duration = Duration::from_secs(10);

/// A boot to be watched.
pub(crate) struct Ascent<'a> {
    /// What started it.
    pub(crate) how: &'a str,
    /// Where on the console it may begin.
    pub(crate) since: Cursor,
    /// When it was asked for: stage times count from here.
    pub(crate) began: Mono,
    /// The DUT starts now; otherwise it first goes down, which may take the profile's `shutdown`.
    pub(crate) from_power: bool,
    /// Expected resets and bad lines on the way.
    pub(crate) allowed: &'a Resets,
}

/// Watches until *ready*. Emits the stages as they come.
pub(crate) async fn climb(dut: &LiveDut, ascent: &Ascent<'_>, by: &Deadline) -> Result<BootReport, Cut> {
    dut.sink.emit(Event::BootStarted { how: ascent.how.to_owned() });
    dut.ascend(ascent.since);
    dut.keys(HostKey::boot_begins);
    let end = dut.waiting.on(led(dut, ascent, by)).await;
    dut.keys(HostKey::close);
    match &end {
        Ok(report) => {
            dut.slot.pace.measured(report.pace);
            for stage in &report.stages {
                dut.sink
                    .emit(Event::Measured { case: None, measure: stage_measure(&stage.name, stage.after) });
            }
            dut.sink.emit(Event::BootEnded(report.clone()));
            dut.settle();
            if dut.spec.may_be_silent() {
                let look = dut.wait("the boot's id", ONE_LOOK);
                dut.remember_boot(boot_id(dut, &look).await);
            }
        }
        Err(Cut::Boot(failure)) => {
            dut.sink.emit(Event::BootFailed(failure.clone()));
            // Somebody answers, and another key is why nobody looks further.
            if let BootFailure::Late { .. } = failure
                && let Some(other) = dut.keys(|keys| keys.refused())
            {
                // The start was asked for: it is no news of this case.
                dut.settle();
                return Err(Cut::Shell(ShellError::Dut(other)));
            }
        }
        Err(_) => {}
    }
    end
}

/// Watches; where the boot loader must be told what to boot, somebody does meanwhile.
async fn led(dut: &LiveDut, ascent: &Ascent<'_>, by: &Deadline) -> Result<BootReport, Cut> {
    let Some(served) = dut.net.leads(ascent.since) else { return watch(dut, ascent, by).await };
    tokio::select! {
        biased;
        end = watch(dut, ascent, by) => end,
        fault = netboot::lead(dut, &served, ascent.since, by) => Err(Cut::Rig(fault)),
    }
}

async fn watch(dut: &LiveDut, ascent: &Ascent<'_>, by: &Deadline) -> Result<BootReport, Cut> {
    let (mut cursor, mut start) = (ascent.since, ascent.began);
    if !ascent.from_power {
        (cursor, start) = going_down(dut, ascent, by).await?;
    }
    let broken = |error: PatternError| Cut::Broken(error.to_string());
    let machine = BootMachine::new(&dut.spec, start, dut.slot.pace.factor()).map_err(broken)?;
    let mut machine = machine.allowing(ascent.allowed);
    let (log, clock) = (dut.console.log.clone(), by.clock().clone());
    let mut keys = HostKeys::new(dut, cursor).map_err(broken)?;
    let mut steps = Vec::new();
    let mut look: Option<Fut<'_, Result<Option<String>, Cut>>> = None;
    loop {
        for step in steps.drain(..) {
            match step {
                BootStep::Stage(stage) => dut.sink.emit(Event::StageReached(stage)),
                BootStep::Failed(failure) => return Err(Cut::Boot(failure)),
            }
            // A look at a stage that was reached or left behind is worth nothing.
            look = None;
        }
        if machine.is_up() {
            return Ok(machine.into_report());
        }
        let awaited = machine.awaiting().cloned();
        if let (None, Some(stage)) = (&look, awaited.clone())
            && !matches!(stage.seen, Seen::Console(_))
        {
            keys.pin(dut);
            look = Some(Box::pin(look_for(dut, stage, by)));
        }
        let wake = machine.wake_at(dut.slot.pace.factor()).map_or(by.by(), |at| at.min(by.by()));
        tokio::select! {
            biased;
            () = by.cancel().cancelled() => return Err(Cut::Late(by.stop(log.last_line()))),
            chunk = log.next(&mut cursor) => match chunk {
                Ok(chunk) => machine.feed(&chunk, dut.slot.pace.factor(), &mut steps),
                Err(closed) => machine.closed(closed, &mut steps),
            },
            saw = async { match &mut look { Some(look) => look.await, None => std::future::pending().await } } => {
                look = None;
                if let (Some(saw), Some(stage)) = (saw?, awaited) {
                    let pace = dut.slot.pace.factor();
                    let reached = machine.reached(&stage.name, clock.now(), &saw, pace, &mut steps);
                    reached.map_err(|unknown| Cut::Broken(unknown.to_string()))?;
                }
            }
            () = clock.sleep_until(wake) => {
                machine.tick(clock.now(), dut.slot.pace.factor(), &mut steps);
                if steps.is_empty() && by.is_over() {
                    // The case's own deadline passed before the stage's.
                    return Err(Cut::Boot(machine.given_up(by.stop(log.last_line()))));
                }
            }
        }
    }
}

/// Waits for the first sign of a new start: on the console, or, of an OS that may say nothing
/// there, another boot's id over the network. Returns where and when the machine begins.
async fn going_down(dut: &LiveDut, ascent: &Ascent<'_>, by: &Deadline) -> Result<(Cursor, Mono), Cut> {
    let mut signs: Vec<&str> = Vec::new();
    let mut within = dut.profile.shutdown;
    for stage in &dut.spec.stages {
        if let Seen::Console(patterns) = &stage.seen {
            signs.extend(patterns.iter().map(String::as_str));
        }
        within += stage.within;
        if !stage.optional {
            break;
        }
    }
    let starts = signs.len();
    let bad: Vec<_> = dut.spec.bad.iter().filter(|bad| !ascent.allowed.bad.contains(&bad.id)).collect();
    signs.extend(bad.iter().map(|bad| bad.pattern.as_str()));
    let patterns = Patterns::compile(&signs).map_err(|error| Cut::Broken(error.to_string()))?;
    let mut finder = Finder::new(&patterns);
    let mut cursor = ascent.since;
    let down = by.child("the DUT to go down and start anew", within);
    let shown = dut.console.log.expect(&mut cursor, &mut finder as &mut dyn Matcher, &down);
    let shown = tokio::select! {
        biased;
        shown = shown => shown,
        begin = another_boot(dut, &down) => return Ok(begin),
    };
    match shown {
        Ok(hit) if hit.pattern < starts => Ok((Cursor(hit.start), hit.at)),
        Ok(hit) => {
            let bad = bad[hit.pattern - starts];
            Err(Cut::Boot(BootFailure::Bad {
                id: bad.id.clone(),
                says: bad.says.clone(),
                blame: bad.blame,
                stage: "going down".into(),
                lines: vec![hit.text],
            }))
        }
        Err(WaitEnd::Stopped(stop)) => {
            // It was up: the last of its stages is where it still seems to be.
            let after = dut.spec.stages.last().map(|stage| stage.name.clone()).unwrap_or_default();
            Err(Cut::Boot(BootFailure::Late { stage: "restart".into(), after, outside: false, stop }))
        }
        Err(WaitEnd::Closed(closed)) => Err(Cut::Boot(BootFailure::Closed(closed))),
    }
}

/// One look at a stage that the console does not show; `None` means not yet.
async fn look_for(dut: &LiveDut, stage: StageSpec, by: &Deadline) -> Result<Option<String>, Cut> {
    let look = by.child(stage.name.clone(), ONE_LOOK);
    let saw = match stage.seen {
        Seen::Console(_) => None,
        Seen::Shell => {
            let through = if dut.only_console() { "the console" } else { "SSH" };
            match dut.authorize(&look).await {
                Ok(()) => dut.usual_shell(&look).await.ok().map(|_| format!("{through} let us in")),
                // Another look changes neither a driver's fault nor what the DUT answered.
                Err(cut @ (Cut::Rig(_) | Cut::Broken(_))) => return Err(cut),
                Err(_) => None,
            }
        }
        Seen::Engine => {
            let healthy = dut.profile.engine.as_ref().map_or("false", |engine| engine.healthy.as_str());
            let ran = dut.quietly(&Cmd::sh(healthy), &look).await;
            ran.is_ok_and(|ran| ran.exit.is_ok()).then(|| "the engine is healthy".to_owned())
        }
    };
    if saw.is_none() {
        // Not an error of its own: the stage's deadline says when it is one.
        let _ = by.pause(LOOK_AGAIN, String::new).await;
    }
    Ok(saw)
}

/// The kernel's own id of the boot that is up; `None` when the shell does not answer.
async fn boot_id(dut: &LiveDut, by: &Deadline) -> Option<String> {
    let ran = dut.quietly(&Cmd::sh("cat /proc/sys/kernel/random/boot_id"), by).await.ok()?;
    (ran.exit.is_ok() && !ran.out.is_empty()).then(|| ran.text())
}

/// Ends when the shell was gone and another boot than the one before answers: since when it was
/// gone. Never, when the id of the boot before is not known.
async fn another_boot(dut: &LiveDut, by: &Deadline) -> (Cursor, Mono) {
    let Some(before) = dut.boot_before() else { return std::future::pending().await };
    let mut gone = None;
    loop {
        let here = (dut.console.log.here(), by.clock().now());
        match boot_id(dut, &by.child("another boot", ONE_LOOK)).await {
            Some(now) if now != before => return gone.unwrap_or(here),
            Some(_) => gone = None,
            None => {
                gone.get_or_insert(here);
                dut.drop_shells().await;
            }
        }
        if by.pause(LOOK_AGAIN, String::new).await.is_err() {
            // Who waits for the console beside us says that it is over.
            return std::future::pending().await;
        }
    }
}

/// Finds the host key that this boot's console shows.
struct HostKeys {
    pattern: Option<Capture>,
    /// All complete lines before it were looked at.
    seen: Cursor,
}

impl HostKeys {
    /// Of the boot that begins at `first`.
    fn new(dut: &LiveDut, first: Cursor) -> Result<Self, PatternError> {
        let pattern = dut.profile.ssh.fingerprint.as_deref().map(Capture::compile).transpose()?;
        Ok(Self { pattern, seen: first })
    }

    /// Looks at what came since the last time, and pins the last key that it shows.
    fn pin(&mut self, dut: &LiveDut) {
        let Some(pattern) = &self.pattern else { return };
        let here = dut.console.log.here();
        let said = dut.console.log.bytes(self.seen, here);
        let Some(end) = said.iter().rposition(|byte| *byte == b'\n') else { return };
        self.seen = Cursor(here.0 - (said.len() - end - 1) as u64);
        for line in said[..end].split(|byte| *byte == b'\n') {
            if let Some(key) = pattern.first(line) {
                dut.believe(|keys| keys.told(String::from_utf8_lossy(&key).into_owned()));
            }
        }
    }
}

/// A measure of a boot stage, in seconds.
fn stage_measure(stage: &str, after: Duration) -> Measure {
    Measure {
        name: format!("boot.{stage}"),
        value: after.as_secs_f64(),
        unit: "s".into(),
        better: event::Better::Lower,
    }
}
