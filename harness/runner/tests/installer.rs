//! An installer on a simulated DUT: what proves that it did its work, and what is told when it did not.

mod sim;

use shakedown_core::ledger::Step;
use shakedown_core::{Effect, ExitCode, Ledger, Outcome, Side};
use sim::{GOOD, Sim, case, flasher, usual};

const INSTALLS: &str = "Linux version 6.0.0\nINSTALLER: begins: sda -> nvme0n1\n";
const DONE: &str = "Linux version 6.0.0\nINSTALLER: begins: sda -> nvme0n1\n[   9.1] reboot: Power down\n";
const BOOT: &str = shakedown_runner::BOOT;

/// Installs in its first boot, comes up in the second, and says what runs then.
fn installing() -> Sim {
    let mut sim = Sim::new();
    sim.procedure = flasher();
    sim.profile.facts =
        [("installer-began", "INSTALLER: begins: "), ("installer-failed", "INSTALLER: fatal: ")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    sim.profile.partitions.insert("installer-boot".into(), "SIM-BOOT".into());
    sim.config_keys().insert("uuid".into(), "uuid".into());
    let mut world = sim.world();
    world.says = |boot| if boot == 0 { DONE } else { GOOD };
    world.answers = |world, line| told(world, line, "disk=nvme0n1\nversion=\"1.0.0\"\nours=yes\n");
    drop(world);
    sim.cases = vec![case("fine", Effect::ReadOnly, || (), |_, _| Box::pin(async { Ok(()) }))];
    sim
}

fn told(world: &mut sim::World, line: &str, what: &str) -> Result<String, shakedown_core::Unreachable> {
    if line.contains("mountinfo") { Ok(what.to_owned()) } else { usual(world, line) }
}

#[track_caller]
fn step<'a>(ledger: &'a Ledger, name: &str) -> &'a Step {
    let found = ledger.steps.iter().find(|step| step.name == name);
    found.unwrap_or_else(|| panic!("no step {name}: {:#?}", ledger.steps))
}

/// Outcome, blame, the row that decided, and the words.
#[track_caller]
fn failed(ledger: &Ledger, name: &str) -> (&'static str, &'static str, String, String) {
    let (outcome, blame, because) = step(ledger, name).failed.clone().expect("it failed");
    (outcome.word(), blame.word(), because, outcome.headline())
}

/// The steps whose end was seen well, in order.
fn proven(ledger: &Ledger) -> Vec<&str> {
    ledger.steps.iter().filter(|step| step.proof.is_some()).map(|step| step.name.as_str()).collect()
}

#[track_caller]
fn blocked(sim: &Sim, ledger: &Ledger, by: &str) {
    let fine = ledger.attempts.iter().find(|attempt| attempt.case.0.ends_with("fine")).unwrap();
    assert_eq!(fine.outcome, Some(Outcome::Blocked { by: by.into() }));
    assert!(!sim.world().on || !sim.world().goes_off, "left on");
}

#[tokio::test]
async fn an_installer_is_run_to_its_end_taken_away_and_proven_by_what_boots() {
    let sim = installing();
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    assert_eq!(
        proven(&ledger)[..11],
        [
            "power off",
            "write installer",
            "inject identity",
            "main to dut",
            "set recovery",
            "power on",
            "await off",
            "power off installed",
            "release recovery",
            "main away",
            "drain",
        ]
    );
    let proof = |name: &str| step(&ledger, name).proof.clone().unwrap();
    let off = proof("await off");
    assert!(off.starts_with("the console said `reboot: Power down`, and nothing for 1"), "{off}");
    assert!(proof("drain").starts_with("5 s with the supply off: "), "{}", proof("drain"));
    let runs = proof("prove internal");
    assert!(runs.starts_with("nvme0n1 runs version 1.0.0, with this run's configuration; the "), "{runs}");
    // The installer had its medium; what came after it had none of ours.
    assert_eq!(sim.world().started_with, [Side::Dut, Side::Host]);
}

#[tokio::test]
async fn an_installer_that_never_switches_off_is_the_os() {
    let sim = installing();
    sim.world().says = |_| INSTALLS;
    let (exit, ledger) = sim.run().await;
    let (word, blame, because, says) = failed(&ledger, "await off");
    assert_eq!((exit, word, blame, because.as_str()), (ExitCode::Failed, "fail", "os", "stuck-at-boot"));
    assert!(says.contains("installed and off not reached after the installer's kernel"), "{says}");
    blocked(&sim, &ledger, "await off");
    assert_eq!(sim.world().started_with, [Side::Dut], "nothing was booted after it");
}

#[tokio::test]
async fn an_installer_of_which_nothing_is_seen_cannot_be_told() {
    let sim = installing();
    sim.world().says = |_| "";
    sim.world().getty = false;
    let (exit, ledger) = sim.run().await;
    let (word, blame, because, _) = failed(&ledger, "await off");
    assert_eq!(
        (exit, word, blame, because.as_str()),
        (ExitCode::Infra, "undetermined", "undetermined", "dark-from-power-on")
    );
    blocked(&sim, &ledger, "await off");
}

