//! The console as a viewer, and screenshots.

use base64::Engine as _;
use maud::{Markup, html};
use shakedown_core::Ledger;

use crate::console::{Line, Recording};
use crate::extras::Extras;
use crate::text;

/// The recording; without one, a hint to the files that the journal names.
pub(super) fn console(recording: Option<&Recording>, ledger: &Ledger) -> Option<Markup> {
    let named: Vec<_> = ledger.files.iter().filter(|file| file.role.starts_with("console")).collect();
    let links = html! {
        @for (index, file) in named.iter().enumerate() { @if index > 0 { ", " } (super::file_link(&file.path)) }
    };
    let Some(recording) = recording else {
        return (!named.is_empty())
            .then(|| html! { p class="note" { "The recording is beside this report: " (links) "." } });
    };
    let lines = recording.head.len() + recording.left_out + recording.tail.len();
    Some(html! {
        p class="note" {
            (text::count(lines, "line")) " from " code { (recording.path) }
            ", escape codes taken out; seconds on the recording's clock. Whole: " (links) "."
            @if recording.unreadable > 0 { " " (text::count(recording.unreadable, "line")) " of the recording cannot be read." }
        }
        div class="player" hidden {
            button type="button" id="play" { "Play" }
            label { "Speed " select id="speed" { option value="1" { "1×" } option value="4" selected { "4×" } option value="16" { "16×" } } }
            input type="range" id="seek" min="0" max="1000" value="1000" aria-label="Position in the recording";
            output id="at" for="seek" {}
        }
        div class="screen viewer" tabindex="0" role="log" aria-label="Console" {
            @for line in &recording.head { (show(line)) }
            @if recording.left_out > 0 {
                p class="gap" { (text::count(recording.left_out, "line")) " left out here; the files have them" }
            }
            @for line in &recording.tail { (show(line)) }
        }
    })
}

/// Words that catch the eye of whoever looks for a cause. They colour a line and decide nothing.
const LOUD: [&str; 8] = ["panic", "fatal", "oops", "bug:", "error", "fail", "cannot", "unable"];

/// Console lines around something.
pub(super) fn excerpt(lines: &[String]) -> Markup {
    html! {
        pre class="screen" {
            @for line in lines {
                @let lower = line.to_lowercase();
                @if LOUD.iter().any(|word| lower.contains(word)) { em { (line) } } @else { (line) }
                "\n"
            }
        }
    }
}

fn show(line: &Line) -> Markup {
    html! {
        p class=[line.mark.then_some("mark")] data-t=[line.at.map(|at| format!("{at:.3}"))] {
            @if let Some(at) = line.at { span class="t" { (format!("{at:.3}")) } }
            span class="l" { (line.text) }
        }
    }
}

/// Screenshots, embedded.
pub(super) fn images(extras: &Extras) -> Option<Markup> {
    if extras.images.is_empty() {
        return None;
    }
    Some(html! {
        div class="shots" {
            @for image in &extras.images {
                figure {
                    @if image.bytes.len() <= Extras::IMAGE_LIMIT && image.bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
                        img alt={ "Screenshot " (text::line(&image.path)) }
                            src={ "data:image/png;base64," (base64::engine::general_purpose::STANDARD.encode(&image.bytes)) };
                    }
                    figcaption { (super::file_link(&image.path)) }
                }
            }
        }
    })
}
