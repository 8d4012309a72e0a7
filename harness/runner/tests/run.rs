//! Whole runs on a simulated DUT: what ends in the journal, and what is left behind.

mod sim;

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::ledger::Attempt;
use shakedown_core::{
    Blame, Cmd, Effect, Evidence, ExitCode, Fut, Ledger, Level, NetPath, Outcome, Reboot, SeenBy, Unreachable,
};
use shakedown_runner::Writing;
use sim::{COUNTDOWN, Files, GOOD, ROOT, Sim, case, netboot, sharing, usual};

const BOOT: &str = shakedown_runner::BOOT;

#[track_caller]
fn attempts<'a>(ledger: &'a Ledger, id: &str) -> Vec<&'a Attempt> {
    let found: Vec<_> = ledger.attempts.iter().filter(|attempt| attempt.case.0.ends_with(id)).collect();
    assert!(!found.is_empty(), "no attempt at {id}: {:#?}", ledger.attempts);
    found
}

/// Outcome, and the row that decided.
#[track_caller]
fn judged(ledger: &Ledger, id: &str) -> (&'static str, String) {
    let last = *attempts(ledger, id).last().unwrap();
    let word = last.outcome.as_ref().map_or("cut off", Outcome::word);
    (word, last.because.clone().unwrap_or_default())
}

#[track_caller]
fn proof(ledger: &Ledger, step: &str) -> String {
    let found = ledger.steps.iter().rfind(|s| s.name == step).unwrap_or_else(|| panic!("no step {step}"));
    found.proof.clone().unwrap_or_else(|| panic!("{found:?}"))
}

fn fine<'a>(
    _: &'a dyn shakedown_core::Dut,
    _: &'a shakedown_core::Deadline,
) -> Fut<'a, Result<(), shakedown_core::Cut>> {
    Box::pin(async { Ok(()) })
}

#[tokio::test]
async fn the_verdict_in_the_journal_knows_how_the_run_ended() {
    let mut sim = Sim::new();
    sim.cases = vec![case("fine", Effect::ReadOnly, || (), fine)];
    let (exit, ledger) = sim.run().await;
    let (_, verdict, took, waited) = ledger.end.as_ref().unwrap();
    assert_eq!((exit, verdict.as_str()), (ExitCode::Ok, "Some(Ok)"), "{ledger:#?}");
    assert!(waited <= took);
}

#[tokio::test]
async fn the_network_is_told_the_name_that_the_image_was_given() {
    for named in [true, false] {
        let mut sim = Sim::new();
        if !named {
            sim.config_keys().remove("hostname");
        }
        sim.cases = vec![case("fine", Effect::ReadOnly, || (), fine)];
        let (exit, ledger) = sim.run().await;
        assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
        let told: &[&str] = if named { &["sim"] } else { &[] };
        assert_eq!(sim.world().names, told, "an OS without a key for it keeps its own");
    }
}

