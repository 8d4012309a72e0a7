//! A test a row: each has an example that it decides, and without it the example ends elsewhere.

use std::time::Duration;

use shakedown_core::console::Closed;
use shakedown_core::time::Waited;
use shakedown_core::{BootFailure, Level, NetPath, ProcessState, Stop};

use super::*;

fn stop() -> Stop {
    Stop::Late(Waited {
        name: "login".into(), waited: Duration::from_secs(9), last_seen: "Starting…".into()
    })
}

fn shell(unreachable: Unreachable) -> Cut {
    Cut::Shell(ShellError::Dut(unreachable))
}

/// A stage did not come that the console shows, or that is seen from outside.
fn late(outside: bool) -> Cut {
    Cut::Boot(BootFailure::Late { stage: "next".into(), after: "before".into(), outside, stop: stop() })
}

fn with(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut observed = Observed::healthy();
    change(&mut observed);
    observed
}

fn path(path: NetPath) -> Observed {
    with(|o| o.path = path)
}

fn dark(path: NetPath) -> Observed {
    with(|o| (o.path, o.console) = (path, ConsoleState::Quiet))
}

fn bad(blame: Blame) -> BadLine {
    BadLine { id: "kernel-panic".into(), blame, line: "Kernel panic - not syncing".into() }
}

/// For each row: what happened, what was seen, what must come of it.
fn examples() -> Vec<(&'static str, Cut, Observed, &'static str, Blame)> {
    let closed = || shell(Unreachable::Closed("EOF".into()));
    let hung = || shell(Unreachable::Hung(stop()));
    let mute = || shell(Unreachable::Mute(stop()));
    let boot_bad = Cut::Boot(BootFailure::Bad {
        id: "no-boot-device".into(),
        says: "the firmware found nothing to boot".into(),
        blame: Blame::Image,
        stage: "power".into(),
        lines: vec!["No bootable device.".into()],
    });
    let cancelled = Stop::Cancelled(stop().waited().clone());
    let fault = Fault::new(InfraKind::Power, "gpio", "set", "line 17").expected("on", "off");
    vec![
        ("interrupted", Cut::Late(cancelled), Observed::healthy(), "undetermined", Blame::Undetermined),
        ("broken-case", Cut::Broken("pattern".into()), Observed::healthy(), "error", Blame::Harness),
        ("assertion", Cut::Fail(Failure::new("a", "b", "c")), path(NetPath::Refused), "fail", Blame::Os),
        (
            "written-by-a-tool",
            boot_bad.clone(),
            with(|o| o.unproven = true),
            "undetermined",
            Blame::Undetermined,
        ),
        (
            "refusal",
            shell(Unreachable::Refusal("cannot write /x: exit code 1: No space left on device".into())),
            path(NetPath::Refused),
            "fail",
            Blame::Os,
        ),
        ("driver-fault", Cut::Rig(fault), Observed::healthy(), "infra", Blame::Rig),
        ("host-sick", closed(), with(|o| o.vitals.host = Some("disk full".into())), "infra", Blame::Rig),
        (
            "process-died",
            closed(),
            with(|o| o.vitals.process = ProcessState::Died("signal 9".into())),
            "infra",
            Blame::Rig,
        ),
        ("bad-line-at-boot", boot_bad, Observed::healthy(), "fail", Blame::Image),
        ("bad-line-in-case", closed(), with(|o| o.bad = Some(bad(Blame::Os))), "fail", Blame::Os),
        ("switched-itself-off", closed(), with(|o| o.vitals.process = ProcessState::Off), "fail", Blame::Os),
        ("power-lost", closed(), with(|o| o.power = Some(Level::Off)), "infra", Blame::Rig),
        ("rig-network-down", hung(), path(NetPath::RigDown("no carrier".into())), "infra", Blame::Rig),
        (
            "rebooted-in-case",
            closed(),
            with(|o| o.rebooted = Some("Linux version".into())),
            "fail",
            Blame::Os,
        ),
        ("starved", hung(), with(|o| o.vitals.starved = 6.5), "infra", Blame::Rig),
        (
            "reset-at-boot",
            Cut::Boot(BootFailure::Reset { stage: "kernel".into(), line: "GRUB".into() }),
            Observed::healthy(),
            "fail",
            Blame::Os,
        ),
        (
            "stage-missing",
            Cut::Boot(BootFailure::OutOfOrder {
                expected: "kernel".into(),
                got: "login".into(),
                line: "login:".into(),
            }),
            Observed::healthy(),
            "fail",
            Blame::Os,
        ),
        (
            "console-closed",
            Cut::Boot(BootFailure::Closed(Closed { why: "unplugged".into(), last_seen: String::new() })),
            with(|o| o.console = ConsoleState::Closed),
            "infra",
            Blame::Rig,
        ),
        ("no-ssh-after-login", late(true), path(NetPath::Refused), "fail", Blame::Os),
        ("mute-ssh-after-login", late(true), path(NetPath::Mute), "fail", Blame::Os),
        ("no-network-at-boot", late(true), path(NetPath::RigDown("no carrier".into())), "infra", Blame::Rig),
        ("not-ready-after-login", late(true), Observed::healthy(), "fail", Blame::Os),
        (
            "dark-from-power-on",
            late(false),
            with(|o| o.console = ConsoleState::NeverSpoke),
            "undetermined",
            Blame::Undetermined,
        ),
        ("no-network-after-login", late(true), path(NetPath::Silent), "undetermined", Blame::Undetermined),
        ("stuck-at-boot", late(false), Observed::healthy(), "fail", Blame::Os),
        ("ssh-refused", closed(), path(NetPath::Refused), "fail", Blame::Os),
        ("ssh-mute", mute(), path(NetPath::Mute), "fail", Blame::Os),
        ("session-ended", closed(), Observed::healthy(), "fail", Blame::Os),
        ("command-hung", hung(), Observed::healthy(), "fail", Blame::Os),
        (
            "not-ssh",
            shell(Unreachable::Garbage("HTTP/1.1".into())),
            path(NetPath::Unknown),
            "fail",
            Blame::Os,
        ),
        (
            "locked-out",
            shell(Unreachable::Denied("publickey".into())),
            Observed::healthy(),
            "fail",
            Blame::Os,
        ),
        (
            "mangled",
            shell(Unreachable::Mangled("a typed line, 4 times".into())),
            Observed::healthy(),
            "undetermined",
            Blame::Undetermined,
        ),
        (
            "other-host-key",
            shell(Unreachable::WrongHostKey { expected: "SHA256:a".into(), got: "SHA256:b".into() }),
            Observed::healthy(),
            "undetermined",
            Blame::Undetermined,
        ),
        ("too-late", Cut::Late(stop()), path(NetPath::Silent), "fail", Blame::Os),
        ("too-late-over-ssh", Cut::Late(stop()), dark(NetPath::Speaks), "fail", Blame::Os),
        ("network-lost", hung(), path(NetPath::Silent), "undetermined", Blame::Undetermined),
        ("all-dark", hung(), dark(NetPath::Silent), "undetermined", Blame::Undetermined),
    ]
}

