//! Other programs' documents, and what they must not do to what is known already.

use shakedown_core::Outcome;
use shakedown_core::outcome::Word;
use shakedown_history::{About, Filter, History};

use super::made::{Made, fail};
use super::{about, add};

fn refused(text: &str) -> String {
    History::in_memory().unwrap().import_junit(text.as_bytes(), &about()).unwrap_err().to_string()
}

#[test]
fn a_junit_file_that_was_cut_off_is_refused_with_the_place() {
    let whole = r#"<testsuites><testsuite><testcase name="a"></testcase><testcase name="b"><failure message="x"/></testcase></testsuite></testsuites>"#;
    let mut history = History::in_memory().unwrap();
    assert_eq!(history.import_junit(whole.as_bytes(), &about()).unwrap().new, 2);
    for end in 1..whole.len() {
        let mut history = History::in_memory().unwrap();
        assert!(history.import_junit(&whole.as_bytes()[..end], &about()).is_err(), "{}", &whole[..end]);
        assert!(history.is_empty().unwrap());
    }
    assert_eq!(refused(&whole[..whole.find("<failure").unwrap()]), "JUnit: the file ends inside <testcase>");
}

#[test]
fn what_a_junit_file_says_was_not_run_is_skipped() {
    let text = r#"<testsuite>
        <testcase name="a" status="notrun" result="suppressed" time="0."/>
        <testcase name="b" status="disabled"/>
        <testcase name="c" status="run" result="skipped"/>
        <testcase name="d" status="run" result="completed"/>
        <testcase name="e" status="notrun"><failure message="no such program"/></testcase>
      </testsuite>"#;
    let mut history = History::in_memory().unwrap();
    history.import_junit(text.as_bytes(), &about()).unwrap();
    let mut words = Vec::new();
    history.each(&Filter::default(), &mut |row| words.push(row.outcome)).unwrap();
    assert_eq!(words, [Word::Skip, Word::Skip, Word::Skip, Word::Pass, Word::Fail]);
}

#[test]
fn absurd_durations_are_refused_with_their_place() {
    let said = refused(
        r#"<testsuite><testcase name="a" time="1"/><testcase name="b" time="1e300"/><testcase name="c" time="1e300"/></testsuite>"#,
    );
    assert_eq!(
        said,
        "JUnit: testcase 2 (`b`), `time`: expected a time in seconds of at most ten years, got 1e300"
    );
    assert!(
        refused(r#"<testsuite><testcase name="a" time="inf"/></testsuite>"#).contains("testcase 1 (`a`)")
    );
    let report = r#"{"version":{"major":5,"minor":3},"tests":[
        {"id":"x:1","build_id":"x:b","origin":"x","path":"a","status":"PASS","duration":1e300}]}"#;
    let error = History::in_memory().unwrap().import_kcidb(report.as_bytes(), &about()).unwrap_err();
    assert!(error.to_string().starts_with("KCIDB: test `x:1`, `duration`: expected"), "{error}");
}

#[test]
fn what_was_cut_off_comes_once_with_its_numbers() {
    let mut history = History::in_memory().unwrap();
    let made = Made {
        cases: vec![("os::a", Outcome::Pass), ("os::b", fail())],
        measures: vec![("memory.rest", 5.5)],
        ..Made::new("r", "1.0")
    };
    let ledger = |ended: bool| {
        let mut ledger = made.ledger().0;
        if !ended {
            ledger.end = None;
            ledger.attempts[1].outcome = None;
        }
        ledger
    };
    let values = |history: &History| {
        history.trend("memory.rest", Some("os::b"), &Filter::default(), 99).unwrap().points.len()
    };
    let told = |added: shakedown_history::Added| (added.new, added.attempts);
    let origin = shakedown_history::Origin::default();
    assert_eq!(told(history.add(&ledger(false), &origin).unwrap()), (2, 2));
    for _ in 0..3 {
        assert_eq!(told(history.add(&ledger(false), &origin).unwrap()), (0, 2));
        assert_eq!(values(&history), 1);
    }
    assert_eq!(told(history.add(&ledger(true), &origin).unwrap()), (0, 2));
    let row = &history.attempts(&Filter { case: Some("os::b".into()), ..Filter::default() }, 9).unwrap()[0];
    assert_eq!((row.outcome, values(&history)), (Word::Fail, 1));
}

#[test]
fn an_import_takes_nothing_from_what_is_known_of_an_image() {
    let payload = shakedown_core::Sha::of(b"1.0").to_string();
    let text = format!(
        r#"<testsuite><properties><property name="image.payload" value="{payload}"/></properties><testcase name="a"/></testsuite>"#
    );
    let made = Made { cases: vec![("os::a", Outcome::Pass)], ..Made::new("r", "1.0") };
    for import_first in [false, true] {
        let mut history = History::in_memory().unwrap();
        if import_first {
            history.import_junit(text.as_bytes(), &about()).unwrap();
        }
        add(&mut history, &made);
        history.import_junit(text.as_bytes(), &about()).unwrap();
        let image = history.image(&payload).unwrap();
        assert_eq!(image.path.to_str(), Some("/images/1.0"), "{import_first}");
        assert_eq!(image.file, shakedown_core::Sha::of(b"file 1.0").to_string());
        assert_eq!(image.version.as_deref(), Some("1.0"));
    }
}

#[test]
fn the_same_results_of_another_board_slot_or_image_are_another_run() {
    let text = br#"<testsuite><testcase name="a"/><testcase name="b"/></testsuite>"#;
    let mut history = History::in_memory().unwrap();
    let others = [
        about(),
        About { board: "board-2".into(), ..about() },
        About { slot: "their-lab/4".into(), ..about() },
        About { image: "build-78".into(), ..about() },
    ];
    for (index, about) in others.iter().enumerate() {
        assert_eq!(history.import_junit(text, about).unwrap().new, 2, "{about:?}");
        assert_eq!(history.import_junit(text, about).unwrap().new, 0, "again: {about:?}");
        assert_eq!(history.len().unwrap() as usize, 2 * (index + 1));
    }
}

#[test]
fn a_board_slot_or_image_without_a_name_is_refused() {
    let text = br#"<testsuite><testcase name="a"/></testsuite>"#;
    let mut history = History::in_memory().unwrap();
    for (about, what) in [
        (About { board: String::new(), ..about() }, "board"),
        (About { slot: " ".into(), ..about() }, "slot"),
        (About { image: String::new(), ..about() }, "image"),
    ] {
        let error = history.import_junit(text, &about).unwrap_err().to_string();
        assert_eq!(error, format!("JUnit: expected the name of the {what}, got an empty one"));
        assert!(history.import_kcidb(b"{}", &about).unwrap_err().to_string().contains("got an empty one"));
    }
    assert!(history.is_empty().unwrap());
}