#[tokio::test]
async fn without_a_network_the_login_on_the_console_is_the_way_in() {
    let mut sim = Sim::new();
    sim.network = false;
    sim.world().ssh = false;
    sim.cases = vec![
        case(
            "looks",
            Effect::ReadOnly,
            || (),
            |dut, by| {
                Box::pin(async move {
                    let ran = dut.run(&Cmd::sh("look"), by).await?;
                    assert_eq!(ran.text(), "ran: look");
                    dut.put("/tmp/file", b"bytes", by).await.map_err(Into::into)
                })
            },
        ),
        case(
            "reboots",
            Effect::Reboots,
            || (),
            |dut, by| Box::pin(async move { dut.reboot(Reboot::Clean, by).await.map(drop) }),
        ),
    ];
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let through: Vec<_> = attempts(&ledger, "::looks")[0]
        .evidence
        .iter()
        .filter_map(|evidence| match evidence {
            Evidence::Command { by, .. } => Some(by.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(through, ["console"]);
    assert_eq!(ledger.boots.len(), 2);
    for boot in &ledger.boots {
        let last = boot.stages.last().unwrap();
        assert_eq!((last.name.as_str(), last.saw.as_str()), ("shell", "the console let us in"));
    }
}

#[tokio::test]
async fn wiring_is_looked_at_before_the_first_boot_counts() {
    let mut sim = Sim::new();
    sim.examine.wiring = true;
    sim.cases = vec![case("fine", Effect::ReadOnly, || (), fine)];
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let names: Vec<_> = ledger.steps.iter().map(|step| step.name.as_str()).collect();
    let place = names.iter().position(|name| *name == "examine wiring").unwrap();
    assert!(names[..place].contains(&"inject identity"), "{names:?}");
    let proof = ledger.steps[place].proof.as_deref().unwrap_or_default();
    assert!(proof.contains("power ok: ") && proof.contains("went to the host, was read"), "{proof}");

    let mut mute = Sim::new();
    mute.examine.wiring = true;
    mute.world().says = |_| "";
    mute.cases = vec![case("fine", Effect::ReadOnly, || (), fine)];
    let (exit, ledger) = mute.run().await;
    assert_eq!(exit, ExitCode::Infra);
    let step = ledger.steps.iter().find(|step| step.name == "examine wiring").unwrap();
    // A dead boot loader looks like a wire that is not connected.
    let (outcome, blame, _) = step.failed.as_ref().unwrap();
    assert_eq!(*blame, Blame::Undetermined, "{}", outcome.headline());
    assert!(ledger.boots.is_empty(), "a boot was watched on a slot that is not wired");
}

#[tokio::test]
async fn a_board_that_fades_slowly_is_learnt_to_need_longer_without_power() {
    let with = |says: fn(u32) -> &'static str| {
        let mut sim = Sim::new();
        sim.examine.power_cycles = 4;
        sim.world().says = says;
        sim.cases = vec![case("fine", Effect::ReadOnly, || (), fine)];
        sim
    };
    let measured = |ledger: &Ledger, name: &str| {
        ledger.measures.iter().filter(|measure| measure.name == name).map(|one| one.value).collect::<Vec<_>>()
    };
    let step =
        |ledger: &Ledger| ledger.steps.iter().find(|step| step.name == "cycle power").cloned().unwrap();
    // It is on before the first cycle; in the third its capacitors still hold it.
    let slow = with(|boots| if boots == 3 { "" } else { GOOD });
    let (exit, ledger) = slow.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let proof = step(&ledger).proof.unwrap();
    assert!(proof.contains(" s it did not start anew in cycle 3 of 4; 4 of 4 times it started"), "{proof}");
    let short = measured(&ledger, "power.off.too-short");
    assert!(short.len() == 1 && short[0] >= 0.1 && measured(&ledger, "power.off")[0] >= 0.2, "{proof}");
    let off = ledger.switched.iter().filter(|proof| !proof.on).count();
    assert!(off >= 8, "{off} times off");

    // No more cycles a minute than its limit, and the boot that follows is within it too.
    let mut limited = with(|_| GOOD);
    limited.cycles_a_minute = 3;
    let (exit, ledger) = limited.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let on: Vec<_> = ledger.switched.iter().filter(|proof| proof.on).map(|proof| proof.at).collect();
    assert!(on.len() >= 6, "one before the cycles, four, and the boot: {on:?}");
    let minute = Duration::from_secs(60);
    assert!(on.windows(4).all(|four| four[3].since(four[0]) >= minute), "{on:?}");

    // Words of an earlier start do not count for a later one.
    let dead = with(|boots| if boots == 0 { GOOD } else { "" });
    dead.world().getty = false;
    let (exit, ledger) = dead.run().await;
    let (outcome, blame, because) = step(&ledger).failed.unwrap();
    assert_eq!(exit, ExitCode::Infra, "{because}: {}", outcome.headline());
    assert_eq!(blame, Blame::Undetermined, "{}", outcome.headline());
    assert_eq!(measured(&ledger, "power.off.too-short").len(), 4, "each time was tried");
    assert!(ledger.boots.is_empty(), "a boot was watched on a board that does not start");
}

#[tokio::test]
async fn an_os_whose_image_takes_no_key_gets_it_at_each_boot_through_the_console() {
    let mut sim = Sim::new();
    sim.profile.config = None;
    sim.profile.ssh.authorized_keys = Some("/root/.ssh/authorized_keys".into());
    {
        let mut world = sim.world();
        world.ssh = false;
        world.answers = |world, line| {
            // Another boot has lost it; only the key's own line lets anybody in.
            world.ssh = line.contains("ssh-ed25519") && line.contains(">> /root/.ssh/authorized_keys")
                || world.ssh && !line.contains("reboot");
            usual(world, line)
        };
    }
    sim.cases = vec![case(
        "reboots",
        Effect::Reboots,
        || (),
        |dut, by| Box::pin(async move { dut.reboot(Reboot::Clean, by).await.map(drop) }),
    )];
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    assert_eq!(ledger.boots.len(), 2);
    for boot in &ledger.boots {
        let last = boot.stages.last().unwrap();
        assert_eq!((last.name.as_str(), last.saw.as_str()), ("shell", "SSH let us in"));
    }
    let told = ledger.steps.iter().find(|step| step.name == "inject identity");
    let proof = told.and_then(|step| step.proof.as_deref()).unwrap_or_default();
    assert!(proof.contains("no configuration document"), "{proof}");
}

#[tokio::test]
async fn an_interrupt_after_the_last_case_is_an_interrupted_run() {
    let mut sim = Sim::new();
    let cancel = sim.cancel.clone();
    sim.cases = vec![case("last", Effect::ReadOnly, move || cancel.cancel(), fine)];
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Interrupted);
    assert_eq!(proof(&ledger, "collect"), "skipped: the run was interrupted");
    assert!(!sim.world().on, "{}", proof(&ledger, "safe state"));
}

#[tokio::test]
async fn cases_that_share_a_reboot_keep_their_evidence_and_do_not_fail_each_other() {
    let mut sim = Sim::new();
    sim.repeat = 2;
    // The first one kills the DUT while it prepares; only a start heals it.
    sim.world().answers = |world, line| {
        world.well &= line != "kill";
        usual(world, line)
    };
    sim.cases = vec![
        sharing(
            "kills",
            |dut, by| {
                Box::pin(async move { dut.run(&Cmd::sh("kill"), by).await.map(drop).map_err(Into::into) })
            },
            fine,
        ),
        sharing(
            "shares",
            |dut, by| {
                Box::pin(async move {
                    dut.evidence(Evidence::Note("prepared".into()));
                    dut.run(&Cmd::sh("prepare"), by).await.map(drop).map_err(Into::into)
                })
            },
            |dut, _| {
                Box::pin(async move {
                    dut.evidence(Evidence::Note("checked".into()));
                    Ok(())
                })
            },
        ),
    ];
    let (_, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::kills").0, "fail");
    let shares = attempts(&ledger, "::shares");
    assert_eq!(shares.len(), 2, "{shares:#?}");
    for attempt in shares {
        assert_eq!(attempt.outcome, Some(Outcome::Pass), "{attempt:#?}");
        let shown: Vec<_> = attempt
            .evidence
            .iter()
            .map(|evidence| match evidence {
                Evidence::Note(note) => note.as_str(),
                Evidence::Command { line, .. } => line.as_str(),
                Evidence::File { path, .. } => path.as_str(),
                Evidence::HostKey { now, .. } => now.as_str(),
            })
            .collect();
        assert_eq!(shown, ["prepared", "prepare", "checked"]);
    }
    assert!(ledger.evidence.is_empty() || ledger.evidence.iter().all(|e| !matches!(e, Evidence::Note(_))));
    let shared: Vec<_> = ledger.boots.iter().filter(|boot| boot.how == "clean reboot").collect();
    assert_eq!(shared.len(), 2);
    assert!(shared.iter().all(|boot| boot.case.is_none()), "{shared:#?}");
}

#[tokio::test]
async fn a_case_that_passes_while_the_console_tells_of_an_oops_or_a_reset_is_the_os() {
    let mut sim = Sim::new();
    let says = |text: &'static str| {
        let log = sim.world().log.clone();
        move || log.append(text.as_bytes())
    };
    sim.cases = vec![
        case("oopses", Effect::ReadOnly, says("BUG: unable to handle page fault\n"), fine),
        case("resets", Effect::ReadOnly, says("Linux version 6.0.0\n"), fine),
        case(
            "reboots",
            Effect::Reboots,
            || (),
            |dut, by| Box::pin(async move { dut.reboot(Reboot::Clean, by).await.map(drop) }),
        ),
    ];
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::oopses"), ("fail", "bad-line-in-passing-case".into()));
    assert_eq!(judged(&ledger, "::resets"), ("fail", "rebooted-in-passing-case".into()));
    assert_eq!(judged(&ledger, "::reboots"), ("pass", String::new()), "a reset that was asked for");
    assert_eq!(exit, ExitCode::Failed);
    assert!(attempts(&ledger, "::oopses")[0].console.iter().any(|line| line.contains("BUG:")));
}

#[tokio::test]
async fn power_without_read_back_is_proven_by_silence() {
    let sim = Sim::new();
    sim.world().reads_back = false;
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let said = proof(&ledger, "power off");
    assert!(said.starts_with("power off: the console was silent for 5"), "{said}");
    assert!(proof(&ledger, "safe state").contains("power off: the console was silent for 5"));
    assert!(ledger.switched.iter().any(|proof| !proof.on && matches!(proof.seen, SeenBy::Silence(_))));
}

#[tokio::test]
async fn a_dut_that_still_answers_was_not_switched_off() {
    let sim = Sim::new();
    {
        let mut world = sim.world();
        (world.reads_back, world.goes_off, world.on) = (false, false, true);
    }
    // It talks on by itself: a line a second.
    let log = sim.world().log.clone();
    let clock = log.clock().clone();
    let talks = tokio::spawn(async move {
        loop {
            log.append(b"still here\n");
            clock.sleep_until(clock.now() + std::time::Duration::from_secs(1)).await;
        }
    });
    let (exit, ledger) = sim.run().await;
    talks.abort();
    assert_eq!(exit, ExitCode::Infra);
    let step = ledger.steps.iter().find(|step| step.name == "power off").unwrap();
    let Some((Outcome::Infra(fault), ..)) = &step.failed else { panic!("{step:?}") };
    assert!(fault.to_string().contains("last seen: still here"), "{fault}");
}

#[tokio::test]
async fn a_slot_without_power_says_that_nothing_was_switched() {
    let mut sim = Sim::new();
    sim.power = false;
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Infra);
    assert_eq!(proof(&ledger, "power off"), "not switched: the slot has no power output");
}

