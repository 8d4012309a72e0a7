//! Evidence that somebody changed: named, ignored, and to be made again.

use shakedown_core::{Outcome, Sha};
use shakedown_gate::{Answer, Doubt, Ruling, SecretKey, seal};

use super::bench::{Bench, THREE, edit, good};
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
    assert!(
        answer.missing[0].what.contains("in place of what cannot be believed"),
        "{}",
        answer.missing[0].what
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
    let policy = bench.policy(THREE).unwrap();
    let forged = |change: &dyn Fn(&mut shakedown_history::AttemptRow, &mut shakedown_history::RunRow)| {
        let history = bench.history();
        let filter = shakedown_history::Filter { run: Some("bad".into()), ..Default::default() };
        let mut run = history.runs(&filter, 1).unwrap().remove(0);
        let mut rows = history.attempts(&filter, 9).unwrap();
        change(rows.iter_mut().find(|row| row.ordinal == 0).unwrap(), &mut run);
        let results = |ledger: &shakedown_core::Ledger| ("results.json", (bench.results)(ledger));
        let source = shakedown_gate::Source {
            journals: bench.journals(),
            history: vec![(run, rows)],
            results: &results,
        };
        let evidence = shakedown_gate::Evidence::read(&source, &policy.keys(), &["lab".to_owned()]);
        let now = jiff::Timestamp::from_second(bench.now).unwrap();
        shakedown_gate::judge(&policy, &bench.known, Sha::of(b"1.1"), None, &evidence, &[], now)
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

/// Five good runs and a failed one, which somebody makes unbelievable in this way.
fn five_and_a_failure(history: bool, destroy: impl FnOnce(&std::path::Path)) -> Answer {
    let bench = Bench::new();
    bench.runs(5);
    let bad = bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let known = history.then(|| bench.history());
    assert_eq!(bench.ask_with(THREE, known.as_ref()).ruling, Ruling::DoNotShip);
    destroy(&bad);
    let answer = bench.ask_with(THREE, known.as_ref());
    // Made again, it counts: three runs that began later.
    for index in 0..3 {
        let later = Made { at: good("x").at + 60, ..good(&format!("later{index}")) };
        bench.add(&later);
    }
    let healed = bench.ask_with(THREE, known.as_ref());
    assert_eq!(healed.ruling, Ruling::Ship, "{:#?}", healed.missing);
    answer
}

#[test]
fn a_failure_that_was_destroyed_is_not_made_up_for_by_passes_before_it() {
    let gone = five_and_a_failure(true, |bad| std::fs::remove_dir_all(bad).unwrap());
    assert_eq!(gone.ruling, Ruling::NotEnoughEvidence, "{gone:#?}");
    let empty = five_and_a_failure(true, |bad| std::fs::write(bad.join("journal.jsonl"), "").unwrap());
    assert_eq!(empty.ruling, Ruling::NotEnoughEvidence, "{empty:#?}");
    let bare = five_and_a_failure(true, |bad| std::fs::remove_file(bad.join(seal::FILE)).unwrap());
    assert_eq!(bare.ruling, Ruling::NotEnoughEvidence, "{bare:#?}");
    assert!(matches!(bare.ignored[0].doubt, Doubt::SealGone));
    let edited = five_and_a_failure(false, |bad| edit(&bad.join("journal.jsonl"), "as it is", "as it was"));
    assert_eq!(edited.ruling, Ruling::NotEnoughEvidence, "{edited:#?}");
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
