//! The boot machine on a synthetic board, where every detail is known.

use std::time::Duration;

use proptest::prelude::*;
use shakedown_console::{BootMachine, BootOutcome, BootStep, Recording, replay};
use shakedown_core::{
    BadSpec, Blame, BootFailure, BootSpec, Chunk, Closed, Mono, Resets, Seen, StageSpec, Stop, Waited,
};

fn at(seconds: f64) -> Mono {
    Mono((seconds * 1e9) as u64)
}

fn stage(name: &str, pattern: &str, within: u64) -> StageSpec {
    StageSpec {
        name: name.into(),
        seen: Seen::Console(vec![pattern.into()]),
        within: Duration::from_secs(within),
        typical: None,
        optional: false,
        once: false,
    }
}

fn spec() -> BootSpec {
    let mut stages = vec![
        StageSpec { optional: true, ..stage("firmware", "^Boot ROM", 2) },
        StageSpec { once: true, ..stage("bootloader", "^U-Boot [0-9]", 3) },
        StageSpec { typical: Some(Duration::from_secs(2)), ..stage("kernel", "Linux version", 15) },
        StageSpec {
            typical: Some(Duration::from_secs(4)),
            ..stage("userspace", r"systemd\[1\]: Startup", 20)
        },
        stage("login", "login: $", 20),
    ];
    stages.push(StageSpec { seen: Seen::Shell, ..stage("ready", "", 5) });
    let bad = BadSpec {
        id: "kernel-panic".into(),
        pattern: "Kernel panic - not syncing".into(),
        says: "the kernel panicked".into(),
        blame: Blame::Os,
        drain: Duration::from_secs(1),
    };
    BootSpec { stages, bad: vec![bad] }
}

/// Lines of a good boot: seconds and text.
const BOOT: &[(f64, &str)] = &[
    (0.1, "Boot ROM v1\r\n"),
    (0.5, "\x1b[2J\r\nU-Boot 2023.01 (Jun 22)\r\n"),
    (0.6, "Hit any key: 1 \x08\x08\x08 0\r\n"),
    (3.0, "[    0.000000] Linux version 6.1.0-13\r\n"),
    (3.1, "[    0.1] some \u{fffd} noise\r\n"),
    (11.0, "[    8.1] systemd[1]: Startup finished\r\n"),
    (12.0, "\r\ndebian login: "),
];

fn chunks(lines: &[(f64, &str)]) -> Vec<Chunk> {
    let mut off = 0;
    let chunk = |&(seconds, text): &(f64, &str)| {
        let chunk = Chunk { at: at(seconds), off, bytes: text.as_bytes().into() };
        off = chunk.end();
        chunk
    };
    lines.iter().map(chunk).collect()
}

fn run(lines: &[(f64, &str)], allowed: &Resets) -> BootOutcome {
    replay(&spec(), allowed, Mono(0), &chunks(lines)).unwrap()
}

fn failure(lines: &[(f64, &str)]) -> BootFailure {
    match run(lines, &Resets::default()) {
        BootOutcome::Failed(failure) => failure,
        up @ BootOutcome::Up(_) => panic!("{up:?}"),
    }
}

#[test]
fn a_good_boot_has_all_stages_with_times_and_its_pace() {
    let BootOutcome::Up(report) = run(BOOT, &Resets::default()) else { panic!("not up") };
    let seen: Vec<_> =
        report.stages.iter().map(|s| (s.name.as_str(), s.after.as_millis(), s.saw.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("firmware", 100, "Boot ROM v1"),
            ("bootloader", 500, "U-Boot 2023.01 (Jun 22)"),
            ("kernel", 3000, "[    0.000000] Linux version 6.1.0-13"),
            ("userspace", 11000, "[    8.1] systemd[1]: Startup finished"),
            ("login", 12000, "debian login:"),
        ]
    );
    // Kernel took 2.5 s instead of 2, userspace 8 instead of 4.
    assert!((report.pace - 10.5 / 6.0).abs() < 1e-9, "{}", report.pace);
    assert_eq!(report.banners, 1);
}

#[test]
fn without_an_optional_stage_it_comes_up_all_the_same() {
    let BootOutcome::Up(report) = run(&BOOT[1..], &Resets::default()) else { panic!("not up") };
    assert_eq!(report.stages.len(), 4);
}

