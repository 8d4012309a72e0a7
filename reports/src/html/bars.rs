//! Drawings that keep their text at its size: positions are percentages, heights are pixels.

use maud::{Markup, html};
use shakedown_core::ledger::Ledger;

use crate::text;
use crate::view::{View, Word};

/// A share of the width, for SVG attributes.
pub(super) fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { (part / whole * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    format!("{share:.3}%")
}

/// How many cases there are of each word, as one stacked bar.
pub(super) fn tally(view: &View<'_>) -> Markup {
    let counts: Vec<_> = view.counts().into_iter().rev().collect();
    let total = view.cases.len() as f64;
    let label: Vec<_> = counts.iter().map(|(word, many)| format!("{many} {}", word.counted())).collect();
    let mut from = 0.0;
    html! {
        svg class="tally" width="100%" height="10" role="img" aria-label={ "Cases: " (label.join(", ")) } {
            @for (word, many) in &counts {
                @let many = *many as f64;
                rect class={ "f-" (word.class()) } x=(percent(from, total)) y="0" height="10" width=(percent(many, total)) {}
                @let _ = from += many;
            }
        }
    }
}

/// The whole run on one scale: steps, boots and cases where they happened.
pub(super) fn whole_run(ledger: &Ledger) -> Markup {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let total = ledger.end.as_ref().map_or(seconds(ledger.last.0), |end| end.2.as_secs_f64()).max(1e-9);
    let steps = ledger.steps.iter().map(|step| {
        let took = step.took.map_or(total - seconds(step.began.0), |took| took.as_secs_f64());
        let class = match (&step.failed, step.took) {
            (Some((outcome, _, _)), _) => format!("f-{}", Word::of(Some(outcome)).class()),
            (None, Some(_)) => "f-step".to_owned(),
            (None, None) => "f-cut-off".to_owned(),
        };
        (seconds(step.began.0), took, class, text::line(&step.name))
    });
    let cases = ledger.attempts.iter().map(|attempt| {
        let word = Word::of(attempt.outcome.as_ref());
        let open = attempt.outcome.is_none();
        let took = if open { total - seconds(attempt.began.0) } else { attempt.took.as_secs_f64() };
        (seconds(attempt.began.0), took, format!("f-{}", word.class()), text::line(&attempt.case.0))
    });
    let cases = cases.filter(|(_, took, _, _)| *took > 0.0);
    html! {
        svg class="strip" width="100%" height="26" role="img"
            aria-label={ "The run from its start to its end after " (text::span(std::time::Duration::from_secs_f64(total))) } {
            rect class="f-idle" x="0" y="0" width="100%" height="26" {}
            @for (began, took, class, name) in steps.chain(cases) {
                rect class=(class) x=(percent(began, total)) y="0" height="26" width=(percent(took, total)) {
                    title { (name) ", " (text::span(std::time::Duration::from_secs_f64(took.max(0.0)))) " from " (format!("{began:.1} s")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_share_never_leaves_the_drawing() {
        let shares = [(1.0, 4.0), (9.0, 4.0), (-1.0, 4.0), (1.0, 0.0), (f64::MAX, 1.0)]
            .map(|(a, b)| super::percent(a, b));
        assert_eq!(shares, ["25.000%", "100.000%", "0.000%", "0.000%", "100.000%"]);
    }
}
