//! Faults that need a real OS: cases that sabotage the reference OS under the run's feet.
//!
//! `cargo test -p shakedown --test faults_os`. One run of five boots on the reference OS, which is
//! built when the cache does not have it.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use shakedown_core::Outcome;
use shakedown_host::Tool;
use support::{Place, Run, SHAKEDOWN, by, one_by_one, trial};

/// The shared reboot comes last: after it the engine is dead.
const SUITE: &str = "module: faults::os
cases:
  - id: well
    title: a case before the faults passes
    effect: read-only
    within: 20s
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: sshd-killed
    title: sshd is killed while a command runs
    effect: read-only
    within: 20s
    check:
      - run: >-
          (sleep 1; systemctl stop sshd.service; pkill -KILL sshd) >/dev/null 2>&1 </dev/null &
          sleep 60
        within: 15s
        says: the command did not end well
        expect: { exit: 0 }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: sshd-mute
    title: sshd accepts and says nothing any more
    effect: read-only
    within: 20s
    check:
      - run: (sleep 1; pkill -STOP sshd) >/dev/null 2>&1 </dev/null & sleep 60
        within: 15s
        says: the command did not end well
        expect: { exit: 0 }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: reboots
    title: the DUT reboots while a command runs
    effect: read-only
    within: 35s
    check:
      - run: (sleep 1; reboot -f) >/dev/null 2>&1 </dev/null & sleep 60
        within: 30s
        says: the command did not end well
        expect: { exit: 0 }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: well-again
    title: a case after the faults passes
    effect: read-only
    within: 20s
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: engine-dead
    title: the engine comes up after a reboot
    effect: shares-reboot
    within: 30s
    prepare:
      - run: |
          set -e
          mkdir -p /etc/systemd/system/engine.service.d
          printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > /etc/systemd/system/engine.service.d/dead.conf
          echo dead
        expect: { equals: dead }
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
";

fn main() {
    one_by_one(|| vec![trial("faults_of_an_os_in_mid_case_and_from_the_start", faults)]);
}

/// The image in the machine's own cache; the first call may build it.
async fn reference() -> String {
    let built = Tool::new(SHAKEDOWN).args(["image", "build"]).run_ok(&by("image build", 1800)).await.unwrap();
    built.text().lines().last().expect("the image's path").to_owned()
}

async fn faults() {
    let image = reference().await;
    let place = Place::new();
    place.file("private/suites/faults/os.yaml", SUITE);
    // As it is, but for the patience: a dead engine is waited for in full.
    let profile = include_str!("../../../boards/os/reference.yaml")
        .replace("os: reference\n", "os: reference-short\n")
        .replace("os-release-ids: [shakedown-reference]", "os-release-ids: [reference-short]")
        .replace("      seen: engine\n      within: 120s", "      seen: engine\n      within: 40s");
    assert!(profile.contains("within: 40s\n  bad:"), "the profile is as this test knows it");
    place.file("private/os/reference-short.yaml", profile);
    let os = ["--os", "reference-short", "--suite", "faults", "--image", &image];
    let ran = place.run(&[&["run", "--path", "private", "--board", "generic-amd64"][..], &os].concat()).await;
    print!("{}", ran.out);
    let run = Run::read(&place.last());
    assert_eq!(run.case("boot::cold::ready").outcome, Some(Outcome::Pass), "{}", ran.all());
    assert_eq!(run.case("faults::os::well").outcome, Some(Outcome::Pass));
    run.judged(
        "faults::os::sshd-killed",
        "fail",
        "os",
        "ssh-refused",
        &["the SSH server is gone and the DUT lives", "the SSH port is refused", "the console is alive"],
    );
    run.judged(
        "faults::os::sshd-mute",
        "fail",
        "os",
        "ssh-mute",
        &["the SSH server accepts and stays mute, and the DUT lives", "the SSH port accepts and stays mute"],
    );
    run.judged(
        "faults::os::reboots",
        "fail",
        "os",
        "rebooted-in-case",
        &["the DUT rebooted by itself", "the DUT started anew: "],
    );
    // Each fault was healed before the next case.
    for next in ["sshd-mute", "reboots"] {
        let proof = run.step(&format!("recover before faults::os::{next}")).proof.as_deref();
        assert_eq!(proof, Some("power cycled, ready again"));
    }
    assert_eq!(run.case("faults::os::well-again").outcome, Some(Outcome::Pass));
    let (outcome, blame, because) = run.step("shared reboot").failed.clone().expect("no engine, not ready");
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("fail", "os", "not-ready-after-login"));
    assert!(outcome.headline().contains("ready not reached after shell"), "{}", outcome.headline());
    assert_eq!(
        run.case("faults::os::engine-dead").outcome,
        Some(Outcome::Blocked { by: "shared reboot".into() })
    );
    run.ended(ran.code, 1);
    // The shell still answers, so the engine's own words are kept.
    let saved = |path: &str| run.ledger.files.iter().any(|file| file.path == path);
    assert!(saved("dut/engine.txt") || saved("dut/journal.txt"), "{:?}", run.ledger.files);
}