#[test]
fn a_stage_that_is_missing_is_named() {
    let without = |index: usize| {
        let lines: Vec<_> = BOOT.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, l)| *l).collect();
        failure(&lines)
    };
    for (index, expected, got) in
        [(1, "bootloader", "kernel"), (3, "kernel", "userspace"), (5, "userspace", "login")]
    {
        match without(index) {
            BootFailure::OutOfOrder { expected: e, got: g, .. } => {
                assert_eq!((e.as_str(), g.as_str()), (expected, got));
            }
            other => panic!("{other:?}"),
        }
    }
    let BootFailure::Late { stage, after, stop: Stop::Late(waited), .. } = without(6) else {
        panic!("not late")
    };
    assert_eq!((stage.as_str(), after.as_str()), ("login", "userspace"));
    assert_eq!(waited.last_seen, "[    8.1] systemd[1]: Startup finished");
    // 20 s at the pace measured so far.
    assert_eq!(waited.waited.as_secs(), 35);
}

#[test]
fn a_second_banner_is_a_reset_unless_it_is_allowed() {
    let twice: Vec<_> = BOOT[..5]
        .iter()
        .chain(BOOT)
        .enumerate()
        .map(|(i, l)| (if i < 5 { l.0 } else { l.0 + 4.0 }, l.1))
        .collect();
    let BootFailure::Reset { stage, line } = failure(&twice) else { panic!("no reset") };
    assert_eq!((stage.as_str(), line.as_str()), ("kernel", "U-Boot 2023.01 (Jun 22)"));
    let BootOutcome::Up(report) = run(&twice, &Resets { up_to: 1, bad: vec![] }) else { panic!("not up") };
    assert_eq!((report.banners, report.stages[0].name.as_str(), report.stages.len()), (2, "bootloader", 4));
    assert_eq!(report.stages[0].after.as_millis(), 4500);
}

#[test]
fn a_banner_that_repeats_without_progress_is_no_reset() {
    let mut lines = BOOT.to_vec();
    lines.insert(2, (0.55, "U-Boot 2023.01 (Jun 22)\r\n"));
    let BootOutcome::Up(report) = run(&lines, &Resets::default()) else { panic!("not up") };
    assert_eq!(report.banners, 1);
}

#[test]
fn a_panic_ends_the_boot_with_the_lines_around_it() {
    let mut lines = BOOT[..5].to_vec();
    lines.push((4.0, "[ 1.0] \x1b[31mKernel panic - not syncing: VFS\x1b[0m\r\n[ 1.1] Call Trace:\r\n"));
    lines.push((4.5, "[ 1.2] ---[ end"));
    lines.push((9.0, "never read"));
    let BootFailure::Bad { id, stage, lines: around, blame, .. } = failure(&lines) else { panic!("not bad") };
    assert_eq!((id.as_str(), stage.as_str(), blame), ("kernel-panic", "kernel", Blame::Os));
    assert_eq!(around.last().unwrap(), "[ 1.2] ---[ end");
    assert!(around.contains(&"[ 1.0] Kernel panic - not syncing: VFS".to_owned()));
    assert!(around.contains(&"Boot ROM v1".to_owned()));
    let allowed = Resets { up_to: 1, bad: vec!["kernel-panic".into()] };
    lines.pop();
    let rebooted: Vec<_> = lines.into_iter().chain(BOOT.iter().map(|l| (l.0 + 5.0, l.1))).collect();
    assert!(matches!(run(&rebooted, &allowed), BootOutcome::Up(_)));
    // Once it is up, the machine does not judge.
    let mut after = BOOT.to_vec();
    after.push((13.0, "\r\nKernel panic - not syncing: late\r\n"));
    assert!(matches!(run(&after, &Resets::default()), BootOutcome::Up(_)));
}

#[test]
fn stages_from_outside_are_told_and_have_deadlines_too() {
    let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
    let mut steps = Vec::new();
    assert!(
        machine
            .reached("redy", at(1.0), "", 1.0, &mut steps)
            .unwrap_err()
            .to_string()
            .ends_with("there are: ready")
    );
    for chunk in chunks(BOOT) {
        machine.feed(&chunk, 1.0, &mut steps);
    }
    assert_eq!(machine.awaiting().unwrap().name, "login");
    machine.tick(machine.wake_at(1.0).unwrap(), 1.0, &mut steps);
    assert_eq!(machine.awaiting().unwrap().name, "ready");
    // 5 s at the pace of this boot, 1.75, or at a larger one that is given.
    assert_eq!(machine.wake_at(1.0), Some(at(20.75)));
    assert_eq!(machine.wake_at(2.0), Some(at(22.0)));
    assert_eq!(machine.wake_at(99.0), machine.wake_at(6.0));
    machine.reached("ready", at(14.0), "ssh let us in", 1.0, &mut steps).unwrap();
    assert!(machine.is_up() && machine.wake_at(1.0).is_none());
    assert_eq!(steps.len(), 6);
    let mut early = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
    steps.clear();
    early.reached("ready", at(1.0), "ssh", 1.0, &mut steps).unwrap();
    assert!(
        matches!(&steps[..], [BootStep::Failed(BootFailure::OutOfOrder { expected, .. })] if expected == "bootloader")
    );
}

