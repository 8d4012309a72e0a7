//! A journal cut anywhere renders in every format, and says where it stopped; a hostile DUT gets nowhere.

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use shakedown_core::journal::{self, Problem};
use shakedown_core::{ExitCode, Ledger};
use shakedown_reports::{Extras, FILES, Options, Results, Ruling, View, render_all, terminal, verdict};
use support::{committed, sample};

/// Every rendering as text, by name.
fn renderings(text: &[u8]) -> Vec<(String, String)> {
    let journal = journal::read(text);
    let ledger = Ledger::of(&journal);
    let mut all = Vec::new();
    render_all(&ledger, &Extras::default(), &mut |name, bytes| {
        all.push((name.to_owned(), String::from_utf8(bytes.to_vec()).expect("UTF-8")));
    });
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), FILES);
    let options = Options { colour: true, live: true, ..Options::default() };
    let live = terminal::replay(Vec::new(), options, &journal).expect("a Vec takes all");
    all.push(("terminal".into(), String::from_utf8(live).expect("UTF-8")));
    all
}

#[test]
fn every_prefix_of_every_journal_renders_and_says_where_it_stopped() {
    // Runs begin alike: the same sequence of events is rendered once.
    let mut rendered = BTreeSet::new();
    for sample in committed() {
        // Within a line only the torn line's number changes, so one cut a line stands for all of them;
        // `any_cut_at_all` takes the others.
        let ends = sample.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends: Vec<usize> = [0].into_iter().chain(ends).collect();
        for (line, end) in ends.iter().enumerate() {
            let torn = (*end + 40).min(sample.text.len());
            for cut in [*end, torn] {
                let journal = journal::read(&sample.text[..cut]);
                let view_of = Ledger::of(&journal);
                let view = View::of(&view_of);
                let whole = view_of.end.is_some();
                let said = view.verdict.to_string();
                if !whole && view.verdict.ruling != Ruling::Untrusted {
                    assert_eq!(
                        view.verdict.ruling,
                        Ruling::Interrupted,
                        "{} cut at line {line}",
                        sample.name
                    );
                    assert!(said.contains("stopped"), "{} cut at line {line}: {said}", sample.name);
                    if let Some(open) = view_of.attempts.iter().rfind(|attempt| attempt.outcome.is_none()) {
                        assert!(said.contains(&open.case.0), "{} cut at line {line}: {said}", sample.name);
                    }
                }
                let kinds: Vec<&str> = journal.entries.iter().map(|entry| entry.event.kind()).collect();
                if cut == torn || !rendered.insert((kinds, sample.name == "v1-hostile")) {
                    continue;
                }
                let escaped = said
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
                    .replace('"', "&quot;");
                for (name, text) in renderings(&sample.text[..cut]) {
                    let ruling = view.verdict.ruling.word();
                    assert!(
                        text.contains(ruling),
                        "{name} of {} cut at line {line} hides {ruling}",
                        sample.name
                    );
                    if name == "report.html" {
                        assert!(
                            text.contains(escaped.split_once(" — ").expect("a dash").1),
                            "{line}: {escaped}"
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_at_all(which in 0usize..64, share in 0.0f64..1.0) {
        let all = committed();
        let text = &all[which % all.len()].text;
        let cut = (text.len() as f64 * share) as usize;
        renderings(&text[..cut]);
        let ledger = Ledger::of(&journal::read(&text[..cut]));
        prop_assert!(View::of(&ledger).verdict.ruling != Ruling::Pass, "no cut journal is a pass");
    }

    #[test]
    fn any_damage_at_all(which in 0usize..64, share in 0.0f64..1.0, byte in any::<u8>()) {
        let all = committed();
        let mut text = all[which % all.len()].text.clone();
        let at = ((text.len() - 1) as f64 * share) as usize;
        text[at] = byte;
        renderings(&text);
    }
}

#[test]
fn an_edited_journal_is_untrusted_in_every_rendering() {
    for (name, text) in renderings(&sample("v1-edited").text) {
        assert!(text.contains("UNTRUSTED"), "{name}");
        assert!(text.contains("the journal was edited"), "{name}");
    }
    // Any line but the last: the last one's hash is what a signature covers.
    let text = sample("v1-all-pass").text;
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for dropped in 0..lines.len() - 1 {
        let rest: Vec<u8> =
            lines.iter().enumerate().filter(|(n, _)| *n != dropped).flat_map(|(_, l)| l.to_vec()).collect();
        assert!(
            verdict(&Ledger::of(&journal::read(&rest))).starts_with("UNTRUSTED"),
            "line {dropped} removed"
        );
    }
}

#[test]
fn results_json_is_read_back_as_it_was_written() {
    for sample in committed() {
        let ledger = sample.ledger();
        let text = shakedown_reports::json::json(&ledger);
        let back: Results =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        assert_eq!(back, Results::of(&ledger), "{}", sample.name);
        assert_eq!(back.cases.len(), View::of(&ledger).cases.len());
    }
}

#[test]
fn the_same_journal_gives_the_same_bytes() {
    for sample in committed() {
        assert_eq!(renderings(&sample.text), renderings(&sample.text), "{}", sample.name);
    }
}

#[test]
fn only_a_clean_run_is_a_pass() {
    let passes: BTreeSet<String> = committed()
        .into_iter()
        .filter(|sample| View::of(&sample.ledger()).verdict.ruling == Ruling::Pass)
        .map(|sample| sample.name)
        .collect();
    assert_eq!(
        passes,
        ["real-amd64", "v1-all-pass", "v1-newer-writer", "v1-skipped"].map(String::from).into()
    );
    let flaky = sample("v1-flaky").ledger();
    let view = View::of(&flaky);
    assert_eq!((view.verdict.exit, view.verdict.ruling), (ExitCode::Failed, Ruling::Fail));
    assert!(view.verdict.sentence.contains("container::engine::healthy is flaky: passed 2 of 3 attempts"));
}

#[test]
fn what_a_hostile_dut_says_is_inert_in_every_format() {
    let sample = sample("v1-hostile");
    for (name, text) in renderings(&sample.text) {
        let forbidden = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{2028}' | '\u{ffff}')
        };
        match name.as_str() {
            // JSON has the strings as they were, with escapes for what is not printable.
            "results.json" => assert_eq!(text.chars().find(|c| forbidden(*c) && *c != '\u{ffff}'), None),
            // The reporter's own codes are there; the DUT's are not.
            "terminal" => {
                let own = [
                    "\r\u{1b}[2K",
                    "\u{1b}[0m",
                    "\u{1b}[1m",
                    "\u{1b}[2m",
                    "\u{1b}[31;1m",
                    "\u{1b}[32;1m",
                    "\u{1b}[33;1m",
                ];
                let rest = own.iter().fold(text.clone(), |text, code| text.replace(code, ""));
                assert_eq!(rest.chars().find(|c| forbidden(*c)), None);
                // A workflow command of a CI is one only at the start of a line.
                assert!(!rest.lines().any(|line| line.starts_with("::")));
            }
            _ => assert_eq!(text.chars().find(|c| forbidden(*c)), None, "{name}"),
        }
        match name.as_str() {
            "report.html" => {
                assert!(!text.contains("<script>alert") && !text.contains("<img src=x"));
                assert_eq!(text.matches("<script>").count(), 1);
                assert!(!text.contains("href=\"javascript:") && !text.contains("href=\"../"));
            }
            "results.tap" => {
                let plans = text.lines().filter(|line| line.starts_with("1..")).count();
                assert_eq!(plans, 1);
                assert!(!text.lines().any(|line| line.starts_with("ok 99")));
            }
            "summary.md" => {
                let outside = outside_of_fences(&text);
                assert!(outside.contains("What went wrong"));
                assert!(!outside.contains("<script") && !outside.contains("<img"));
                assert!(!outside.lines().any(|line| line.starts_with("::error")));
            }
            "junit.xml" => assert!(!text.contains("<script>alert")),
            _ => {}
        }
    }
}

/// A Markdown document without its code blocks, each closed by a fence at least as long as its first.
fn outside_of_fences(text: &str) -> String {
    let (mut outside, mut open) = (String::new(), 0);
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if open == 0 && ticks >= 3 {
            open = ticks;
        } else if open > 0 && ticks >= open && ticks == line.len() {
            open = 0;
        } else if open == 0 {
            outside.push_str(line);
            outside.push('\n');
        }
    }
    assert_eq!(open, 0, "a code block is not closed");
    outside
}

#[test]
fn a_summary_of_a_thousand_failures_fits() {
    let mut tale = support::corpus::Tale::new("many");
    tale.begin(vec![]);
    for number in 0..1_000 {
        let failure = shakedown_core::Failure::new("é`|".repeat(400), "x".repeat(9_000), "y\n".repeat(9_000));
        let outcome = shakedown_core::Outcome::Fail(failure);
        let blame = Some((shakedown_core::Blame::Os, "row"));
        tale.aside(&format!("os::many::{number}"), shakedown_core::Outcome::Pass);
        tale.starts(&format!("os::fail::{number}"), 1).ends(
            &format!("os::fail::{number}"),
            1,
            outcome,
            blame,
            &["c"; 99],
        );
    }
    let text = tale.finish(ExitCode::Failed, "FAIL");
    let journal = journal::read(&text);
    assert!(!journal.problems.contains(&Problem::Unfinished));
    let summary = shakedown_reports::summary::summary(&Ledger::of(&journal));
    assert!(summary.len() <= shakedown_reports::summary::LIMIT, "{}", summary.len());
    assert!(summary.contains("left out here for size"));
    assert!(summary.starts_with("# FAIL (OS)"));
}

/// A case that was repeated a thousand times: the page shows what tells something.
#[test]
fn a_page_of_a_thousand_attempts_stays_readable() {
    let mut tale = support::corpus::Tale::new("repeated");
    tale.begin(vec![]);
    let failure = shakedown_core::Failure::new("odd", "even", "odd");
    for number in 1..=1_000 {
        let outcome = match number {
            300 | 700 => shakedown_core::Outcome::Fail(failure.clone()),
            _ => shakedown_core::Outcome::Pass,
        };
        tale.starts("os::soak::again", number);
        tale.command("os::soak::again", "seq", 20, "exit code 0", &format!("attempt-{number}-said"), "");
        let blame = (number == 300 || number == 700).then_some((shakedown_core::Blame::Os, "row"));
        tale.ends("os::soak::again", number, outcome, blame, &[]);
    }
    let text = tale.finish(ExitCode::Failed, "FAIL");
    let page = shakedown_reports::html::html(
        &Ledger::of(&journal::read(&text)),
        &shakedown_reports::Extras::default(),
    );
    for number in [1, 300, 700, 1_000] {
        assert!(page.contains(&format!("attempt-{number}-said")), "{number}");
    }
    for number in [2, 299, 301, 999] {
        assert!(!page.contains(&format!("attempt-{number}-said")), "{number}");
    }
    assert!(page.contains("4 of 1000 attempts are shown"));
    assert!(page.len() < 300_000, "{}", page.len());
}
