//! Drawings that keep their text at its size: positions are percentages, heights are pixels.

use maud::{Markup, html};
use shakedown_core::Mono;
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
    let starts = counts.iter().scan(0usize, |sum, (_, many)| {
        let start = *sum;
        *sum += many;
        Some(start)
    });
    html! {
        svg class="tally" width="100%" height="10" role="img" aria-label={ "Cases: " (label.join(", ")) } {
            @for ((word, many), from) in counts.iter().zip(starts) {
                rect class={ "f-" (word.class()) } x=(percent(from as f64, total)) y="0" height="10" width=(percent(*many as f64, total)) {}
            }
        }
    }
}

/// The whole run on one scale: steps, boots and cases where they happened.
pub(super) fn whole_run(ledger: &Ledger) -> Markup {
    let seconds = |at: Mono| ledger.into_run(at).as_secs_f64();
    let total = ledger.end.as_ref().map_or(seconds(ledger.last), |end| end.2.as_secs_f64()).max(1e-9);
    let steps = ledger.steps.iter().map(|step| {
        let took = step.took.map_or(total - seconds(step.began), |took| took.as_secs_f64());
        let class = match (&step.failed, step.took) {
            (Some((outcome, _, _)), _) => format!("f-{}", Word::of(Some(outcome)).class()),
            (None, Some(_)) => "f-step".to_owned(),
            (None, None) => "f-cut-off".to_owned(),
        };
        (seconds(step.began), took, class, text::line(&step.name))
    });
    let cases = ledger.attempts.iter().map(|attempt| {
        let word = Word::of(attempt.outcome.as_ref());
        let open = attempt.outcome.is_none();
        let took = if open { total - seconds(attempt.began) } else { attempt.took.as_secs_f64() };
        (seconds(attempt.began), took, format!("f-{}", word.class()), text::line(&attempt.case.0))
    });
    let cases = cases.filter(|(_, took, _, _)| *took > 0.0);
    let boots = ledger.boots.iter().map(|boot| {
        let took = match boot.stages.last() {
            Some(last) if boot.end.is_some() => last.after.as_secs_f64(),
            _ => total - seconds(boot.began),
        };
        (seconds(boot.began), took, "f-boot".to_owned(), format!("boot: {}", text::line(&boot.how)))
    });
    let marks: Vec<_> = steps.clone().filter(|(_, _, class, _)| class != "f-step").collect();
    html! {
        svg class="strip" width="100%" height="26" role="img"
            aria-label={ "The run from its start to its end after " (text::span(std::time::Duration::from_secs_f64(total))) } {
            rect class="f-idle" x="0" y="0" width="100%" height="26" {}
            @for (began, took, class, name) in steps.chain(boots).chain(cases) {
                rect class=(class) x=(percent(began, total)) y="0" height="26" width=(percent(took, total)) {
                    title { (name) ", " (text::span(std::time::Duration::from_secs_f64(took.max(0.0)))) " from " (format!("{began:.1} s")) }
                }
            }
            // A boot lies over the step that it failed: the step's outcome stays in sight.
            @for (began, took, class, _) in marks {
                rect class=(class) x=(percent(began, total)) y="19" height="7" width=(percent(took, total)) {}
            }
        }
        (axis(total))
    }
}

/// A scale in seconds, at most six ticks.
pub(super) fn axis(scale: f64) -> Markup {
    let step = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]
        .into_iter()
        .find(|step| scale / step <= 6.0)
        .unwrap_or(scale / 4.0);
    let ticks: Vec<f64> = (0..=6).map(|n| f64::from(n) * step).take_while(|at| *at <= scale).collect();
    html! {
        svg class="axis" width="100%" height="24" aria-hidden="true" {
            @for at in ticks {
                @let x = percent(at, scale);
                line x1=(x) x2=(x) y1="0" y2="6" {}
                text x=(x) y="19" text-anchor=(if at == 0.0 { "start" } else if at > scale * 0.96 { "end" } else { "middle" }) {
                    (text::number(at)) " s"
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
