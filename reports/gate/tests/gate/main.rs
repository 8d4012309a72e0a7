//! The gate over runs of our own making: the three answers, forged evidence, policies.

mod attested;
mod bench;
mod forged;
#[path = "../../../history/tests/history/made.rs"]
mod made;
mod policies;

use bench::{Bench, DAY, THREE, good};
use made::{Made, fail, infra};
use shakedown_core::{Outcome, Sha};
use shakedown_gate::judge::{Because, Exception};
use shakedown_gate::manual::{self, Record};
use shakedown_gate::{Ruling, SecretKey, render};

#[test]
fn enough_signed_passes_ship_and_say_what_they_prove() {
    let bench = Bench::new();
    bench.runs(3);
    let answer = bench.ask(THREE);
    assert_eq!((answer.ruling, answer.ruling.exit().code()), (Ruling::Ship, 0), "{answer:#?}");
    let cell = &answer.cells[0];
    assert_eq!((cell.cases, cell.passes, cell.wanted, cell.runs.len()), (2, 3, 3, 3));
    // 1 - 0.05^(1/3): scipy.stats.beta.ppf(0.95, 1, 3) = 0.6315968501359612.
    assert!((cell.seen_above - 0.631_596_850_135_961_2).abs() < 1e-12);
    let told = render::sentence(&answer);
    assert!(
        told.starts_with("SHIP ") && told.contains("more than 63.2 %") && told.contains("95 %"),
        "{told}"
    );
    assert_eq!(answer.used.len(), 3);
}

#[test]
fn too_few_are_not_enough_and_the_command_that_is_missing_is_told() {
    let bench = Bench::new();
    bench.runs(2);
    bench.add(&Made { board: "board-b", ..good("elsewhere") });
    bench.add(&Made { image: "1.0", ..good("other-image") });
    let answer = bench.ask(THREE);
    assert_eq!((answer.ruling, answer.ruling.exit().code()), (Ruling::NotEnoughEvidence, 4));
    let missing = &answer.missing[0];
    assert_eq!((missing.repeats, missing.cases.len()), (1, 2));
    let command = missing.command.as_deref().unwrap();
    assert_eq!(command, "shakedown run --board board-a --image /images/1.1 --suite os --repeat 1");
    let nothing = Bench::new().ask(THREE);
    assert_eq!((nothing.ruling, nothing.missing[0].repeats), (Ruling::NotEnoughEvidence, 3));
    assert_eq!(nothing.confidence(), None);
}

#[test]
fn one_failure_among_many_passes_blocks_with_its_run_and_its_command() {
    let bench = Bench::new();
    bench.runs(5);
    bench.add(&Made { cases: vec![("os::a::one", Outcome::Pass), ("os::a::two", fail())], ..good("bad") });
    let answer = bench.ask(THREE);
    assert_eq!((answer.ruling, answer.ruling.exit().code()), (Ruling::DoNotShip, 1));
    let [reason] = answer.reasons.as_slice() else { panic!("{:?}", answer.reasons) };
    assert_eq!((reason.because, reason.runs.as_slice()), (Because::Failed, ["bad".to_owned()].as_slice()));
    assert!(reason.what.starts_with("os::a::two is flaky, and failed in 1 of 6 attempts"), "{}", reason.what);
    assert_eq!(reason.command.as_deref(), Some("shakedown run --case os::a::two"));
}

#[test]
fn what_the_rig_did_is_neither_a_failure_nor_evidence() {
    let bench = Bench::new();
    bench.runs(2);
    bench
        .add(&Made { cases: vec![("os::a::one", Outcome::Pass), ("os::a::two", infra())], ..good("broken") });
    let undetermined = Outcome::Undetermined { seen: vec!["silence".into()] };
    bench.add(&Made { cases: vec![("os::a::two", undetermined)], ..good("open") });
    let answer = bench.ask(THREE);
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    assert_eq!(answer.missing[0].cases, ["os::a::two"]);
    let what = &answer.missing[0].what;
    assert!(what.contains("passed 2 times (1 infra, 1 undetermined)"), "{what}");
}

#[test]
fn a_boot_that_failed_blocks_whatever_suites_are_asked_for() {
    let bench = Bench::new();
    bench.runs(3);
    bench.add(&Made { cases: vec![("boot::cold::ready", fail())], kernel: None, ..good("dead") });
    let answer = bench.ask(THREE);
    assert_eq!(answer.ruling, Ruling::DoNotShip);
    assert!(answer.reasons[0].what.starts_with("boot::cold::ready failed"), "{}", answer.reasons[0].what);
}

