//! Every case in one table, grouped by module, each with its evidence.

use std::collections::BTreeSet;

use maud::{Markup, html};
use shakedown_core::ledger::Attempt;
use shakedown_core::{Effect, Outcome};

use super::{evidence, word};
use crate::text;
use crate::verdict::blame_word;
use crate::view::{CaseView, View, Word};

/// The table; `None` when there is no case.
pub(super) fn all(view: &View<'_>) -> Option<Markup> {
    if view.cases.is_empty() {
        return None;
    }
    let mut modules: Vec<(&str, Vec<&CaseView<'_>>)> = Vec::new();
    for case in &view.cases {
        match modules.iter_mut().find(|(name, _)| *name == case.id.module()) {
            Some((_, cases)) => cases.push(case),
            None => modules.push((case.id.module(), vec![case])),
        }
    }
    Some(html! {
        form class="filter" hidden {
            label { "Find " input type="search" id="filter-text" autocomplete="off"; }
            label { input type="checkbox" id="filter-odd"; " only what is not a pass" }
            button type="button" id="open-all" { "Open all" }
            output id="filter-count" for="filter-text filter-odd" {}
        }
        table class="cases" {
            thead { tr { th scope="col" { "Outcome" } th scope="col" { "Case" } th scope="col" class="time" { "Time" } } }
            @for (name, cases) in &modules { (module(name, cases)) }
        }
    })
}

fn module(name: &str, cases: &[&CaseView<'_>]) -> Markup {
    let passed = cases.iter().filter(|case| case.word == Word::Pass).count();
    html! {
        tbody {
            tr class="module" {
                th scope="rowgroup" colspan="3" {
                    @if name.is_empty() { "no module" } @else { (text::line(name)) }
                    small { (passed) " of " (cases.len()) " passed" }
                }
            }
            @for case in cases { (row(case)) }
        }
    }
}

fn row(case: &CaseView<'_>) -> Markup {
    let id = text::line(&case.id.0);
    let title = text::line(case.title);
    let headline = if case.word == Word::Pass { String::new() } else { text::cut(&case.headline(), 300) };
    let told = case
        .attempts
        .iter()
        .any(|a| !a.evidence.is_empty() || !a.console.is_empty() || !a.measures.is_empty())
        || case.attempts.len() > 1;
    let name = html! {
        span class="title" { @if title.is_empty() { (id) } @else { (title) } }
        span class="id" { (id) }
        @if !headline.is_empty() { span class="why" { (headline) } }
    };
    html! {
        tr id={ "case-" (super::anchor(&case.id.0)) } class={ "case w-" (case.word.class()) } data-word=(case.word.class()) {
            td class="outcome" { (word(case.word)) }
            td class="what" {
                @if told {
                    details {
                        summary { (name) }
                        @if let Some(effect) = case.effect { p class="meta" { "Effect: " (effect_name(effect)) } }
                        (attempts(&case.attempts))
                    }
                } @else { (name) }
            }
            td class="time" { @if case.attempts.is_empty() || matches!(case.word, Word::Skip | Word::Blocked) { "–" } @else { (text::span(case.took())) } }
        }
    }
}

/// Attempts without a pass that are shown at most.
const ODD: usize = 20;

/// What did not pass, and the first and the last pass: a thousand alike would bury the page.
fn attempts(all: &[&Attempt]) -> Markup {
    let passed = |attempt: &Attempt| attempt.outcome == Some(Outcome::Pass);
    let first = all.iter().position(|one| passed(one));
    let last = all.iter().rposition(|one| passed(one));
    let odd: BTreeSet<usize> =
        all.iter().enumerate().filter(|(_, one)| !passed(one)).map(|(at, _)| at).take(ODD).collect();
    let shown: Vec<&Attempt> = all
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) == first || Some(*at) == last || odd.contains(at))
        .map(|(_, one)| *one)
        .collect();
    html! {
        @if shown.len() < all.len() {
            p class="note" {
                (shown.len()) " of " (all.len()) " attempts are shown: the first " (ODD)
                " that did not pass, the first pass and the last. The journal has all."
            }
        }
        @for one in shown { (attempt(one, all.len())) }
    }
}

fn attempt(attempt: &Attempt, of: usize) -> Markup {
    html! {
        @if of > 1 {
            p class="attempt" {
                (word(Word::of(attempt.outcome.as_ref()))) " attempt " (attempt.number) " of " (of) ", " (text::span(attempt.took))
            }
        }
        @if let Some(blame) = attempt.blame {
            p class="meta" {
                "Blame: " (blame_word(blame))
                @if let Some(because) = &attempt.because { ", decided by the row " code { (text::line(because)) } }
            }
        }
        @if !attempt.measures.is_empty() {
            p class="meta" {
                @for (index, measure) in attempt.measures.iter().enumerate() {
                    @if index > 0 { " · " }
                    (text::line(&measure.name)) " " (text::quantity(measure.value, &measure.unit))
                }
            }
        }
        @if !attempt.evidence.is_empty() { (evidence::list(&attempt.evidence)) }
        @if !attempt.console.is_empty() {
            (super::screen::excerpt(&attempt.console.iter().map(|line| text::line(line)).collect::<Vec<_>>()))
        }
    }
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::ReadOnly => "read-only",
        Effect::SharesReboot => "checked after a shared reboot",
        Effect::Dirties => "changes the running OS",
        Effect::Reboots => "reboots",
        Effect::Updates => "installs another version",
        Effect::CutsPower => "cuts the power",
        Effect::Reflashes => "leaves the medium in need of a new image",
    }
}
