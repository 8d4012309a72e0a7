//! Histories of made and of real runs.

mod imports;
mod kill;
mod made;
mod questions;

use std::path::{Path, PathBuf};

use made::{Made, fail, infra};
use shakedown_core::outcome::Word;
use shakedown_core::{Ledger, Outcome, Sha, journal};
use shakedown_history::flakes::{Ask, By, Tally};
use shakedown_history::{About, Filter, History, HistoryError, Origin, Recorder};

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

pub(crate) fn add(history: &mut History, made: &Made) {
    let (ledger, head) = made.ledger();
    history.add(&ledger, &Origin { head, ..Origin::default() }).unwrap();
}

/// `many` runs of one case each, of which the first `bad` fail.
fn runs(history: &mut History, about: &Made, case: &'static str, bad: usize, many: usize) {
    for index in 0..many {
        let cases = vec![(case, if index < bad { fail() } else { Outcome::Pass })];
        let run = format!("{}-{case}-{index}", about.run);
        add(history, &Made { run, cases, measures: vec![], kernel: about.kernel, facts: vec![], ..*about });
    }
}

#[test]
fn every_journal_of_the_corpus_goes_in_once() {
    let mut history = History::in_memory().unwrap();
    let mut attempts = 0;
    for (path, text) in corpus() {
        let read = journal::read(&text);
        let mut ledger = Ledger::of(&read);
        // Some of the corpus were made from one run.
        ledger.run = path.display().to_string();
        let origin = Origin { journal: Some(&path), head: read.head, ..Origin::default() };
        let first = history.add(&ledger, &origin).unwrap();
        assert_eq!((first.new, first.attempts), (ledger.attempts.len(), ledger.attempts.len()), "{path:?}");
        let again = history.add(&ledger, &origin).unwrap();
        assert_eq!((again.new, again.attempts), (0, ledger.attempts.len()), "{path:?}");
        attempts += ledger.attempts.len();
        let run = Filter { run: Some(ledger.run.clone()), ..Filter::default() };
        let row = &history.runs(&run, 2).unwrap()[0];
        let counted: u64 = row.counts.values().sum();
        assert_eq!(counted as usize, ledger.attempts.len());
        assert_eq!(history.rows_of_run(row.clone()).unwrap().differ(&ledger), None, "{path:?}");
        let passed = ledger.counts().get("pass").copied().unwrap_or_default();
        assert_eq!(row.counts.get(&Word::Pass).copied().unwrap_or_default() as usize, passed);
    }
    assert_eq!(history.len().unwrap() as usize, attempts);
    assert!(attempts > 50, "{attempts}");
}

#[test]
fn an_attempt_has_everything_that_the_issue_asks_for() {
    let (path, text) =
        corpus().into_iter().find(|(path, _)| path.ends_with("v1-failing-case.jsonl")).unwrap();
    let read = journal::read(&text);
    let ledger = Ledger::of(&read);
    let mut history = History::in_memory().unwrap();
    history.add(&ledger, &Origin { journal: Some(&path), head: read.head, ..Origin::default() }).unwrap();
    let filter = Filter { outcome: Some(Word::Fail), ..Filter::default() };
    let row = &history.attempts(&filter, 10).unwrap()[0];
    let (head, attempt) = (ledger.head.as_ref().unwrap(), &ledger.attempts[row.ordinal as usize]);
    assert_eq!((&row.board, &row.slot), (&head.board, &head.slot));
    assert_eq!(row.image, head.image.payload.to_string());
    assert_eq!((&row.version, &row.harness), (&head.image.version, &head.harness));
    assert_eq!(row.suites, head.hashes["suites"].to_string());
    assert_eq!(row.descriptor, head.hashes["board"].to_string());
    assert_eq!((&row.case, row.blame, &row.because), (&attempt.case.0, attempt.blame, &attempt.because));
    assert_eq!(row.note, attempt.outcome.as_ref().map(Outcome::headline));
    assert_eq!(u128::from(row.took), attempt.took.as_millis());
    let run = &history.runs(&Filter::default(), 1).unwrap()[0];
    assert_eq!((run.head.clone(), run.journal.clone()), (read.head.unwrap().to_string(), path));
}