#[test]
fn a_skip_is_missing_unless_the_policy_allows_it() {
    let bench = Bench::new();
    let skip = Outcome::Skip { reason: "no LED".into() };
    for index in 0..3 {
        let cases = vec![("os::a::one", Outcome::Pass), ("os::a::two", skip.clone())];
        bench.add(&Made { cases, ..good(&format!("r{index}")) });
    }
    let answer = bench.ask(THREE);
    assert_eq!((answer.ruling, answer.missing[0].cases.len()), (Ruling::NotEnoughEvidence, 1));
    assert!(answer.missing[0].what.contains("(skipped)"), "{}", answer.missing[0].what);
    let allowed = bench.ask(&format!("{THREE}    may-skip: [os::a::two]\n"));
    assert_eq!(allowed.ruling, Ruling::Ship);
    assert!(matches!(allowed.exceptions[0], Exception::Skipped { .. }));
}

#[test]
fn quarantine_holds_until_its_day_and_blocks_from_the_next() {
    let mut bench = Bench::new();
    bench.runs(3);
    bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    // The runs are of 2027-01-15.
    let entry = "quarantine:\n  - {case: os::a::two, owner: ana, issue: '#7', reason: a slow disk, until: 2027-01-16}\n";
    let held = bench.ask(&format!("{THREE}{entry}"));
    assert_eq!(held.ruling, Ruling::Ship, "{held:#?}");
    assert!(
        matches!(&held.exceptions[0], Exception::Quarantined { failed: 1, of: 4, .. }),
        "{:?}",
        held.exceptions
    );
    bench.now += DAY;
    let expired = bench.ask(&format!("{THREE}{entry}"));
    assert_eq!(expired.ruling, Ruling::DoNotShip);
    let reasons: Vec<_> = expired.reasons.iter().map(|reason| reason.because).collect();
    assert_eq!(reasons, [Because::Failed, Because::QuarantineExpired]);
    let what = &expired.reasons[1].what;
    assert!(what.contains("os::a::two expired on 2027-01-16") && what.contains("ana, #7"), "{what}");
}

#[test]
fn a_waiver_excuses_what_it_names_and_nothing_after_its_day() {
    let mut bench = Bench::new();
    bench.runs(3);
    bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    let waiver = "waivers:\n  - {name: disk, case: os::a::two, by: ana, reason: seen, until: 2027-01-16}\n";
    let held = bench.ask(&format!("{THREE}{waiver}"));
    assert!(
        held.ruling == Ruling::Ship && matches!(held.exceptions[..], [Exception::Waived(_)]),
        "{held:#?}"
    );
    bench.now += DAY;
    let expired = bench.ask(&format!("{THREE}{waiver}"));
    assert_eq!(expired.ruling, Ruling::DoNotShip);
    assert!(matches!(expired.exceptions[..], [Exception::WaiverExpired(_)]));
}

#[test]
fn old_evidence_does_not_count_and_an_expired_policy_ships_nothing() {
    let mut bench = Bench::new();
    bench.runs(3);
    bench.now += 14 * DAY;
    let old = bench.ask(THREE);
    assert_eq!((old.ruling, old.ignored.len()), (Ruling::NotEnoughEvidence, 3));
    assert!(old.missing[0].what.contains("3 passes"), "age asks for no more: {}", old.missing[0].what);
    bench.now -= 16 * DAY;
    let early = bench.ask(THREE);
    assert!(
        early.ruling == Ruling::NotEnoughEvidence && early.ignored[0].doubt.told().contains("not come yet")
    );
    let late = Bench { now: 1_900_000_000, ..bench };
    assert_eq!(late.ask(THREE).reasons[0].because, Because::PolicyExpired);
}

#[test]
fn a_simulated_slot_is_no_evidence_unless_the_policy_is_only_tried() {
    let bench = Bench::new();
    bench.runs(2);
    bench.add(&Made { facts: vec![("simulated", "seed 3")], ..good("sim") });
    let answer = bench.ask(THREE);
    assert_eq!(answer.ruling, Ruling::NotEnoughEvidence);
    assert!(answer.ignored[0].run == "sim" && answer.ignored[0].doubt.told().contains("simulated slot"));
    let tried = bench.ask(&format!("accept-simulated: true\n{THREE}"));
    assert_eq!(tried.ruling, Ruling::Ship);
    assert!(matches!(tried.exceptions[..], [Exception::Simulated { runs: 1 }]), "{:?}", tried.exceptions);
    assert!(render::html(&tried).contains("SIMULATED"));
}