/// The pace given with the bytes counts, not that of the last tick.
#[test]
fn bytes_that_come_late_on_a_slow_dut_are_in_time() {
    let late = BOOT[2..].iter().map(|(seconds, text)| (seconds + 17.0, *text));
    let lines: Vec<_> = BOOT[..2].iter().copied().chain(late).collect();
    let fed = |pace: f64| {
        let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
        let mut steps = Vec::new();
        for chunk in chunks(&lines) {
            machine.feed(&chunk, pace, &mut steps);
        }
        steps
    };
    assert!(fed(2.0).iter().all(|step| matches!(step, BootStep::Stage(_))), "{:?}", fed(2.0));
    // The kernel is 19.5 s after the boot loader instead of 15 at most.
    assert!(
        matches!(fed(1.0).last(), Some(BootStep::Failed(BootFailure::Late { stage, .. })) if stage == "kernel")
    );
}

/// A live machine is told what the gauge says; what this boot was measured at counts all the same.
#[test]
fn a_slow_boot_stretches_its_own_later_stages() {
    let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
    let mut steps = Vec::new();
    for chunk in chunks(&BOOT[..6]) {
        machine.feed(&chunk, 1.0, &mut steps);
    }
    // The login is due 20 s after userspace at pace 1; this boot's pace is 1.75.
    machine.feed(&Chunk { at: at(40.0), off: 900, bytes: b"debian login: \n"[..].into() }, 1.0, &mut steps);
    assert!(matches!(steps.last(), Some(BootStep::Stage(stage)) if stage.name == "login"), "{steps:?}");
}

#[test]
fn a_stage_that_may_be_left_out_is_passed_over_when_the_network_was_quicker() {
    let mut quick = spec();
    quick.stages[4].optional = true;
    quick.stages.push(StageSpec { seen: Seen::Engine, ..stage("engine", "", 5) });
    let climb = |outside: bool, late: &str| {
        let mut machine = BootMachine::new(&quick, Mono(0), 1.0).unwrap();
        let mut steps = Vec::new();
        for chunk in chunks(&BOOT[..6]) {
            machine.feed(&chunk, 1.0, &mut steps);
        }
        if outside {
            machine.reached("ready", at(12.0), "ssh", 1.0, &mut steps).unwrap();
        }
        machine.feed(&Chunk { at: at(12.5), off: 900, bytes: late.as_bytes().into() }, 1.0, &mut steps);
        if !machine.is_up() && machine.awaiting().is_some_and(|stage| stage.name == "engine") {
            machine.reached("engine", at(13.0), "healthy", 1.0, &mut steps).unwrap();
        }
        steps
    };
    let names = |steps: &[BootStep]| -> Vec<String> {
        let name = |step: &BootStep| match step {
            BootStep::Stage(stage) => stage.name.clone(),
            BootStep::Failed(failure) => failure.headline(),
        };
        steps.iter().map(name).collect()
    };
    assert_eq!(names(&climb(true, "debian login: \n"))[4..], ["ready", "engine"]);
    // A required one, and one that the console itself overtook, are missing as before.
    quick.stages[4].optional = false;
    let steps = {
        let mut machine = BootMachine::new(&quick, Mono(0), 1.0).unwrap();
        let mut steps = Vec::new();
        for chunk in chunks(&BOOT[..6]) {
            machine.feed(&chunk, 1.0, &mut steps);
        }
        machine.reached("ready", at(12.0), "ssh", 1.0, &mut steps).unwrap();
        steps
    };
    assert_eq!(names(&steps)[4], "ready was seen before login: ssh");
    let mut swapped = BOOT.to_vec();
    (swapped[0].1, swapped[1].1) = (BOOT[1].1, BOOT[0].1);
    assert!(matches!(failure(&swapped), BootFailure::OutOfOrder { .. }));
}

