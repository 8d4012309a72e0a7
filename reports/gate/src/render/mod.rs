//! The answer for people and for CI.

mod html;
mod markdown;

pub use html::html;
pub use markdown::{annotations, summary};

use shakedown_core::names::many;

use crate::evidence::Ignored;
use crate::judge::{Answer, Exception, Ruling, percent};

/// `gate.json`.
pub fn json(answer: &Answer) -> String {
    // Our own types have text keys only.
    serde_json::to_string_pretty(answer).unwrap_or_default() + "\n"
}

/// The answer in one line.
pub fn sentence(answer: &Answer) -> String {
    let image = answer.image.short();
    let about = if answer.os.is_empty() { image } else { format!("{} ({image})", line(&answer.os)) };
    let more = |all: usize| if all > 1 { format!(" (and {} more)", all - 1) } else { String::new() };
    let because = match answer.ruling {
        Ruling::Ship => answer.confidence().unwrap_or_default(),
        Ruling::DoNotShip => format!(
            "because {}{}",
            answer.reasons.first().map(|reason| line(&reason.what)).unwrap_or_default(),
            more(answer.reasons.len())
        ),
        Ruling::NotEnoughEvidence => format!(
            "missing {}{}",
            answer.missing.first().map(|missing| line(&missing.what)).unwrap_or_default(),
            more(answer.missing.len())
        ),
    };
    let word = match answer.ruling {
        Ruling::Ship => "SHIP",
        Ruling::DoNotShip => "DO NOT SHIP",
        Ruling::NotEnoughEvidence => "NOT ENOUGH EVIDENCE",
    };
    format!("{word} {about} by the policy {}: {because}", line(&answer.policy))
}

/// The whole answer as plain lines.
pub fn text(answer: &Answer) -> String {
    let mut out = format!("{}\n", sentence(answer));
    let mut add = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    if !answer.reasons.is_empty() {
        add("\nDo not ship, because".into());
    }
    for reason in &answer.reasons {
        add(format!("  {}{}", on(&reason.board), line(&reason.what)));
        if !reason.runs.is_empty() {
            add(format!("     runs  {}", reason.runs.join(", ")));
        }
        if let Some(command) = &reason.command {
            add(format!("     again {}", line(command)));
        }
    }
    if !answer.missing.is_empty() {
        add("\nMissing".into());
    }
    for missing in &answer.missing {
        add(format!("  {}", line(&missing.what)));
        if let Some(command) = &missing.command {
            add(format!("     {}", line(command)));
        }
    }
    if !answer.cells.is_empty() {
        add("\nEvidence".into());
    }
    for cell in &answer.cells {
        let seen = match cell.passes {
            0 => "which shows nothing".to_owned(),
            _ => format!("a failure rate above {} would have been seen (95 %)", percent(cell.seen_above)),
        };
        add(format!(
            "  {:<24} {:<16} {:>3} {}, fewest passes {} of {}, {seen}",
            line(&cell.board),
            line(&cell.name),
            cell.cases,
            if cell.cases == 1 { "case" } else { "cases" },
            cell.passes,
            cell.wanted,
        ));
    }
    for limit in &answer.limits {
        let holds = if limit.holds { "holds" } else { "BROKEN" };
        add(format!(
            "  {:<24} {:<16} {holds}: {}",
            line(&limit.board),
            line(&limit.name),
            line(&limit.held_to)
        ));
    }
    for (test, board, by, _) in &answer.manual {
        add(format!("  {:<24} {:<16} by hand, by {}", line(board), line(test), line(by)));
    }
    if !answer.exceptions.is_empty() {
        add("\nExceptions".into());
    }
    for exception in &answer.exceptions {
        add(format!("  {}", line(&told(exception))));
    }
    if !answer.ignored.is_empty() {
        add("\nIgnored".into());
    }
    for ignored in &answer.ignored {
        add(format!("  {}", line(&ignored_told(ignored))));
    }
    out
}

/// An exception in a sentence.
pub(crate) fn told(exception: &Exception) -> String {
    match exception {
        Exception::Quarantined { entry, failed, of } => format!(
            "quarantined until {}: {} ({}, {}; {}); it failed in {failed} of {}",
            entry.until,
            entry.case,
            entry.owner,
            entry.issue,
            entry.reason,
            many(*of, "attempt", "attempts")
        ),
        Exception::Waived(waiver) => {
            format!("waived by {} until {}: {} ({})", waiver.by, waiver.until, target(waiver), waiver.reason)
        }
        Exception::WaiverExpired(waiver) => {
            format!("the waiver {} expired on {} and waives nothing", waiver.name, waiver.until)
        }
        Exception::Simulated { runs } => {
            let runs = many(*runs as u64, "run is", "runs are");
            format!("{runs} SIMULATED: this answer says nothing about an image")
        }
        Exception::Skipped { case, board } => format!("skipped on {board}, as the policy allows: {case}"),
    }
}

fn target(waiver: &crate::policy::Waiver) -> String {
    let parts = [("case", &waiver.case), ("limit", &waiver.limit), ("manual test", &waiver.manual)];
    let found = parts.into_iter().find_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
    format!("{}: {}", waiver.name, found.unwrap_or_default())
}

/// What does not count, in a sentence.
pub(crate) fn ignored_told(ignored: &Ignored) -> String {
    let run = if ignored.run.is_empty() { ignored.path.display().to_string() } else { ignored.run.clone() };
    format!("{run}: {}", ignored.doubt.told())
}

/// A time without what nobody reads.
fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn on(board: &str) -> String {
    if board.is_empty() { String::new() } else { format!("{}: ", line(board)) }
}

/// Text from journals and policies on one line, without control characters and marks that turn the
/// writing direction.
pub(crate) fn line(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}
