//! Simulated slots through the real command: each rule ends as the runner's own table says.

#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use libtest_mimic::Arguments;
use support::{Place, Run, trial};

fn main() {
    shakedown_host::warden::serve_if_asked();
    let args = Arguments::from_args();
    let trials = vec![
        trial("every_rule_is_judged_by_the_runner", every_rule),
        trial("a_seed_is_a_night", seeds),
        trial("a_simulated_rig_is_checked", refused),
        trial("the_rig_that_is_shipped", shipped),
    ];
    libtest_mimic::run(&args, trials).exit();
}

const CASE: &str = "container::engine::healthy";
const BOOT: &str = shakedown_runner::BOOT;

async fn run(place: &Place, rules: &str, more: &[&str]) -> (Option<i32>, Run) {
    place.file(
        "rig.yaml",
        format!("rig: sim\nslots:\n  one:\n    board: generic-amd64\n    simulated: {{ seed: 3, rules: [{rules}] }}\n"),
    );
    let args = ["run", "--case", "container::engine::*", "--case", "update::*"];
    let ran = place.run(&[&args[..], more].concat()).await;
    assert!(place.path("out").exists(), "{}", ran.all());
    (ran.code, Run::read(&place.last()))
}

async fn every_rule() {
    let place = Place::new();
    let in_case = |does: &str| format!("{{ case: '{CASE}', does: {does} }}");
    for (rules, code, case, word, blame, because, texts) in [
        (in_case("{ fail: no engine }"), 1, CASE, "fail", "os", "assertion", &["no engine"][..]),
        (in_case("hang"), 1, CASE, "fail", "os", "command-hung", &[]),
        (in_case("oops"), 1, CASE, "fail", "os", "bad-line-in-passing-case", &[]),
        (in_case("panic"), 1, CASE, "fail", "os", "bad-line-in-case", &[]),
        (in_case("lose-shell"), 1, CASE, "fail", "os", "ssh-refused", &[]),
        (in_case("lose-network"), 3, CASE, "undetermined", "undetermined", "network-lost", &[]),
        (in_case("go-dark"), 3, CASE, "undetermined", "undetermined", "all-dark", &[]),
        (in_case("power-lost"), 3, CASE, "infra", "rig", "power-lost", &[]),
        (in_case("unplugged"), 3, CASE, "infra", "rig", "rig-network-down", &["no carrier"]),
        ("{ does: panic }".into(), 1, BOOT, "fail", "os", "bad-line-at-boot", &[]),
        ("{ does: silent }".into(), 3, BOOT, "undetermined", "undetermined", "dark-from-power-on", &[]),
        ("{ does: { stuck-after: kernel } }".into(), 1, BOOT, "fail", "os", "stuck-at-boot", &["initramfs"]),
    ] {
        let (exit, run) = run(&place, &rules, &[]).await;
        run.judged(case, word, blame, because, texts);
        run.ended(exit, code);
        assert_eq!(run.ledger.head.as_ref().unwrap().facts["simulated"], "seed 3");
    }
    // What is wrong with the slot itself stops the run in the step that meets it.
    for (does, step) in [("power-stuck", "power off"), ("medium-gone", "write image")] {
        let (exit, run) = run(&place, &format!("{{ does: {does} }}"), &[]).await;
        let (outcome, ..) = run.step(step).failed.as_ref().unwrap();
        assert_eq!((outcome.word(), exit), ("infra", Some(3)), "{does}");
    }
    // Without cases: the steps of the dry run, and the boot.
    let made = place.path("cache/simulated");
    let made = std::fs::read_dir(made).unwrap().next().unwrap().unwrap().path().display().to_string();
    place.file(
        "rig.yaml",
        "rig: sim\nslots:\n  one:\n    board: raspberrypi4-64\n    simulated: { seed: 3 }\n",
    );
    let ran = place.run(&["provision", "one", &made, "--os", "reference"]).await;
    ran.says(0, &["write image", "report: "]);
    let provisioned = Run::read(&place.last());
    let steps: Vec<_> = provisioned.ledger.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps[..3], ["power off", "write image", "inject identity"], "{steps:?}");
    assert_eq!(provisioned.ledger.boots.len(), 1);
    let command = &provisioned.ledger.head.as_ref().unwrap().command;
    assert!(command.starts_with("shakedown provision one "), "{command}");
    // A slow boot is a boot; and a control image is what a run writes second.
    let (_, usual) = run(&place, "", &[]).await;
    let verdict = &usual.ledger.end.as_ref().unwrap().1;
    assert!(verdict.contains("on generic-amd64 (simulated) ("), "{verdict}");
    let (exit, slow) = run(&place, "{ does: { slow: 2 } }", &[]).await;
    let ready = |run: &Run| run.ledger.boots[0].stages.last().unwrap().after;
    let times = ready(&slow).as_secs_f64() / ready(&usual).as_secs_f64();
    assert!(exit == Some(0) && (1.9..2.1).contains(&times), "{exit:?}, {times}");
    let image = place.path("cache/simulated");
    let image = std::fs::read_dir(image).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(image).unwrap();
    let other: Vec<u8> = [&good[..300], &[1], &good[301..]].concat();
    place.file("control.img", other);
    let only_ours = "{ image: '*reference*', does: silent }";
    let (exit, run) = run(&place, only_ours, &["--control", "control.img"]).await;
    run.judged(BOOT, "fail", "os", "control-run-came-up", &[]);
    run.ended(exit, 1);
}

