//! Steps, files, the run's facts and hashes, and what is wrong with the journal.

use maud::{Markup, html};
use shakedown_core::{Ledger, Mono, SeenBy};

use super::{evidence, file_link, word};
use crate::text;
use crate::verdict::blame_word;
use crate::view::{self, Word};

/// What is wrong with the journal, loudly; nothing when nothing is.
pub(super) fn problems(ledger: &Ledger) -> Markup {
    let problems: Vec<_> = ledger.problems.iter().map(view::problem).collect();
    let distrusted = problems.iter().any(|(trusted, _)| !trusted);
    html! {
        @if !problems.is_empty() {
            aside class={ "problems" @if distrusted { " distrusted" } } role="alert" {
                b { @if distrusted { "Do not trust this report" } @else { "The journal is not whole" } }
                ul { @for (_, says) in &problems { li { (says) } } }
            }
        }
    }
}

/// What was done to get there, each with how it is known.
pub(super) fn steps(ledger: &Ledger) -> Option<Markup> {
    if ledger.steps.is_empty() {
        return None;
    }
    Some(html! {
        table class="steps" {
            thead { tr { th scope="col" { "Step" } th scope="col" { "How it is known" } th scope="col" class="time" { "Time" } } }
            tbody {
                @for step in &ledger.steps {
                    tr {
                        th scope="row" { (text::line(&step.name)) }
                        td {
                            @match (&step.proof, &step.failed) {
                                (Some(proof), _) => (text::line(proof)),
                                (None, Some((outcome, blame, because))) => {
                                    (word(Word::of(Some(outcome)))) " " (text::line(&outcome.headline()))
                                    ", blame: " (blame_word(*blame)) " (" code { (text::line(because)) } ")"
                                }
                                (None, None) => (word(Word::CutOff)),
                            }
                        }
                        td class="time" { @match step.took { Some(took) => (text::span(took)), None => "–" } }
                    }
                }
            }
        }
    })
}

/// Facts, hashes, paces, switched outputs, trouble, the run's own evidence, the control run.
pub(super) fn details(ledger: &Ledger) -> Option<Markup> {
    let head = ledger.head.as_ref()?;
    Some(html! {
        div class="columns" {
            div {
                h3 { "Rig and host" }
                dl class="pairs" {
                    @for (name, value) in &head.facts { dt { (text::line(name)) } dd { (text::line(value)) } }
                }
                h3 { "Pace of the DUT" }
                @if ledger.paces.is_empty() {
                    p class="note" { "Deadlines of the DUT were as its descriptor says (× 1)." }
                } @else {
                    dl class="pairs" {
                        @for (at, factor, why) in &ledger.paces {
                            dt { (since_start(ledger, *at)) } dd { "deadlines × " (text::number(*factor)) ", " (text::line(why)) }
                        }
                    }
                }
            }
            div {
                h3 { "Versions and hashes" }
                dl class="pairs" {
                    dt { "shakedown" } dd { (text::line(&head.harness)) }
                    @for (name, hash) in &head.hashes { dt { (text::line(name)) } dd { code class="hash" { (hash) } } }
                    dt { "image file" } dd { code class="hash" { (head.image.sha256) } }
                    @for (role, path) in &head.image.companions {
                        dt { (text::line(role)) } dd { (text::line(&path.to_string_lossy())) }
                    }
                }
                @if !ledger.switched.is_empty() {
                    h3 { "Outputs that were switched" }
                    dl class="pairs" {
                        @for proof in &ledger.switched {
                            dt { (since_start(ledger, proof.at)) }
                            dd { (text::line(&proof.output)) " " (if proof.on { "on" } else { "off" }) ", " (seen(&proof.seen)) }
                        }
                    }
                }
            }
        }
        @if let Some(control) = &ledger.control {
            h3 { "Control run" }
            p { "A known-good image on the same slot: " (word(Word::of(Some(control)))) " " (text::line(&control.headline())) }
        }
        @if !ledger.trouble.is_empty() {
            h3 { "Trouble that ended nothing" }
            ul class="trouble" {
                @for fault in &ledger.trouble {
                    li { (text::line(&fault.to_string())) @if let Some(hint) = &fault.hint { small { " " (text::line(hint)) } } }
                }
            }
        }
        @if !ledger.evidence.is_empty() {
            h3 { "Evidence of the run itself" }
            (evidence::list(&ledger.evidence))
        }
    })
}

/// The files of the run's folder.
pub(super) fn files(ledger: &Ledger) -> Option<Markup> {
    if ledger.files.is_empty() {
        return None;
    }
    Some(html! {
        table class="files" {
            thead { tr { th scope="col" { "File" } th scope="col" { "What" } th scope="col" class="num" { "Size" } th scope="col" { "SHA-256" } } }
            tbody {
                @for file in &ledger.files {
                    tr {
                        th scope="row" { (file_link(&file.path)) }
                        td { (text::line(&file.role)) }
                        td class="num" { (text::size(file.size)) }
                        td { code class="hash" { (file.sha256) } }
                    }
                }
            }
        }
    })
}

fn since_start(ledger: &Ledger, at: Mono) -> String {
    format!("{:.1} s", ledger.into_run(at).as_secs_f64())
}

fn seen(seen: &SeenBy) -> String {
    match seen {
        SeenBy::ReadBack(level) => format!("read back {level}"),
        SeenBy::Silence(span) => format!("the console was silent for {}", text::span(*span)),
        SeenBy::Console(line) => format!("the console said: {}", text::line(line)),
        SeenBy::Operator(who) => format!("{} said so", text::line(who)),
        SeenBy::Nothing => "nothing confirms it".into(),
    }
}