#[test]
fn another_journal_of_the_same_run_is_refused() {
    let mut history = History::in_memory().unwrap();
    let first = Made { cases: vec![("os::a", fail())], ..Made::new("r1", "1.0") };
    add(&mut history, &first);
    let (ledger, head) = Made { cases: vec![("os::a", Outcome::Pass)], ..Made::new("r1", "1.0") }.ledger();
    let error = history.add(&ledger, &Origin { head, ..Origin::default() }).unwrap_err();
    assert!(matches!(error, HistoryError::Conflict { .. }), "{error}");
    assert_eq!(history.attempts(&Filter::default(), 9).unwrap()[0].outcome, Word::Fail);
}

#[test]
fn runs_that_are_added_together_are_as_if_added_one_by_one_and_a_refused_one_keeps_all_out() {
    let made: Vec<_> = (0..30)
        .map(|number| Made {
            cases: vec![
                ("os::a", Outcome::Pass),
                ("os::b", if number % 3 == 0 { fail() } else { Outcome::Pass }),
            ],
            at: 1_800_000_000 + number,
            kernel: Some(7.0),
            ..Made::new(format!("run-{number}"), if number < 15 { "1.0" } else { "1.1" })
        })
        .collect();
    let ledgers: Vec<_> = made.iter().map(Made::ledger).collect();
    let together = |history: &mut History, ledgers: &[(Ledger, Option<Sha>)]| {
        let runs = ledgers.iter().map(|(ledger, head)| (ledger, Origin { head: *head, ..Origin::default() }));
        history.add_together(&runs.collect::<Vec<_>>())
    };
    let (mut one_by_one, mut at_once) = (History::in_memory().unwrap(), History::in_memory().unwrap());
    for made in &made {
        add(&mut one_by_one, made);
    }
    let added = together(&mut at_once, &ledgers).unwrap();
    assert_eq!((added.new, added.attempts), (60, 60));
    let all = |history: &History| {
        let (any, by) = (Filter::default(), |by| Ask { by, ..Ask::default() });
        let flakes = [By::Case, By::Slot, By::Image].map(|one| history.flakes(&by(one)).unwrap());
        (history.runs(&any, 100).unwrap(), history.attempts(&any, 100).unwrap(), flakes)
    };
    assert_eq!(all(&at_once), all(&one_by_one));
    assert_eq!(together(&mut at_once, &ledgers).unwrap().new, 0, "a second time changes nothing");
    // Another journal of a run that is there, behind one that is new.
    let new = Made { cases: vec![("os::a", Outcome::Pass)], ..Made::new("new", "1.1") }.ledger();
    let other = Made { cases: vec![("os::a", fail())], ..Made::new("run-3", "1.0") }.ledger();
    let error = together(&mut at_once, &[new, other]).unwrap_err();
    assert!(matches!(error, HistoryError::Conflict { .. }), "{error}");
    assert_eq!(all(&at_once), all(&one_by_one));
}

#[test]
fn a_run_that_grows_is_in_the_history_up_to_its_last_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/history.sqlite");
    let made = Made {
        cases: vec![("os::a", Outcome::Pass), ("os::b", fail()), ("os::c", Outcome::Pass)],
        kernel: Some(7.0),
        ..Made::new("r1", "1.0")
    };
    let reader = History::open(&file).unwrap();
    let mut recorder = Recorder::new(History::open(&file).unwrap(), "/runs/r1/journal.jsonl".into());
    let mut ended = 0;
    for (entry, line) in made.journal().1 {
        recorder.entry(&entry, &line);
        ended += u64::from(entry.event.kind() == "case-ended");
        assert_eq!(reader.len().unwrap(), ended, "after {}", entry.event.kind());
    }
    recorder.health().unwrap();
    let run = &reader.runs(&Filter::default(), 1).unwrap()[0];
    assert_eq!((run.head.clone(), run.took), (made.ledger().1.unwrap().to_string(), Some(1000)));
    assert_eq!(reader.trend("boot.kernel", None, &Filter::default(), 9).unwrap().points.len(), 1);
}

#[test]
fn a_renamed_case_keeps_its_history() {
    let mut history = History::in_memory().unwrap();
    runs(&mut history, &Made::new("old", "1.0"), "os::first", 1, 3);
    runs(&mut history, &Made::new("mid", "1.0"), "os::second", 1, 2);
    history.renamed(&[("os::first".into(), "os::second".into())]).unwrap();
    history.renamed(&[("os::second".into(), "os::third".into())]).unwrap();
    runs(&mut history, &Made::new("new", "1.0"), "os::third", 0, 1);
    // A document that still names both steps changes nothing.
    history
        .renamed(&[("os::first".into(), "os::second".into()), ("os::second".into(), "os::third".into())])
        .unwrap();
    let filter = Filter { case: Some("os::third".into()), ..Filter::default() };
    assert_eq!(history.attempts(&filter, 99).unwrap().len(), 6);
    let flakes = history.flakes(&Ask { filter, ..Ask::default() }).unwrap();
    assert_eq!((flakes[0].name.as_str(), flakes[0].tally), ("os::third", Tally { bad: 2, all: 6 }));
    let gone = Filter { case: Some("os::first".into()), ..Filter::default() };
    assert!(matches!(history.attempts(&gone, 9), Err(HistoryError::Unknown { kind: "case", .. })));
}

