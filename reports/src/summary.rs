//! Markdown for a CI's step summary: the verdict, the failures, the rest; at most 64 KiB.

use shakedown_core::Ledger;

use crate::text;
use crate::verdict::blame_word;
use crate::view::{self, Finding, View, Word};

/// The most bytes of a summary.
pub const LIMIT: usize = 64 << 10;

/// Bytes that one failure may take.
const FINDING_LIMIT: usize = 4 << 10;

/// Room kept for the closing note.
const NOTE: usize = 256;

/// The whole document.
pub fn summary(ledger: &Ledger) -> String {
    let view = View::of(ledger);
    let mut out = Limited { text: String::new(), left_out: 0 };
    out.add(&format!("# {}\n\n", escaped(&text::cut(&view.verdict.to_string(), 2000))));
    for problem in &ledger.problems {
        out.add(&format!("> **{}**\n", escaped(&view::problem(problem).1)));
    }
    out.add(&facts(ledger));
    let findings = view.findings();
    if !findings.is_empty() {
        out.add("\n## What went wrong\n");
    }
    for found in &findings {
        out.add(&finding(found));
    }
    out.add(&steps(ledger));
    out.add(&boots(ledger));
    if !view.cases.is_empty() {
        out.add("\n## Cases\n\n");
        let counts: Vec<_> =
            view.counts().into_iter().map(|(word, many)| format!("{many} {}", word.counted())).collect();
        out.add(&format!("{}\n\n| outcome | case | time |\n|---|---|--:|\n", counts.join(", ")));
    }
    for case in &view.cases {
        let why = match case.word {
            Word::Pass => String::new(),
            _ => format!(": {}", escaped(&text::cut(&case.headline(), 120))),
        };
        let time = if case.attempts.is_empty() { String::new() } else { text::span(case.took()) };
        let id = escaped(&text::line(&case.id.0));
        out.add(&format!("| {} | {id}{why} | {time} |\n", word(case.word)));
    }
    out.finish()
}

/// Adds whole pieces until the limit; counts those that did not fit.
struct Limited {
    text: String,
    left_out: usize,
}

impl Limited {
    fn add(&mut self, piece: &str) {
        if self.left_out > 0 || self.text.len() + piece.len() > LIMIT - NOTE {
            self.left_out += 1;
        } else {
            self.text.push_str(piece);
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let left = text::count(self.left_out, "part");
            self.text.push_str(&format!("\n_{left} left out here for size: see report.html._\n"));
        }
        self.text
    }
}

fn word(word: Word) -> String {
    if word == Word::Pass { "pass".into() } else { format!("**{}**", word.text()) }
}

fn facts(ledger: &Ledger) -> String {
    let Some(head) = &ledger.head else { return String::new() };
    let os =
        [&head.image.os, &head.image.version].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let rows = [
        ("board", head.board.clone()),
        ("slot", head.slot.clone()),
        ("OS", if os.is_empty() { "not read from the image".into() } else { os }),
        ("profile", head.profile.clone()),
        ("image", format!("{} · SHA-256 {}", text::size(head.image.size), head.image.payload)),
        ("selection", head.selection.clone()),
        ("again", head.command.clone()),
        ("run", format!("{} · shakedown {}", ledger.run, head.harness)),
    ];
    let mut out = String::from("\n| | |\n|---|---|\n");
    for (name, value) in rows {
        out += &format!("| {name} | {} |\n", escaped(&text::cut(&text::line(&value), 400)));
    }
    out
}

fn finding(finding: &Finding<'_>) -> String {
    let name = escaped(&text::cut(&finding.name, 200));
    let mut out = format!(
        "\n### {} · {name}\n\n{}\n",
        finding.word.text(),
        escaped(&text::cut(&finding.headline, 500))
    );
    if let Some(blame) = finding.blame {
        out += &format!("\n**blame: {}**", blame_word(blame));
        if let Some(because) = &finding.because {
            out += &format!(" — {}", escaped(&text::cut(because, 300)));
        }
        out.push('\n');
    }
    if let Some(hint) = &finding.hint {
        out += &format!("\n_{}_\n", escaped(&text::cut(hint, 300)));
    }
    for (name, value) in [("expected", &finding.expected), ("got", &finding.got)] {
        if !value.is_empty() {
            out += &format!("\n{name}:\n\n{}", fenced(&text::cut(value, 600)));
        }
    }
    if !finding.console.is_empty() {
        let console = text::cut(&finding.console.join("\n"), FINDING_LIMIT / 4);
        out += &format!("\nconsole:\n\n{}", fenced(&console));
    }
    out
}

fn steps(ledger: &Ledger) -> String {
    if ledger.steps.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n## Steps\n\n| step | how it is known | time |\n|---|---|--:|\n");
    for step in &ledger.steps {
        let known = match (&step.proof, &step.failed) {
            (Some(proof), _) => escaped(&text::cut(&text::line(proof), 200)),
            (None, Some((outcome, _, _))) => format!("**{}**", outcome.word()),
            (None, None) => "**cut off**".into(),
        };
        let took = step.took.map(text::span).unwrap_or_default();
        out += &format!("| {} | {known} | {took} |\n", escaped(&text::cut(&text::line(&step.name), 120)));
    }
    out
}

fn boots(ledger: &Ledger) -> String {
    if ledger.boots.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n## Boots\n\n| boot | stages | end |\n|---|---|---|\n");
    for boot in &ledger.boots {
        let stages: Vec<_> = boot
            .stages
            .iter()
            .map(|stage| format!("{} {}", text::line(&stage.name), text::span(stage.after)))
            .collect();
        let end = match &boot.end {
            Some(Ok(report)) => format!("up, pace {}", text::number(report.pace)),
            Some(Err(failure)) => format!("failed: {}", text::cut(&text::line(&failure.headline()), 200)),
            None => "cut off".into(),
        };
        out += &format!(
            "| {} | {} | {} |\n",
            escaped(&text::line(&boot.how)),
            escaped(&stages.join(" · ")),
            escaped(&end)
        );
    }
    out
}

/// Text that Markdown shows as it is, also in a table cell.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("&#124;"),
            // A backslash before a letter, or a mention or an issue number without one, would mean something.
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

/// A code block whose fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}
