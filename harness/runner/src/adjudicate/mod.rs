//! The one place where blame is given: a pure function over a table of symptoms.
//!
//! Drivers give faults, cases give failures, shells give *unreachable*; here they
//! meet what was observed around them, and the first row of the table that fits
//! decides. What no row decides is *undetermined*, which is never a pass and
//! never the rig's fault.

mod signs;
mod table;

pub use signs::{BadLine, ConsoleState, CutKind, Observed, Sign};
pub use table::{ON_A_PASS, SYMPTOMS, Symptom, Verdict};

use shakedown_core::{Blame, Cut, Failure, Fault, InfraKind, Outcome, ShellError, Unreachable};

/// What the adjudicator decided, and by which row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// For the journal.
    pub outcome: Outcome,
    /// Whose fault it is.
    pub blame: Blame,
    /// The row's id.
    pub because: &'static str,
}

/// Decides what came of a case or a step that ended early.
pub fn adjudicate(cut: &Cut, observed: &Observed) -> Decision {
    let kind = CutKind::of(cut);
    let fits =
        |row: &&Symptom| row.cut.contains(&kind) && row.all.iter().all(|sign| sign.holds(cut, observed));
    let mut fit = SYMPTOMS.iter().filter(fits);
    let first = fit.next().unwrap_or(&table::NO_ROW);
    // What may be another image is blamed for nothing; a rig that shows itself to be sick is the rig still.
    let sick = first.all.contains(&Sign::Unproven).then(|| fit.find(|row| row.verdict == Verdict::Infra));
    decide(sick.flatten().unwrap_or(first), cut, observed)
}

/// Decides about a case that passed. `None`: nothing on the console speaks against it.
pub fn adjudicate_pass(observed: &Observed) -> Option<Decision> {
    let said = observed.bad.as_ref().map(|bad| &bad.line).or(observed.rebooted.as_ref())?;
    let cut = |what: &str| Cut::Fail(Failure::new(what, "a console without it while the case ran", said));
    let row = ON_A_PASS.iter().find(|row| row.all.iter().all(|sign| sign.holds(&cut(row.says), observed)))?;
    Some(decide(row, &cut(row.says), observed))
}

/// What an attempt with a known-good image on the same slot says about one with another image that
/// could not be told: the image's OS is to blame where the good one passes, the rig where the good one
/// cannot be told either. A good image that fails the case is no control, and leaves it open.
pub fn by_control(control: &Outcome) -> Blame {
    match control {
        Outcome::Pass => Blame::Os,
        Outcome::Infra(_) | Outcome::Undetermined { .. } => Blame::Rig,
        Outcome::Fail(_) | Outcome::Skip { .. } | Outcome::Blocked { .. } | Outcome::Error { .. } => {
            Blame::Undetermined
        }
    }
}

fn decide(row: &'static Symptom, cut: &Cut, observed: &Observed) -> Decision {
    let (outcome, blame) = match row.verdict {
        Verdict::Fail(blame) => (Outcome::Fail(failure(row, cut, observed)), blame),
        Verdict::AsTheLineSays => {
            let blame = signs::bad_line(cut, observed).map_or(Blame::Os, |line| line.blame);
            let outcome = match blame {
                Blame::Rig => Outcome::Infra(infra(row, cut, observed)),
                // What the harness did to the DUT: its own configuration, its own injection.
                Blame::Harness => Outcome::Error { what: observed.seen(row.says, cut)[..2].join(": ") },
                Blame::Undetermined => Outcome::Undetermined { seen: observed.seen(row.says, cut) },
                Blame::Os | Blame::Image => Outcome::Fail(failure(row, cut, observed)),
            };
            (outcome, blame)
        }
        Verdict::Infra => (Outcome::Infra(infra(row, cut, observed)), Blame::Rig),
        Verdict::Undetermined => {
            (Outcome::Undetermined { seen: observed.seen(row.says, cut) }, Blame::Undetermined)
        }
        Verdict::Error => {
            let what = match cut {
                Cut::Broken(what) => what.clone(),
                other => signs::describe(other),
            };
            (Outcome::Error { what }, Blame::Harness)
        }
    };
    Decision { outcome, blame, because: row.id }
}

fn failure(row: &Symptom, cut: &Cut, observed: &Observed) -> Failure {
    match cut {
        Cut::Fail(failure) => failure.clone(),
        Cut::Shell(ShellError::Dut(Unreachable::Refusal(what))) => Failure::new(row.says, "it done", what),
        Cut::Boot(boot) => Failure::new(boot.headline(), "a boot to ready", signs::got_of(boot, observed)),
        _ => Failure::new(row.says, "the DUT to answer", observed.seen(row.says, cut)[1..].join("; ")),
    }
}

fn infra(row: &Symptom, cut: &Cut, observed: &Observed) -> Fault {
    match cut {
        Cut::Rig(fault) | Cut::Shell(ShellError::Rig(fault)) => fault.clone(),
        _ => Fault::new(row.infra, "rig", "keep", "the DUT running").expected(
            "a working rig",
            format!("{} ({})", row.says, observed.seen(row.says, cut)[1..].join("; ")),
        ),
    }
}

/// The kind of rig failure that a row stands for when no driver named one.
const NO_KIND: InfraKind = InfraKind::Host;

#[cfg(test)]
mod tests;