#[test]
fn rates_come_out_the_same_from_roll_ups_and_from_rows() {
    let mut history = History::in_memory().unwrap();
    runs(&mut history, &Made::new("a", "1.0"), "os::x", 2, 20);
    runs(&mut history, &Made { slot: "rig/two", ..Made::new("b", "1.1") }, "os::x", 0, 20);
    runs(&mut history, &Made { board: "board-b", ..Made::new("c", "1.1") }, "os::y", 5, 5);
    add(&mut history, &Made { cases: vec![("os::y", infra())], ..Made::new("d", "1.1") });
    let early = Filter { since: Some(jiff::Timestamp::UNIX_EPOCH), ..Filter::default() };
    for by in [By::Case, By::Slot, By::Board, By::Image] {
        for bad in [Word::Fail, Word::Infra] {
            let rolled = history.flakes(&Ask { by, bad, ..Ask::default() }).unwrap();
            let rows = history.flakes(&Ask { by, bad, filter: early.clone(), ..Ask::default() }).unwrap();
            assert_eq!(rolled, rows, "{by:?} {bad:?}");
            assert!(!rolled.is_empty());
        }
    }
    let forgotten: Vec<String> = (0..20).map(|index| format!("a-os::x-{index}")).collect();
    assert_eq!(history.forget(&forgotten).unwrap(), 20);
    let rolled = history.flakes(&Ask::default()).unwrap();
    assert_eq!(rolled, history.flakes(&Ask { filter: early, ..Ask::default() }).unwrap());
    assert_eq!(rolled.iter().find(|flake| flake.name == "os::x").unwrap().tally, Tally { bad: 0, all: 20 });
}

#[test]
fn what_explains_the_failures_is_named() {
    let explained = |fill: &dyn Fn(&mut History)| {
        let mut history = History::in_memory().unwrap();
        fill(&mut history);
        history.flakes(&Ask::default()).unwrap().remove(0).explained
    };
    let by_slot = explained(&|history| {
        runs(history, &Made::new("a", "1.0"), "os::x", 9, 10);
        for (slot, run) in [("rig/two", "b"), ("rig/three", "c")] {
            runs(history, &Made { slot, ..Made::new(run, "1.0") }, "os::x", 1, 45);
        }
    })
    .unwrap();
    assert_eq!((by_slot.by, by_slot.value.as_str()), (By::Slot, "rig/one"));
    assert_eq!((by_slot.here, by_slot.elsewhere), (Tally { bad: 9, all: 10 }, Tally { bad: 2, all: 90 }));
    let by_image = explained(&|history| {
        for (slot, run) in [("rig/one", "a"), ("rig/two", "b")] {
            runs(history, &Made { slot, ..Made::new(run, "1.0") }, "os::x", 0, 30);
            runs(history, &Made { slot, ..Made::new(format!("{run}2"), "1.1") }, "os::x", 10, 10);
        }
    })
    .unwrap();
    assert_eq!(by_image.by, By::Image);
    assert!(by_image.value.starts_with("1.1 "), "{}", by_image.value);
    // A board with one slot: the wider word is told.
    let by_board = explained(&|history| {
        runs(history, &Made::new("a", "1.0"), "os::x", 0, 40);
        runs(history, &Made { board: "board-b", slot: "rig/b", ..Made::new("b", "1.0") }, "os::x", 10, 40);
    })
    .unwrap();
    assert_eq!((by_board.by, by_board.value.as_str()), (By::Board, "board-b"));
    let by_nothing = explained(&|history| {
        for (slot, run) in [("rig/one", "a"), ("rig/two", "b"), ("rig/three", "c")] {
            runs(history, &Made { slot, ..Made::new(run, "1.0") }, "os::x", 3, 30);
        }
    });
    assert_eq!(by_nothing, None);
}

