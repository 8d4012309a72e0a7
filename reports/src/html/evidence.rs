//! Evidence of a case: commands with their output, notes, files.

use maud::{Markup, html};
use shakedown_core::Evidence;

use crate::text;

/// Characters of one output that are shown; the journal has what was kept.
const OUTPUT: usize = 8_000;

/// All of it, in order.
pub(super) fn list(evidence: &[Evidence]) -> Markup {
    html! {
        ol class="evidence" {
            @for one in evidence { li { (show(one)) } }
        }
    }
}

fn show(evidence: &Evidence) -> Markup {
    match evidence {
        Evidence::Command { line, by, ended, out, err, took } => html! {
            div class="cmd" {
                code { "$ " (text::block(line)) }
                span class="meta" { (text::line(by)) " · " (text::line(ended)) " · " (text::span(*took)) }
            }
            @if !out.is_empty() { pre { (output(out)) } }
            @if !err.is_empty() { pre class="err" { (output(err)) } }
            @if out.is_empty() && err.is_empty() { p class="none" { "no output" } }
        },
        Evidence::Note(note) => html! { p class="said" { (text::block(note)) } },
        Evidence::HostKey { was, now, word } => {
            html! { p class="said" { (text::host_key(was, now, *word)) } }
        }
        Evidence::File { path, role } => html! { p { (text::line(role)) ": " (super::file_link(path)) } },
    }
}

fn output(raw: &str) -> String {
    text::cut(text::block(raw).trim_end_matches('\n'), OUTPUT)
}
