//! Evidence that somebody changed: named, ignored, and to be made again.

use std::path::Path;

use shakedown_core::{Outcome, Sha};
use shakedown_gate::{Answer, Doubt, Ruling, SecretKey, seal};
use shakedown_history::Rows;

use super::bench::{Bench, DAY, THREE, edit, good};
use super::made::{Made, fail};

/// Four runs of which one is touched: three good ones are left, and the fourth counts as missing.
fn touched(touch: impl FnOnce(&Bench, &std::path::Path)) -> Answer {
    let bench = Bench::new();
    bench.runs(4);
    touch(&bench, &bench.place.path().join("r1"));
    bench.ask(THREE)
}

fn only_doubt(answer: &Answer) -> &Doubt {
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{answer:#?}");
    let [ignored] = answer.ignored.as_slice() else { panic!("{:#?}", answer.ignored) };
    assert_eq!(ignored.run, "r1");
    assert_eq!(answer.cells[0].runs, ["r0", "r2", "r3"]);
    let what = &answer.missing[0].what;
    assert!(
        what.contains("in place of the run r1, not to be believed: only runs that began after"),
        "{what}"
    );
    &ignored.doubt
}

#[test]
fn an_edited_line() {
    let answer = touched(|_, run| {
        edit(&run.join("journal.jsonl"), "\"selection\":\"demo\"", "\"selection\":\"temo\"");
    });
    assert!(only_doubt(&answer).told().contains("the journal was edited"), "{}", only_doubt(&answer).told());
}

#[test]
fn an_edited_last_line_which_no_later_line_covers() {
    let answer = touched(|_, run| edit(&run.join("journal.jsonl"), "as it is", "as it was"));
    assert!(matches!(only_doubt(&answer), Doubt::Swapped { .. }));
}

#[test]
fn a_journal_that_was_written_anew_as_a_whole() {
    // A failing run whose journal is replaced by a perfect one, chain and all.
    let bench = Bench::new();
    bench.runs(3);
    let bad = bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    std::fs::write(bad.join("journal.jsonl"), good("bad").journal().0).unwrap();
    let answer = bench.ask(THREE);
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    assert!(matches!(answer.ignored[0].doubt, Doubt::Swapped { .. }), "{:?}", answer.ignored);
    // And signed, by a key that nobody trusts.
    seal::seal(&bad, &SecretKey::generate().unwrap()).unwrap();
    assert!(matches!(bench.ask(THREE).ignored[0].doubt, Doubt::Seal(_)));
}

#[test]
fn a_journal_without_its_seal_or_with_a_changed_one() {
    let none = touched(|_, run| std::fs::remove_file(run.join(seal::FILE)).unwrap());
    assert!(matches!(none.ignored[0].doubt, Doubt::NotSealed));
    assert_eq!(
        none.ruling,
        Ruling::Ship,
        "an unsigned run proves nothing, and hides nothing that was signed"
    );
    let changed = touched(|_, run| edit(&run.join(seal::FILE), "\"sig\": \"", "\"sig\": \"A"));
    assert!(matches!(only_doubt(&changed), Doubt::Seal(_)));
}

#[test]
fn a_journal_swapped_with_another_runs() {
    let answer = touched(|bench, run| {
        std::fs::copy(bench.place.path().join("r2/journal.jsonl"), run.join("journal.jsonl")).unwrap();
    });
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    assert!(matches!(answer.ignored[0].doubt, Doubt::Swapped { .. }), "{:?}", answer.ignored);
    // With its seal it is the other run once more, and counts once.
    let twice = touched(|bench, run| {
        for file in ["journal.jsonl", seal::FILE, "results.json"] {
            std::fs::copy(bench.place.path().join("r2").join(file), run.join(file)).unwrap();
        }
    });
    assert_eq!((twice.cells[0].passes, twice.used.len()), (3, 3));
}

#[test]
fn a_whole_folder_in_the_place_of_another_is_seen_by_the_history() {
    let bench = Bench::new();
    bench.runs(3);
    let bad = bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let history = bench.history();
    assert_eq!(bench.ask_with(THREE, Some(&history)).ruling, Ruling::DoNotShip);
    for file in ["journal.jsonl", seal::FILE, "results.json"] {
        std::fs::copy(bench.place.path().join("r2").join(file), bad.join(file)).unwrap();
    }
    let answer = bench.ask_with(THREE, Some(&history));
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{answer:#?}");
    let told = answer.ignored[0].doubt.told();
    assert!(told.contains("run bad (so the history)"), "{told}");
    std::fs::remove_dir_all(&bad).unwrap();
    let gone = bench.ask_with(THREE, Some(&history));
    assert_eq!(gone.ruling, Ruling::NotEnoughEvidence);
    assert!(
        gone.ignored[0].run == "bad" && matches!(gone.ignored[0].doubt, Doubt::Gone(_)),
        "{:?}",
        gone.ignored
    );
}

#[test]
fn an_edited_results_file() {
    let answer = touched(|_, run| edit(&run.join("results.json"), "pass", "fail"));
    assert!(matches!(only_doubt(&answer), Doubt::Results(file) if file == "results.json"));
}

#[test]
fn an_edited_row_of_the_history() {
    let bench = Bench::new();
    bench.runs(3);
    bench.add(&Made { cases: vec![("os::a::one", fail()), ("os::a::two", Outcome::Pass)], ..good("bad") });
    assert_eq!(bench.ask_with(THREE, Some(&bench.history())).ruling, Ruling::DoNotShip);
    let forged = |change: &dyn Fn(&mut shakedown_history::AttemptRow, &mut shakedown_history::RunRow)| {
        let mut rows = Bench::rows(&bench.history());
        rows.retain(|rows| rows.run.run == "bad");
        let Rows { attempts, run, .. } = &mut rows[0];
        change(&mut attempts[0], run);
        bench.ask_by(THREE, rows)
    };
    let pass = forged(&|row, _| row.outcome = shakedown_core::outcome::Word::Pass);
    assert_eq!(pass.ruling, Ruling::NotEnoughEvidence);
    let told = pass.ignored[0].doubt.told();
    assert!(told.contains("os::a::one is `pass` there and `fail` in the journal"), "{told}");
    let head = forged(&|_, run| run.head = Sha::of(b"another").to_string());
    assert!(matches!(head.ignored[0].doubt, Doubt::OtherInHistory { .. }));
    let board = forged(&|_, run| run.board = "board-b".into());
    assert!(matches!(board.ignored[0].doubt, Doubt::Row(_)));
}

#[test]
fn mixed_suite_versions() {
    let mut bench = Bench::new();
    bench.runs(3);
    bench.known.version = Sha::of(b"other suites");
    let answer = bench.ask(THREE);
    assert_eq!((answer.ruling, answer.used.len()), (Ruling::NotEnoughEvidence, 0));
    assert!(
        answer.ignored.iter().all(|one| one.doubt.told().contains("mixed suite versions")),
        "{:?}",
        answer.ignored
    );
}

#[test]
fn a_run_that_was_killed_is_not_sealed() {
    let bench = Bench::new();
    let run = bench.run("r0");
    let file = run.join("journal.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let cut = &text[..=text.trim_end().rfind('\n').unwrap()];
    std::fs::write(&file, cut).unwrap();
    let error = seal::seal(&run, &bench.key).unwrap_err().to_string();
    assert!(error.contains("not whole: it has no end"), "{error}");
    assert!(matches!(bench.ask(THREE).ignored[0].doubt, Doubt::Swapped { .. }));
}

/// Five good runs and a failed one, which somebody makes unbelievable in this way, and three good
/// runs after it: what is answered before these three, and after them.
fn five_and_a_failure(history: bool, destroy: impl FnOnce(&Path)) -> (Bench, [Answer; 2]) {
    let bench = Bench::new();
    bench.runs(5);
    let bad = bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let known = history.then(|| bench.history());
    assert_eq!(bench.ask_with(THREE, known.as_ref()).ruling, Ruling::DoNotShip);
    destroy(&bad);
    let before = bench.ask_with(THREE, known.as_ref());
    for index in 0..3 {
        let later = Made { at: good("x").at + 60, ..good(&format!("later{index}")) };
        bench.add(&later);
    }
    let after = bench.ask_with(THREE, known.as_ref());
    let waiver = "waivers:\n  - {name: w, case: os::a::two, by: ana, reason: seen, until: 2027-01-16}\n";
    let waived = bench.ask_with(&format!("{THREE}{waiver}"), known.as_ref());
    assert_eq!(waived.ruling, Ruling::Ship, "{:#?}", waived.missing);
    (bench, [before, after])
}

#[test]
fn a_failure_that_was_lost_is_not_made_up_for_by_any_passes() {
    let lost = |history: bool, destroy: &dyn Fn(&Path)| {
        let (_, [before, after]) = five_and_a_failure(history, destroy);
        assert_eq!(before.ruling, Ruling::NotEnoughEvidence, "{before:#?}");
        assert_eq!(after.ruling, Ruling::NotEnoughEvidence, "{after:#?}");
        let [missing] = after.missing.as_slice() else { panic!("{:#?}", after.missing) };
        assert_eq!((missing.repeats, missing.cases.as_slice()), (0, ["os::a::two".to_owned()].as_slice()));
        assert!(
            missing.what.starts_with("the run bad on board-a: os::a::two failed in it"),
            "{}",
            missing.what
        );
        assert!(missing.what.contains("later passes do not disprove a failure"), "{}", missing.what);
        after.ignored.into_iter().find(|ignored| ignored.run == "bad").unwrap().doubt
    };
    let gone = lost(true, &|bad| std::fs::remove_dir_all(bad).unwrap());
    assert!(matches!(gone, Doubt::Gone(_)));
    lost(true, &|bad| std::fs::write(bad.join("journal.jsonl"), "").unwrap());
    let bare = lost(true, &|bad| std::fs::remove_file(bad.join(seal::FILE)).unwrap());
    assert!(matches!(bare, Doubt::SealGone));
    let strange = |bad: &Path| drop(seal::seal(bad, &SecretKey::generate().unwrap()).unwrap());
    assert!(matches!(lost(true, &strange), Doubt::Seal(_)));
    // Without a history the journal itself still tells of it.
    assert!(matches!(lost(false, &strange), Doubt::Seal(_)));
    lost(false, &|bad| edit(&bad.join("journal.jsonl"), "as it is", "as it was"));
    lost(false, &|bad| edit(&bad.join("results.json"), "fail", "pass"));
}

#[test]
fn a_lost_failure_of_the_rig_a_simulated_slot_another_case_or_long_ago_holds_nothing_up() {
    let after_by = |policy: &str, made: &Made| {
        let mut bench = Bench::new();
        bench.add(made);
        let history = bench.history();
        std::fs::remove_dir_all(bench.place.path().join(&made.run)).unwrap();
        for index in 0..3 {
            bench.add(&Made { at: good("x").at + 60, ..good(&format!("later{index}")) });
        }
        bench.now += 60;
        bench.ask_with(policy, Some(&history)).ruling
    };
    let after = |made: &Made| after_by(THREE, made);
    let bad = |case, outcome| Made { cases: vec![(case, outcome)], ..good("bad") };
    assert_eq!(after(&bad("os::a::two", fail())), Ruling::NotEnoughEvidence);
    assert_eq!(
        after(&bad("boot::cold::ready", fail())),
        Ruling::NotEnoughEvidence,
        "a boot is always asked for"
    );
    assert_eq!(after(&bad("os::b::other", fail())), Ruling::Ship);
    assert_eq!(after(&bad("os::a::two", Outcome::Pass)), Ruling::Ship);
    assert_eq!(after(&Made { at: good("x").at - 14 * DAY, ..bad("os::a::two", fail()) }), Ruling::Ship);
    let simulated = Made { facts: vec![("simulated", "seed 3")], ..bad("os::a::two", fail()) };
    assert_eq!(after(&simulated), Ruling::Ship);
    let tried = format!("accept-simulated: true\n{THREE}");
    assert_eq!(after_by(&tried, &simulated), Ruling::NotEnoughEvidence, "there it counts as a real one");
}

/// Three good runs and a failed one, of which no folder is named, and the history's rows are edited.
fn hidden(edit: impl FnOnce(&mut Vec<Rows>)) -> Answer {
    let bench = Bench::new();
    bench.runs(3);
    bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let mut rows = Bench::rows(&bench.history());
    assert_eq!(bench.ask_by(THREE, rows.clone()).ruling, Ruling::DoNotShip);
    edit(&mut rows);
    bench.ask_by(THREE, rows)
}

/// The rows of the failed run.
fn bad_of(rows: &mut [Rows]) -> &mut Rows {
    rows.iter_mut().find(|rows| rows.run.run == "bad").unwrap()
}

#[test]
fn a_failed_run_that_the_history_was_made_to_hide_is_found_beside_the_others() {
    let deleted = hidden(|rows| rows.retain(|rows| rows.run.run != "bad"));
    assert_eq!(deleted.ruling, Ruling::DoNotShip, "{deleted:#?}");
    assert_eq!(deleted.reasons[0].runs, ["bad"]);
    let edits: [(&dyn Fn(&mut Rows), &str); 3] = [
        (&|bad| bad.run.source = "junit".into(), "source is junit there and journal"),
        (&|bad| bad.run.journal = "".into(), "no journal is named"),
        (&|bad| bad.run.image.payload = Sha::of(b"1.0").to_string(), "image is "),
    ];
    for (edit, says) in edits {
        let answer = hidden(|rows| edit(bad_of(rows)));
        assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{says}: {answer:#?}");
        let [ignored] = answer.ignored.as_slice() else { panic!("{:#?}", answer.ignored) };
        assert!(ignored.run == "bad" && matches!(ignored.doubt, Doubt::Row(_)), "{ignored:?}");
        assert!(ignored.doubt.told().contains(says), "{}", ignored.doubt.told());
        assert!(answer.missing.iter().any(|missing| missing.what.contains("do not disprove")));
    }
    // The row does not even need a journal that is there.
    let lost = hidden(|rows| bad_of(rows).run.journal = "/nowhere/bad/journal.jsonl".into());
    assert_eq!(lost.ruling, Ruling::DoNotShip, "{lost:#?}");
}

#[test]
fn a_row_that_names_no_journal_any_more_is_missed_when_the_journal_is_gone_too() {
    let bench = Bench::new();
    bench.runs(3);
    let bad = bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let rows = Bench::rows(&bench.history());
    std::fs::remove_dir_all(bad).unwrap();
    let edits: [&dyn Fn(&mut Rows); 2] =
        [&|bad| bad.run.source = "junit".into(), &|bad| bad.run.journal = "".into()];
    for edit in edits {
        let mut rows = rows.clone();
        edit(bad_of(&mut rows));
        let answer = bench.ask_by(THREE, rows);
        assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{answer:#?}");
        assert!(matches!(answer.ignored[0].doubt, Doubt::Gone(_)), "{:?}", answer.ignored);
    }
}

#[test]
fn a_lost_run_that_failed_in_a_step_stays_open_too() {
    let bench = Bench::new();
    bench.runs(3);
    let bad = bench.run("bad");
    let mut rows = Bench::rows(&bench.history());
    // A step has no row of its own: the run's exit is all that is left of it.
    bad_of(&mut rows).run.exit = Some(shakedown_core::ExitCode::Failed);
    std::fs::remove_dir_all(bad).unwrap();
    for index in 0..3 {
        bench.add(&Made { at: good("x").at + 60, ..good(&format!("later{index}")) });
    }
    let answer = bench.ask_by(THREE, rows);
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    let what = &answer.missing[0].what;
    assert!(
        what.contains("one of its steps failed in it") && what.ends_with(": bring the run back"),
        "{what}"
    );
}

#[test]
fn edited_rows_are_told_whatever_was_edited() {
    let edits: [(&dyn Fn(&mut Rows), &str); 8] = [
        (&|bad| drop(bad.ran_as.insert(0, "os::a::one".into())), "the name of os::a::two is `os::a::one`"),
        (&|bad| bad.attempts[0].took = 99, "the duration of os::a::two is `99`"),
        (&|bad| bad.attempts[0].blame = Some(shakedown_core::Blame::Rig), "the blame of os::a::two"),
        (&|bad| bad.run.exit = Some(shakedown_core::ExitCode::Ok), "exit is 0 there and 1"),
        (&|bad| bad.run.started = jiff::Timestamp::UNIX_EPOCH, "start is 0 there"),
        (&|bad| bad.run.simulated = true, "simulated is true there"),
        (&|bad| bad.run.suites = "others".into(), "suites is others there"),
        (&|bad| bad.numbers[0].value = 1.5, "a boot.kernel of 1.5 s is not in the journal"),
    ];
    for (edit, says) in edits {
        let answer = hidden(|rows| edit(bad_of(rows)));
        assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{says}: {answer:#?}");
        assert!(answer.ignored[0].doubt.told().contains(says), "{}", answer.ignored[0].doubt.told());
    }
    let renamed = hidden(|rows| bad_of(rows).attempts[0].case = "os::a::renamed".into());
    assert_eq!(renamed.ruling, Ruling::DoNotShip, "a name of now is no forgery: {renamed:#?}");
}

#[test]
fn a_folder_that_was_moved_is_neither_gone_nor_forged() {
    let bench = Bench::new();
    bench.runs(3);
    let mut rows = Bench::rows(&bench.history());
    for rows in &mut rows {
        rows.run.journal = format!("/elsewhere/{}/journal.jsonl", rows.run.run).into();
    }
    let policy = bench.policy(THREE).unwrap();
    let evidence = bench.evidence_of(&policy, &bench.journals(), rows);
    assert!(evidence.runs.len() == 3 && evidence.ignored.is_empty(), "{:?}", evidence.ignored);
}

#[test]
fn what_could_not_be_told_asks_for_a_pass_more() {
    let bench = Bench::new();
    bench.runs(3);
    assert_eq!(bench.ask(THREE).ruling, Ruling::Ship);
    let open = Outcome::Undetermined { seen: vec!["silence".into()] };
    bench.add(&Made { cases: vec![("os::a::two", open)], ..good("open") });
    let answer = bench.ask(THREE);
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    assert!(answer.missing[0].what.contains("1 undetermined"), "{}", answer.missing[0].what);
    assert_eq!(answer.missing[0].repeats, 1);
    bench.run("more");
    assert_eq!(bench.ask(THREE).ruling, Ruling::Ship);
}

#[test]
fn a_policy_that_asks_for_nothing_is_no_policy() {
    let bench = Bench::new();
    bench.runs(3);
    let of = |rest: &str| bench.policy(&format!("{THREE}{rest}")).unwrap_err();
    let manual = of("manual:\n  - { test: lamp, boards: [], signed-by: [lab] }\n");
    assert!(manual.contains("manual[0].boards"), "{manual}");
    let limit = of("limits:\n  - { name: slow, measure: boot.kernel, boards: [], repeats: 3, at-most: 9 }\n");
    assert!(limit.contains("limits[0].boards"), "{limit}");
    let all = "quarantine:\n  - {case: os::a::one, owner: ana, issue: '#7', reason: slow, until: 2029-01-16}\n  \
               - {case: os::a::two, owner: ana, issue: '#8', reason: slow, until: 2029-01-16}\n";
    let answer = bench.ask(&format!("{THREE}{all}"));
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence, "{answer:#?}");
    assert!(answer.missing[0].what.contains("nothing was shown"), "{}", answer.missing[0].what);
}