#[test]
fn two_images_differ_in_what_changed_and_in_nothing_else() {
    let mut history = History::in_memory().unwrap();
    for (run, image, kernel, broken, log) in [
        ("a", "1.0", 7.0, ("os::fixed", "os::same"), "[ 1.0] ata3: failed to resume link 300\n"),
        (
            "b",
            "1.1",
            9.0,
            ("os::broke", "os::same"),
            "[ 2.0] ata4: failed to resume link 301\n[ 3.0] WARNING: CPU: 1 PID: 77\n",
        ),
    ] {
        for index in 0..6 {
            let cases = ["os::fixed", "os::broke", "os::same", "os::fine"];
            let bad = |case| case == broken.0 || (case == broken.1 && index == 0);
            let made = Made {
                cases: cases
                    .iter()
                    .map(|case| (*case, if bad(*case) { fail() } else { Outcome::Pass }))
                    .collect(),
                kernel: Some(kernel + f64::from(index) * 0.01),
                measures: vec![("memory.rest", 100.0 + f64::from(index))],
                ..Made::new(format!("{run}{index}"), image)
            };
            let (ledger, head) = made.ledger();
            history
                .add(&ledger, &Origin { head, kernel_log: Some(log.as_bytes()), ..Origin::default() })
                .unwrap();
        }
    }
    let diff = history.diff("1.0", "1.1", &Filter::default()).unwrap();
    let names = |list: &[shakedown_history::diff::CaseChange]| {
        list.iter().map(|change| change.case.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&diff.new_failures), ["os::broke"]);
    assert_eq!(names(&diff.fixed), ["os::fixed"]);
    assert!(diff.worse.is_empty() && diff.not_tried.is_empty() && diff.faster.is_empty());
    let [slower] = diff.slower.as_slice() else { panic!("{:?}", diff.slower) };
    assert_eq!((slower.measure.as_str(), slower.context.as_str()), ("boot.kernel", "power-on"));
    // SciPy: mannwhitneyu of six values that all exceed six others, alternative="greater".
    assert!((slower.p - 0.001_082_251_082_251_082_3).abs() < 1e-12, "{}", slower.p);
    let complaints = diff.complaints.unwrap();
    assert_eq!(complaints.iter().map(|c| c.line.as_str()).collect::<Vec<_>>(), ["WARNING: CPU: # PID: #"]);
    assert_eq!((complaints[0].runs, complaints[0].of), (6, 6));
    let on_a = Filter { board: Some("board-a".into()), ..Filter::default() };
    let back = history.diff("1.1", "1.0", &on_a).unwrap();
    assert_eq!((back.slower.len(), back.faster.len()), (0, 1));
    assert!(matches!(history.diff("1.0", "7.7", &on_a), Err(HistoryError::Unknown { kind: "image", .. })));
}

#[test]
fn a_trend_tells_cold_boots_from_reboots_and_draws_hostile_names() {
    let mut history = History::in_memory().unwrap();
    for (index, image) in ["1.0", "1.0", "<script>"].into_iter().enumerate() {
        let made = Made {
            at: 1_800_000_000 + index as i64 * 60,
            kernel: Some(7.0 + index as f64),
            ..Made::new(format!("r{index}"), image)
        };
        add(&mut history, &made);
    }
    let trend = history.trend("boot.kernel", None, &Filter::default(), 100).unwrap();
    assert_eq!(trend.points.iter().map(|point| point.value).collect::<Vec<_>>(), [7.0, 8.0, 9.0]);
    let images = trend.images();
    assert_eq!(
        images.iter().map(|image| (image.count, image.median)).collect::<Vec<_>>(),
        [(2, 7.5), (1, 9.0)]
    );
    let svg = shakedown_history::svg::svg(&trend).unwrap();
    assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script>"), "{svg}");
    assert_eq!(svg.matches("<circle").count(), 3);
    let clean = history.trend("boot.kernel", Some("clean reboot"), &Filter::default(), 100).unwrap();
    assert!(clean.points.is_empty());
    assert_eq!(shakedown_history::svg::svg(&clean), None);
}

