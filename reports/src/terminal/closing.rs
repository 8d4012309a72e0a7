//! What stands at the end of a run: counts, failures with their console, the verdict in one line.

use std::io::{self, Write};

use super::paint::{Ink, Paint};
use super::{ink, timed};
use crate::text;
use crate::verdict::{Ruling, blame_word};
use crate::view::{self, Finding, View, Word};

/// Console lines shown with a failure; the report has all.
const CONSOLE_LINES: usize = 20;

/// Lines of `expected` and `got`.
const VALUE_LINES: usize = 12;

pub(super) fn write(out: &mut dyn Write, paint: Paint, width: usize, view: &View<'_>) -> io::Result<()> {
    writeln!(out, "{}", "─".repeat(width.min(80)))?;
    let findings = view.findings();
    for finding in &findings {
        failure(out, paint, finding)?;
    }
    if !findings.is_empty() {
        writeln!(out, "{}", "─".repeat(width.min(80)))?;
    }
    for problem in &view.ledger.problems {
        let (_, says) = view::problem(problem);
        writeln!(out, "{} {says}", paint.on(Ink::Bad, "     Journal"))?;
    }
    let took = view.ledger.end.as_ref().map_or(view.ledger.into_run(view.ledger.last), |end| end.2);
    let counts: Vec<String> = view
        .counts()
        .into_iter()
        .rev()
        .map(|(word, many)| {
            format!("{} {}", paint.on(Ink::Heading, &many.to_string()), paint.on(ink(word), word.counted()))
        })
        .collect();
    let total = text::count(view.cases.len(), "case");
    writeln!(
        out,
        "{} {} {total}: {}",
        paint.on(Ink::Heading, "     Summary"),
        timed(took),
        counts.join(", ")
    )?;
    let verdict_ink = match view.verdict.ruling {
        Ruling::Pass => Ink::Good,
        Ruling::Fail | Ruling::Error | Ruling::Refused | Ruling::Untrusted => Ink::Bad,
        _ => Ink::Warning,
    };
    writeln!(out, "{}", paint.on(verdict_ink, &view.verdict.to_string()))
}

fn failure(out: &mut dyn Write, paint: Paint, finding: &Finding<'_>) -> io::Result<()> {
    let word = format!("{:>12}", finding.word.text().to_uppercase());
    let took = finding.took.map_or_else(|| super::untimed().to_owned(), timed);
    let attempt = match finding.attempt {
        Some((number, of)) if finding.word != Word::Flaky => format!(" (attempt {number} of {of})"),
        _ => String::new(),
    };
    writeln!(out, "{} {took} {}{attempt}", paint.on(ink(finding.word), &word), finding.name)?;
    line(out, "", &finding.headline)?;
    value(out, "expected", &finding.expected)?;
    value(out, "got", &finding.got)?;
    if let Some(blame) = finding.blame {
        let because = finding.because.as_deref().map(|row| format!(", because {row}")).unwrap_or_default();
        line(out, "blame", &format!("{}{because}", blame_word(blame)))?;
    }
    if let Some(hint) = &finding.hint {
        line(out, "hint", hint)?;
    }
    let shown = finding.console.len().min(CONSOLE_LINES);
    let left_out = finding.console.len() - shown;
    if left_out > 0 {
        line(
            out,
            "console",
            &paint.on(Ink::Faint, &format!("… {} before, see the report", text::count(left_out, "line"))),
        )?;
    }
    for (index, said) in finding.console[left_out..].iter().enumerate() {
        let label = if index == 0 && left_out == 0 { "console" } else { "" };
        line(out, label, &format!("{} {said}", paint.on(Ink::Faint, "│")))?;
    }
    writeln!(out)
}

fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{label:>12} {text}")
}

fn value(out: &mut dyn Write, label: &str, value: &str) -> io::Result<()> {
    let mut lines = value.lines();
    for (index, part) in lines.by_ref().take(VALUE_LINES).enumerate() {
        line(out, if index == 0 { label } else { "" }, part)?;
    }
    match lines.count() {
        0 => Ok(()),
        more => line(out, "", &format!("… {}", text::count(more, "more line"))),
    }
}
