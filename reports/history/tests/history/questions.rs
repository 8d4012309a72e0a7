//! What questions leave out, and what they refuse.

use shakedown_core::outcome::Word;
use shakedown_core::{ExitCode, Outcome};
use shakedown_history::diff::ALPHA;
use shakedown_history::flakes::{Ask, By, Tally};
use shakedown_history::{Filter, History, HistoryError};

use super::made::{Made, fail};
use super::{about, add};

/// What is refused, and the words of it.
fn useless<T: std::fmt::Debug>(answer: Result<T, HistoryError>) -> (String, &'static str) {
    match answer {
        Err(HistoryError::Useless { question, got, .. }) => (question, got),
        other => panic!("{other:?}"),
    }
}

fn filter() -> Filter {
    Filter::default()
}

/// Real runs that pass on two images, and simulated ones of the second that fail, are slow and
/// complain.
fn half_simulated() -> History {
    let mut history = History::in_memory().unwrap();
    for index in 0..6_u8 {
        for (run, image, simulated) in [("a", "1.0", false), ("b", "1.1", false), ("s", "1.1", true)] {
            let made = Made {
                cases: vec![("os::a", if simulated { fail() } else { Outcome::Pass })],
                kernel: Some(f64::from(index) * 0.01 + if simulated { 90.0 } else { 7.0 }),
                measures: vec![("memory.rest", if simulated { 900.0 } else { 100.0 } + f64::from(index))],
                facts: if simulated { vec![("simulated", "seed 3")] } else { vec![] },
                ..Made::new(format!("{run}{index}"), image)
            };
            let (ledger, head) = made.ledger();
            let log: &[u8] = if simulated { b"[ 1.0] BUG: x\n" } else { b"[ 1.0] fine\n" };
            let kernel_log = Some(log);
            history
                .add(&ledger, &shakedown_history::Origin { head, kernel_log, ..Default::default() })
                .unwrap();
        }
    }
    history
}

#[test]
fn simulated_runs_count_only_where_they_are_asked_for() {
    let history = half_simulated();
    assert_eq!((history.simulated().unwrap(), history.len().unwrap()), (6, 18));
    let all = Filter { simulated: true, ..filter() };
    let (pass, both) = (Tally { bad: 0, all: 12 }, Tally { bad: 6, all: 18 });
    let early = Some(jiff::Timestamp::UNIX_EPOCH);
    for by in [By::Case, By::Slot, By::Board] {
        // From the roll-ups, and from rows.
        for since in [None, early] {
            for (filter, wanted) in [(filter(), pass), (all.clone(), both)] {
                let ask = Ask { by, filter: Filter { since, ..filter }, ..Ask::default() };
                let flakes = history.flakes(&ask).unwrap();
                assert_eq!(flakes.iter().map(|flake| flake.tally).collect::<Vec<_>>(), [wanted], "{by:?}");
            }
        }
    }
    for (filter, runs) in [(filter(), 12), (all.clone(), 18)] {
        assert_eq!(history.runs(&filter, 99).unwrap().len(), runs);
        assert_eq!(history.attempts(&filter, 99).unwrap().len(), runs);
        assert_eq!(history.trend("boot.kernel", None, &filter, 99).unwrap().points.len(), runs);
        let mut lines = 0;
        history.export(&filter, &mut |_| lines += 1).unwrap();
        assert_eq!(lines, runs * 3, "an attempt and two numbers of each");
    }
    for since in [None, early] {
        let diff = history.diff("1.0", "1.1", &Filter { since, ..filter() }).unwrap();
        assert!(diff.new_failures.is_empty() && diff.slower.is_empty(), "{diff:?}");
        assert_eq!(diff.complaints, Some(vec![]));
        let diff = history.diff("1.0", "1.1", &Filter { since, ..all.clone() }).unwrap();
        assert_eq!((diff.new_failures.len(), diff.complaints.unwrap().len()), (1, 1));
    }
    let named = Filter { run: Some("s1".into()), ..filter() };
    assert!(
        history.runs(&named, 9).unwrap()[0].simulated && history.attempts(&named, 9).unwrap()[0].simulated
    );
}

