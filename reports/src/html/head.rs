//! The top of the page: the verdict, the counts, what was tested.

use maud::{Markup, html};
use shakedown_core::Ledger;

use super::bars;
use crate::text;
use crate::verdict::{Ruling, blame_word};
use crate::view::View;

/// The verdict in one line, its counts, and the run on one scale.
pub(super) fn verdict(view: &View<'_>) -> Markup {
    let (verdict, ledger) = (&view.verdict, view.ledger);
    let tone = match verdict.ruling {
        Ruling::Pass => "pass",
        Ruling::Fail | Ruling::Refused | Ruling::Untrusted => "fail",
        Ruling::Error => "error",
        Ruling::Infra => "infra",
        Ruling::Undetermined => "undetermined",
        Ruling::NoEvidence | Ruling::NothingRan | Ruling::Interrupted => "cut-off",
    };
    html! {
        header class={ "verdict t-" (tone) @if verdict.ruling == Ruling::Untrusted { " claimed" } } {
            p class="kicker" {
                "shakedown report"
                @if let Some(started) = ledger.started { " · " time datetime=(started) { (clock(started)) } }
                " · run " code { (text::line(&ledger.run)) }
            }
            h1 {
                span class="ruling" { (verdict.ruling.word()) }
                @if let Some(blame) = verdict.blame {
                    " " span class="blame" { "blame: " b { (blame_word(blame)) } }
                }
            }
            p class="sentence" { (verdict.sentence) }
            @if !view.cases.is_empty() {
                (bars::tally(view))
                ul class="counts" {
                    @for (word, many) in view.counts().into_iter().rev() {
                        li { span class={ "dot f-" (word.class()) } {} b { (many) } " " (word.counted()) @if verdict.ruling == Ruling::Untrusted { ", it claims" } }
                    }
                }
            }
        }
    }
}

/// The day and the time, UTC.
fn clock(at: jiff::Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default().replace('T', " ");
    format!("{seconds} UTC")
}

/// What was tested, where and with what.
pub(super) fn facts(ledger: &Ledger) -> Markup {
    let Some(head) = &ledger.head else {
        return html! { p class="note" { "The journal ends before it says what was to be tested." } };
    };
    let image = &head.image;
    let os = [&image.os, &image.version]
        .into_iter()
        .flatten()
        .map(|t| text::line(t))
        .collect::<Vec<_>>()
        .join(" ");
    let took = ledger.end.as_ref().map(|(_, _, took, waited)| (*took, *waited));
    html! {
        section class="facts" aria-label="What was tested" {
            dl {
                div { dt { "Board" } dd { (text::line(&head.board)) } }
                div { dt { "OS" } dd { @if os.is_empty() { "not read from the image" } @else { (os) } } }
                div { dt { "Profile" } dd { (text::line(&head.profile)) } }
                div { dt { "Slot" } dd { (text::line(&head.slot)) } }
                div { dt { "Selection" } dd { (text::line(&head.selection)) } }
                div { dt { "Took" } dd {
                    @match took {
                        Some((took, waited)) => {
                            (text::span(took))
                            br; small title="waiting for the DUT or the medium" { (text::span(waited)) " of it waiting for the DUT" }
                        }
                        None => { "cut off after " (text::span(ledger.into_run(ledger.last))) }
                    }
                } }
                div class="wide" { dt { "Image" } dd {
                    (text::line(&image.path.to_string_lossy())) small { ", " (text::size(image.size)) " decompressed, SHA-256" }
                    br; code class="hash" { (image.payload) }
                } }
                div class="wide" { dt { "Run it again" } dd { code { (text::line(&head.command)) } } }
            }
            figure class="run" {
                (bars::whole_run(ledger))
                figcaption { "The whole run: steps grey, boots blue, cases by outcome" }
            }
        }
    }
}
