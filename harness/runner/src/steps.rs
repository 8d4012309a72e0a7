//! One step of a run: begun, ended with its proof or judged, and recorded.

use std::time::Duration;

use shakedown_core::{Blame, Cut, Event, Failure, Outcome, Sink};

use crate::adjudicate::{Decision, adjudicate};
use crate::cases::Halt;
use crate::dut::LiveDut;
use crate::observe::observe;
use crate::provision::ProvisionError;
use crate::sink::JournalSink;

/// Why a step was not done.
pub(crate) enum Stopped {
    /// Somebody ended the run.
    Interrupted,
    /// What happens cannot be recorded any more.
    Journal,
    /// The step, and what was decided about it.
    Failed(String, Box<Decision>),
}

impl Stopped {
    /// The step that failed, and what was decided about it; or what ends the whole run.
    pub(crate) fn failed(self) -> Result<(String, Box<Decision>), Halt> {
        match self {
            Self::Interrupted => Err(Halt::Interrupted),
            Self::Journal => Err(Halt::Journal),
            Self::Failed(step, decision) => Ok((step, decision)),
        }
    }
}

/// What was asked for is not possible, whatever the rig and the DUT do.
pub(crate) async fn refuse<T>(dut: &LiveDut, sink: &JournalSink, why: String) -> Result<T, Stopped> {
    step(dut, sink, "plan", async { Err(ProvisionError::Refused(why)) }).await
}

/// A step that leaves nothing but its proof.
pub(crate) async fn shown<E: Into<ProvisionError>>(
    dut: &LiveDut,
    sink: &JournalSink,
    name: &str,
    work: impl Future<Output = Result<String, E>>,
) -> Result<(), Stopped> {
    step(dut, sink, name, async { Ok(((), work.await.map_err(Into::into)?)) }).await
}

/// One step with its proof; what went wrong is judged here.
pub(crate) async fn step<T>(
    dut: &LiveDut,
    sink: &JournalSink,
    name: &str,
    work: impl Future<Output = Result<(T, String), ProvisionError>>,
) -> Result<T, Stopped> {
    let clock = dut.console.log.clock().clone();
    let began = clock.now();
    sink.emit(Event::StepStarted { step: name.into() });
    let ended = work.await;
    let took = clock.now().since(began);
    let decision = match ended {
        Ok((value, proof)) => {
            sink.emit(Event::StepEnded { step: name.into(), proof, took });
            return sink.health().map(|()| value).map_err(|_| Stopped::Journal);
        }
        Err(ProvisionError::Cancelled) => return Err(Stopped::Interrupted),
        Err(ProvisionError::Refused(why)) => {
            let failure =
                Failure::new("the image was refused", "an image that can be written and proven", why);
            Decision { outcome: Outcome::Fail(failure), blame: Blame::Image, because: "image-refused" }
        }
        Err(ProvisionError::NotHeld(why)) => {
            let failure = Failure::new(
                "the medium does not hold the image: run without --no-flash",
                "a medium that an earlier run wrote with this image",
                why,
            );
            Decision { outcome: Outcome::Fail(failure), blame: Blame::Image, because: "image-not-held" }
        }
        Err(ProvisionError::Fault(fault)) => {
            adjudicate(&Cut::Rig(*fault), &crate::adjudicate::Observed::healthy())
        }
        Err(ProvisionError::Dut(ended)) => {
            let (cut, since) = *ended;
            adjudicate(&cut, &observe(dut, since).await)
        }
    };
    if dut.cancel.is_cancelled() {
        return Err(Stopped::Interrupted);
    }
    let Decision { outcome, blame, because } = decision.clone();
    sink.emit(Event::StepFailed { step: name.into(), outcome, blame, because: because.into(), took });
    Err(Stopped::Failed(name.to_owned(), Box::new(decision)))
}

/// A step that could not even be begun.
pub(crate) fn fail_step(sink: &JournalSink, step: &str, outcome: Outcome, blame: Blame, because: &str) {
    sink.emit(Event::StepStarted { step: step.into() });
    let (step, because, took) = (step.into(), because.into(), Duration::ZERO);
    sink.emit(Event::StepFailed { step, outcome, blame, because, took });
}