#[test]
fn every_row_decides_its_example() {
    for (row, cut, observed, word, blame) in examples() {
        let decision = adjudicate(&cut, &observed);
        assert_eq!(
            (decision.because, decision.outcome.word(), decision.blame),
            (row, word, blame),
            "{cut:?}"
        );
        assert!(!decision.outcome.headline().is_empty(), "{row} says nothing");
    }
    let ids: Vec<_> = SYMPTOMS.iter().map(|row| row.id).collect();
    let covered: Vec<_> = examples().into_iter().map(|(row, ..)| row).collect();
    assert_eq!(ids, covered, "each row has one example, in the table's order");
    assert!(ids.len() >= 20);
}

#[test]
fn a_full_disk_fails_with_its_own_words() {
    let cut = shell(Unreachable::Refusal("cannot write /x: exit code 1: No space left on device".into()));
    let outcome = adjudicate(&cut, &Observed::healthy()).outcome;
    let Outcome::Fail(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.got.contains("No space left on device"), "{failure}");
    assert!(!failure.to_string().contains("key"), "{failure}");
}

/// A tool's word is all there is: the rig's own signs speak first, and no word of what booted is the OS's.
#[test]
fn what_a_tool_wrote_unseen_is_the_rig_where_the_rig_is_sick_and_nobody_elses() {
    type Change = fn(&mut Observed);
    let table: [(Cut, Change, &str); 10] = [
        (late(false), |o| o.vitals.process = ProcessState::Died("signal 9".into()), "process-died"),
        (late(false), |o| o.vitals.host = Some("disk full".into()), "host-sick"),
        (late(false), |o| o.power = Some(Level::Off), "power-lost"),
        (late(false), |o| o.vitals.starved = 6.5, "starved"),
        (late(true), |o| o.path = NetPath::RigDown("no carrier".into()), "no-network-at-boot"),
        (shell(Unreachable::Hung(stop())), |o| o.path = NetPath::RigDown("down".into()), "rig-network-down"),
        // The rows between do not speak for the rig, and so not at all.
        (
            shell(Unreachable::Hung(stop())),
            |o| (o.power, o.bad) = (Some(Level::Off), Some(bad(Blame::Os))),
            "power-lost",
        ),
        (shell(Unreachable::Hung(stop())), |o| o.bad = Some(bad(Blame::Os)), "written-by-a-tool"),
        (
            late(false),
            |o| (o.vitals.process, o.power) = (ProcessState::Off, Some(Level::Off)),
            "written-by-a-tool",
        ),
        (late(false), |_| (), "written-by-a-tool"),
    ];
    for (cut, change, row) in table {
        let observed = with(|o| {
            o.unproven = true;
            change(o);
        });
        let decision = adjudicate(&cut, &observed);
        assert_eq!(decision.because, row, "{cut:?}");
        assert!(!matches!(decision.blame, Blame::Os | Blame::Image), "{decision:?}");
    }
}