#[test]
fn simulated_stays_with_what_is_exported_and_comes_back() {
    let history = half_simulated();
    let report = history.export_kcidb(&Filter { simulated: true, ..filter() }, "our_lab").unwrap();
    let mut back = History::in_memory().unwrap();
    assert_eq!(back.import_kcidb(report.as_bytes(), &about()).unwrap().new, 18);
    assert_eq!((back.simulated().unwrap(), back.attempts(&filter(), 99).unwrap().len()), (6, 12));
    let text = r#"<testsuite><properties><property name="fact.simulated" value="seed 3"/></properties><testcase name="x"/></testsuite>"#;
    back.import_junit(text.as_bytes(), &about()).unwrap();
    assert_eq!(back.simulated().unwrap(), 7);
}

#[test]
fn flakes_refuses_what_is_not_bad_and_what_would_bend_a_rate() {
    let history = half_simulated();
    for bad in [Word::Pass, Word::Skip] {
        assert_eq!(useless(history.flakes(&Ask { bad, ..Ask::default() })).0, "flakes");
    }
    let of = Filter { outcome: Some(Word::Fail), ..filter() };
    assert_eq!(useless(history.flakes(&Ask { filter: of, ..Ask::default() })).1, "outcome");
}

#[test]
fn a_trend_is_of_the_attempts_that_are_asked_for() {
    let mut history = History::in_memory().unwrap();
    for (index, (case, board, outcome)) in [
        ("os::a", "board-a", Outcome::Pass),
        ("os::a", "board-a", fail()),
        ("os::b", "board-b", Outcome::Pass),
    ]
    .into_iter()
    .enumerate()
    {
        let made = Made {
            board,
            at: 1_800_000_000 + index as i64 * 60,
            cases: vec![(case, outcome)],
            measures: vec![("memory.rest", index as f64)],
            kernel: Some(7.0),
            ..Made::new(format!("r{index}"), "1.0")
        };
        add(&mut history, &made);
    }
    let values = |filter: Filter| {
        let trend = history.trend("memory.rest", None, &filter, 99).unwrap();
        (trend.context, trend.points.into_iter().map(|point| point.value).collect::<Vec<_>>())
    };
    assert_eq!(values(filter()), ("os::b".into(), vec![2.0]));
    let on = |board: &str| Filter { board: Some(board.into()), ..filter() };
    assert_eq!(values(on("board-a")), ("os::a".into(), vec![0.0, 1.0]), "the latest of this board");
    assert_eq!(values(Filter { case: Some("*::a".into()), ..filter() }).1, [0.0, 1.0]);
    assert_eq!(values(Filter { outcome: Some(Word::Pass), ..on("board-a") }).1, [0.0]);
    assert_eq!(values(Filter { run: Some("r1".into()), ..filter() }).1, [1.0]);
    assert_eq!(values(Filter { outcome: Some(Word::Skip), ..filter() }), (String::new(), vec![]));
    let case = Filter { case: Some("os::a".into()), ..filter() };
    assert_eq!(useless(history.trend("boot.kernel", None, &case, 9)).1, "case");
    let outcome = Filter { outcome: Some(Word::Fail), ..filter() };
    assert_eq!(useless(history.trend("boot.kernel", None, &outcome, 9)).1, "outcome");
}

#[test]
fn a_diff_is_of_the_slots_and_times_that_are_asked_for() {
    let mut history = History::in_memory().unwrap();
    for (run, image, slot, at, bad) in [
        ("a", "1.0", "rig/one", 100, false),
        ("b", "1.0", "rig/two", 100, false),
        ("c", "1.1", "rig/one", 200, true),
        ("d", "1.1", "rig/two", 300, false),
        ("e", "1.0", "rig/two", 300, false),
    ] {
        let cases = vec![("os::a", if bad { fail() } else { Outcome::Pass })];
        add(&mut history, &Made { slot, at, cases, ..Made::new(run, image) });
    }
    let new = |filter: &Filter| history.diff("1.0", "1.1", filter).unwrap().new_failures.len();
    let slot = |slot: &str| Filter { slot: Some(slot.into()), ..filter() };
    assert_eq!((new(&filter()), new(&slot("rig/one")), new(&slot("rig/two"))), (1, 1, 0));
    let time = |second| Some(jiff::Timestamp::from_second(second).unwrap());
    assert_eq!(new(&Filter { since: time(250), ..filter() }), 0);
    assert_eq!(new(&Filter { until: time(250), ..filter() }), 1);
    for (filter, got) in [
        (Filter { image: Some("1.0".into()), ..filter() }, "image"),
        (Filter { run: Some("a".into()), ..filter() }, "run"),
        (Filter { case: Some("os::a".into()), ..filter() }, "case"),
        (Filter { outcome: Some(Word::Fail), ..filter() }, "outcome"),
    ] {
        assert_eq!(useless(history.diff("1.0", "1.1", &filter)), ("diff".into(), got));
    }
}

