//! Which procedures the runner can execute: their steps as works of its own.

use std::time::Duration;

use shakedown_core::{Act, Payload, Procedure, ProvStep, Side};

/// The medium that a run writes and boots from.
const MAIN: &str = "main";

/// Steps that are done as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The supply off, with its proof.
    PowerOff(Duration),
    /// To the host's side, written, read back: one proof.
    Write(Duration),
    /// The run's names and keys.
    Configure(Duration),
}

/// Why a procedure is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotExecuted {
    /// It is planned, and its execution is not built yet.
    NotBuilt {
        /// The procedure.
        kind: &'static str,
        /// The first step that cannot be done.
        step: String,
        /// In words.
        act: String,
    },
    /// It would prove nothing: a step is missing.
    Unproven {
        /// What is missing.
        what: &'static str,
    },
}

impl std::fmt::Display for NotExecuted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBuilt { kind, step, act } => {
                write!(f, "{kind} is planned, its execution is not built yet: step `{step}` ({act})")
            }
            Self::Unproven { what } => write!(f, "the procedure proves too little: {what}"),
        }
    }
}

impl std::error::Error for NotExecuted {}

/// Whether this runner can execute it.
pub fn executable(procedure: &Procedure) -> Result<(), NotExecuted> {
    works(procedure).map(drop)
}

/// The works of a procedure, in order. The medium goes to the DUT with the boot, whose first act that is.
pub(crate) fn works(procedure: &Procedure) -> Result<Vec<Work>, NotExecuted> {
    let mut works = Vec::new();
    let mut rest = procedure.steps.as_slice();
    while let Some((step, after)) = rest.split_first() {
        let not_built = || NotExecuted::NotBuilt {
            kind: procedure.kind,
            step: step.id.clone(),
            act: step.act.to_string(),
        };
        rest = after;
        match &step.act {
            Act::PowerOff if works.is_empty() => works.push(Work::PowerOff(step.within)),
            Act::Switch { medium, to: Side::Host } if medium == MAIN => {
                let Some(next) = after.first().filter(|next| is_write(next)) else { return Err(not_built()) };
                let back = after.get(1).map(|step| &step.act);
                if back != Some(&Act::ReadBack { medium: MAIN.to_owned() }) {
                    return Err(NotExecuted::Unproven { what: "what is written is not read back" });
                }
                works.push(Work::Write(next.within));
                rest = &after[2..];
            }
            Act::Configure { medium } if medium == MAIN => works.push(Work::Configure(step.within)),
            Act::Switch { medium, to: Side::Dut } if medium == MAIN && after.is_empty() => {}
            _ => return Err(not_built()),
        }
    }
    if !matches!(works.first(), Some(Work::PowerOff(_))) {
        return Err(NotExecuted::Unproven {
            what: "nothing shows that the DUT is off while its medium is written",
        });
    }
    if !works.iter().any(|work| matches!(work, Work::Write(_))) {
        return Err(NotExecuted::Unproven { what: "nothing is written" });
    }
    Ok(works)
}

fn is_write(step: &ProvStep) -> bool {
    matches!(&step.act, Act::Write { medium, payload: Payload::Image } if medium == MAIN)
}

#[cfg(test)]
mod tests {
    use shakedown_core::{Redo, Shows};

    use super::*;

    fn step(id: &str, act: Act) -> ProvStep {
        let (proof, within, redo) = (Shows::Level, Duration::from_secs(7), Redo::Step);
        ProvStep { id: id.into(), act, proof, within, undo: None, redo }
    }

    fn card() -> Procedure {
        let medium = || MAIN.to_owned();
        let steps = vec![
            step("power-off", Act::PowerOff),
            step("main-to-host", Act::Switch { medium: medium(), to: Side::Host }),
            step("write-main", Act::Write { medium: medium(), payload: Payload::Image }),
            step("read-back-main", Act::ReadBack { medium: medium() }),
            step("configure-main", Act::Configure { medium: medium() }),
            step("main-to-dut", Act::Switch { medium: medium(), to: Side::Dut }),
        ];
        Procedure { kind: "sd-card", steps, unknown: vec![] }
    }

    #[test]
    fn a_card_is_executed_with_the_times_of_its_steps() {
        let within = Duration::from_secs(7);
        let want = [Work::PowerOff(within), Work::Write(within), Work::Configure(within)];
        assert_eq!(works(&card()).unwrap(), want);
    }

    #[test]
    fn without_any_of_its_proofs_nothing_is_executed() {
        for (id, want) in [
            ("read-back-main", "what is written is not read back"),
            ("power-off", "nothing shows that the DUT is off while its medium is written"),
        ] {
            let mut procedure = card();
            procedure.steps.retain(|step| step.id != id);
            assert_eq!(executable(&procedure), Err(NotExecuted::Unproven { what: want }), "{id}");
        }
        let nothing = Procedure { steps: card().steps[..1].to_vec(), ..card() };
        assert_eq!(executable(&nothing), Err(NotExecuted::Unproven { what: "nothing is written" }));
    }

    #[test]
    fn what_is_not_built_is_said_before_anything_is_done() {
        let mut procedure = card();
        procedure.kind = "flasher";
        procedure.steps.push(step("await-off", Act::AwaitOff));
        // The medium goes away in mid-procedure: that is no boot.
        let error = executable(&procedure).unwrap_err().to_string();
        assert_eq!(
            error,
            "flasher is planned, its execution is not built yet: step `main-to-dut` (give medium `main` to the DUT)"
        );
    }
}
