//! What went wrong: expected and got, whose fault and why, the console around it.

use maud::{Markup, html};
use shakedown_core::Outcome;

use super::evidence;
use crate::text;
use crate::verdict::blame_word;
use crate::view::{Finding, Word};

/// Characters of an expectation that are shown.
const VALUE: usize = 4_000;

/// All findings, worst first; `None` when nothing went wrong.
pub(super) fn all(findings: &[Finding<'_>]) -> Option<Markup> {
    if findings.is_empty() {
        return None;
    }
    Some(html! { @for finding in findings { (one(finding)) } })
}

fn one(finding: &Finding<'_>) -> Markup {
    let title = finding.case.map(|case| text::line(case.title)).filter(|title| !title.is_empty());
    html! {
        article class={ "finding w-" (finding.word.class()) } {
            h3 {
                (super::word(finding.word)) " "
                @match finding.case {
                    Some(case) => a href={ "#case-" (super::anchor(&case.id.0)) } { (finding.name) },
                    None => span { (finding.name) },
                }
                @if let Some((number, of)) = finding.attempt { small { " attempt " (number) " of " (of) } }
                @if let Some(took) = finding.took { small class="time" { (text::span(took)) } }
            }
            @if let Some(title) = title { p class="should" { "Should be: " (title) } }
            p class="headline" { (finding.headline) }
            @if !finding.expected.is_empty() || !finding.got.is_empty() {
                dl class="compare" {
                    @if !finding.expected.is_empty() {
                        div { dt { "Expected" } dd { pre { (text::cut(&finding.expected, VALUE)) } } }
                    }
                    @if !finding.got.is_empty() {
                        div class="got" {
                            dt { @if finding.word == Word::Undetermined { "Seen" } @else { "Got" } }
                            dd { pre { (text::cut(&finding.got, VALUE)) } }
                        }
                    }
                }
            }
            @if let Some(blame) = finding.blame {
                p class="because" {
                    "Blame: " b { (blame_word(blame)) }
                    @if let Some(because) = &finding.because { ", decided by the row " code { (because) } }
                }
            }
            @if let Some(hint) = &finding.hint { p class="hint" { b { "What you can do: " } (hint) } }
            @if !finding.console.is_empty() {
                h4 { "Console around it" }
                (super::screen::excerpt(&finding.console))
            }
            (told(finding))
        }
    }
}

/// The evidence of the attempt that failed.
fn told(finding: &Finding<'_>) -> Markup {
    let attempt = finding.case.and_then(crate::view::CaseView::telling);
    let evidence = attempt.map(|attempt| attempt.evidence.as_slice()).unwrap_or_default();
    let passed = attempt.is_some_and(|attempt| attempt.outcome == Some(Outcome::Pass));
    html! {
        @if !evidence.is_empty() && !passed {
            details open[evidence.len() <= 3] {
                summary { "Evidence: " (text::count(evidence.len(), "item")) }
                (evidence::list(evidence))
            }
        }
    }
}