#[test]
fn limits_hold_the_median_the_worst_and_the_baseline() {
    let bench = Bench::new();
    for index in 0..5 {
        let slow = f64::from(index) * 0.02;
        bench.add(&Made { kernel: Some(7.0 + slow), ..good(&format!("r{index}")) });
        let at = 1_800_000_000 - 100 * DAY;
        bench.add(&Made { kernel: Some(6.0 + slow), image: "1.0", at, ..good(&format!("base{index}")) });
    }
    let limit = |rest: &str| {
        let answer = bench.ask(&format!(
            "{THREE}limits:\n  - {{name: k, measure: boot.kernel, boards: [board-a], repeats: 5, {rest}}}\n"
        ));
        (answer.ruling, answer)
    };
    let base = &Sha::of(b"1.0").to_string()[..12];
    for (rest, ruling) in [
        ("at-most: 7.04", Ruling::Ship),
        ("at-most: 7.03", Ruling::DoNotShip),
        ("never-above: 7.08", Ruling::Ship),
        ("never-above: 7.07", Ruling::DoNotShip),
        ("at-least: 7.05", Ruling::DoNotShip),
    ] {
        assert_eq!(limit(rest).0, ruling, "{rest}");
    }
    let slower = |percent: u32| limit(&format!("baseline: {{image: '{base}', worse-by-at-most: {percent}}}"));
    let (ruling, answer) = slower(10);
    assert_eq!(ruling, Ruling::DoNotShip);
    let what = &answer.reasons[0].what;
    // SciPy: mannwhitneyu(five, five smaller ones, alternative="greater").pvalue = 1/252 = 0.00397.
    assert!(what.contains("p = 0.0040") && what.contains("Mann-Whitney"), "{what}");
    // Of the medians 7.04 and 6.04.
    let begins =
        format!("boot.kernel: 16.6 % worse than the baseline {base} (limit 10 %), p = 0.0040 (medians");
    assert!(what.starts_with(&begins), "{what}");
    assert!(render::text(&answer).contains("BROKEN: 16.6 % worse"), "{}", render::text(&answer));
    let broken = |rest: &str| limit(rest).1.reasons[0].what.clone();
    assert_eq!(broken("at-most: 5"), "boot.kernel: median 7.04 s, limit 5 s (5 values)");
    assert_eq!(
        broken("never-above: 7.07"),
        "boot.kernel: largest 7.08 s, limit of every value 7.07 s (5 values)"
    );
    assert_eq!(
        broken("at-least: 7.05"),
        "boot.kernel: median 7.04 s, at least 7.05 s is asked for (5 values)"
    );
    assert!(broken("at-most: 7.0399999").starts_with("boot.kernel: median 7.04 s, limit 7.0399999 s"));
    assert_eq!(slower(20).0, Ruling::Ship);
    let (ruling, answer) = limit("baseline: {image: '123456789abc', worse-by-at-most: 10}");
    assert_eq!(ruling, Ruling::NotEnoughEvidence);
    let what = &answer.missing[0].what;
    let says = "0 values of boot.kernel with the baseline 123456789abc, of which no run is known at all";
    assert!(what.contains(says), "{what}");
    let own = Sha::of(b"1.1").to_string();
    let (ruling, answer) = limit(&format!("baseline: {{image: '{own}', worse-by-at-most: 10}}"));
    assert_eq!(ruling, Ruling::NotEnoughEvidence);
    assert!(answer.missing[0].what.contains("is the image itself"), "{}", answer.missing[0].what);
    let few = bench.ask(&format!(
        "{THREE}limits:\n  - {{name: k, measure: boot.kernel, boards: [board-a], repeats: 9, at-most: 99}}\n"
    ));
    assert_eq!((few.ruling, few.missing[0].repeats), (Ruling::NotEnoughEvidence, 4));
}

