//! JUnit XML: a suite for the run's steps and one for each module of cases.
//!
//! The OS's failures are `<failure>`; infra, undetermined, broken, interrupted and
//! never begun cases are `<error>` with their outcome as type; skips and blocked cases are
//! `<skipped>` (the step that blocked them is a failure or error of its own). A flaky
//! case is a `<failure type="flaky">`: it never counts as a pass.
//!
//! The common (Jenkins) schema allows properties on a suite and not on a case: what is known
//! of a case stands as `<case>.blame`, `<case>.measure.<name>` … on its suite.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use shakedown_core::Evidence;
use shakedown_core::Ledger;
use shakedown_core::event::Measure;
use shakedown_core::ledger::Step;

use crate::text;
use crate::verdict::blame_word;
use crate::view::{self, CaseView, Finding, View, Word};

/// The whole document.
pub fn junit(ledger: &Ledger) -> String {
    let view = View::of(ledger);
    let findings = view.findings();
    let mut report = Report::new("shakedown");
    if let Some((_, _, took, _)) = ledger.end {
        report.set_time(took);
    }
    let mut run = run_suite(&view, &findings);
    // The common schema has no properties on the root: the run's suite carries them.
    for (name, value) in properties(&view) {
        run.add_property((name, value));
    }
    report.add_test_suite(run);
    let mut modules: Vec<(String, TestSuite)> = Vec::new();
    for case in &view.cases {
        let module = text::line(case.id.module());
        let found = findings.iter().find(|f| f.case.is_some_and(|c| c.id == case.id));
        let test = of_case(case, &module, found);
        let known = known_of(case, found);
        if let Some((_, suite)) = modules.iter_mut().find(|(name, _)| *name == module) {
            suite.add_test_case(test).add_properties(known);
        } else {
            let mut suite = TestSuite::new(module.as_str());
            suite.add_test_case(test).add_properties(known);
            modules.push((module, suite));
        }
    }
    for (name, mut suite) in modules {
        let cases = view.cases.iter().filter(|case| text::line(case.id.module()) == name);
        suite.set_time(cases.map(CaseView::took).sum());
        report.add_test_suite(suite);
    }
    // Only an invalid duration could fail, and ours are not negative.
    let text = report.to_string().unwrap_or_default();
    without_skipped(&text)
}

/// The common schema knows `skipped` on a suite and not on the root. The root's own
/// attributes are numbers and a name of ours, so the first match is the right one.
fn without_skipped(text: &str) -> String {
    let root = text.find("<testsuites").unwrap_or_default();
    let end = text[root..].find('>').map_or(text.len(), |end| root + end);
    let attribute = text[root..end].find(" skipped=\"").map(|at| root + at);
    let Some(from) = attribute else { return text.to_owned() };
    let to = text[from + 10..].find('"').map_or(end, |quote| from + 10 + quote + 1);
    format!("{}{}", &text[..from], &text[to..])
}

fn run_suite(view: &View<'_>, findings: &[Finding<'_>]) -> TestSuite {
    let mut suite = TestSuite::new("shakedown::run");
    for step in &view.ledger.steps {
        suite.add_test_case(of_step(step, findings));
        if let Some(found) = findings.iter().find(|f| f.case.is_none() && f.began == step.began) {
            suite.add_properties(blamed(&text::line(&step.name), found));
        }
    }
    let mut status = TestCaseStatus::success();
    if view.fails_by_itself(findings) {
        status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(view.verdict.ruling.word().to_lowercase());
        status.set_message(view.verdict.to_string());
    }
    let mut run = TestCase::new("run", status);
    run.set_classname("shakedown::run");
    let problems: Vec<_> = view.ledger.problems.iter().map(|problem| view::problem(problem).1).collect();
    if !problems.is_empty() {
        run.set_system_err(problems.join("\n"));
    }
    suite.add_test_case(run);
    suite.set_time(view.ledger.steps.iter().filter_map(|step| step.took).sum());
    suite
}

fn properties(view: &View<'_>) -> Vec<(String, String)> {
    let mut all = vec![
        ("verdict".to_owned(), view.verdict.to_string()),
        ("run".to_owned(), text::line(&view.ledger.run)),
    ];
    if let Some(blame) = view.verdict.blame {
        all.push(("blame".into(), blame_word(blame).into()));
    }
    if let Some(started) = view.ledger.started {
        all.push(("started".into(), started.to_string()));
    }
    if let Some(head) = &view.ledger.head {
        all.push(("board".into(), text::line(&head.board)));
        all.push(("slot".into(), text::line(&head.slot)));
        all.push(("profile".into(), text::line(&head.profile)));
        all.push(("image.payload".into(), head.image.payload.to_string()));
        all.push(("selection".into(), text::line(&head.selection)));
        all.push(("command".into(), text::line(&head.command)));
        all.push(("harness".into(), text::line(&head.harness)));
        all.extend(head.hashes.iter().map(|(n, v)| (format!("hash.{}", text::line(n)), v.to_string())));
        all.extend(head.facts.iter().map(|(n, v)| (format!("fact.{}", text::line(n)), text::line(v))));
    }
    all.extend(view.ledger.measures.iter().map(measured));
    all
}

