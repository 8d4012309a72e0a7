//! A Cortex-M: halted, let go, and reset with proof.

use std::sync::Arc;

use ::probe_rs::{Core, CoreStatus, HaltReason, Session};
use shakedown_core::{
    CoreReset, CoreState, Deadline, Flashed, Fut, OnPercent, PostMortem, Probe, Program, Rig,
};

use super::held::{CORE, Held, SHORT, Step};
use super::{NAME, flash, post_mortem};

/// Where the vector table is (Arm's architecture manuals; reads zero where it cannot be moved).
const VTOR: u64 = 0xE000_ED08;

/// The first core of the chip behind a probe.
pub(super) struct Cortex(pub(super) Arc<Held>);

impl Probe for Cortex {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    fn state<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>> {
        Box::pin(self.0.with("look at", SHORT, by, |held, session, step, _| {
            At { held, step, op: "look at" }.with(session, At::state)
        }))
    }

    fn halt<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>> {
        Box::pin(self.0.with("halt", SHORT, by, |held, session, step, _| {
            At { held, step, op: "halt" }.with(session, At::halt)
        }))
    }

    fn resume<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>> {
        Box::pin(self.0.with("resume", SHORT, by, |held, session, step, _| {
            At { held, step, op: "resume" }.with(session, At::resume)
        }))
    }

    fn reset<'a>(&'a self, stay: bool, by: &'a Deadline) -> Fut<'a, Rig<CoreReset>> {
        Box::pin(self.0.with("reset", SHORT, by, move |held, session, step, _| {
            At { held, step, op: "reset" }.with(session, |at, core| at.reset(core, stay))
        }))
    }

    fn flash<'a>(&'a self, program: Program, far: OnPercent, by: &'a Deadline) -> Fut<'a, Rig<Flashed>> {
        Box::pin(self.0.with(flash::OP, flash::WITHIN, by, move |held, session, step, by| {
            flash::flash(&At { held, step, op: flash::OP }, session, &program, &far, by)
        }))
    }

    fn post_mortem<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<PostMortem>> {
        Box::pin(self.0.with("look into", SHORT, by, |held, session, step, _| {
            At { held, step, op: "look into" }.with(session, post_mortem::take)
        }))
    }
}

/// An operation that is under way.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) held: &'a Held,
    pub(super) step: &'a Step,
    pub(super) op: &'static str,
}

impl At<'_> {
    pub(super) fn with<T>(
        &self,
        session: &mut Session,
        work: impl FnOnce(&Self, &mut Core<'_>) -> Rig<T>,
    ) -> Rig<T> {
        let mut core = self.ok(session.core(CORE))?;
        work(self, &mut core)
    }

    /// An error of the library's, as a fault of this operation.
    pub(super) fn ok<T, E: std::error::Error>(&self, result: Result<T, E>) -> Rig<T> {
        result.map_err(|error| self.held.failed(self.op, self.step, &error))
    }

    pub(super) fn word(&self, core: &mut Core<'_>, at: u64) -> Rig<u32> {
        self.held.word(self.op, self.step, core, at)
    }

    pub(super) fn state(&self, core: &mut Core<'_>) -> Rig<CoreState> {
        Ok(match self.ok(core.status())? {
            CoreStatus::Running => CoreState::Running,
            CoreStatus::Sleeping => CoreState::Sleeping,
            CoreStatus::LockedUp => CoreState::LockedUp,
            CoreStatus::Halted(why) => {
                let pc: u32 = self.ok(core.read_core_reg(core.program_counter()))?;
                CoreState::Halted { pc: pc.into(), why: reason(why) }
            }
            CoreStatus::Unknown => {
                return Err(self.held.fault(self.op).expected("a state", "a core that does not say"));
            }
        })
    }

    pub(super) fn halt(&self, core: &mut Core<'_>) -> Rig<CoreState> {
        self.step.at("told to halt");
        self.ok(core.halt(SHORT / 10))?;
        match self.state(core)? {
            state @ CoreState::Halted { .. } => Ok(state),
            state => Err(self.held.fault(self.op).expected("a halted core", state.to_string())),
        }
    }

    pub(super) fn resume(&self, core: &mut Core<'_>) -> Rig<CoreState> {
        if !self.ok(core.core_halted())? {
            return self.state(core);
        }
        self.step.at("told to go on");
        self.ok(core.run())?;
        match self.state(core)? {
            // It went on, and into a breakpoint or a fault of its own.
            state @ CoreState::Halted { .. } => {
                Err(self.held.fault(self.op).expected("a core that goes on", state.to_string()))
            }
            state => Ok(state),
        }
    }

    /// Catches the core as it leaves the reset: a reset that did not happen catches nothing.
    pub(super) fn reset(&self, core: &mut Core<'_>, stay: bool) -> Rig<CoreReset> {
        // Looked at first, so that an earlier catch is not taken for this one.
        self.step.at(format!("{} before the reset", self.state(core)?));
        let caught = self.ok(core.reset_and_halt(SHORT / 10))?;
        let status = self.ok(core.status())?;
        let fault = || self.held.fault(self.op);
        if !matches!(status, CoreStatus::Halted(HaltReason::Exception | HaltReason::Multiple)) {
            let got = format!("{status:?} at {:#010x}: no reset was caught", caught.pc);
            return Err(fault().expected("a core that is caught as it leaves the reset", got));
        }
        let table = self.word(core, VTOR)?;
        let first = self.word(core, u64::from(table) + 4)? & !1;
        if caught.pc != u64::from(first) {
            let expected = format!("its first instruction, {first:#010x}");
            return Err(fault().expected(expected, format!("{:#010x}", caught.pc)));
        }
        let now = if stay { self.state(core)? } else { self.resume(core)? };
        Ok(CoreReset { pc: caught.pc, now })
    }
}

fn reason(why: HaltReason) -> String {
    match why {
        HaltReason::Multiple => "for several reasons".into(),
        HaltReason::Breakpoint(_) => "a breakpoint".into(),
        HaltReason::Exception => "a vector was caught".into(),
        HaltReason::Watchpoint => "a watchpoint".into(),
        HaltReason::Step => "a step".into(),
        HaltReason::Request => "as asked".into(),
        HaltReason::External => "an outer signal".into(),
        HaltReason::Unknown => "it stood already".into(),
    }
}