#[tokio::test]
async fn an_installer_that_gives_up_panics_or_starts_over_is_told_at_once() {
    type Said = fn(u32) -> &'static str;
    let table: [(Said, &str, &str); 4] = [
        (
            |_| "Linux version 6\nINSTALLER: fatal: no internal disk\n",
            "bad-line-at-boot",
            "the installer gave up",
        ),
        (|_| "Linux version 6\nBUG: unable to handle x\n", "bad-line-at-boot", "it said BUG"),
        (|_| "Linux version 6\nLinux version 6\n", "reset-at-boot", "unexpected reset"),
        (|_| "reboot: Power down\nLinux version 6\n", "reset-at-boot", "after installed and off"),
    ];
    for (says, because, words) in table {
        let sim = installing();
        sim.world().says = says;
        let (exit, ledger) = sim.run().await;
        let (word, blame, row, headline) = failed(&ledger, "await off");
        assert_eq!((exit, word, blame, row.as_str()), (ExitCode::Failed, "fail", "os", because));
        assert!(headline.contains(words), "{headline}");
        assert!(step(&ledger, "await off").took.is_some_and(|took| took.as_secs() < 60), "{ledger:#?}");
        blocked(&sim, &ledger, "await off");
    }
}

#[tokio::test]
async fn power_that_does_not_go_off_after_the_installer_is_the_rig() {
    let sim = installing();
    sim.world().goes_off = false;
    let (exit, ledger) = sim.run().await;
    let (word, blame, because, _) = failed(&ledger, "power off installed");
    assert_eq!((exit, word, blame, because.as_str()), (ExitCode::Infra, "infra", "rig", "driver-fault"));
    blocked(&sim, &ledger, "power off installed");
    assert_eq!(sim.world().side, Side::Dut, "no medium is pulled under a DUT that is on");
}

#[tokio::test]
async fn an_installer_that_runs_again_was_not_taken_away() {
    let sim = installing();
    sim.world().says = |_| DONE;
    let (exit, ledger) = sim.run().await;
    let boot = ledger.attempts.iter().find(|attempt| attempt.case.0 == BOOT).unwrap();
    let outcome = boot.outcome.as_ref().unwrap();
    assert_eq!((exit, outcome.word()), (ExitCode::Infra, "infra"), "{outcome:?}");
    assert!(outcome.headline().contains("the installer ran again"), "{}", outcome.headline());
    blocked(&sim, &ledger, BOOT);
}

#[tokio::test]
async fn what_booted_is_believed_only_when_it_is_the_internal_medium_with_this_image_and_this_run() {
    type Says = fn(&mut sim::World, &str) -> Result<String, shakedown_core::Unreachable>;
    let table: [(Says, &str, &str); 6] = [
        // It said done and wrote nothing: what was there before boots.
        (|w, l| told(w, l, "disk=nvme0n1\nversion=0.9\nours=yes\n"), "os", "not the image's version"),
        (|w, l| told(w, l, "disk=nvme0n1\nversion=1.0.0\n"), "os", "not have this run's configuration"),
        (|w, l| told(w, l, "disk=vda\nversion=1.0.0\nours=yes\n"), "os", "another medium than"),
        (|w, l| told(w, l, "disk=\nversion=1.0.0\nours=yes\n"), "os", "another medium than"),
        // The mux says that it took it away.
        (
            |w, l| told(w, l, "disk=sda\nversion=1.0.0\nours=yes\ninstaller=sda1\n"),
            "rig",
            "does not see the installer's medium",
        ),
        (|w, l| told(w, l, "ran: nothing of this kind\n"), "os", "not the image's version"),
    ];
    for (answers, blamed, words) in table {
        let sim = installing();
        sim.world().answers = answers;
        let (exit, ledger) = sim.run().await;
        let (_, blame, _, headline) = failed(&ledger, "prove internal");
        let want = if blamed == "rig" { ExitCode::Infra } else { ExitCode::Failed };
        assert_eq!((exit, blame), (want, blamed), "{headline}");
        assert!(headline.contains(words), "{headline}");
        blocked(&sim, &ledger, "prove internal");
        let boot = ledger.attempts.iter().find(|attempt| attempt.case.0 == BOOT).unwrap();
        let (outcome, blame, because) = step(&ledger, "prove internal").failed.clone().unwrap();
        assert_eq!(
            (&boot.outcome, boot.blame, &boot.because),
            (&Some(outcome), Some(blame), &Some(because)),
            "what booted is not what the installer brought"
        );
    }
}

#[tokio::test]
async fn an_interrupt_while_the_installer_runs_ends_in_the_safe_state() {
    let sim = installing();
    sim.world().says = |_| INSTALLS;
    let cancel = sim.cancel.clone();
    let world = sim.world.clone();
    let stop = async {
        while world.lock().unwrap().boots == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let ((exit, ledger), ()) = tokio::join!(sim.run(), stop);
    assert_eq!(exit, ExitCode::Interrupted, "{ledger:#?}");
    assert!(!sim.world().on);
    assert!(!sim.world().outputs["recovery"], "the jumper is released");
}
