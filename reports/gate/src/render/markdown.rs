//! Markdown for a CI's step summary, and GitHub's annotations.

use shakedown_core::names::many;

use super::{clock, ignored_told, line, sentence, told};
use crate::judge::{Answer, percent};

/// At most so many entries of a list, so that the summary stays within GitHub's limit of 1 MiB.
const MOST: usize = 200;

/// `summary.md`.
pub fn summary(answer: &Answer) -> String {
    let mut out = format!("# {}\n\n", escaped(&sentence(answer)));
    let mut add = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    let list = |title: &str, entries: Vec<String>, add: &mut dyn FnMut(&str)| {
        if !entries.is_empty() {
            add(&format!("## {title}\n"));
            let more = entries.len().saturating_sub(MOST);
            entries.iter().take(MOST).for_each(|entry| add(&format!("- {entry}")));
            if more > 0 {
                add(&format!("- and {more} more"));
            }
            add("");
        }
    };
    let code = |command: &str| format!("<br><code>{}</code>", escaped(command));
    let reasons = answer.reasons.iter().map(|reason| {
        let board =
            if reason.board.is_empty() { String::new() } else { format!("**{}**: ", escaped(&reason.board)) };
        let runs = if reason.runs.is_empty() {
            String::new()
        } else {
            format!("<br>runs: {}", escaped(&reason.runs.join(", ")))
        };
        let again = reason.command.as_deref().map(code).unwrap_or_default();
        format!("{board}{}{runs}{again}", escaped(&reason.what))
    });
    list("Do not ship, because", reasons.collect(), &mut add);
    let missing = answer.missing.iter();
    let missing = missing
        .map(|missing| escaped(&missing.what) + &missing.command.as_deref().map(code).unwrap_or_default());
    list("Missing", missing.collect(), &mut add);
    if !answer.cells.is_empty() {
        add(
            "## Evidence\n\n| board | suite | cases | fewest passes | asked for | a failure rate above this would have been seen (95 %) |\n|---|---|--:|--:|--:|--:|",
        );
    }
    for cell in &answer.cells {
        add(&format!(
            "| {} | {} | {} | {} | {} | {} |",
            escaped(&cell.board),
            escaped(&cell.name),
            cell.cases,
            cell.passes,
            cell.wanted,
            if cell.passes > 0 { percent(cell.seen_above) } else { "nothing".to_owned() }
        ));
    }
    add("");
    let limits = answer.limits.iter().map(|limit| {
        let holds = if limit.holds { "holds" } else { "**broken**" };
        format!(
            "{} on {}: {holds}: {}",
            escaped(&limit.measure),
            escaped(&limit.board),
            escaped(&limit.held_to)
        )
    });
    list("Limits", limits.collect(), &mut add);
    list("Exceptions", answer.exceptions.iter().map(|one| escaped(&told(one))).collect(), &mut add);
    list("Ignored", answer.ignored.iter().map(|one| escaped(&ignored_told(one))).collect(), &mut add);
    add(&format!(
        "Image `{}`, policy `{}`, suites `{}`, {}, {}",
        answer.image,
        answer.policy_sha256.short(),
        answer.suites.short(),
        many(answer.used.len() as u64, "run", "runs"),
        clock(answer.at)
    ));
    out
}

/// Lines that GitHub shows beside a workflow run.
pub fn annotations(answer: &Answer) -> Vec<String> {
    // The runner reads `%`, line breaks and, in properties, `:` and `,` as its own.
    let data = |text: &str| line(text).replace('%', "%25");
    let mut all: Vec<String> = answer
        .reasons
        .iter()
        .map(|reason| {
            format!("::error title=do not ship::{}", data(&format!("{} {}", reason.board, reason.what)))
        })
        .collect();
    all.extend(
        answer
            .missing
            .iter()
            .map(|missing| format!("::error title=missing evidence::{}", data(&missing.what))),
    );
    all.extend(
        answer
            .ignored
            .iter()
            .map(|one| format!("::warning title=evidence ignored::{}", data(&ignored_told(one)))),
    );
    all.extend(answer.exceptions.iter().map(|one| format!("::notice title=exception::{}", data(&told(one)))));
    all
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("&#124;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
