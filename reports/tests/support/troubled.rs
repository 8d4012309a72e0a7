//! The runs of the corpus that do not get to their cases, and journals that were tampered with.

use shakedown_core::time::Waited;
use shakedown_core::{Blame, BootFailure, Event, ExitCode, Failure, Outcome, Stop};

use super::corpus::{CASES, Tale, ms, plan};
use super::journals;

/// Markup, escape codes, control characters, direction marks, TAP and workflow commands, a CDATA end.
pub const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>]]>&amp;\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{0}\u{8}\u{202e}gnp.exe\u{2028}\r\nok 99 - forged # SKIP | `a` ```\n::error::forged\n1..0\n'\"{{7*7}}\u{ffff}";

fn blocked(tale: &mut Tale) {
    for sketch in &CASES {
        tale.aside(sketch.id, Outcome::Blocked { by: "boot".into() });
    }
}

/// The kernel cannot mount its root; every case is blocked.
pub fn kernel_panic() -> Vec<u8> {
    let mut tale = Tale::new("20260314-092653-panic");
    tale.begin(plan()).provision().boot_begins();
    tale.stages("power-on", 3, 1.0);
    tale.wait(2_870);
    let lines: Vec<String> = [
        "[    2.744120] VFS: Cannot open root device \"PARTLABEL=resin-rootA\" or unknown-block(0,0): error -6",
        "[    2.744871] Please append a correct \"root=\" boot option; here are the available partitions:",
        "[    2.745310] fe00         2097152 vda ",
        "[    2.746002] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "[    2.746530] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-26-amd64 #1  Debian 6.1.112-1",
        "[    2.747214] Call Trace:",
        "[    2.747410]  <TASK>",
        "[    2.747588]  dump_stack_lvl+0x44/0x5c",
        "[    2.747900]  panic+0x118/0x2ed",
    ]
    .map(str::to_owned)
    .to_vec();
    let failure = Failure::new(
        "kernel panic at boot",
        "stage userspace",
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    );
    let bad = BootFailure::Bad {
        id: "no-root".into(),
        says: "the kernel cannot mount its root file system".into(),
        blame: Blame::Os,
        stage: "kernel".into(),
        lines,
    };
    tale.boot_fails(bad, Outcome::Fail(failure), Blame::Os, "known-bad-line-power-good");
    blocked(&mut tale);
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// It starts over and over.
pub fn boot_loop() -> Vec<u8> {
    let mut tale = Tale::new("20260314-092653-loop");
    tale.begin(plan()).provision().boot_begins();
    let line = || "GNU GRUB  version 2.06-13+deb12u1".to_owned();
    for how in ["power-on", "unexpected reset 1", "unexpected reset 2"] {
        tale.stages(how, 4, 1.0);
        tale.wait(640);
        let reset = BootFailure::Reset { stage: "userspace".into(), line: line() };
        if how != "unexpected reset 2" {
            tale.say(Event::BootFailed(reset));
            continue;
        }
        let failure = Failure::new("boot loop", "stage login", "3 starts, each reset after userspace");
        tale.boot_fails(reset, Outcome::Fail(failure), Blame::Os, "second-banner-power-steady");
    }
    blocked(&mut tale);
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// The login never comes.
pub fn boot_late() -> Vec<u8> {
    let mut tale = Tale::new("20260314-092653-late");
    tale.begin(plan()).provision().boot_begins();
    tale.stages("power-on", 4, 1.0);
    tale.say(Event::PaceChanged { factor: 1.8, why: "QEMU waited for a core".into() });
    tale.wait(54_000);
    let stop = Stop::Late(Waited {
        name: "login".into(),
        waited: ms(54_000),
        last_seen: "[   11.230044] systemd[1]: Reached target network.target".into(),
    });
    let failure =
        Failure::new("login not reached after userspace", "stage login within 54.0 s", stop.to_string());
    let late = BootFailure::Late { stage: "login".into(), after: "userspace".into(), outside: false, stop };
    tale.boot_fails(late, Outcome::Fail(failure), Blame::Os, "late-console-alive");
    blocked(&mut tale);
    tale.finish(ExitCode::Failed, "FAIL (OS)")
}

/// The image is refused before anything is switched on.
pub fn refused_image() -> Vec<u8> {
    let mut tale = Tale::new("20260314-092653-refused");
    tale.begin(plan()).say(Event::StepStarted { step: "write image".into() }).wait(880);
    let failure = Failure::new(
        "the image is truncated",
        "2147483648 bytes as its frame header says",
        "the zstd stream ends after 734003200 bytes",
    );
    tale.say(Event::StepFailed {
        step: "write image".into(),
        outcome: Outcome::Fail(failure),
        blame: Blame::Image,
        because: "source-refused".into(),
        took: ms(880),
    });
    for sketch in &CASES {
        tale.aside(sketch.id, Outcome::Blocked { by: "write image".into() });
    }
    tale.say(Event::RunEnded {
        exit: ExitCode::Refused,
        verdict: "REFUSED (image)".into(),
        took: ms(902),
        waited: ms(870),
    });
    tale.bytes()
}

/// A failure was turned into a pass by hand.
pub fn edited() -> Vec<u8> {
    let text = String::from_utf8(journals::over_budget()).expect("UTF-8");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.contains("case-ended") && line.contains("os::rest::memory") {
            let (start, end) =
                (line.find("\"outcome\":").expect("outcome"), line.find(",\"took\"").expect("took"));
            line.replace_range(start..end, "\"outcome\":\"pass\"");
        }
        *line = line.replace("\"exit\":\"failed\"", "\"exit\":\"ok\"");
    }
    (lines.join("\n") + "\n").into_bytes()
}

/// A writer of a later version added an event that this reader does not know.
pub fn newer_writer() -> Vec<u8> {
    let text = String::from_utf8(journals::all_pass()).expect("UTF-8");
    let odd = text.lines().position(|line| line.contains("pace-changed")).expect("a pace");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[odd] = lines[odd].replace("\"v\":1", "\"v\":2").replace("pace-changed", "pace-derived");
    // A newer writer chains as we do.
    for index in odd + 1..lines.len() {
        let before = shakedown_core::Sha::of(lines[index - 1].as_bytes()).to_string();
        let at = lines[index].find("\"prev\":\"").expect("prev") + 8;
        lines[index].replace_range(at..at + 64, &before);
    }
    (lines.join("\n") + "\n").into_bytes()
}

/// All of the corpus, by name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("all-pass", journals::all_pass()),
        ("boot-late", boot_late()),
        ("boot-loop", boot_loop()),
        ("edited", edited()),
        ("failing-case", journals::failing_case()),
        ("flaky", journals::flaky()),
        ("harness-error", journals::harness_error()),
        ("hostile", journals::hostile()),
        ("interrupted", journals::interrupted()),
        ("kernel-panic", kernel_panic()),
        ("newer-writer", newer_writer()),
        ("nothing-ran", journals::nothing_ran()),
        ("over-budget", journals::over_budget()),
        ("refused-image", refused_image()),
        ("rig-power-fault", journals::rig_power_fault()),
        ("skipped", journals::skipped()),
        ("undetermined", journals::undetermined()),
    ]
}
