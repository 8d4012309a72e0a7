//! A bring-up looks at the wiring before it believes any boot: the doctor, as a step of the run.

use std::slice;
use std::time::Duration;

use shakedown_core::{BootFailure, Cut, Dut as _, Evidence, Fault, InfraKind};

use crate::doctor::{Diagnosis, Doctor, Finding};
use crate::dut::LiveDut;
use crate::provision::{ProvisionError, SWITCH};

/// The step's name in the journal.
pub(crate) const STEP: &str = "examine wiring";
/// A board whose boot loader is silent says its first word with its kernel; an emulated one on a busy
/// host took 27 s for that.
pub(crate) const AWAKE: Duration = Duration::from_secs(120);

/// Switches, listens and looks, with the image on its medium: without one a good board may be silent.
/// Ends with everything safe. Whether a console that says nothing is the board's or the rig's fault is
/// judged as at any boot.
pub(crate) async fn examine(dut: &LiveDut) -> Result<String, ProvisionError> {
    let clock = dut.console.log.clock().clone();
    let doctor = Doctor { clock, cancel: dut.cancel.clone(), awake: AWAKE, tell: &|_| {} };
    let slots = slice::from_ref(&dut.slot);
    let since = dut.console.log.here();
    let mut found = doctor.look(slots).await;
    if !dut.cancel.is_cancelled() {
        found.extend(doctor.toggle(slots).await);
    }
    if dut.cancel.is_cancelled() {
        return Err(ProvisionError::Cancelled);
    }
    for finding in &found {
        dut.evidence(Evidence::Note(finding.to_string()));
    }
    match found.iter().find(|finding| finding.diagnosis.is_wrong()) {
        Some(Finding { diagnosis: Diagnosis::Silent, .. }) => {
            let stop = doctor.wait("the console's first word", AWAKE).stop("nothing");
            // Judged with the supply on, as it was when nothing came; the end of the run makes it safe.
            if let Some(power) = &dut.slot.power {
                power.set(true, &doctor.wait("power on", SWITCH)).await?;
            }
            let (stage, after) = ("first word".to_owned(), "power".to_owned());
            Err(ProvisionError::dut(
                Cut::Boot(BootFailure::Late { stage, after, outside: false, stop }),
                since,
            ))
        }
        Some(wrong) => Err(fault(wrong).into()),
        None => Ok(told(&found)),
    }
}

fn fault(wrong: &Finding) -> Fault {
    match &wrong.diagnosis {
        Diagnosis::Broken(fault) | Diagnosis::DeadMux(fault) => (**fault).clone(),
        diagnosis => {
            let kind = if wrong.part == "power" { InfraKind::Power } else { InfraKind::Console };
            Fault::new(kind, "wiring", "examine", format!("{} {}", wrong.slot, wrong.part))
                .expected("a slot that is wired as its rig file says", diagnosis.to_string())
        }
    }
}

/// What was proven of each part; then what was not.
fn told(found: &[Finding]) -> String {
    let says = |finding: &Finding| format!("{} {}", finding.part, finding.diagnosis);
    found.iter().map(says).collect::<Vec<_>>().join("; ")
}