#[test]
fn a_late_stage_says_whether_it_is_seen_from_outside_and_what_came_last() {
    let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
    let mut steps = Vec::new();
    let given_up = |machine: &BootMachine| {
        let waited = Waited { name: "w".into(), waited: Duration::ZERO, last_seen: String::new() };
        match machine.given_up(Stop::Late(waited)) {
            BootFailure::Late { stage, after, outside, .. } => (stage, after, outside),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(given_up(&machine), ("bootloader".into(), "power".into(), false));
    for chunk in chunks(BOOT) {
        machine.feed(&chunk, 1.0, &mut steps);
    }
    while let Some(due) = machine.wake_at(1.0) {
        machine.tick(due, 1.0, &mut steps);
    }
    let Some(BootStep::Failed(BootFailure::Late { stage, after, outside, .. })) = steps.last() else {
        panic!("{steps:?}")
    };
    assert_eq!((stage.as_str(), after.as_str(), *outside), ("ready", "login", true));
}

#[test]
fn a_console_that_ends_says_so_and_a_panic_before_that_counts_first() {
    let closed = || Closed { why: "QEMU ended".into(), last_seen: String::new() };
    for (text, panicked) in [("Linux", false), ("Kernel panic - not syncing", true)] {
        let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
        let mut steps = Vec::new();
        machine.feed(&Chunk { at: Mono(0), off: 0, bytes: text.as_bytes().into() }, 1.0, &mut steps);
        machine.closed(closed(), &mut steps);
        assert_eq!(steps.len(), 1);
        assert_eq!(matches!(&steps[0], BootStep::Failed(BootFailure::Bad { .. })), panicked, "{steps:?}");
    }
}

#[test]
fn a_silent_board_is_late_with_its_first_required_stage() {
    let BootFailure::Late { stage, after, stop: Stop::Late(waited), .. } = failure(&[]) else {
        panic!("not late")
    };
    assert_eq!((stage.as_str(), after.as_str(), waited.waited.as_secs()), ("bootloader", "power", 5));
}

#[test]
fn a_wrong_pattern_is_named_by_its_stage() {
    let mut broken = spec();
    broken.bad[0].pattern = "panic(".into();
    let said = BootMachine::new(&broken, Mono(0), 1.0).unwrap_err().to_string();
    assert!(said.starts_with("known-bad line kernel-panic `panic(` at byte 5"), "{said}");
}

#[test]
fn a_flood_without_line_ends_is_judged_too() {
    let mut machine = BootMachine::new(&spec(), Mono(0), 1.0).unwrap();
    let mut steps = Vec::new();
    let text = [&vec![b'x'; 4090][..], b"Kernel panic - not syncing", &vec![b'y'; 9000]].concat();
    for (off, byte) in text.iter().enumerate() {
        machine.feed(&Chunk { at: Mono(1), off: off as u64, bytes: [*byte].into() }, 1.0, &mut steps);
    }
    machine.tick(at(2.0), 1.0, &mut steps);
    assert!(matches!(&steps[..], [BootStep::Failed(BootFailure::Bad { .. })]), "{steps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Lines of boots in any order, cut in any way: the outcome hangs on bytes and times alone.
    #[test]
    fn the_outcome_does_not_depend_on_how_the_stream_is_cut(
        picks in prop::collection::vec((0..9usize, 0..3000u64), 0..20),
        lengths in prop::collection::vec(1..30usize, 1..6),
        up_to in 0..3u32,
    ) {
        let mut lines: Vec<&str> = BOOT.iter().map(|line| line.1).collect();
        lines.extend(["Kernel panic - not syncing\n", "\x1b]0;U-Boot 2023"]);
        let (mut now, mut off) = (0, 0);
        let whole: Vec<Chunk> = picks.iter().map(|&(pick, wait)| {
            now += wait * 1_000_000;
            let chunk = Chunk { at: Mono(now), off, bytes: lines[pick].as_bytes().into() };
            off = chunk.end();
            chunk
        }).collect();
        let mut next = lengths.iter().cycle().copied();
        let mut cut = Vec::new();
        let mut bytewise = Vec::new();
        for chunk in &whole {
            let mut from = 0;
            while from < chunk.bytes.len() {
                let to = (from + next.next().unwrap_or(1)).min(chunk.bytes.len());
                cut.push(Chunk { at: chunk.at, off: chunk.off + from as u64, bytes: chunk.bytes[from..to].into() });
                from = to;
            }
            bytewise.extend(chunk.bytes.iter().enumerate().map(|(i, &byte)| {
                Chunk { at: chunk.at, off: chunk.off + i as u64, bytes: [byte].into() }
            }));
        }
        let allowed = Resets { up_to, bad: vec![] };
        let outcome = replay(&spec(), &allowed, Mono(0), &whole).unwrap();
        prop_assert_eq!(&outcome, &replay(&spec(), &allowed, Mono(0), &cut).unwrap());
        prop_assert_eq!(&outcome, &replay(&spec(), &allowed, Mono(0), &bytewise).unwrap());
    }

    /// Any two stage lines swapped, or one left out, changes what comes of the boot.
    #[test]
    fn order_matters(one in 0..5usize, other in 0..5usize) {
        let stages = [0, 1, 3, 5, 6];
        let good = run(BOOT, &Resets::default());
        let mut lines = BOOT.to_vec();
        let (a, b) = (stages[one], stages[other]);
        if a == b {
            lines.remove(a);
        } else {
            (lines[a].1, lines[b].1) = (BOOT[b].1, BOOT[a].1);
        }
        prop_assert_ne!(good, run(&lines, &Resets::default()));
    }
}

#[test]
fn an_empty_recording_starts_at_zero() {
    assert_eq!(Recording::default().start(), Mono(0));
}
