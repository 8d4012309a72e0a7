//! The boot timeline: each boot a bar of its stages, all on one scale.

use std::time::Duration;

use maud::{Markup, html};
use shakedown_core::event::Measure;
use shakedown_core::ledger::{Boot, Ledger};
use shakedown_core::{BootFailure, Mono, StageTime};

use super::bars::{axis, percent};
use crate::text;

/// Pixels of a bar, and what a letter takes of it.
const HEIGHT: u32 = 34;
const LETTER: f64 = 7.6;

/// Shades of stages, one after the other.
const SHADES: usize = 6;

/// A boot with its end on its own clock.
struct Bar<'a> {
    boot: &'a Boot,
    /// When it ended; for a failure whose moment the journal does not have, when its step or case ended.
    end: Duration,
    /// Deadlines: when, and of which stage.
    limits: Vec<(Duration, String)>,
}

/// All boots; `None` when there was none.
pub(super) fn all(ledger: &Ledger) -> Option<Markup> {
    if ledger.boots.is_empty() {
        return None;
    }
    let bars: Vec<Bar<'_>> = (0..ledger.boots.len()).map(|index| bar(ledger, index)).collect();
    let longest = bars.iter().map(|bar| bar.end).max().unwrap_or_default().as_secs_f64().max(0.001);
    // Deadlines far out would squeeze the boots: those are in the tables only.
    let limits = || bars.iter().flat_map(|bar| bar.limits.iter().map(|(at, _)| at.as_secs_f64()));
    let scale = limits().filter(|at| *at <= longest * 1.4).fold(longest, f64::max) * 1.02;
    let any_limit = limits().next().is_some();
    Some(html! {
        div class="timeline" {
            @for bar in &bars { (row(bar, scale)) }
            (axis(scale))
            p class="note" {
                "A stage's length is the time until it was reached."
                @if any_limit { " A notch at the top is a stage's deadline; the tables have all of them." }
            }
        }
        @for (index, bar) in bars.iter().enumerate() { (stages(index, bar)) }
    })
}

fn bar(ledger: &Ledger, index: usize) -> Bar<'_> {
    let boot = &ledger.boots[index];
    let last = boot.stages.last().map(|stage| stage.after).unwrap_or_default();
    let next = ledger.boots.get(index + 1).map(|next| next.began);
    let around =
        |began: Mono, took: Duration| (began <= boot.began).then(|| (began + took).since(boot.began));
    let holder = ledger.steps.iter().filter_map(|s| around(s.began, s.took?)).filter(|end| *end > last).min();
    let within =
        ledger.attempts.iter().filter_map(|a| around(a.began, a.took)).filter(|end| *end > last).min();
    let end = match &boot.end {
        Some(Ok(_)) => last,
        Some(Err(BootFailure::Late { stop, .. })) => last + stop.waited().waited,
        Some(Err(_)) => next.map(|next| next.since(boot.began)).or(holder).or(within).unwrap_or(last),
        None => ledger.last.since(boot.began),
    };
    Bar { boot, end: end.max(last), limits: limits(boot, &ledger.measures) }
}

/// Deadlines that the journal tells: budgets of stages, and the wait that ended.
fn limits(boot: &Boot, measures: &[Measure]) -> Vec<(Duration, String)> {
    let mut limits = Vec::new();
    let mut before = Duration::ZERO;
    for stage in &boot.stages {
        let name = format!("boot.{}{}", stage.name, super::measures::BUDGET);
        let budget = measures.iter().find(|measure| measure.name == name).map(|measure| measure.value);
        if let Some(Ok(budget)) = budget.map(Duration::try_from_secs_f64) {
            limits.push((before.saturating_add(budget), text::line(&stage.name)));
        }
        before = stage.after;
    }
    if let Some(Err(BootFailure::Late { stage, stop, .. })) = &boot.end {
        limits.push((before + stop.waited().waited, text::line(stage)));
    }
    limits
}