fn about() -> About {
    About {
        board: "some-board".into(),
        slot: "their-lab/3".into(),
        image: "build-77".into(),
        version: None,
        at: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

#[test]
fn junit_comes_in_once_and_what_is_none_is_refused() {
    const THEIRS: &[u8] = br#"<?xml version="1.0"?>
        <testsuite name="s" timestamp="2026-11-01T10:00:00">
          <testcase classname="net.Ping" name="v4 &amp; v6" time="1.5"/>
          <testcase classname="net.Ping" name="lost"><failure message="3 of 9 &lt; all">text</failure></testcase>
          <testcase name="later"><skipped/></testcase>
          <testcase name="odd"><error type="java.lang.NullPointerException"/></testcase>
        </testsuite>"#;
    let mut history = History::in_memory().unwrap();
    assert_eq!(history.import_junit(THEIRS, &about()).unwrap().new, 4);
    assert_eq!(history.import_junit(THEIRS, &about()).unwrap().new, 0);
    let mut rows = Vec::new();
    history.each(&Filter::default(), &mut |row| rows.push(row)).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.case.as_str(), row.outcome, row.took)).collect();
    assert_eq!(
        told,
        [
            ("net.Ping::v4 & v6", Word::Pass, 1500),
            ("net.Ping::lost", Word::Fail, 0),
            ("later", Word::Skip, 0),
            ("odd", Word::Error, 0)
        ]
    );
    assert_eq!(rows[1].note.as_deref(), Some("3 of 9 < all"));
    assert_eq!(
        (rows[0].board.as_str(), rows[0].at.to_string().as_str()),
        ("some-board", "2026-11-01T10:00:00Z")
    );
    for wrong in [
        &b"<html></html>"[..],
        b"no XML at all",
        b"<testsuite><testcase/></testsuite>",
        b"<testsuite><a></b>",
        b"<testsuite><testcase name='a'/>",
        b"<testsuite><testcase name='a'><failure/>",
        b"<testsuite><testcase name='a'></testcase><testcase name='b'>",
    ] {
        let error = history.import_junit(wrong, &about()).unwrap_err();
        assert!(matches!(error, HistoryError::Import { format: "JUnit", .. }), "{error}");
    }
}

#[test]
fn our_own_junit_comes_back_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../goldens");
    for name in ["v1-failing-case", "v1-rig-power-fault", "v1-undetermined", "v1-skipped"] {
        let mut history = History::in_memory().unwrap();
        history.import_junit(&std::fs::read(folder.join(name).join("junit.xml")).unwrap(), &about()).unwrap();
        let (_, text) =
            corpus().into_iter().find(|(path, _)| path.ends_with(format!("{name}.jsonl"))).unwrap();
        let ledger = Ledger::of(&journal::read(&text));
        for attempt in &ledger.attempts {
            let filter = Filter { case: Some(attempt.case.0.clone()), ..Filter::default() };
            let row = &history.attempts(&filter, 9).unwrap()[0];
            assert_eq!(row.outcome, Word::of(attempt.outcome.as_ref()), "{name}: {}", attempt.case);
            assert_eq!(row.board, ledger.head.as_ref().unwrap().board);
        }
    }
}

