//! The control run: a known-good image on the same slot tells a bad OS from a bad rig.

use std::sync::Arc;

use shakedown_core::{Blame, BootReport, Cut, Event, Failure, Fault, InfraKind, Outcome, Payload, Sha, Sink};

use shakedown_media::Identity as Identified;

use crate::adjudicate::Decision;
use crate::collect;
use crate::dut::LiveDut;
use crate::folder::RunFolder;
use crate::provision::{self, ProvisionError, Writing};
use crate::sink::JournalSink;

/// The control image of a run, until it is used.
pub(crate) struct Control {
    /// `None`: none was given.
    pub(crate) image: Option<Arc<Identified>>,
    /// The medium holds it now: what the image under test left there was read before.
    pub(crate) written: bool,
}

/// What came of booting the control image.
enum Came {
    /// To ready.
    Up,
    /// Not: why.
    Dark(String),
    /// It never got to a boot, which says nothing about the slot: why.
    NotTried(String),
    /// The run was interrupted.
    Interrupted,
}

/// Boots the control image. It comes up: the image under test is to blame. It does not: the rig
/// is. It could not be tried: the question stays open.
pub(crate) async fn settle(
    dut: &Arc<LiveDut>,
    sink: &JournalSink,
    folder: &RunFolder,
    control: &mut Control,
    open: Decision,
) -> Decision {
    // The rig does not have what boots: the control image would have to be brought there first.
    let Some(image) = control.image.take().filter(|_| !dut.own_storage) else { return open };
    // The medium is about to be overwritten: what it can tell is read first.
    if let Err(fault) = collect::off_medium(dut, folder).await {
        sink.emit(Event::Trouble(fault));
    }
    control.written = true;
    let step = "control run";
    let clock = dut.console.log.clock().clone();
    let began = clock.now();
    sink.emit(Event::StepStarted { step: step.into() });
    let (came, payload) = attempt(dut, &image).await;
    let took = clock.now().since(began);
    let how = match &came {
        Came::Up => "the control image came up".to_owned(),
        Came::Dark(why) => format!("the control image did not come up: {why}"),
        Came::NotTried(why) => format!("the control image could not be booted: {why}"),
        Came::Interrupted => "the control run was interrupted".to_owned(),
    };
    sink.emit(Event::StepEnded { step: step.into(), proof: how.clone(), took });
    let seen = match &open.outcome {
        Outcome::Undetermined { seen } => seen.clone(),
        other => vec![other.headline()],
    };
    let (outcome, decision) = match came {
        Came::Up => {
            let seen = seen.join("; ");
            let failure = Failure::new("the image does not boot where the control image does", "ready", seen);
            let outcome = Outcome::Fail(failure);
            (Outcome::Pass, Decision { outcome, blame: Blame::Os, because: "control-run-came-up" })
        }
        Came::Dark(_) => {
            let fault = Fault::new(InfraKind::Host, "slot", "boot the control image on", &dut.slot.id)
                .expected("ready", how)
                .hint(
                    "a known-good image does not boot here either: check the wiring (`shakedown rigs check`)",
                );
            let outcome = Outcome::Infra(fault);
            (outcome.clone(), Decision { outcome, blame: Blame::Rig, because: "control-run-failed" })
        }
        Came::NotTried(_) | Came::Interrupted => {
            let told = Outcome::Undetermined { seen: vec![how.clone()] };
            let outcome = Outcome::Undetermined { seen: seen.into_iter().chain([how]).collect() };
            (told, Decision { outcome, ..open })
        }
    };
    sink.emit(Event::ControlRun { outcome, image: payload.unwrap_or(Sha([0; 32])) });
    decision
}

async fn attempt(dut: &Arc<LiveDut>, image: &Arc<Identified>) -> (Came, Option<Sha>) {
    let mut payload = None;
    let came = match booted(dut, image, &mut payload).await {
        _ if dut.cancel.is_cancelled() => Came::Interrupted,
        Ok(Ok(_)) => Came::Up,
        Ok(Err(Cut::Boot(failure))) => Came::Dark(failure.headline()),
        Ok(Err(Cut::Rig(fault))) => Came::Dark(fault.to_string()),
        Ok(Err(other)) => Came::NotTried(format!("{other:?}")),
        Err(ProvisionError::Fault(fault)) => Came::Dark(fault.to_string()),
        Err(refused) => Came::NotTried(refused.to_string()),
    };
    (came, payload)
}

async fn booted(
    dut: &Arc<LiveDut>,
    image: &Arc<Identified>,
    payload: &mut Option<Sha>,
) -> Result<Result<BootReport, Cut>, ProvisionError> {
    provision::power_down(dut).await?;
    let provisioned = provision::write(dut, image, Writing::Whole, "control run", provision::WRITE).await?;
    *payload = Some(provisioned.written.payload());
    provision::inject(dut, Payload::Image, &[], provision::EDIT).await?;
    Ok(provision::boot(dut, &provisioned, "control run").await)
}
