//! `gate.html`: one self-contained file.

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use shakedown_core::Sha;
use shakedown_core::names::many;

use super::{clock, ignored_told, line, told};
use crate::judge::{Answer, Ruling, percent};

const STYLE: &str = include_str!("style.css");

/// The whole document. Nothing is fetched, and a policy in it says so.
pub fn html(answer: &Answer) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha::of(STYLE.as_bytes()).0);
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let word = answer.ruling.text();
    let class = word.replace(' ', "-");
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (word) " · " (line(&answer.policy)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                p class="soft" { "shakedown gate · policy " (line(&answer.policy)) " · " (clock(answer.at)) }
                h1 class=(class) { (capital(word)) }
                (lead(answer))
                (list("Do not ship, because", answer.reasons.iter().map(|reason| markup! {
                    @if !reason.board.is_empty() { b { (line(&reason.board)) } ": " } (line(&reason.what))
                    @if !reason.runs.is_empty() { br; span class="soft" { "runs: " (reason.runs.join(", ")) } }
                    @if let Some(command) = &reason.command { pre { (line(command)) } }
                }).collect()))
                (list("Missing", answer.missing.iter().map(|missing| markup! {
                    (line(&missing.what))
                    @if let Some(command) = &missing.command { pre { (line(command)) } }
                }).collect()))
                (cells(answer))
                (limits(answer))
                (list("Tests by hand", answer.manual.iter().map(|(test, board, by, path)| markup! {
                    b { (line(test)) } " on " (line(board)) ", by " (line(by)) span class="soft" { " · " (path.display()) }
                }).collect()))
                (list("Exceptions", answer.exceptions.iter().map(|one| markup! { (line(&told(one))) }).collect()))
                (list("Ignored", answer.ignored.iter().map(|one| markup! {
                    @if one.doubt.is_tampering() { span class="bad" { "not to be believed " } }
                    (line(&ignored_told(one)))
                }).collect()))
                (runs(answer))
                dl {
                    dt { "image" } dd { code { (answer.image) } }
                    dt { "policy" } dd { code { (answer.policy_sha256) } " until " (answer.expires) }
                    dt { "suites" } dd { code { (answer.suites) } }
                    dt { "shakedown" } dd { (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    };
    page.into_string()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn lead(answer: &Answer) -> Markup {
    let os = if answer.os.is_empty() { answer.image.short() } else { line(&answer.os) };
    let what = match answer.ruling {
        Ruling::Ship => "everything that the policy asks for was shown".to_owned(),
        Ruling::DoNotShip => {
            many(answer.reasons.len() as u64, "thing speaks against it", "things speak against it")
        }
        Ruling::NotEnoughEvidence => {
            let missing = many(answer.missing.len() as u64, "thing is missing", "things are missing");
            format!("nothing speaks against it, and {missing}")
        }
    };
    markup! {
        p { b { (os) } ": " (what) ", from " (many(answer.used.len() as u64, "signed run", "signed runs")) "." }
        @if let Some(confidence) = answer.confidence() { p class="soft" { (capital(&line(&confidence))) "." } }
    }
}

fn list(title: &str, entries: Vec<Markup>) -> Markup {
    markup! {
        @if !entries.is_empty() {
            h2 { (title) }
            ul { @for entry in entries { li { (entry) } } }
        }
    }
}

fn cells(answer: &Answer) -> Markup {
    markup! {
        @if !answer.cells.is_empty() {
            h2 { "Boards × suites" }
            div class="scroll" { table {
                thead { tr {
                    th { "board" } th { "suite" } th class="num" { "cases" } th class="num" { "fewest passes" }
                    th class="num" { "asked for" } th class="num" { "seen with 95 % above" }
                } }
                tbody { @for cell in &answer.cells { tr {
                    td { (line(&cell.board)) } td { (line(&cell.name)) } td class="num" { (cell.cases) }
                    td class="num" {
                        span class=(if cell.passes >= u64::from(cell.wanted) { "good" } else { "thin" }) { (cell.passes) }
                    }
                    td class="num" { (cell.wanted) }
                    td class="num" { @if cell.passes > 0 { (percent(cell.seen_above)) } @else { "nothing" } }
                } } }
            } }
        }
    }
}

fn limits(answer: &Answer) -> Markup {
    markup! {
        @if !answer.limits.is_empty() {
            h2 { "Limits" }
            div class="scroll" { table {
                thead { tr { th { "measure" } th { "board" } th class="num" { "median" } th class="num" { "values" } th { "held to" } th {} } }
                tbody { @for limit in &answer.limits { tr {
                    td { (line(&limit.measure)) } td { (line(&limit.board)) }
                    td class="num" { (format!("{:.3} ", limit.median)) (line(&limit.unit)) } td class="num" { (limit.count) }
                    td { (line(&limit.held_to)) }
                    td { @if limit.holds { span class="good" { "holds" } } @else { span class="bad" { "broken" } } }
                } } }
            } }
        }
    }
}

fn runs(answer: &Answer) -> Markup {
    markup! {
        @if !answer.used.is_empty() {
            h2 { "Runs that count" }
            div class="scroll" { table {
                thead { tr { th { "run" } th { "board" } th { "signed by" } th { "end of the journal" } } }
                tbody { @for run in &answer.used { tr {
                    td { (line(&run.run)) } td { (line(&run.board)) } td { (line(&run.sealed_by)) }
                    td { code { (run.head.short()) } }
                } } }
            } }
        }
    }
}
