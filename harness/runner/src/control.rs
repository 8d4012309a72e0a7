//! The control run: a known-good image on the same slot tells a bad OS from a bad rig.

use std::sync::Arc;

use shakedown_core::{Blame, Event, Failure, Fault, InfraKind, Outcome, Sha, Sink};

use shakedown_media::Identity as Identified;

use crate::adjudicate::Decision;
use crate::collect;
use crate::dut::LiveDut;
use crate::folder::RunFolder;
use crate::provision;
use crate::sink::JournalSink;

/// Boots the control image. It comes up: the image under test is to blame. It does not: the rig is.
pub(crate) async fn settle(
    dut: &Arc<LiveDut>,
    sink: &JournalSink,
    folder: &RunFolder,
    image: &Arc<Identified>,
    open: Decision,
) -> Decision {
    // The medium is about to be overwritten: what it can tell is read first.
    if let Err(fault) = collect::off_medium(dut, folder).await {
        sink.emit(Event::Trouble(fault));
    }
    let step = "control run";
    let clock = dut.console.log.clock().clone();
    let began = clock.now();
    sink.emit(Event::StepStarted { step: step.into() });
    let (came_up, payload, how) = attempt(dut, image).await;
    let took = clock.now().since(began);
    sink.emit(Event::StepEnded { step: step.into(), proof: how.clone(), took });
    let seen = match &open.outcome {
        Outcome::Undetermined { seen } => seen.join("; "),
        other => other.headline(),
    };
    let (outcome, decision) = if came_up {
        let failure = Failure::new("the image does not boot where the control image does", "ready", seen);
        let decision =
            Decision { outcome: Outcome::Fail(failure), blame: Blame::Os, because: "control-run-came-up" };
        (Outcome::Pass, decision)
    } else {
        let fault = Fault::new(InfraKind::Host, "slot", "boot the control image on", &dut.slot.id)
            .expected("ready", how)
            .hint("a known-good image does not boot here either: check the wiring (`shakedown rigs doctor`)");
        let decision = Decision {
            outcome: Outcome::Infra(fault.clone()),
            blame: Blame::Rig,
            because: "control-run-failed",
        };
        (Outcome::Infra(fault), decision)
    };
    sink.emit(Event::ControlRun { outcome, image: payload.unwrap_or(Sha([0; 32])) });
    decision
}

async fn attempt(dut: &Arc<LiveDut>, image: &Arc<Identified>) -> (bool, Option<Sha>, String) {
    if let Err(fault) = provision::power_down(dut).await {
        return (false, None, fault.to_string());
    }
    let provisioned = match provision::write(dut, image, false).await {
        Ok(provisioned) => provisioned,
        Err(error) => return (false, None, format!("{error:?}")),
    };
    let payload = Some(provisioned.written.payload());
    if let Err(error) = provision::inject(dut, &[]).await {
        return (false, payload, format!("{error:?}"));
    }
    match provision::boot(dut, &provisioned, "control run").await {
        Ok(_) => (true, payload, "the control image came up".into()),
        Err(cut) => (false, payload, format!("the control image did not come up: {cut:?}")),
    }
}
