//! Limits on measures.

use shakedown_core::event::Better;
use shakedown_core::shell::quote;
use shakedown_history::stats::{Alternative, mann_whitney, median};

use super::{Because, Court, Measured, Missing, Reason, percent};
use crate::evidence::Run;
use crate::policy::{Baseline, Limit};

/// The values of a measure, and what is known of it.
#[derive(Default)]
struct Values {
    all: Vec<f64>,
    unit: String,
    higher: bool,
    runs: Vec<String>,
}

impl Court<'_> {
    pub(super) fn limits(&mut self) {
        let policy = self.policy;
        for limit in &policy.doc.limits {
            for board in &limit.boards {
                if !self.waived(board, |waiver| waiver.limit.as_ref() == Some(&limit.name)) {
                    self.limit(limit, board);
                }
            }
        }
    }

    fn limit(&mut self, limit: &Limit, board: &str) {
        let here = values(self.runs.iter().copied(), limit, board);
        let wanted = limit.repeats as usize;
        if here.all.len() < wanted {
            let what = format!("{} values of {}", here.all.len(), limit.measure);
            self.answer.missing.push(self.too_few(limit, board, &what, here.all.len(), &self.image));
            return;
        }
        let middle = median(&here.all);
        let largest = here.all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let unit = here.unit.clone();
        let mut checks: Vec<(String, bool)> = Vec::new();
        if let Some(most) = limit.at_most {
            checks.push((format!("median at most {most} {unit}"), middle <= most));
        }
        if let Some(least) = limit.at_least {
            checks.push((format!("median at least {least} {unit}"), middle >= least));
        }
        if let Some(never) = limit.never_above {
            checks.push((format!("never above {never} {unit}"), largest <= never));
        }
        if let Some(baseline) = &limit.baseline {
            let of = |run: &&Run| {
                run.ledger.head.as_ref().is_some_and(|head| {
                    head.image.payload.to_string().starts_with(&baseline.image)
                        || head.image.sha256.to_string().starts_with(&baseline.image)
                })
            };
            let there = values(self.others.iter().copied().filter(of), limit, board);
            if there.all.len() < wanted {
                let what = format!(
                    "{} values of {} with the baseline {}",
                    there.all.len(),
                    limit.measure,
                    baseline.image
                );
                let other = self.others.iter().copied().find(|run| of(run));
                let path = other
                    .and_then(|run| run.ledger.head.as_ref())
                    .map(|head| head.image.path.display().to_string());
                let image = path.unwrap_or_else(|| "BASELINE".to_owned());
                self.answer.missing.push(self.too_few(limit, board, &what, there.all.len(), &image));
                return;
            }
            checks.push(compare(&here, &there, baseline));
        }
        for (held_to, holds) in checks {
            self.answer.limits.push(Measured {
                name: limit.name.clone(),
                measure: limit.measure.clone(),
                board: board.to_owned(),
                count: here.all.len(),
                median: middle,
                largest,
                unit: unit.clone(),
                held_to: held_to.clone(),
                holds,
            });
            if !holds {
                self.answer.reasons.push(Reason {
                    because: Because::Limit,
                    board: board.to_owned(),
                    what: format!(
                        "{} of {board}: {held_to}; median {middle:.3} {unit} of {} values, largest {largest:.3}",
                        limit.measure,
                        here.all.len()
                    ),
                    runs: here.runs.clone(),
                    command: Some(Self::command(limit, board, &self.image, limit.repeats)),
                });
            }
        }
    }

    fn too_few(&self, limit: &Limit, board: &str, what: &str, have: usize, image: &str) -> Missing {
        let more = limit.repeats - have as u32;
        Missing {
            board: board.to_owned(),
            name: limit.name.clone(),
            what: format!("the limit {} on {board}: {what}, {} are asked for", limit.name, limit.repeats),
            cases: Vec::new(),
            command: Some(Self::command(limit, board, image, more)),
            // A plan is about this image.
            repeats: if image == self.image { more } else { 0 },
        }
    }

    /// A boot's stages come once a run, a case's measure once an attempt.
    fn command(limit: &Limit, board: &str, image: &str, times: u32) -> String {
        let run = format!("shakedown run --board {board} --image {}", quote(image));
        match limit.context() {
            Some(case) if case.contains("::") => format!("{run} --case {} --repeat {times}", quote(case)),
            _ => format!("for i in $(seq {times}); do {run} --selection quick; done"),
        }
    }
}

/// One-sided: whether the new values are surely more than so much worse than the baseline's.
fn compare(here: &Values, there: &Values, baseline: &Baseline) -> (String, bool) {
    let slack = 1.0 + baseline.worse_by_at_most / 100.0;
    let test = if here.higher {
        let allowed: Vec<f64> = there.all.iter().map(|value| value / slack).collect();
        mann_whitney(&allowed, &here.all, Alternative::Greater)
    } else {
        let allowed: Vec<f64> = there.all.iter().map(|value| value * slack).collect();
        mann_whitney(&here.all, &allowed, Alternative::Greater)
    };
    let (was, is) = (median(&there.all), median(&here.all));
    let change = if was == 0.0 { 0.0 } else { (is / was - 1.0) * 100.0 };
    let told = format!(
        "not surely more than {} % worse than the baseline {} (median {was:.3} of {} values, now {change:+.1} %; Mann-Whitney, one-sided, p = {:.4}, alpha {})",
        baseline.worse_by_at_most,
        baseline.image,
        there.all.len(),
        test.p,
        percent(baseline.alpha)
    );
    (told, test.p > baseline.alpha)
}

fn values<'a>(runs: impl Iterator<Item = &'a Run>, limit: &Limit, board: &str) -> Values {
    let mut values = Values::default();
    for run in runs {
        let ledger = &run.ledger;
        if ledger.head.as_ref().is_none_or(|head| head.board != board) {
            continue;
        }
        let before = values.all.len();
        if let Some(stage) = limit.measure.strip_prefix("boot.") {
            let boots = ledger
                .boots
                .iter()
                .filter(|boot| matches!(boot.end, Some(Ok(_))) && Some(boot.how.as_str()) == limit.context());
            let stages = boots.flat_map(|boot| &boot.stages).filter(|known| known.name == stage);
            values.all.extend(stages.map(|known| known.after.as_secs_f64()));
            "s".clone_into(&mut values.unit);
        } else {
            let of_cases = ledger
                .attempts
                .iter()
                .filter(|attempt| limit.of.as_ref().is_none_or(|of| *of == attempt.case.0))
                .flat_map(|attempt| &attempt.measures);
            let own = ledger.measures.iter().filter(|_| limit.of.is_none());
            for measure in of_cases.chain(own).filter(|measure| measure.name == limit.measure) {
                values.all.push(measure.value);
                values.unit.clone_from(&measure.unit);
                values.higher = measure.better == Better::Higher;
            }
        }
        if values.all.len() > before {
            values.runs.push(ledger.run.clone());
        }
    }
    values
}
