//! The runs of the corpus that get to their cases.

use shakedown_core::event::Planned;
use shakedown_core::time::Waited;
use shakedown_core::{
    Blame, CaseId, Effect, Event, Evidence, ExitCode, Failure, Fault, InfraKind, KeyWord, Outcome, Stop,
};

use super::corpus::{CASES, Sketch, Tale, case, ms, plan};

fn up(run: &str, plan: Vec<Planned>) -> Tale {
    let mut tale = Tale::new(run);
    tale.begin(plan).provision().first_boot();
    tale
}

/// All cases pass, memory within its budget, one reboot on the way.
pub fn all_pass() -> Vec<u8> {
    let mut tale = up("20260314-092653-pass", plan());
    for (stage, budget) in [("bootloader", 5.0), ("kernel", 10.0), ("userspace", 20.0), ("ready", 30.0)] {
        tale.measure(None, &format!("boot.{stage}.budget"), budget, "s");
    }
    for sketch in &CASES {
        if sketch.id == "os::rest::memory" {
            with_memory(&mut tale, sketch, 211.6);
        } else {
            tale.passes(sketch);
        }
    }
    tale.step("reboot for the cases that share it", 20, "asked for by systemctl reboot");
    tale.boots("clean reboot", 1.12);
    tale.finish(ExitCode::Ok, "PASS")
}

fn with_memory(tale: &mut Tale, sketch: &Sketch, used: f64) {
    tale.starts(sketch.id, 1);
    tale.command(sketch.id, sketch.line, sketch.millis, "exit code 0", sketch.out, "");
    tale.measure(Some(sketch.id), "memory.rest", used, "MiB");
    tale.measure(Some(sketch.id), "memory.rest.budget", 260.0, "MiB");
    tale.measure(Some(sketch.id), "cpu.rest", 3.2, "%");
    if used <= 260.0 {
        tale.wait(2).ends(sketch.id, 1, Outcome::Pass, None, &[]);
        return;
    }
    let failure = Failure::new("memory at rest is over its budget", "at most 260 MiB", format!("{used} MiB"));
    tale.ends(sketch.id, 1, Outcome::Fail(failure), Some((Blame::Os, "case-failed-shell-alive")), &[]);
}

/// Lines around a failure.
const CONSOLE: [&str; 6] = [
    "[   41.120034] systemd[1]: Starting chrony.service - chrony, an NTP client/server...",
    "[   41.388712] chronyd[512]: chronyd version 4.3 starting",
    "[   41.390021] chronyd[512]: Fatal error : Could not open /etc/chrony/chrony.conf : No such file or directory",
    "[   41.402250] systemd[1]: chrony.service: Main process exited, code=exited, status=1/FAILURE",
    "[   41.402981] systemd[1]: chrony.service: Failed with result 'exit-code'.",
    "[   41.405117] systemd[1]: Failed to start chrony.service - chrony, an NTP client/server.",
];

