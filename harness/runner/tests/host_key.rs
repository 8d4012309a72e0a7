//! When another SSH host key of the simulated DUT is believed, and when it is refused.

mod sim;

use shakedown_core::ledger::Attempt;
use shakedown_core::{
    Cmd, Cut, Deadline, Dut, Effect, Evidence, Fut, KeyWord, Ledger, Outcome, Reboot, Seen,
};
use sim::{GOOD, Sim, case, usual};

const OLD: &str = "SHA256:sim";

/// Its state is erased by `erase`, and a start then makes another key; the third one after two times.
fn with_cases(silent: bool, cases: &[(&str, Does)]) -> Sim {
    let mut sim = Sim::new();
    for stage in &mut sim.spec.stages {
        stage.optional = silent && matches!(stage.seen, Seen::Console(_));
    }
    {
        let mut world = sim.world();
        if silent {
            (world.says, world.getty) = (|_| "", false);
        }
        world.answers = |world, line| {
            if line == "erase" {
                world.facts.insert("erased".into(), String::new());
                return Ok(String::new());
            }
            if line.contains("reboot") && world.facts.remove("erased").is_some() {
                world.host_key = if world.host_key == OLD { "SHA256:second" } else { "SHA256:third" };
            }
            usual(world, line)
        };
    }
    sim.cases = cases.iter().map(|(name, does)| case(name, Effect::Reboots, || (), *does)).collect();
    sim
}

type Does = for<'a> fn(&'a dyn Dut, &'a Deadline) -> Fut<'a, Result<(), Cut>>;

async fn erase(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    dut.run(&Cmd::sh("erase"), by).await?;
    Ok(())
}

async fn reboot(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    dut.reboot(Reboot::Clean, by).await.map(drop)
}

/// The only attempt at this case.
#[track_caller]
fn attempt<'a>(ledger: &'a Ledger, name: &str) -> &'a Attempt {
    let mut found = ledger.attempts.iter().filter(|attempt| attempt.case.0.ends_with(name));
    found.next().unwrap_or_else(|| panic!("no {name}: {ledger:#?}"))
}

#[track_caller]
fn refused(ledger: &Ledger, name: &str, words: &str) {
    let attempt = attempt(ledger, name);
    assert_eq!(attempt.because.as_deref(), Some("other-host-key"), "{attempt:#?}");
    let said = format!("{:?}", attempt.outcome);
    assert!(said.contains(words), "{said}");
}

fn changes(attempt: &Attempt) -> Vec<(&str, &str, KeyWord)> {
    let change = |evidence| match evidence {
        &Evidence::HostKey { ref was, ref now, word } => Some((was.as_str(), now.as_str(), word)),
        _ => None,
    };
    attempt.evidence.iter().filter_map(change).collect()
}

/// Both where the console tells of the restart and where only the network does.
#[tokio::test]
async fn a_declared_boot_brings_another_key_and_the_journal_has_both() {
    for silent in [false, true] {
        let declared: Does = |dut, by| {
            Box::pin(async move {
                dut.host_key_may_change();
                erase(dut, by).await?;
                let before = dut.host_key();
                reboot(dut, by).await?;
                assert_eq!(
                    (before.as_deref(), dut.host_key().as_deref()),
                    (Some(OLD), Some("SHA256:second"))
                );
                dut.run(&Cmd::sh("look"), by).await.map(drop).map_err(Into::into)
            })
        };
        let sim = with_cases(
            silent,
            &[("erases", declared), ("reboots", |dut, by| Box::pin(async move { reboot(dut, by).await }))],
        );
        let (_, ledger) = sim.run().await;
        let erases = attempt(&ledger, "::erases");
        assert_eq!(erases.outcome, Some(Outcome::Pass), "{ledger:#?}");
        assert_eq!(changes(erases), [(OLD, "SHA256:second", KeyWord::Declared)]);
        let notes =
            erases.evidence.iter().filter(|one| matches!(one, Evidence::Note(n) if n.contains("declared")));
        assert_eq!(notes.count(), 1, "{erases:#?}");
        assert_eq!(attempt(&ledger, "::reboots").outcome, Some(Outcome::Pass), "the new one stays");
        assert!(changes(attempt(&ledger, "::reboots")).is_empty());
    }
}

#[tokio::test]
async fn what_nobody_declared_is_refused_with_both_keys() {
    for silent in [false, true] {
        let undeclared: Does = |dut, by| {
            Box::pin(async move {
                erase(dut, by).await?;
                reboot(dut, by).await
            })
        };
        let (_, ledger) = with_cases(silent, &[("erases", undeclared)]).run().await;
        refused(&ledger, "::erases", "host key SHA256:second instead of SHA256:sim");
        assert!(changes(attempt(&ledger, "::erases")).is_empty());
    }
}

#[tokio::test]
async fn the_window_ends_with_its_boot_and_with_its_case() {
    let later: Does = |dut, by| {
        Box::pin(async move {
            dut.host_key_may_change();
            reboot(dut, by).await?;
            assert_eq!(dut.host_key().as_deref(), Some(OLD), "that boot brought no other one");
            erase(dut, by).await?;
            reboot(dut, by).await
        })
    };
    let (_, ledger) = with_cases(true, &[("later", later)]).run().await;
    refused(&ledger, "::later", "host key SHA256:second instead of SHA256:sim");

    let twice: Does = |dut, by| {
        Box::pin(async move {
            dut.host_key_may_change();
            erase(dut, by).await?;
            reboot(dut, by).await?;
            erase(dut, by).await?;
            reboot(dut, by).await
        })
    };
    let (_, ledger) = with_cases(true, &[("twice", twice)]).run().await;
    refused(&ledger, "::twice", "host key SHA256:third instead of SHA256:second");

    let promises: Does = |dut, by| {
        Box::pin(async move {
            dut.host_key_may_change();
            erase(dut, by).await
        })
    };
    let others: Does = |dut, by| Box::pin(async move { reboot(dut, by).await });
    let (_, ledger) = with_cases(true, &[("promises", promises), ("reboots", others)]).run().await;
    assert_eq!(attempt(&ledger, "::promises").outcome, Some(Outcome::Pass));
    refused(&ledger, "::reboots", "host key SHA256:second instead of SHA256:sim");
}

/// Where the console shows the key it has the last word: what it shows is believed without a
/// declaration, and what it does not show is not believed with one.
#[tokio::test]
async fn the_console_s_word_is_the_stronger_one() {
    let erases: Does = |dut, by| {
        Box::pin(async move {
            dut.host_key_may_change();
            erase(dut, by).await?;
            reboot(dut, by).await
        })
    };
    let mut sim = with_cases(false, &[("erases", erases)]);
    sim.profile.ssh.fingerprint = Some(r"key: (SHA256:\S+)".into());
    sim.world().says = |boot| {
        if boot == 0 {
            "Linux version 6.0.0\nkey: SHA256:sim\nsim: up\n"
        } else {
            "Linux version 6.0.0\nkey: SHA256:second\nsim: up\n"
        }
    };
    let (_, ledger) = sim.run().await;
    assert_eq!(attempt(&ledger, "::erases").outcome, Some(Outcome::Pass), "{ledger:#?}");
    assert_eq!(changes(attempt(&ledger, "::erases")), [(OLD, "SHA256:second", KeyWord::Console)]);

    let mut mute = with_cases(false, &[("erases", erases)]);
    mute.profile.ssh.fingerprint = Some(r"key: (SHA256:\S+)".into());
    mute.world().says = |_| GOOD;
    let (_, ledger) = mute.run().await;
    refused(&ledger, "::erases", "host key SHA256:second instead of SHA256:sim");
}
