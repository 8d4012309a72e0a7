//! Limits on measures.

use std::collections::BTreeSet;

use shakedown_conf::nearest;
use shakedown_core::Sha;
use shakedown_core::event::Better;
use shakedown_core::names::many;
use shakedown_core::shell::quote;
use shakedown_history::stats::{Alternative, mann_whitney, median};

use super::{Because, Court, Measured, Missing, Reason};
use crate::evidence::{Ignored, Run};
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
            let near = self.no_such_measure(limit);
            let what = format!("{} of {}{near}", values_told(here.all.len()), limit.measure);
            self.answer.missing.push(self.too_few(limit, board, &what, here.all.len(), &self.image));
            return;
        }
        let middle = median(&here.all);
        let largest = here.all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let unit = here.unit.clone();
        let mut checks: Vec<(String, bool)> = Vec::new();
        if let Some(most) = limit.at_most {
            let told = format!("median {} {unit}, limit {most} {unit}", beside(middle, most));
            checks.push((told, middle <= most));
        }
        if let Some(least) = limit.at_least {
            let told =
                format!("median {} {unit}, at least {least} {unit} is asked for", beside(middle, least));
            checks.push((told, middle >= least));
        }
        if let Some(never) = limit.never_above {
            let told =
                format!("largest {} {unit}, limit of every value {never} {unit}", beside(largest, never));
            checks.push((told, largest <= never));
        }
        if let Some(baseline) = &limit.baseline {
            match self.against(limit, board, &here, baseline) {
                Ok(check) => checks.push(check),
                Err(missing) => {
                    self.answer.missing.push(*missing);
                    return;
                }
            }
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
                    what: format!("{}: {held_to} ({})", limit.measure, values_told(here.all.len())),
                    runs: here.runs.clone(),
                    command: Some(Self::command(limit, board, &self.image, limit.repeats)),
                });
            }
        }
    }

    /// The comparison with the baseline, or what is missing for it.
    fn against(
        &self,
        limit: &Limit,
        board: &str,
        here: &Values,
        baseline: &Baseline,
    ) -> Result<(String, bool), Box<Missing>> {
        let begins = |hash: &Sha| hash.to_string().starts_with(&baseline.image);
        let name = &baseline.image;
        if begins(&self.answer.image) || self.answer.image_names.values().any(begins) {
            let what = format!("the baseline {name} is the image itself, which is never worse than itself");
            return Err(Box::new(Missing { command: None, ..self.too_few(limit, board, &what, 0, "") }));
        }
        let of = |run: &&Run| {
            let head = run.ledger.head.as_ref();
            head.is_some_and(|head| begins(&head.image.payload) || begins(&head.image.sha256))
        };
        let there = values(self.others.iter().copied().filter(of), limit, board);
        if there.all.len() >= limit.repeats as usize {
            return Ok(compare(here, &there, baseline));
        }
        let is_ignored =
            |ignored: &&Ignored| ignored.image.as_ref().is_some_and(|image| image.starts_with(name));
        let other = self.others.iter().copied().find(|run| of(run));
        let why = match (other, self.answer.ignored.iter().find(is_ignored)) {
            (None, None) => ", of which no run is known at all".to_owned(),
            (None, Some(ignored)) => format!(", none of whose runs counts ({})", ignored.doubt.told()),
            (Some(_), _) => String::new(),
        };
        let have = there.all.len();
        let what = format!("{} of {} with the baseline {name}{why}", values_told(have), limit.measure);
        let path =
            other.and_then(|run| run.ledger.head.as_ref()).map(|head| head.image.path.display().to_string());
        let image = path.unwrap_or_else(|| "BASELINE".to_owned());
        Err(Box::new(self.too_few(limit, board, &what, have, &image)))
    }

    /// Where no run at all, of any image, has this measure: what was perhaps meant.
    fn no_such_measure(&self, limit: &Limit) -> String {
        let runs = self.runs.iter().chain(&self.others);
        let names: BTreeSet<String> = runs.flat_map(|run| measures_of(run)).collect();
        if names.is_empty() || names.contains(&limit.measure) {
            return String::new();
        }
        match nearest(&limit.measure, &names) {
            Some(near) => format!(" (no run has such a measure; did you mean `{near}`?)"),
            None => format!(
                " (no run has such a measure; there are {})",
                names.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    fn too_few(&self, limit: &Limit, board: &str, what: &str, have: usize, image: &str) -> Missing {
        let more = limit.repeats.saturating_sub(have as u32);
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
    let holds = test.p > baseline.alpha;
    let (was, is) = (median(&there.all), median(&here.all));
    let worse = match (was == 0.0, here.higher) {
        (true, _) => 0.0,
        (false, true) => (was / is - 1.0) * 100.0,
        (false, false) => (is / was - 1.0) * 100.0,
    };
    let change = format!("{:.1} % {}", worse.abs(), if worse < 0.0 { "better" } else { "worse" });
    let (name, limit) = (&baseline.image, baseline.worse_by_at_most);
    let sure = if holds {
        format!(", not surely more than the {limit} % allowed")
    } else {
        format!(" (limit {limit} %)")
    };
    let unit = &here.unit;
    let told = format!(
        "{change} than the baseline {name}{sure}, p = {:.4} (medians {} and {} {unit}; Mann-Whitney, one-sided, level {})",
        test.p,
        number(is),
        number(was),
        baseline.alpha
    );
    (told, holds)
}

/// For people: three digits after the point at most.
fn number(value: f64) -> String {
    let short = format!("{value:.3}");
    let short = short.trim_end_matches('0').trim_end_matches('.');
    // What is small must not look like nothing.
    if value != 0.0 && value.abs() < 0.01 { format!("{value}") } else { short.to_owned() }
}

/// The same beside a limit: the two must not look alike when they are not.
fn beside(value: f64, limit: f64) -> String {
    let short = number(value);
    if short == number(limit) { value.to_string() } else { short }
}

fn values_told(count: usize) -> String {
    many(count as u64, "value", "values")
}

/// The names of all measures of a run, boot stages as limits name them.
fn measures_of(run: &Run) -> impl Iterator<Item = String> {
    let ledger = &run.ledger;
    let stages =
        ledger.boots.iter().flat_map(|boot| &boot.stages).map(|stage| format!("boot.{}", stage.name));
    let all = ledger.attempts.iter().flat_map(|attempt| &attempt.measures).chain(&ledger.measures);
    stages.chain(all.map(|measure| measure.name.clone()))
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