#[tokio::test]
async fn every_output_is_made_safe_however_the_run_ends() {
    for (interrupted, safe) in [(false, Level::Off), (true, Level::Off), (false, Level::On)] {
        let mut sim = Sim::new();
        sim.safe = safe;
        let (world, cancel) = (sim.world.clone(), sim.cancel.clone());
        sim.cases = vec![case(
            "holds",
            Effect::ReadOnly,
            move || {
                // A jumper that somebody left in.
                world.lock().unwrap().outputs.insert("recovery".into(), true);
                if interrupted {
                    cancel.cancel();
                }
            },
            fine,
        )];
        let (_, ledger) = sim.run().await;
        let said = proof(&ledger, "safe state");
        let power = format!("recovery off: read back off; power {safe}: read back {safe}");
        assert_eq!(said, power);
        let world = sim.world();
        assert_eq!((world.on, world.outputs["recovery"]), (safe == Level::On, false));
    }
}

#[tokio::test]
async fn a_dead_network_leaves_the_console_login_for_evidence() {
    let sim = Sim::new();
    {
        let mut world = sim.world();
        (world.ssh, world.path) = (false, NetPath::Refused);
    }
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, BOOT), ("fail", "no-ssh-after-login".into()));
    assert_eq!(exit, ExitCode::Failed);
    let said = proof(&ledger, "collect");
    assert_eq!(said, "read 5 log(s) over the console's login; read 1 file(s) off the medium");
    for name in ["dmesg", "journal", "network", "ssh", "sync"] {
        let text = std::fs::read_to_string(sim.path(&format!("run/dut/console/{name}.txt"))).unwrap();
        assert!(text.starts_with("ran: "), "{text}");
    }
}