fn row(bar: &Bar<'_>, scale: f64) -> Markup {
    let boot = bar.boot;
    let last = boot.stages.last().map(|stage| stage.after).unwrap_or_default();
    let failed = matches!(boot.end, Some(Err(_)));
    html! {
        figure class={ "boot" @if failed { " failed" } } {
            figcaption {
                b { (text::line(&boot.how)) }
                @if let Some(case) = &boot.case { " in " code { (text::line(&case.0)) } }
                span class="end" {
                    @match &boot.end {
                        Some(Ok(report)) => { "up after " (text::span(bar.end)) ", pace " (text::number(report.pace)) }
                        Some(Err(_)) => { span class="word w-fail" { "did not come up" } }
                        None => { span class="word w-cut-off" { "cut off" } }
                    }
                }
            }
            svg width="100%" height=(HEIGHT) role="img" aria-label=(described(bar)) {
                rect class="f-idle" x="0" y="2" width="100%" height="30" {}
                @let starts = [Duration::ZERO].into_iter().chain(boot.stages.iter().map(|stage| stage.after));
                @for (index, (stage, from)) in boot.stages.iter().zip(starts).enumerate() {
                    (segment(stage, from, index, scale))
                }
                @if bar.end > last {
                    rect class=(if failed { "f-fail hatch" } else { "f-cut-off" }) y="2" height="30"
                        x=(percent(last.as_secs_f64(), scale)) width=(percent(bar.end.saturating_sub(last).as_secs_f64(), scale)) {
                        title { "after the last stage: " (text::span(bar.end.saturating_sub(last))) }
                    }
                }
                @for (at, stage) in bar.limits.iter().filter(|(at, _)| at.as_secs_f64() <= scale) {
                    @let x = percent(at.as_secs_f64(), scale);
                    line class="limit notch" x1=(x) x2=(x) y1="0" y2="9" { title { "deadline of " (stage) ": " (text::span(*at)) } }
                }
                @if failed {
                    @let x = percent(bar.end.as_secs_f64(), scale);
                    line class="stop" x1=(x) x2=(x) y1="0" y2=(HEIGHT) {}
                }
            }
            @let starts = [Duration::ZERO].into_iter().chain(boot.stages.iter().map(|stage| stage.after));
            ul class="legend" aria-hidden="true" {
                @for (index, (stage, from)) in boot.stages.iter().zip(starts).enumerate() {
                    li { span class={ "swatch b" (index % SHADES) } {} (text::cut(&text::line(&stage.name), 40)) " " b { (text::span(stage.after.saturating_sub(from))) } }
                }
            }
            @if let Some(Err(failure)) = &boot.end {
                p class="why" { "✕ " (text::line(&failure.headline())) }
            }
        }
    }
}

fn segment(stage: &StageTime, from: Duration, index: usize, scale: f64) -> Markup {
    let took = stage.after.saturating_sub(from);
    let name = text::cut(&text::line(&stage.name), 40);
    let share = took.as_secs_f64() / scale;
    let needs = name.chars().count() as f64 * LETTER + 12.0;
    // Labels are drawn where they fit: at 1040 pixels, and at 350.
    let label = if share * 350.0 >= needs {
        Some("label")
    } else {
        (share * 1040.0 >= needs).then_some("label wide")
    };
    html! {
        svg x=(percent(from.as_secs_f64(), scale)) y="2" width=(percent(took.as_secs_f64(), scale)) height="30" {
            title { (name) ": " (text::span(took)) ", reached at " (text::span(stage.after)) }
            rect class={ "stage s" (index % SHADES) } width="100%" height="30" {}
            @if let Some(class) = label { text class=(class) x="7" y="20" { (name) } }
        }
    }
}

fn described(bar: &Bar<'_>) -> String {
    let stages =
        bar.boot.stages.iter().map(|s| format!("{} at {}", text::line(&s.name), text::span(s.after)));
    format!("Boot by {}: {}", text::line(&bar.boot.how), stages.collect::<Vec<_>>().join(", "))
}

fn stages(index: usize, bar: &Bar<'_>) -> Markup {
    let boot = bar.boot;
    let starts = [Duration::ZERO].into_iter().chain(boot.stages.iter().map(|stage| stage.after));
    let console = crate::view::console_of(boot);
    html! {
        details class="stages" {
            summary { "Boot " (index + 1) ", " (text::line(&boot.how)) ": " (text::count(boot.stages.len(), "stage")) }
            table {
                thead { tr {
                    th scope="col" { "Stage" } th scope="col" class="num" { "Took" }
                    th scope="col" class="num" { "Reached" } th scope="col" class="num" { "Deadline" }
                    th scope="col" { "What showed it" }
                } }
                tbody {
                    @for (stage, from) in boot.stages.iter().zip(starts) {
                        tr {
                            th scope="row" { (text::line(&stage.name)) }
                            td class="num" { (text::span(stage.after.saturating_sub(from))) }
                            td class="num" { (text::span(stage.after)) }
                            td class="num" {
                                @match bar.limits.iter().find(|(_, name)| *name == text::line(&stage.name)) {
                                    Some((at, _)) => (text::span(*at)),
                                    None => "–",
                                }
                            }
                            td class="saw" { (text::line(&stage.saw)) }
                        }
                    }
                }
            }
            @if !console.is_empty() { (super::screen::excerpt(&console)) }
        }
    }
}