#[test]
fn only_measures_that_could_tell_a_change_are_counted_as_compared() {
    for (many, compared) in [(3, 0), (4, 0), (5, 1)] {
        let mut history = History::in_memory().unwrap();
        for index in 0..many {
            for (image, kernel) in [("1.0", 7.0), ("1.1", 9.0)] {
                // Tied values: the normal law would tell four against four, where no order can.
                add(
                    &mut history,
                    &Made { kernel: Some(kernel), ..Made::new(format!("{image}-{index}"), image) },
                );
            }
        }
        let diff = history.diff("1.0", "1.1", &filter()).unwrap();
        assert_eq!((diff.compared, diff.slower.len()), (compared, compared), "{many} of each");
        assert!(diff.slower.iter().all(|shift| shift.p < ALPHA));
    }
}

#[test]
fn a_run_and_the_documents_made_from_it_are_one() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../goldens/v1-failing-case/junit.xml");
    let junit = std::fs::read(golden).unwrap();
    let made = Made { cases: vec![("os::a", Outcome::Pass)], ..Made::new("20260314-092653-fail", "1.0") };
    let mut history = History::in_memory().unwrap();
    add(&mut history, &made);
    let report = history.export_kcidb(&filter(), "our_lab").unwrap();
    for added in [
        history.import_junit(&junit, &about()).unwrap(),
        history.import_kcidb(report.as_bytes(), &about()).unwrap(),
    ] {
        assert_eq!((added.new, added.copies), (0, 1));
    }
    assert_eq!(history.len().unwrap(), 1);
    // The other way round, the run takes the place of what other documents said of it.
    let mut history = History::in_memory().unwrap();
    assert!(history.import_junit(&junit, &about()).unwrap().new > 1);
    history.import_kcidb(report.as_bytes(), &about()).unwrap();
    add(&mut history, &made);
    assert_eq!(history.runs(&filter(), 9).unwrap().len(), 1);
    assert_eq!(history.len().unwrap(), 1);
    let flakes = history.flakes(&Ask::default()).unwrap();
    assert_eq!(flakes.iter().map(|flake| flake.tally).collect::<Vec<_>>(), [Tally { bad: 0, all: 1 }]);
    assert_eq!(history.runs(&filter(), 9).unwrap()[0].exit, Some(ExitCode::Ok));
}

#[test]
fn a_kcidb_report_that_grew_counts_each_test_once() {
    let test = |id: u8, status: &str| {
        format!(
            r#"{{"id":"x:{id}","build_id":"x:b","origin":"x","path":"t.n{id}"{status},"environment":{{"comment":"lab/1"}}}}"#
        )
    };
    let report =
        |tests: &[String]| format!(r#"{{"version":{{"major":5,"minor":3}},"tests":[{}]}}"#, tests.join(","));
    let (pass, failed) = (r#","status":"PASS""#, r#","status":"FAIL""#);
    let mut history = History::in_memory().unwrap();
    let mut import = |tests: &[String]| {
        let added = history.import_kcidb(report(tests).as_bytes(), &about()).unwrap();
        let mut rows: Vec<_> = history.attempts(&filter(), 99).unwrap();
        rows.sort_by(|a, b| a.case.cmp(&b.case));
        assert_eq!(history.runs(&filter(), 9).unwrap().len(), 1);
        let tallies: u64 =
            history.flakes(&Ask::default()).unwrap().iter().map(|flake| flake.tally.all + flake.silent).sum();
        assert_eq!(tallies as usize, rows.len());
        (added.new, rows.iter().map(|row| row.outcome).collect::<Vec<_>>())
    };
    assert_eq!(import(&[test(1, pass), test(2, "")]), (2, vec![Word::Pass, Word::Undetermined]));
    let whole = [test(3, pass), test(2, failed), test(1, pass), test(1, pass)];
    let told = vec![Word::Pass, Word::Fail, Word::Pass];
    assert_eq!(import(&whole), (1, told.clone()), "a new one in front, and one that has its status now");
    assert_eq!(import(&whole), (0, told.clone()));
    // What is told stays told.
    assert_eq!(import(&[test(2, pass)]), (0, told));
}