/// Nothing answers on the console: no login is tried, and the medium is read at once.
#[tokio::test]
async fn a_dead_console_costs_no_login() {
    let sim = Sim::new();
    {
        let mut world = sim.world();
        (world.ssh, world.path, world.getty) = (false, NetPath::Refused, false);
    }
    let (_, ledger) = sim.run().await;
    assert_eq!(proof(&ledger, "collect"), "read 1 file(s) off the medium");
}

#[tokio::test]
async fn a_control_image_that_cannot_be_tried_leaves_the_question_open() {
    let mut sim = Sim::new();
    (sim.world().says, sim.world().getty) = (|_| "", false);
    sim.control = Some(64 << 20);
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, BOOT), ("undetermined", "dark-from-power-on".into()));
    assert!(matches!(&ledger.control, Some(Outcome::Undetermined { .. })), "{:?}", ledger.control);
    assert!(proof(&ledger, "control run").contains("the control image could not be booted"), "{ledger:#?}");
    assert_eq!(exit, ExitCode::Infra);
}

#[tokio::test]
async fn a_control_run_keeps_the_evidence_of_the_image_under_test() {
    let mut sim = Sim::new();
    (sim.world().says, sim.world().getty) = (|boot| if boot == 0 { "" } else { GOOD }, false);
    sim.control = Some(4 << 20);
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, BOOT), ("fail", "control-run-came-up".into()));
    assert_eq!(exit, ExitCode::Failed);
    let saved = ledger.files.iter().filter(|file| file.path == "dut/medium/boot/config.json");
    assert_eq!(saved.count(), 1, "{:?}", ledger.files);
    assert!(!ledger.files.iter().any(|file| file.path == "dut/journal.txt"), "{:?}", ledger.files);
    assert!(proof(&ledger, "collect").starts_with("nothing more: "), "{ledger:#?}");
}