#[test]
fn a_measure_that_no_run_has_is_told_with_the_one_that_was_meant() {
    let bench = Bench::new();
    for index in 0..3 {
        bench.add(&Made { measures: vec![("memory.rest", 5.5)], ..good(&format!("r{index}")) });
    }
    let asked = |measure: &str| {
        let limit = format!("{{name: k, measure: {measure}, boards: [board-a], repeats: 3, at-most: 9}}");
        bench.ask(&format!("{THREE}limits:\n  - {limit}\n"))
    };
    let what = &asked("boot.kernl").missing[0].what;
    assert!(what.contains("no run has such a measure; did you mean `boot.kernel`?"), "{what}");
    let what = &asked("latency").missing[0].what;
    assert!(what.contains("no run has such a measure; there are boot.kernel, memory.rest"), "{what}");
    assert_eq!(asked("boot.kernel").ruling, Ruling::Ship);
}

#[test]
fn one_is_told_as_one() {
    let bench = Bench::new();
    bench.run("r0");
    let one = bench.ask(THREE);
    let text = render::text(&one);
    assert!(one.missing[0].what.contains("os::a::one passed once, and 1 more case"), "{text}");
    assert!(render::html(&one).contains("and 1 thing is missing, from 1 signed run."));
    let nothing = render::text(&Bench::new().ask(THREE));
    assert!(nothing.contains("which shows nothing") && !nothing.contains("100.0 %"), "{nothing}");
    bench.add(&Made { facts: vec![("simulated", "seed 3")], ..good("sim") });
    let tried = render::text(&bench.ask(&format!("accept-simulated: true\n{THREE}")));
    assert!(tried.contains("1 run is SIMULATED"), "{tried}");
    bench.add(&Made { cases: vec![("os::a::two", fail())], ..good("bad") });
    assert!(render::html(&bench.ask(THREE)).contains("1 thing speaks against it"));
}

#[test]
fn a_test_by_hand_needs_the_right_record() {
    let bench = Bench::new();
    bench.runs(3);
    let policy = format!("{THREE}manual:\n  - {{test: hdmi, boards: [board-a], signed-by: [lab]}}\n");
    assert!(bench.ask(&policy).missing[0].what.contains("there is no record"));
    let record = Record {
        test: "hdmi".into(),
        board: "board-a".into(),
        image: Sha::of(b"1.1"),
        passed: true,
        by: "ana".into(),
        at: jiff::Timestamp::from_second(bench.now - 60).unwrap(),
        note: "a picture".into(),
    };
    let put = |record: &Record, key: &SecretKey| {
        let path = bench.place.path().join("hdmi.manual.json");
        std::fs::write(path, manual::sign(record, key).unwrap()).unwrap();
        bench.ask(&policy)
    };
    assert_eq!(put(&record, &bench.key).ruling, Ruling::Ship);
    let strange = put(&record, &SecretKey::generate().unwrap());
    assert!(strange.missing[0].what.contains("another key"), "{}", strange.missing[0].what);
    let other = put(&Record { image: Sha::of(b"1.0"), ..record.clone() }, &bench.key);
    assert!(other.missing[0].what.contains("another image"));
    let failed = put(&Record { passed: false, note: String::new(), ..record }, &bench.key);
    assert_eq!(failed.reasons[0].what, "hdmi, by hand, failed (ana)");
    assert_eq!((failed.ruling, failed.reasons[0].because), (Ruling::DoNotShip, Because::ManualFailed));
}

#[test]
fn every_rendering_tells_the_same_and_no_text_gets_out_of_hand() {
    let bench = Bench::new();
    bench.runs(2);
    let nasty =
        Outcome::Fail(shakedown_core::Failure::new("<script>x</script> `@all` | %0A::error", "a", "b"));
    bench.add(&Made { cases: vec![("os::a::two", nasty)], ..good("bad") });
    let answer = bench.ask(THREE);
    let html = render::html(&answer);
    assert!(
        html.contains("Do not ship") && !html.contains("<script") && html.contains("&lt;script&gt;"),
        "{html}"
    );
    let summary = render::summary(&answer);
    assert!(
        summary.contains("DO NOT SHIP") && !summary.contains("<script") && !summary.contains("@all"),
        "{summary}"
    );
    let notes = render::annotations(&answer);
    assert!(notes[0].starts_with("::error title=do not ship::board-a os::a::two"), "{notes:?}");
    assert!(notes.iter().all(|note| !note.contains('\n') && !note.contains("%0A")), "{notes:?}");
    let json = render::json(&answer);
    let back: shakedown_gate::Answer = serde_json::from_str(&json).unwrap();
    assert_eq!((back.ruling, &back.reasons), (answer.ruling, &answer.reasons));
    assert!(render::text(&back).contains("again shakedown run --case os::a::two"));
}