fn measured(measure: &Measure) -> (String, String) {
    (format!("measure.{}", text::line(&measure.name)), text::quantity(measure.value, &measure.unit))
}

fn of_step(step: &Step, findings: &[Finding<'_>]) -> TestCase {
    let found = findings.iter().find(|f| f.case.is_none() && f.began == step.began);
    let mut test = TestCase::new(text::line(&step.name), found.map_or_else(TestCaseStatus::success, status));
    test.set_classname("shakedown::run");
    if let Some(took) = step.took {
        test.set_time(took);
    }
    if let Some(proof) = &step.proof {
        test.set_system_out(text::block(proof));
    }
    if let Some(found) = found {
        decorate(&mut test, found);
    }
    test
}

fn of_case(case: &CaseView<'_>, module: &str, found: Option<&Finding<'_>>) -> TestCase {
    let status = match (found, case.word) {
        (Some(found), _) => status(found),
        (None, Word::Pass) => TestCaseStatus::success(),
        (None, Word::NotRun) => {
            typed(NonSuccessKind::Error, "not-run", "planned, but the run did not get to it")
        }
        (None, word) => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(format!("{}: {}", word.text(), case.headline()));
            skipped.set_type(word.class());
            skipped
        }
    };
    let name = text::line(&case.id.0);
    let mut test = TestCase::new(name.rsplit("::").next().unwrap_or(&name), status);
    test.set_classname(module).set_time(case.took());
    if let Some(found) = found {
        decorate(&mut test, found);
    }
    let notes: Vec<String> = case.attempts.iter().flat_map(|a| &a.evidence).map(evidence).collect();
    if !notes.is_empty() {
        test.set_system_out(notes.join("\n"));
    }
    test
}

/// Properties of a case, for its suite.
fn known_of(case: &CaseView<'_>, found: Option<&Finding<'_>>) -> Vec<(String, String)> {
    let id = text::line(&case.id.0);
    let name = id.rsplit("::").next().unwrap_or(&id);
    let mut known = Vec::new();
    if !case.title.is_empty() {
        known.push((format!("{name}.title"), text::line(case.title)));
    }
    if let Some(found) = found {
        known.extend(blamed(name, found));
    }
    for attempt in &case.attempts {
        if case.attempts.len() > 1 {
            let word = Word::of(attempt.outcome.as_ref()).text().to_owned();
            known.push((format!("{name}.attempt.{}", attempt.number), word));
        }
        let measures = attempt.measures.iter().map(measured);
        known.extend(measures.map(|(measure, value)| (format!("{name}.{measure}"), value)));
    }
    known
}

fn blamed(name: &str, finding: &Finding<'_>) -> Vec<(String, String)> {
    let blame = finding.blame.map(|blame| (format!("{name}.blame"), blame_word(blame).to_owned()));
    let because = finding.because.clone().map(|because| (format!("{name}.because"), because));
    blame.into_iter().chain(because).collect()
}

fn typed(kind: NonSuccessKind, kind_name: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(kind_name).set_message(message);
    status
}

fn status(finding: &Finding<'_>) -> TestCaseStatus {
    let kind = match finding.word {
        Word::Fail | Word::Flaky => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = typed(kind, finding.word.class(), &finding.headline);
    let mut body = finding.headline.clone();
    for (name, value) in [("expected", &finding.expected), ("got", &finding.got)] {
        if !value.is_empty() {
            body += &format!("\n{name}: {value}");
        }
    }
    if let Some(blame) = finding.blame {
        body += &format!("\nblame: {}", blame_word(blame));
        body += &finding.because.as_ref().map(|because| format!(", because {because}")).unwrap_or_default();
    }
    if let Some(hint) = &finding.hint {
        body += &format!("\nhint: {hint}");
    }
    status.set_description(body);
    status
}

fn decorate(test: &mut TestCase, finding: &Finding<'_>) {
    if !finding.console.is_empty() {
        test.set_system_err(format!("console:\n{}", finding.console.join("\n")));
    }
}

fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Command { line, by, ended, out, err, took } => {
            let how = format!("{}, {}, {}", text::line(by), text::line(ended), text::span(*took));
            let mut block = format!("$ {}  [{how}]", text::line(line));
            for part in [out, err].into_iter().filter(|part| !part.is_empty()) {
                block.push('\n');
                block += text::block(part).trim_end();
            }
            block
        }
        Evidence::Note(note) => format!("note: {}", text::block(note)),
        Evidence::HostKey { was, now, word } => format!("note: {}", text::host_key(was, now, *word)),
        Evidence::File { path, role } => format!("{}: {}", text::line(role), text::line(path)),
    }
}
