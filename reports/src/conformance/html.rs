//! `conformance.html`: the ladder on one self-contained page, whole without JavaScript.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::{Conformance, RungResult, SIMULATED, Standing, Subject};
use crate::html::{STYLE, style_policy};
use crate::text;

/// The page.
pub fn html(conformance: &Conformance) -> String {
    let of = |wanted| conformance.rungs.iter().filter(|rung| rung.standing == wanted).count();
    let (passed, failed, open) = (of(Standing::Pass), of(Standing::Fail), of(Standing::NotTried));
    let board = conformance.subject.as_ref().map_or("a board", |subject| subject.board.as_str());
    let tone = if failed > 0 {
        "fail"
    } else if open > 0 {
        "cut-off"
    } else {
        "pass"
    };
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(style_policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Conformance of " (board) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class={ "verdict t-" (tone) } {
                        p class="kicker" { "shakedown conformance report" }
                        h1 { span class="ruling" { (board) } }
                        p class="sentence" {
                            (passed) " of " (text::count(conformance.rungs.len(), "rung")) " passed, "
                            (failed) " failed, " (open) " not tried."
                        }
                    }
                    @if conformance.is_simulated() { p class="sentence" { strong { (SIMULATED) } } }
                    @if let Some(subject) = &conformance.subject { (facts(subject)) }
                    @for rung in &conformance.rungs { (one(rung)) }
                    @if !conformance.patch.is_empty() {
                        h2 { "For the descriptor" }
                        pre { @for line in &conformance.patch { (line) "\n" } }
                    }
                    @let missing = conformance.missing();
                    @if !missing.is_empty() {
                        h2 { "To claim support" }
                        ul { @for line in &missing { li { (line) } } }
                    }
                }
                footer { "Made from journals by shakedown " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    };
    page.into_string()
}

fn facts(subject: &Subject) -> Markup {
    markup! {
        div class="facts" {
            dl {
                div class="wide" { dt { "Slot" } dd { (text::line(&subject.slot)) } }
                div class="wide" { dt { "OS" } dd { (subject.os) " (profile " (text::line(&subject.profile)) ")" } }
                div class="wide" { dt { "Image" } dd { code { (subject.image.short()) } } }
                @for (name, hash) in &subject.hashes {
                    div { dt { (text::line(name)) } dd { code { (hash.short()) } } }
                }
            }
        }
    }
}

fn one(rung: &RungResult) -> Markup {
    let class = class(rung.standing);
    markup! {
        section id=(rung.name) {
            h2 { span class={ "word w-" (class) } { (rung.standing.word()) } " " (rung.name) }
            p class="note" { (rung.title) (rung.in_part()) }
            table {
                tbody {
                    @for part in &rung.parts {
                        tr {
                            th scope="row" class="id" { (part.name) }
                            td { span class={ "word w-" (self::class(part.standing)) } { (part.standing.word()) } }
                            td { (part.says) }
                        }
                    }
                    @for figure in &rung.figures {
                        tr { th scope="row" { (figure.name) } td {} td { (figure.text()) } }
                    }
                }
            }
            p class="meta" { "Shown by run " code { (rung.run) } }
        }
    }
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Pass => "pass",
        Standing::Fail => "fail",
        Standing::NotTried => "skip",
    }
}