#[test]
fn what_no_row_knows_is_undetermined() {
    let nothing = with(|o| (o.power, o.console, o.path) = (None, ConsoleState::Quiet, NetPath::Unknown));
    let decision = adjudicate(&shell(Unreachable::NoRoute("timeout".into())), &nothing);
    assert_eq!((decision.because, decision.blame), ("no-row", Blame::Undetermined));
}

#[test]
fn a_known_bad_line_carries_its_own_blame() {
    let rig_line = with(|o| o.bad = Some(bad(Blame::Rig)));
    let decision = adjudicate(&shell(Unreachable::Closed("EOF".into())), &rig_line);
    assert_eq!((decision.outcome.word(), decision.blame), ("infra", Blame::Rig));
}

#[test]
fn a_bad_line_of_the_harness_is_its_error() {
    let line = with(|o| o.bad = Some(bad(Blame::Harness)));
    let boot = Cut::Boot(BootFailure::Bad {
        id: "config-not-valid".into(),
        says: "the OS cannot read the configuration that was injected".into(),
        blame: Blame::Harness,
        stage: "kernel".into(),
        lines: vec!["config.json is not valid".into()],
    });
    for (cut, observed) in [(shell(Unreachable::Closed("EOF".into())), &line), (boot, &Observed::healthy())] {
        let decision = adjudicate(&cut, observed);
        assert_eq!((decision.outcome.word(), decision.blame), ("error", Blame::Harness), "{decision:?}");
    }
    assert_eq!(adjudicate_pass(&line).unwrap().outcome.word(), "error");
}

/// A console cable that was pulled after an earlier boot, or a board that died: it cannot be told.
#[test]
fn silence_is_not_blamed_on_the_os_and_a_silent_os_is_judged_by_its_network() {
    let silent = |path| with(|o| (o.console, o.path) = (ConsoleState::NeverSpoke, path));
    for (outside, path, because) in [
        (false, NetPath::Silent, "dark-from-power-on"),
        (false, NetPath::Speaks, "dark-from-power-on"),
        (true, NetPath::Silent, "dark-from-power-on"),
        (true, NetPath::Refused, "no-ssh-after-login"),
        (true, NetPath::Speaks, "not-ready-after-login"),
    ] {
        assert_eq!(adjudicate(&late(outside), &silent(path)).because, because);
    }
}

#[test]
fn a_case_that_passed_is_held_to_what_the_console_said() {
    assert_eq!(adjudicate_pass(&Observed::healthy()), None);
    let decided = |change: fn(&mut Observed)| {
        let decision = adjudicate_pass(&with(change)).expect("a decision");
        (decision.because, decision.outcome.word(), decision.blame)
    };
    let rows = [
        ("bad-line-in-passing-case", decided(|o| o.bad = Some(bad(Blame::Os))), "fail", Blame::Os),
        ("bad-line-in-passing-case", decided(|o| o.bad = Some(bad(Blame::Rig))), "infra", Blame::Rig),
        ("rebooted-in-passing-case", decided(|o| o.rebooted = Some("GRUB".into())), "fail", Blame::Os),
    ];
    for (row, got, word, blame) in rows {
        assert_eq!(got, (row, word, blame));
    }
    let oops = adjudicate_pass(&with(|o| o.bad = Some(bad(Blame::Os)))).unwrap().outcome;
    assert!(matches!(oops, Outcome::Fail(failure) if failure.got == "Kernel panic - not syncing"));
}

#[test]
fn undetermined_is_never_a_pass_and_never_infra() {
    for (_, cut, observed, ..) in examples() {
        let decision = adjudicate(&cut, &observed);
        let fits = match decision.outcome {
            Outcome::Infra(_) => decision.blame == Blame::Rig,
            Outcome::Undetermined { .. } => decision.blame == Blame::Undetermined,
            Outcome::Error { .. } => decision.blame == Blame::Harness,
            Outcome::Fail(_) => matches!(decision.blame, Blame::Os | Blame::Image),
            Outcome::Pass | Outcome::Skip { .. } | Outcome::Blocked { .. } => false,
        };
        assert!(fits, "{decision:?}");
    }
}

#[test]
fn a_bad_boot_shows_the_bad_line_and_not_what_stood_before_it() {
    let boot = Cut::Boot(BootFailure::Bad {
        id: "kernel-panic".into(),
        says: "the kernel panicked".into(),
        blame: Blame::Os,
        stage: "kernel".into(),
        lines: vec!["tsc: Refined TSC clocksource".into(), "Kernel panic - not syncing".into()],
    });
    let outcome = adjudicate(&boot, &with(|o| o.bad = Some(bad(Blame::Os)))).outcome;
    let Outcome::Fail(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.got, "Kernel panic - not syncing");
}
