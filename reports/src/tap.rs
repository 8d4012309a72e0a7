//! TAP: one test point a step and a case, with YAML diagnostics.
//!
//! The document is TAP 14 in all but its first line, which says 13: perl's Test::Harness, the
//! most common consumer, refuses a document that says 14 (Debian 12), and TAP 14 is a superset.
//!
//! Blocked, interrupted and never begun cases are `not ok`; only a skip that was
//! decided beforehand is `# SKIP`. A journal without an end closes with `Bail out!`.

use std::fmt::Write as _;

use shakedown_core::Ledger;

use crate::text;
use crate::verdict::blame_word;
use crate::view::{CaseView, Finding, View, Word};

/// The whole document.
pub fn tap(ledger: &Ledger) -> String {
    let view = View::of(ledger);
    let findings = view.findings();
    let mut points = Vec::new();
    for step in &ledger.steps {
        let found = findings.iter().find(|f| f.case.is_none() && f.began == step.began);
        let ok = step.proof.is_some();
        let name = format!("step: {}", text::line(&step.name));
        let mut body = vec![("message", step.proof.as_deref().map(text::line).unwrap_or_default())];
        if !ok {
            body = found.map(diagnosis).unwrap_or_default();
        }
        if let Some(took) = step.took {
            body.push(("duration_ms", took.as_millis().to_string()));
        }
        points.push(Point { ok, name, directive: None, body });
    }
    for case in &view.cases {
        points.push(of_case(case, findings.iter().find(|f| f.case.is_some_and(|c| c.id == case.id))));
    }
    // The run as a whole, so that what no step or case shows still fails somewhere.
    let by_itself = view.fails_by_itself(&findings);
    if by_itself || !ledger.problems.is_empty() {
        let mut body = vec![("message", view.verdict.to_string())];
        body.extend(ledger.problems.iter().map(|problem| ("journal", crate::view::problem(problem).1)));
        points.push(Point { ok: !by_itself, name: "run".into(), directive: None, body });
    }
    let mut out = format!("TAP version 13\n1..{}\n# {}\n", points.len(), view.verdict);
    for (index, point) in points.iter().enumerate() {
        point.write(index + 1, &mut out);
    }
    if ledger.end.is_none() {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "Bail out! {}", escaped(&view.verdict.to_string()));
    }
    out
}

struct Point {
    ok: bool,
    name: String,
    directive: Option<String>,
    body: Vec<(&'static str, String)>,
}

impl Point {
    fn write(&self, number: usize, out: &mut String) {
        let ok = if self.ok { "ok" } else { "not ok" };
        let _ = write!(out, "{ok} {number} - {}", escaped(&self.name));
        if let Some(directive) = &self.directive {
            let _ = write!(out, " # SKIP {}", escaped(directive));
        }
        out.push('\n');
        let body: Vec<_> = self.body.iter().filter(|(_, value)| !value.is_empty()).collect();
        if body.is_empty() {
            return;
        }
        out.push_str("  ---\n");
        let mut keys = std::collections::BTreeMap::<&str, u32>::new();
        for (key, value) in body {
            // A YAML mapping has each key once.
            let seen = keys.entry(key).or_default();
            *seen += 1;
            let key = if *seen == 1 { (*key).to_owned() } else { format!("{key}-{seen}") };
            let _ = writeln!(out, "  {key}: {}", quoted(value));
        }
        out.push_str("  ...\n");
    }
}

fn of_case(case: &CaseView<'_>, finding: Option<&Finding<'_>>) -> Point {
    let mut body = Vec::new();
    if !case.title.is_empty() {
        body.push(("title", text::line(case.title)));
    }
    match finding {
        Some(finding) => body.extend(diagnosis(finding)),
        None if matches!(case.word, Word::Blocked | Word::NotRun) => {
            body.push(("outcome", case.word.text().into()));
            body.push(("message", case.headline()));
        }
        None => {}
    }
    if !case.attempts.is_empty() {
        body.push(("duration_ms", case.took().as_millis().to_string()));
    }
    Point {
        ok: matches!(case.word, Word::Pass | Word::Skip),
        name: text::line(&case.id.0),
        directive: (case.word == Word::Skip).then(|| case.headline()),
        body,
    }
}

fn diagnosis(finding: &Finding<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("outcome", finding.word.text().into()),
        ("message", finding.headline.clone()),
        ("blame", finding.blame.map(|blame| blame_word(blame).to_owned()).unwrap_or_default()),
        ("because", finding.because.clone().unwrap_or_default()),
        ("expected", finding.expected.clone()),
        ("got", finding.got.clone()),
        ("console", finding.console.join("\n")),
    ]
}

/// A description: a `#` would begin a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

/// A double-quoted YAML scalar; JSON's strings are a subset of them.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
