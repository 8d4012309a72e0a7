//! JUnit and TAP in programs that others wrote.
//!
//! Needs Debian's `perl` (prove), `libxml2-utils` (xmllint) and `python3-junitparser`.
//! `schema/junit-10.xsd` is the Jenkins xUnit plugin's (MIT), as pytest's source package carries it.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use shakedown_reports::{Ruling, View, junit, tap};
use support::{Sample, committed, crate_dir, sample};

#[expect(clippy::disallowed_methods, reason = "real consumers of our files; only tests start them")]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn run(command: &mut Command, package: &str) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `apt install {package}`"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn file(folder: &Path, sample: &Sample, extension: &str, text: &str) -> PathBuf {
    let path = folder.join(format!("{}.{extension}", sample.name));
    std::fs::write(&path, text).expect("file");
    path
}

#[test]
fn prove_agrees_with_every_verdict_and_complains_of_no_syntax() {
    let folder = tempfile::tempdir().expect("folder");
    for sample in committed() {
        let ledger = sample.ledger();
        let path = file(folder.path(), &sample, "tap", &tap::tap(&ledger));
        let output = run(command("prove").args(["--exec", "cat"]).arg(&path), "perl");
        let said = text(&output);
        let passed = View::of(&ledger).verdict.ruling == Ruling::Pass;
        assert_eq!(output.status.success(), passed, "{}: {said}", sample.name);
        assert!(!said.contains("Parse errors"), "{}: {said}", sample.name);
        assert_eq!(said.contains("Further testing stopped"), ledger.end.is_none(), "{}: {said}", sample.name);
    }
}

#[test]
fn junit_is_valid_by_the_jenkins_schema() {
    let folder = tempfile::tempdir().expect("folder");
    let schema = crate_dir().join("tests/schema/junit-10.xsd");
    let mut xmllint = command("xmllint");
    xmllint.args(["--noout", "--nonet", "--schema"]).arg(&schema);
    for sample in committed() {
        xmllint.arg(file(folder.path(), &sample, "xml", &junit::junit(&sample.ledger())));
    }
    let output = run(&mut xmllint, "libxml2-utils");
    assert!(output.status.success(), "{}", text(&output));
    // The check can fail.
    let broken =
        junit::junit(&sample("v1-all-pass").ledger()).replace("<testcase ", "<testcase colour=\"red\" ");
    let broken = file(folder.path(), &sample("v1-all-pass"), "broken.xml", &broken);
    let output = run(
        command("xmllint").args(["--noout", "--nonet", "--schema"]).arg(&schema).arg(broken),
        "libxml2-utils",
    );
    assert!(text(&output).contains("The attribute 'colour' is not allowed"), "{}", text(&output));
}

#[test]
fn junitparser_counts_as_we_do() {
    const COUNT: &str = "import sys, junitparser\n\
        for path in sys.argv[1:]:\n\
        \x20   xml = junitparser.JUnitXml.fromfile(path)\n\
        \x20   cases = [c for s in xml for c in s]\n\
        \x20   kinds = [type(r).__name__ for c in cases for r in (c.result or [])]\n\
        \x20   print(len(cases), kinds.count('Failure'), kinds.count('Error'), kinds.count('Skipped'), xml.failures, xml.errors)\n";
    let folder = tempfile::tempdir().expect("folder");
    let samples = committed();
    // The distribution's Python: it has the distribution's package.
    let mut python = command("/usr/bin/python3");
    python.args(["-c", COUNT]);
    for sample in &samples {
        python.arg(file(folder.path(), sample, "xml", &junit::junit(&sample.ledger())));
    }
    let output = run(&mut python, "python3-junitparser");
    assert!(output.status.success(), "`apt install python3-junitparser`? {}", text(&output));
    let counted = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(counted.lines().count(), samples.len());
    for (sample, line) in samples.iter().zip(counted.lines()) {
        let numbers: Vec<usize> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
        let ledger = sample.ledger();
        let view = View::of(&ledger);
        assert_eq!(
            numbers[0],
            view.cases.len() + ledger.steps.len() + 1,
            "{}: cases, steps and the run",
            sample.name
        );
        assert_eq!(numbers[1..3], numbers[4..6], "{}: totals on the root", sample.name);
        let green = numbers[1] + numbers[2] == 0;
        assert_eq!(green, view.verdict.ruling == Ruling::Pass, "{}: {line}", sample.name);
    }
}
