//! `nightly.html`: one file, nothing is fetched, no script.

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shakedown_core::outcome::Word;
use shakedown_core::{ExitCode, Sha};

use super::standing::Verdict;
use super::summary::{CaseLine, Summary, field_text};

const STYLE: &str = include_str!("page.css");
/// Of one list; the rest is in the runs' own reports.
const MOST: usize = 200;

/// The page. `runs` is the way from it to the runs' folders: `..`.
pub fn page(summary: &Summary, runs: &str) -> String {
    let compared = summary.compared;
    let title = format!("{} · {}", summary.plan, summary.verdict());
    let class = match summary.exit {
        ExitCode::Ok => "pass",
        ExitCode::Failed => "fail",
        _ => "undetermined",
    };
    let new = summary.new_failures();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (summary.plan) }
                p.soft { (when(summary)) }
                div class={ "verdict " (class) } { (summary.verdict()) }
                @if summary.simulated { p { b { "Every slot was simulated: nothing was tested." } } }
                @match compared {
                    Some(at) => {
                        h2 { "New since the night of " (day(Some(at))) " (" (new.len()) ")" }
                        @if new.is_empty() { p.soft { "Nothing fails that did not fail before." } }
                        (list(&new, runs))
                        (titled("Fixed", &summary.fixed(), runs))
                        (titled("Still failing", &summary.still(), runs))
                    }
                    None => (titled("Failures (no night before to compare with)", &new, runs)),
                }
                h2 { "Boards and suites" }
                (matrix(summary, runs))
                (titled("Could not be told", &summary.that(|case| case.verdict == Verdict::Undetermined), runs))
                (titled("The rig broke", &summary.that(|case| case.verdict == Verdict::Infra), runs))
                @for (title, jobs) in [("Not done", &summary.not_run), ("Left open", &summary.left_open)] {
                    @if !jobs.is_empty() {
                        h2 { (title) " (" (jobs.len()) ")" }
                        ul.cases { @for (job, why) in jobs.iter().take(MOST) {
                            li { span.id { (job) } span.says.soft { (why) } }
                        } }
                    }
                }
                h2 { "Slots" }
                (slots(summary))
                h2 { "Details" }
                (details(summary))
            } }
        }
    };
    page.into_string()
}

fn policy() -> String {
    let Sha(hash) = Sha::of(STYLE.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn day(at: Option<jiff::Timestamp>) -> String {
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

fn when(summary: &Summary) -> String {
    let span = match (summary.began, summary.ended) {
        (Some(began), Some(ended)) => {
            let seconds = (ended - began).get_seconds();
            format!(", {} h {:02} min {:02} s", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        _ => String::new(),
    };
    let resumed = match summary.resumed {
        0 => String::new(),
        1 => ", resumed once".to_owned(),
        many => format!(", resumed {many} times"),
    };
    format!("{}{span}{resumed}", day(summary.began))
}

fn titled(title: &str, cases: &[&CaseLine], runs: &str) -> Markup {
    html! { @if !cases.is_empty() { h2 { (title) " (" (cases.len()) ")" } (list(cases, runs)) } }
}

fn list(cases: &[&CaseLine], runs: &str) -> Markup {
    html! {
        @if !cases.is_empty() { ul.cases {
            @for case in cases.iter().take(MOST) { li {
                span class={ "word " (class(case.verdict)) } { (case.verdict.text()) }
                a href={ (runs) "/" (case.standing.run) "/report.html" } { code { (case.case) } }
                " on " b { (case.board) } " with " (case.image)
                @if case.verdict == Verdict::Flaky { span.soft { " · " (rate(case)) } }
                @if !case.standing.says.is_empty() { span.says.soft { (case.standing.says) } }
            } }
            @if cases.len() > MOST { li.soft { "and " (cases.len() - MOST) " more" } }
        } }
    }
}

fn rate(case: &CaseLine) -> String {
    let fails = case.standing.failures();
    let passes = case.standing.count(Word::Pass);
    format!("{fails} of {} attempts failed", fails + passes)
}

fn class(verdict: Verdict) -> &'static str {
    if verdict == Verdict::NotRun { "notrun" } else { verdict.text() }
}

fn matrix(summary: &Summary, runs: &str) -> Markup {
    let columns = summary.columns();
    html! { div.wide { table.matrix {
        thead { tr { th { "board" } @for (image, suite) in &columns { th { (image) br; (suite) } } } }
        tbody { @for (board, row) in &summary.matrix { tr {
            th scope="row" { (board) }
            @for column in &columns {
                @match row.get(column) {
                    Some(field) => td class={ "field " (class(field.worst())) } data-column={ (column.0) " · " (column.1) } {
                        @if field.run.is_empty() { (field_text(field)) }
                        @else { a href={ (runs) "/" (field.run) "/report.html" } { (field_text(field)) } }
                        @if field.runs > 1 { br; span.soft { (field.runs) " runs" } }
                    },
                    None => td {},
                }
            }
        } } }
    } } }
}

fn slots(summary: &Summary) -> Markup {
    let (out, well): (Vec<_>, Vec<_>) = summary.slots.iter().partition(|slot| slot.4.is_some());
    html! {
        @if !out.is_empty() { ul.cases { @for (id, board, _, _, why) in &out { li {
            span.word.infra { "out" } b { (id) } " (" (board) ")"
            span.says.soft { (why.as_deref().unwrap_or_default()) }
        } } } }
        p.soft {
            (well.len()) " slot(s) in service"
            @let broke: u32 = summary.slots.iter().map(|slot| slot.3).sum();
            @if broke > 0 { ", " (broke) " run(s) whose rig broke" }
        }
    }
}

fn details(summary: &Summary) -> Markup {
    let own = summary.took.0.saturating_sub(summary.took.1);
    html! { dl {
        @for image in &summary.images { dt { (image.label) } dd { (image.file) " " span.id.soft { (image.payload) } } }
        @for (why, many) in &summary.runs { dt { "runs " (why.text()) } dd { (many) } }
        dt { "attempts at cases" } dd { (summary.attempts) }
        dt { "time on slots" } dd { (format!("{:.0} s, of that {:.1} s the harness's own", summary.took.0.as_secs_f64(), own.as_secs_f64())) }
    } }
}