fn outcomes(run: &Run) -> Vec<(String, u32, String)> {
    let attempt = |attempt: &shakedown_core::ledger::Attempt| {
        let word = attempt.outcome.as_ref().map_or("none", shakedown_core::Outcome::word);
        (attempt.case.0.clone(), attempt.number, format!("{word} {:?}", attempt.took))
    };
    run.ledger.attempts.iter().map(attempt).collect()
}

async fn seeds() {
    let place = Place::new();
    let rule = "{ case: '*', rate: 0.5, does: { fail: by the dice } }";
    let (_, first) = run(&place, rule, &["--repeat", "20"]).await;
    let (_, again) = run(&place, rule, &["--repeat", "20"]).await;
    assert_eq!(outcomes(&first), outcomes(&again));
    let failed = outcomes(&first).iter().filter(|(_, _, word)| word.starts_with("fail")).count();
    let all = outcomes(&first).len() - 1;
    assert!((all * 3 / 10..all * 7 / 10).contains(&failed), "{failed} of {all}");
}

async fn refused() {
    let place = Place::new();
    for (slot, error) in [
        (
            "simulated: { rules: [{ does: explode }] }",
            "rig.yaml:3:61: slots.one.simulated.rules[0].does: unknown choice `explode`",
        ),
        (
            "simulated: { rules: [{ rate: 2, does: hang }] }",
            "slots.one.simulated.rules[0].rate: expected a number from 0 to 1, got 2",
        ),
        (
            "simulated: { rules: [{ case: 'boot::cold::ready', does: hang }] }",
            "slots.one.simulated.rules[0].case: a boot cannot do this: say panic, silent or stuck-after",
        ),
        (
            "simulated: {}, qemu: { machine: q35 }",
            "a simulated DUT has no other side: remove this, or `simulated`",
        ),
    ] {
        place.file("rig.yaml", format!("rig: sim\nslots:\n  one: {{ board: generic-amd64, {slot} }}\n"));
        place.run(&["rigs", "check"]).await.says(2, &[error]);
    }
}

async fn shipped() {
    let place = Place::new();
    let rig = concat!(env!("CARGO_MANIFEST_DIR"), "/../simulated/rig.yaml");
    place.run(&["rigs", "--rig", rig, "check"]).await.says(0, &["4 slot(s), 0 error(s)"]);
    let ran = place.run(&["run", "--rig", rig, "--slot", "well"]).await;
    ran.says(0, &["43 of 43 cases passed"]);
    // Nothing is left: no process, no lock.
    assert_eq!(place.processes(), [0_u32; 0]);
}