#[test]
fn kcidb_goes_out_and_comes_back() {
    let mut history = History::in_memory().unwrap();
    runs(&mut history, &Made::new("a", "1.0"), "os::a::b", 2, 5);
    add(&mut history, &Made { cases: vec![("os::c", infra())], ..Made::new("d", "1.1") });
    let report = history.export_kcidb(&Filter::default(), "our_lab").unwrap();
    let mut back = History::in_memory().unwrap();
    assert_eq!(back.import_kcidb(report.as_bytes(), &about()).unwrap().new, 6);
    assert_eq!(back.import_kcidb(report.as_bytes(), &about()).unwrap().new, 0);
    let rates = |history: &History| {
        let flakes = history.flakes(&Ask::default()).unwrap();
        flakes.into_iter().map(|flake| (flake.name, flake.tally, flake.silent)).collect::<Vec<_>>()
    };
    assert_eq!(rates(&back), rates(&history));
    assert!(history.export_kcidb(&Filter::default(), "Our Lab").is_err());
    for (wrong, says) in
        [("{}", "missing field `version`"), (r#"{"version":{"major":9,"minor":0}}"#, "got 9")]
    {
        let error = back.import_kcidb(wrong.as_bytes(), &about()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn an_export_has_every_attempt_and_every_number() {
    let mut history = History::in_memory().unwrap();
    let cases = vec![("os::a", fail()), ("os::b", Outcome::Pass)];
    add(
        &mut history,
        &Made { cases, measures: vec![("memory.rest", 5.5)], kernel: Some(7.0), ..Made::new("r", "1.0") },
    );
    let mut lines = Vec::new();
    history.export(&Filter::default(), &mut |line| lines.push(line.to_owned())).unwrap();
    let of = |kind: &str| lines.iter().filter(|line| line.starts_with(&format!("{{\"{kind}\":"))).count();
    assert_eq!((of("attempt"), of("measure"), lines.len()), (2, 3, 5), "{lines:?}");
    assert!(
        lines[0].contains("\"outcome\":\"fail\"") && lines.iter().any(|line| line.contains("\"value\":5.5"))
    );
}

#[test]
fn an_edit_of_any_row_is_told_and_a_new_name_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let made = Made {
        cases: vec![("os::a", fail()), ("os::b", Outcome::Pass)],
        measures: vec![("memory.rest", 5.5)],
        kernel: Some(7.0),
        ..Made::new("r", "1.0")
    };
    // Written as it happens, attempt by attempt.
    let mut recorder = Recorder::new(History::open(&path).unwrap(), "/runs/r/journal.jsonl".into());
    for (entry, line) in made.journal().1 {
        recorder.entry(&entry, &line);
    }
    assert!(recorder.health().is_ok());
    drop(recorder);
    let differ = || {
        let history = History::open(&path).unwrap();
        let run = history.runs(&Filter { run: Some("r".into()), ..Filter::default() }, 1).unwrap().remove(0);
        let rows = history.rows_of_run(run).unwrap();
        assert!(rows.of_journal());
        rows.differ(&made.ledger().0)
    };
    assert_eq!(differ(), None);
    let mut history = History::open(&path).unwrap();
    history.renamed(&[("os::a".into(), "os::new".into())]).unwrap();
    // A second image for a run to be pointed at.
    add(&mut history, &Made { cases: vec![("os::c", Outcome::Pass)], ..Made::new("other", "2.0") });
    drop(history);
    assert_eq!(differ(), None, "a case that was renamed");
    for (edit, says) in [
        ("UPDATE run SET source = 'junit'", "source is junit there and journal in the journal"),
        ("UPDATE run SET journal = ''", "no journal is named"),
        ("UPDATE run SET image = (SELECT id FROM image WHERE version = '2.0')", "image is "),
        ("UPDATE run SET exit = 0", "exit is 0 there and 1"),
        ("UPDATE run SET started = started + 1", "start is 1800000000001 there"),
        ("UPDATE run SET took = 5", "duration is 5 there"),
        ("UPDATE run SET simulated = 1", "simulated is true there"),
        ("UPDATE run SET suites = 'x'", "suites is x there"),
        ("UPDATE run SET verdict = 'fine'", "verdict is fine there"),
        (
            "UPDATE attempt SET kase = (SELECT id FROM kase WHERE name = 'os::b')",
            "the name of os::a is `os::b`",
        ),
        ("UPDATE attempt SET outcome = 0", "os::a is `pass` there and `fail`"),
        ("UPDATE attempt SET blame = 2", "the blame of os::a is `Some(Rig)`"),
        ("UPDATE attempt SET took = 9", "the duration of os::a is `9`"),
        ("UPDATE attempt SET at = 9", "the start of os::a is `9`"),
        ("DELETE FROM attempt WHERE ordinal = 1", "1 attempts there and 2"),
        ("UPDATE measure SET value = 1.5 WHERE ordinal = 0", "a memory.rest of 1.5 MiB is not"),
        ("UPDATE measure SET value = 1.5 WHERE ordinal IS NULL", "a boot.kernel of 1.5 s is not"),
    ] {
        let kept = std::fs::read(&path).unwrap();
        let db = rusqlite::Connection::open(&path).unwrap();
        assert!(db.execute(edit, []).unwrap() > 0, "{edit}");
        drop(db);
        let told = differ().unwrap_or_else(|| panic!("{edit} is not seen"));
        assert!(told.contains(says), "{edit}: {told}");
        std::fs::write(&path, kept).unwrap();
    }
    assert_eq!(differ(), None);
}

#[test]
fn an_export_of_some_attempts_has_their_numbers_only() {
    let mut history = History::in_memory().unwrap();
    let cases = vec![("os::a", fail()), ("os::b", Outcome::Pass)];
    add(
        &mut history,
        &Made { cases, measures: vec![("memory.rest", 5.5)], kernel: Some(7.0), ..Made::new("r", "1.0") },
    );
    for filter in [
        Filter { outcome: Some(Word::Fail), ..Filter::default() },
        Filter { case: Some("os::a".into()), ..Filter::default() },
    ] {
        let mut lines = Vec::new();
        history.export(&filter, &mut |line| lines.push(line.to_owned())).unwrap();
        let all = lines.len();
        lines.retain(|line| line.contains("\"os::a\""));
        assert_eq!((lines.len(), all), (2, 2), "{lines:?}");
    }
}
