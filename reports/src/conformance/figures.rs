//! Figures of a bring-up, and what they propose for the descriptor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rungs::Rung;
use crate::text;
use crate::view::View;

/// One figure, over as many samples as there were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// `stage kernel`, `update.install`.
    pub name: String,
    /// `s`, `MiB`; empty for a count.
    pub unit: String,
    /// How many samples.
    pub samples: usize,
    /// The least of them.
    pub least: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The most.
    pub most: f64,
}

impl Figure {
    fn of(name: String, unit: &str, mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { name, unit: unit.into(), samples: values.len(), least, median, most })
    }

    /// `7.1 s (6.9-7.6 of 11)`; one sample stands alone.
    pub fn text(&self) -> String {
        let median = text::quantity(self.median, &self.unit);
        match self.samples {
            1 => median,
            n => format!("{median} ({}-{}, {n} times)", text::number(self.least), text::number(self.most)),
        }
    }
}

/// The figures of a rung: the stages of all cold boots for the one that boots, else its cases' measures.
pub(super) fn of(rung: &Rung, view: &View<'_>) -> Vec<Figure> {
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    let mut order = Vec::new();
    let mut add = |name: String, unit: &str, value: f64| {
        let key = (name, unit.to_owned());
        if !order.contains(&key) {
            order.push(key.clone());
        }
        values.entry(key).or_default().push(value);
    };
    if rung.has(shakedown_core::ledger::BOOT) {
        let cold = view.ledger.boots.iter().filter(|boot| boot.how.starts_with("power"));
        for stage in
            cold.filter_map(|boot| boot.end.as_ref()?.as_ref().ok()).flat_map(|report| &report.stages)
        {
            add(format!("stage {}", text::line(&stage.name)), "s", stage.after.as_secs_f64());
        }
    } else {
        let of_output =
            |name: &str| name.split_once('.').is_some_and(|(first, _)| rung.outputs.contains(&first));
        let own = view.ledger.measures.iter().filter(|measure| of_output(&measure.name));
        let cases = view.cases.iter().filter(|case| rung.has(&case.id.0));
        let attempts = cases.flat_map(|case| &case.attempts);
        for measure in own.chain(attempts.flat_map(|attempt| &attempt.measures)) {
            if !measure.name.ends_with(".budget") {
                add(text::line(&measure.name), &measure.unit, measure.value);
            }
        }
    }
    let figures = order.into_iter().filter_map(|key| {
        let samples = values.remove(&key)?;
        Figure::of(key.0, &key.1, samples)
    });
    figures.collect()
}

/// A longer time without power, where the one that the descriptor allows was too short.
fn min_off(view: &View<'_>) -> Option<String> {
    let last = |name: &str| view.ledger.measures.iter().rfind(|measure| measure.name == name);
    let (enough, short) = (last("power.off")?, last("power.off.too-short")?);
    let seconds = enough.value.ceil();
    Some(format!("~ min-off: {seconds}s    # off for {:.1} s, it did not start anew each time", short.value))
}

/// What was found and is not claimed, and what is claimed and was not found.
pub(super) fn patch(view: &View<'_>) -> Vec<String> {
    let measures = view.ledger.attempts.iter().flat_map(|attempt| &attempt.measures);
    let found: Vec<(&str, f64)> =
        measures.filter_map(|measure| Some((measure.name.strip_prefix("found.")?, measure.value))).collect();
    let case = |name: &str| {
        let id = format!("hardware::found::{name}");
        view.cases.iter().find(|case| case.id.0 == id)
    };
    let mut lines: Vec<String> = min_off(view).into_iter().collect();
    for (name, many) in found {
        // Only a case that was planned tells whether somebody claims it: it is skipped when nobody does.
        let Some(case) = case(name) else { continue };
        let claimed = case.planned_skip.is_none() && case.word != crate::view::Word::Skip;
        if many > 0.0 && !claimed {
            lines.push(format!("+ capabilities: {name}    # found: {many}, not claimed"));
        } else if many == 0.0 && claimed {
            lines.push(format!("- capabilities: {name}    # claimed, not found"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_tells_its_spread_only_when_there_is_one() {
        let of = |values: &[f64]| Figure::of("stage kernel".into(), "s", values.to_vec());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7.0]).unwrap().text(), "7 s");
        let three = of(&[7.5, 6.5, 7.0]).unwrap();
        assert_eq!(three.text(), "7 s (6.5-7.5, 3 times)");
        assert_eq!(of(&[1.0, 2.0, 4.0, 8.0]).unwrap().text(), "3 s (1-8, 4 times)");
    }
}