fn all_but(tale: &mut Tale, odd: &str, told: impl FnOnce(&mut Tale, &'static Sketch)) {
    let mut told = Some(told);
    for sketch in &CASES {
        match told.take_if(|_| sketch.id == odd) {
            Some(told) => told(tale, sketch),
            None => drop(tale.passes(sketch)),
        }
    }
}

/// One case fails for a reason that the console shows; another for the same reason.
pub fn failing_case() -> Vec<u8> {
    let mut tale = up("20260314-092653-fail", plan());
    for sketch in &CASES {
        match sketch.id {
            "os::time::synchronised" => {
                tale.starts(sketch.id, 1);
                let err = "506 Cannot talk to daemon\n";
                tale.command(sketch.id, sketch.line, sketch.millis, "exit code 1", "", err);
                tale.command(sketch.id, "systemctl is-active chrony", 33, "exit code 3", "failed\n", "");
                let failure = Failure::new(
                    "chrony does not answer",
                    "a line of tracking data with leap status `Normal`",
                    "exit code 1: 506 Cannot talk to daemon",
                );
                tale.ends(
                    sketch.id,
                    1,
                    Outcome::Fail(failure),
                    Some((Blame::Os, "case-failed-shell-alive")),
                    &CONSOLE,
                );
            }
            "os::units::none-failed" => {
                tale.starts(sketch.id, 1);
                let out = "● chrony.service loaded failed failed chrony, an NTP client/server\n";
                tale.command(sketch.id, sketch.line, sketch.millis, "exit code 0", out, "");
                let failure = Failure::new("units have failed", "no failed unit", out.trim());
                tale.ends(
                    sketch.id,
                    1,
                    Outcome::Fail(failure),
                    Some((Blame::Os, "case-failed-shell-alive")),
                    &CONSOLE,
                );
            }
            _ => drop(tale.passes(sketch)),
        }
    }
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// A fault of the rig in mid-case, and the rest blocked by it.
pub fn rig_power_fault() -> Vec<u8> {
    let mut tale = up("20260314-092653-infra", plan());
    for (index, sketch) in CASES.iter().enumerate() {
        match index {
            0..6 => drop(tale.passes(sketch)),
            6 => {
                tale.starts(sketch.id, 1).wait(412);
                let fault = Fault::new(InfraKind::Power, "usb-relay", "switch", "/dev/hidraw3 channel 2")
                    .expected("power on", "read back off")
                    .hint("the command was accepted but the output did not follow: check the wiring, NO/NC and the channel");
                let blame = Some((Blame::Rig, "power-read-back-differs"));
                tale.ends(sketch.id, 1, Outcome::Infra(fault), blame, &CONSOLE[..1]);
            }
            _ => drop(tale.aside(sketch.id, Outcome::Blocked { by: "power of the slot".into() })),
        }
    }
    tale.finish(ExitCode::Infra, "INFRA (rig)")
}

/// The shell went away and nothing tells whose fault it was.
pub fn undetermined() -> Vec<u8> {
    let mut tale = up("20260314-092653-open", plan());
    all_but(&mut tale, "container::network::by-name", |tale, sketch| {
        tale.starts(sketch.id, 1).wait(30_000);
        let seen = vec![
            "the console was silent for 30.0 s".to_owned(),
            "power read back on".to_owned(),
            "the port answers neither SYN nor RST".to_owned(),
        ];
        let blame = Some((Blame::Undetermined, "silent-and-no-path"));
        tale.ends(sketch.id, 1, Outcome::Undetermined { seen }, blame, &CONSOLE[..2]);
    });
    let stop =
        Stop::Late(Waited { name: "control image".into(), waited: ms(5_000), last_seen: String::new() });
    let fault = Fault::new(InfraKind::Storage, "qemu", "fetch", "known-good image").stopped(stop);
    tale.say(Event::Trouble(fault));
    tale.finish(ExitCode::Infra, "UNDETERMINED")
}

/// A case of ours that is broken.
pub fn harness_error() -> Vec<u8> {
    let mut tale = up("20260314-092653-error", plan());
    all_but(&mut tale, "os::release::issue", |tale, sketch| {
        tale.starts(sketch.id, 1).wait(1);
        let what = "the pattern of check 2 is invalid: unclosed group at column 7 of `^(shakedown`".into();
        tale.ends(sketch.id, 1, Outcome::Error { what }, Some((Blame::Harness, "case-is-broken")), &[]);
    });
    tale.finish(ExitCode::Bug, "ERROR (harness)")
}

/// Skips, decided when the plan was made.
pub fn skipped() -> Vec<u8> {
    let mut planned = plan();
    for (id, title, why) in [
        ("hardware::led::identify", "The identify LED blinks", "the board has no `led`"),
        ("hardware::wifi::joins", "The board joins a wireless network", "the slot offers no `wifi`"),
    ] {
        planned.push(Planned {
            id: CaseId(id.into()),
            title: title.into(),
            effect: Effect::Dirties,
            skip: Some(why.into()),
        });
    }
    let mut tale = up("20260314-092653-skip", planned);
    for sketch in &CASES {
        tale.passes(sketch);
    }
    tale.aside("hardware::led::identify", Outcome::Skip { reason: "the board has no `led`".into() });
    tale.finish(ExitCode::Ok, "PASS")
}

/// Nothing but skips.
pub fn nothing_ran() -> Vec<u8> {
    let mut planned = plan();
    planned.truncate(2);
    for case in &mut planned {
        case.skip = Some("the slot offers no `shell`".into());
    }
    let mut tale = Tale::new("20260314-092653-none");
    tale.begin(planned);
    let took = ms(20);
    tale.wait(6).say(Event::RunEnded {
        exit: ExitCode::NothingRan,
        verdict: "NOTHING RAN".into(),
        took,
        waited: ms(0),
    });
    tale.bytes()
}

/// A case that failed once and then passed.
pub fn flaky() -> Vec<u8> {
    let mut tale = up("20260314-092653-flaky", plan());
    all_but(&mut tale, "container::engine::healthy", |tale, sketch| {
        tale.starts(sketch.id, 1);
        let err = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n";
        tale.command(sketch.id, sketch.line, 5_003, "exit code 1", "", err);
        let failure = Failure::new("the engine does not answer", "20.10.24", err.trim());
        tale.ends(
            sketch.id,
            1,
            Outcome::Fail(failure),
            Some((Blame::Os, "case-failed-shell-alive")),
            &CONSOLE[..1],
        );
        for attempt in 2..=3 {
            tale.starts(sketch.id, attempt);
            tale.command(sketch.id, sketch.line, sketch.millis, "exit code 0", sketch.out, "");
            tale.ends(sketch.id, attempt, Outcome::Pass, None, &[]);
        }
    });
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// A measure over its budget fails its case.
pub fn over_budget() -> Vec<u8> {
    let mut tale = up("20260314-092653-budget", plan());
    all_but(&mut tale, "os::rest::memory", |tale, sketch| with_memory(tale, sketch, 412.5));
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// Killed in mid-case: the journal just ends.
pub fn interrupted() -> Vec<u8> {
    let mut tale = up("20260314-092653-killed", plan());
    for sketch in &CASES[..5] {
        tale.passes(sketch);
    }
    let open = case("os::time::synchronised");
    tale.starts(open.id, 1);
    tale.command(open.id, open.line, open.millis, "exit code 0", open.out, "");
    tale.bytes()
}

/// Everything a hostile DUT may say, everywhere it may say it.
pub fn hostile() -> Vec<u8> {
    let evil = super::troubled::HOSTILE;
    let mut tale = Tale::new("20260314-092653-hostile");
    let mut planned = plan();
    planned.truncate(2);
    planned[1].title = evil.into();
    tale.begin(planned).provision().first_boot();
    tale.passes(&CASES[0]);
    tale.starts(CASES[1].id, 1);
    tale.command(CASES[1].id, evil, 24, evil, evil, evil);
    tale.say(Event::Evidence {
        case: Some(CaseId(CASES[1].id.into())),
        evidence: Evidence::Note(evil.into()),
    });
    tale.say(Event::Evidence {
        case: Some(CaseId(CASES[1].id.into())),
        evidence: Evidence::HostKey { was: evil.into(), now: evil.into(), word: KeyWord::Declared },
    });
    tale.say(Event::Evidence {
        case: None,
        evidence: Evidence::File { path: "javascript:alert(1)".into(), role: evil.into() },
    });
    tale.measure(Some(CASES[1].id), evil, f64::MAX, evil);
    let failure = Failure::new(evil, evil, evil);
    tale.ends(CASES[1].id, 1, Outcome::Fail(failure), Some((Blame::Os, evil)), &[evil, evil]);
    tale.aside(evil, Outcome::Blocked { by: evil.into() });
    tale.aside("os::skip # TODO", Outcome::Skip { reason: evil.into() });
    tale.saves("../../etc/passwd", evil, 1);
    tale.finish(ExitCode::Failed, evil)
}