#[tokio::test]
async fn an_interrupt_in_the_control_run_is_no_verdict_on_the_rig() {
    let mut sim = Sim::new();
    (sim.world().says, sim.world().getty) = (|_| "", false);
    sim.control = Some(4 << 20);
    // The second start is the control image's.
    let (world, cancel) = (sim.world.clone(), sim.cancel.clone());
    let interrupts = tokio::spawn(async move {
        let clock = world.lock().unwrap().log.clock().clone();
        while world.lock().unwrap().boots < 2 {
            clock.sleep_until(clock.now() + std::time::Duration::from_millis(200)).await;
        }
        cancel.cancel();
    });
    let (exit, ledger) = sim.run().await;
    interrupts.await.unwrap();
    assert_eq!(exit, ExitCode::Interrupted);
    assert_eq!(judged(&ledger, BOOT).0, "undetermined");
    assert!(!sim.world().on);
}

/// A production image says nothing on the serial line: a restart shows by the kernel's own id of the boot.
#[tokio::test]
async fn a_silent_os_reboots_all_the_same() {
    let mut sim = Sim::new();
    for stage in &mut sim.spec.stages {
        stage.optional = matches!(stage.seen, shakedown_core::Seen::Console(_));
    }
    (sim.world().says, sim.world().getty) = (|_| "", false);
    sim.cases = vec![case(
        "reboots",
        Effect::Reboots,
        || (),
        |dut, by| Box::pin(async move { dut.reboot(Reboot::Clean, by).await.map(drop) }),
    )];
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::reboots"), ("pass", String::new()), "{ledger:#?}");
    assert_eq!((exit, sim.world().boots), (ExitCode::Ok, 2));
    // One that does not restart is not taken for one that did.
    sim.world().answers = |world, line| {
        if line.contains("boot_id") { usual(world, line) } else { Ok(String::new()) }
    };
    let (_, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::reboots").0, "undetermined", "{ledger:#?}");
}

/// The console worked, then its cable was pulled: that the OS booted no more cannot be told.
#[tokio::test]
async fn a_console_that_falls_silent_later_is_not_blamed_on_the_os() {
    let mut sim = Sim::new();
    sim.world().says = |boot| if boot == 0 { GOOD } else { "" };
    sim.world().getty = false;
    sim.cases = vec![case(
        "cut",
        Effect::CutsPower,
        || (),
        |dut, by| Box::pin(async move { dut.reboot(Reboot::PowerCut, by).await.map(drop) }),
    )];
    let (exit, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::cut"), ("undetermined", "dark-from-power-on".into()), "{ledger:#?}");
    assert_eq!(exit, ExitCode::Infra);
    // With a login that answers the cable is there, and the boot is the OS's.
    sim.world().getty = true;
    sim.world().boots = 0;
    let (_, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::cut"), ("fail", "stuck-at-boot".into()), "{ledger:#?}");
}

#[tokio::test]
async fn a_session_that_ends_in_a_case_is_told_from_the_network() {
    let mut sim = Sim::new();
    sim.world().answers = |world, line| {
        if line == "look" { Err(Unreachable::Closed("EOF".into())) } else { usual(world, line) }
    };
    sim.cases = vec![case(
        "looks",
        Effect::ReadOnly,
        || (),
        |dut, by| Box::pin(async move { dut.run(&Cmd::sh("look"), by).await.map(drop).map_err(Into::into) }),
    )];
    let (_, ledger) = sim.run().await;
    assert_eq!(judged(&ledger, "::looks"), ("fail", "session-ended".into()));
}

#[tokio::test]
async fn a_medium_that_holds_most_of_the_image_gets_the_rest() {
    let mut sim = Sim::new();
    let (first, _) = sim.run().await;
    sim.writing = Writing::Delta;
    let (second, ledger) = sim.run().await;
    assert_eq!((first, second), (ExitCode::Ok, ExitCode::Ok), "{ledger:#?}");
    let said = proof(&ledger, "write image");
    assert!(said.starts_with("wrote and read back ") && said.contains(" MiB were there before)"), "{said}");
}

/// What an earlier run wrote is booted again, though the configuration in it is that run's.
#[tokio::test]
async fn a_medium_that_was_booted_is_proven_without_writing_it() {
    use std::os::unix::fs::FileExt;

    let mut sim = Sim::new();
    let (first, _) = sim.run().await;
    sim.writing = Writing::Nothing;
    let (second, ledger) = sim.run().await;
    assert_eq!((first, second), (ExitCode::Ok, ExitCode::Ok), "{ledger:#?}");
    let said = proof(&ledger, "prove image");
    let what = "not written: partition table, the boot code, partition 2 (no label) and 2 file(s) \
                of the boot partition are as in payload";
    assert!(
        said.contains(what) && said.ends_with("not compared, for the OS writes them: config.json"),
        "{said}"
    );
    // A root that is another one's is named, and nothing is booted.
    let disk = std::fs::File::options().write(true).open(sim.path("disk")).unwrap();
    disk.write_all_at(b"x", ROOT + 4097).unwrap();
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Refused);
    let step = ledger.steps.iter().find(|step| step.name == "prove image").unwrap();
    let Some((Outcome::Fail(failure), _, because)) = &step.failed else { panic!("{step:?}") };
    let differs = format!("partition 2 (no label) differs from the image at byte {}", ROOT + 4097);
    assert!(failure.got.contains(&differs) && because == "image-not-held", "{failure:?}");
    assert_eq!(sim.world().boots, 2);
}

/// Boots over the network at once; what it does when it reboots is the test's.
fn netbooting() -> Sim {
    let mut sim = Sim::new();
    sim.procedure = netboot();
    sim.tftp = Some(Arc::new(Files));
    // The board's own stages end long before anything of a second boot is seen.
    let mut kernel = sim.spec.stages[0].clone();
    kernel.within = Duration::from_secs(2);
    sim.board.stages = vec![kernel];
    let mut world = sim.world();
    world.facts.insert("filesize".into(), format!("{:x}", b"a kernel".len()));
    world.says = |boot| if boot == 0 { COUNTDOWN } else { "" };
    world.left = |world| world.log.append(GOOD.as_bytes());
    drop(world);
    sim.cases = vec![case(
        "reboots",
        Effect::Reboots,
        || (),
        |dut, by| Box::pin(async move { dut.reboot(Reboot::Clean, by).await.map(drop) }),
    )];
    sim
}

#[tokio::test]
async fn a_slow_reboot_over_the_network_is_led_again_and_is_not_the_rig_s() {
    const SLOW: Duration = Duration::from_secs(6);
    let mut sim = netbooting();
    sim.profile.shutdown = Duration::from_secs(600);
    for stage in &mut sim.spec.stages {
        stage.within = Duration::from_secs(600);
    }
    {
        let mut world = sim.world();
        world.answers = |world, line| {
            let said = usual(world, line);
            if line.contains("reboot") {
                world.later(SLOW, COUNTDOWN);
                // Slow before the boot loader, and behind it.
                world.left = |world| world.later(SLOW, GOOD);
            }
            said
        };
    }
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    assert_eq!((ledger.boots.len(), sim.world().led), (2, 2));
}

#[tokio::test]
async fn a_boot_loader_that_is_not_seen_again_is_the_boot_s_and_one_that_cannot_fetch_is_the_rig_s() {
    let lost = netbooting();
    let (exit, ledger) = lost.run().await;
    let (word, because) = judged(&ledger, "::reboots");
    assert_eq!((exit, word, because.as_str()), (ExitCode::Failed, "fail", "stuck-at-boot"));
    assert_eq!(lost.world().led, 1);
    let short = netbooting();
    short.world().answers = |world, line| {
        let said = usual(world, line);
        if line.contains("reboot") {
            world.facts.insert("filesize".into(), "7".into());
            world.log.append(COUNTDOWN.as_bytes());
        }
        said
    };
    let (exit, ledger) = short.run().await;
    assert_eq!((exit, judged(&ledger, "::reboots")), (ExitCode::Infra, ("infra", "driver-fault".to_owned())));
}
