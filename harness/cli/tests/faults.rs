//! Faults of small guests, through the real binary: outcome, blame, exit code and words of each.
//!
//! `cargo test -p shakedown --test faults`. Boots QEMU, one machine at a time.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::time::{Duration, Instant};

use shakedown_core::ledger::Attempt;
use shakedown_core::{BootFailure, Outcome};
use shakedown_qemu::micro::Kind;
use support::guest::{AGAIN, HALT, KERNEL, OFF, PAUSE, TAKE};
use support::{Place, Ran, Run, by, guest, micro, one_by_one, scripted, trial};

/// The boot, as a case.
const BOOT: &str = "boot::cold::ready";
const ANSWERS: &str = "micro::looks::answers";

fn main() {
    one_by_one(|| {
        vec![
            trial("a_silent_console_is_undetermined", silent),
            trial("a_flood_is_recorded_whole_and_does_not_hide_the_login", flood),
            trial("a_flood_without_an_end_ends_at_the_deadline", endless),
            trial("a_panic_at_boot_is_the_os", panic_at_boot),
            trial("a_boot_loop_is_the_os", boot_loop),
            trial("ssh_that_is_refused_after_a_login_is_the_os", ssh_refused),
            trial("a_dead_network_is_looked_at_over_the_console_login", over_console),
            trial("ssh_that_stays_mute_after_a_login_is_the_os", ssh_mute),
            trial("a_server_that_is_not_ssh_is_the_os", not_ssh),
            trial("no_network_after_a_login_is_undetermined", no_network),
            trial("a_guest_that_switches_itself_off_is_the_os", switches_off),
            trial("a_reboot_in_mid_case_is_the_os", reboot_in_case),
            trial("a_qemu_that_is_killed_in_mid_case_is_the_rig", qemu_killed),
            trial("a_killed_harness_leaves_nothing_and_gives_its_slot_back", harness_killed),
            trial("an_interrupted_run_is_safe_and_says_so", interrupted),
            trial("a_kept_dut_stays_on_after_a_failed_boot_until_it_is_given_back", kept),
            trial("broken_cases_are_errors_of_the_harness", broken_cases),
            trial("ports_that_are_taken_are_walked_around", ports_taken),
            trial("a_full_output_disk_is_the_rig", disk_full),
            trial("a_control_run_that_comes_up_blames_the_os", control_comes_up),
            trial("a_control_run_that_stays_dark_blames_the_rig", control_stays_dark),
        ]
    });
}

/// The arguments of a run of one case under this profile.
fn args(os: &str) -> Vec<&str> {
    let common =
        ["run", "--path", "private", "--slot", "one", "--case", ANSWERS, "--image", "image", "--os", os];
    common.to_vec()
}

/// A place with a micro guest, whose only case has so long.
async fn of_kind(kind: Kind, within: &str) -> Place {
    let place = Place::new();
    micro::documents(&place, within);
    micro::guest_rig(&place, kind).await;
    place.file("image", guest::image(&guest::good()));
    place
}

/// A place with a guest at its login that serves on two ports; `first` runs beside it.
async fn of_serving(within: &str, first: &str) -> Place {
    let place = of_kind(Kind::Login, within).await;
    micro::serving_rig(&place, first).await;
    place
}

/// A place with a guest that plays this script.
fn of_script(script: &str) -> Place {
    let place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    place.file("image", guest::image(script));
    place
}

/// Runs it. A host without CPU for the DUT is told as such, which says nothing about the fault
/// under test: then it runs again, at most twice.
async fn run(place: &Place, os: &str) -> (Ran, Run) {
    run_with(place, os, &[]).await
}

async fn run_with(place: &Place, os: &str, more: &[&str]) -> (Ran, Run) {
    for again in (0..3).rev() {
        let ran = place.run(&[&args(os)[..], more].concat()).await;
        assert!(!ran.err.contains("panicked"), "{}", ran.all());
        assert!(place.path("out").exists(), "no run was begun: {}", ran.all());
        let run = Run::read(&place.last());
        let starved = |attempt: &Attempt| attempt.because.as_deref() == Some("starved");
        if again == 0 || !run.ledger.attempts.iter().any(starved) {
            return (ran, run);
        }
        assert_eq!(ran.code, Some(3), "{}", ran.all());
        println!("     the host had no CPU for the DUT: once more");
    }
    unreachable!("the last one returns")
}

/// The case did not run, for the boot had failed; the config was written, and the reports are there.
#[track_caller]
fn blocked(run: &Run) {
    let case = run.case(ANSWERS);
    assert_eq!(case.outcome, Some(Outcome::Blocked { by: BOOT.into() }));
    for file in ["report.html", "junit.xml", "results.tap", "summary.md", "console.log", "console.cast"] {
        assert!(run.folder.join(file).is_file(), "{file} is missing");
    }
    let proof = run.step("inject identity").proof.as_deref().expect("a proof");
    assert!(proof.contains("read back"), "{proof}");
}

#[track_caller]
fn console(run: &Run) -> Vec<u8> {
    std::fs::read(run.folder.join("console.log")).unwrap()
}

async fn silent() {
    let place = of_kind(Kind::Silent, "4s").await;
    let (ran, run) = run(&place, "micro").await;
    run.judged(
        BOOT,
        "undetermined",
        "undetermined",
        "dark-from-power-on",
        &[
            "nothing was seen on the console since the boot began: the DUT is dead, or its console is not connected",
            "kernel not reached after power",
            "power reads on",
        ],
    );
    run.ended(ran.code, 3);
    blocked(&run);
    ran.says(3, &["nothing was seen on the console", "report: "]);
    assert_eq!(console(&run), b"");
}

/// 3 MB, as numbered lines: QEMU's serial port was measured at 0.1-0.5 MB/s, so 100 MB would take
/// many minutes. (The matcher and the boot machine have a 100 MB test of their own, without QEMU.)
async fn flood() {
    const LINES: u32 = 60_000;
    let place = of_kind(Kind::Login, "4s").await;
    // As `Kind::Flood`, but with the kernel's own lines before it.
    micro::scripted_rig(&place, &format!("console=ttyS0 micro=flood lines={LINES}")).await;
    let slow =
        |text: String| text.replace("micro login: '] }, within: 20s", "micro login: '] }, within: 150s");
    let profile = std::fs::read_to_string(place.path("private/os/micro.yaml")).unwrap();
    place.file("private/os/micro.yaml", slow(profile));
    let (ran, run) = run(&place, "micro").await;
    assert_eq!(run.case(BOOT).outcome, Some(Outcome::Pass), "{}", ran.all());
    let said = console(&run);
    let text = String::from_utf8_lossy(&said);
    let lines = text.lines().filter(|line| line.starts_with("flood "));
    let mut next = 0;
    for line in lines {
        assert_eq!(line.trim_end(), format!("flood {next:09} 0123456789abcdefghijklmnopqrstuvwxyz"));
        next += 1;
    }
    assert_eq!(next, LINES);
    println!("     {:.1} MB of console", said.len() as f64 / 1e6);
    // 53 bytes a line; the recording with times is still a line of JSON each.
    let timed = std::fs::read_to_string(run.folder.join("console.jsonl")).unwrap();
    assert!(timed.lines().all(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()));
}

async fn endless() {
    let place = of_script(&format!("{}\r\n{AGAIN}", "0123456789abcdef".repeat(16)));
    let ran = place.run(&args("micro")).await;
    let run = Run::read(&place.last());
    // A guest that never pauses needs a core of its own: a busy host is told as what it is.
    if run.case(BOOT).because.as_deref() == Some("starved") {
        run.judged(BOOT, "infra", "rig", "starved", &["the rig host had no CPU for the DUT"]);
        run.ended(ran.code, 3);
    } else {
        run.judged(
            BOOT,
            "fail",
            "os",
            "stuck-at-boot",
            // The line that was cut by the end may have only begun.
            &["kernel not reached after power", "last seen: 0"],
        );
        run.ended(ran.code, 1);
    }
    blocked(&run);
    println!("     {:.1} MB of console", console(&run).len() as f64 / 1e6);
    let html = std::fs::metadata(run.folder.join("report.html")).unwrap().len();
    assert!(html < 20 << 20, "a report of {html} bytes");
}

async fn panic_at_boot() {
    let place = of_kind(Kind::Panic, "4s").await;
    let (ran, run) = run(&place, "micro").await;
    run.judged(
        BOOT,
        "fail",
        "os",
        "bad-line-at-boot",
        &["the kernel panicked (after ", "Kernel panic - not syncing: sysrq triggered crash"],
    );
    run.ended(ran.code, 1);
    blocked(&run);
    ran.says(1, &["the kernel panicked"]);
    let lines = &run.case(BOOT).console;
    assert!(lines.iter().any(|line| line.contains("end Kernel panic")), "the lines after it: {lines:#?}");
    let saved = |path: &str| run.ledger.files.iter().any(|file| file.path == path);
    assert!(saved("dut/medium/boot/config.json"), "read off the medium: {:?}", run.ledger.files);
}

async fn boot_loop() {
    let place = of_kind(Kind::Loop, "4s").await;
    let (ran, run) = run(&place, "micro").await;
    run.judged(BOOT, "fail", "os", "reset-at-boot", &["unexpected reset after userspace", "Linux version "]);
    run.ended(ran.code, 1);
    blocked(&run);
    ran.says(1, &["unexpected reset after userspace"]);
}

async fn ssh_refused() {
    let place = of_kind(Kind::Login, "4s").await;
    let (ran, run) = run(&place, "micro-refused").await;
    run.judged(BOOT, "fail", "os", "no-ssh-after-login", &["shell not reached after login"]);
    run.ended(ran.code, 1);
    blocked(&run);
    ran.says(1, &["shell not reached after login"]);
}

/// A busybox has neither systemd nor a journal, and says so: what counts is that its shell was asked.
async fn over_console() {
    let place = of_kind(Kind::Login, "4s").await;
    let (ran, run) = run(&place, "micro-login").await;
    run.judged(BOOT, "fail", "os", "no-ssh-after-login", &["shell not reached after login"]);
    run.ended(ran.code, 1);
    let proof = run.step("collect").proof.as_deref().expect("a proof");
    assert!(
        proof.contains("read 5 log(s) over the console's login; read 1 file(s) off the medium"),
        "{proof}"
    );
    let said = |name: &str| std::fs::read_to_string(run.folder.join("dut/console").join(name)).unwrap();
    assert!(said("dmesg.txt").contains("Run /init as init process"), "{}", said("dmesg.txt"));
    assert!(said("network.txt").contains("10.0.2.15"), "{}", said("network.txt"));
    assert_eq!(said("sync.txt").trim(), "written");
}

async fn ssh_mute() {
    let place = of_serving("4s", ":").await;
    let (ran, run) = run(&place, "micro-mute").await;
    run.judged(BOOT, "fail", "os", "mute-ssh-after-login", &["shell not reached after login"]);
    run.ended(ran.code, 1);
    blocked(&run);
}

async fn not_ssh() {
    let place = of_serving("4s", ":").await;
    let (ran, run) = run(&place, "micro-other").await;
    run.judged(BOOT, "fail", "os", "not-ready-after-login", &["shell not reached after login"]);
    run.ended(ran.code, 1);
}

async fn no_network() {
    let place = of_script(&guest::good());
    let (ran, run) = run(&place, "micro-refused").await;
    run.judged(
        BOOT,
        "undetermined",
        "undetermined",
        "no-network-after-login",
        &[
            "the DUT is up and its network does not answer: the DUT or the cable",
            "the console is alive",
            "the SSH port does not answer",
        ],
    );
    run.ended(ran.code, 3);
    blocked(&run);
}

async fn switches_off() {
    let place = of_script(&format!("{KERNEL}{PAUSE}{OFF}"));
    let (ran, run) = run(&place, "micro").await;
    run.judged(BOOT, "fail", "os", "switched-itself-off", &["the console ended: guest powered off"]);
    run.ended(ran.code, 1);
    blocked(&run);
    ran.says(1, &["guest powered off"]);
}

/// The case waits on a port that stays mute while the guest reboots under it.
async fn reboot_in_case() {
    let place = of_serving("25s", "/bin/busybox sleep 12; /bin/busybox reboot -f").await;
    let (ran, run) = run(&place, "micro").await;
    run.judged(ANSWERS, "fail", "os", "rebooted-in-case", &["the DUT rebooted by itself", "Linux version "]);
    run.ended(ran.code, 1);
}

async fn qemu_killed() {
    let place = of_serving("120s", ":").await;
    let child = place.start(&args("micro"));
    place.until_journal(&child, "\"case-started\":{\"case\":\"micro::looks::answers\"", 300).await;
    // The question after the port is behind the case then: its answer would be the driver's own fault.
    let asked = by("the case to wait for the port", 30);
    asked.pause(Duration::from_secs(3), || child.tail()).await.unwrap();
    let qemus = place.qemus();
    assert_eq!(qemus.len(), 1, "{qemus:?}");
    support::kill(qemus[0]);
    let status = child.wait(&by("the end of the run", 300)).await.unwrap();
    let run = Run::read(&place.last());
    run.judged(ANSWERS, "infra", "rig", "process-died", &["QEMU was killed by signal 9 (KILL)"]);
    run.ended(status.code(), 3);
    assert!(child.tail().contains("QEMU was killed by signal 9"), "{}", child.tail());
}

async fn harness_killed() {
    let place = of_script(&guest::good());
    micro::documents(&place, "120s");
    let child = place.start(&args("micro"));
    place.until_journal(&child, "\"case-started\":{\"case\":\"micro::looks::answers\"", 300).await;
    assert_eq!(place.qemus().len(), 1);
    support::kill(child.pid());
    let began = Instant::now();
    nothing_left(&place).await;
    println!("     nothing left after {:.2} s", began.elapsed().as_secs_f64());
    let first = place.last();
    // The slot is free for the next, which ends as it should.
    micro::documents(&place, "4s");
    place.file("image", guest::image(&format!("{KERNEL}{OFF}")));
    let (ran, second) = run(&place, "micro").await;
    second.judged(BOOT, "fail", "os", "switched-itself-off", &["guest powered off"]);
    second.ended(ran.code, 1);
    assert_ne!(first, second.folder);
    // What the first one wrote renders, and says that it was cut off.
    let report = place.run(&["report", first.to_str().unwrap()]).await;
    report.says(0, &["report: ", ANSWERS, "cut off"]);
    let first = Run::read(&first);
    assert_eq!((first.ledger.end.is_none(), first.case(ANSWERS).outcome.is_none()), (true, true));
    assert_eq!(first.results.unwrap().exit_code, 130, "nobody let it end");
}

/// The warden ends last, at most 5 s after the harness; on a busy host later.
async fn nothing_left(place: &Place) {
    let gone = by("the end of everything that it started", 60);
    while !place.processes().is_empty() {
        gone.pause(Duration::from_millis(10), || format!("{:?}", place.processes())).await.unwrap();
    }
}

async fn interrupted() {
    let place = of_script(&guest::good());
    micro::documents(&place, "120s");
    let child = place.start(&args("micro"));
    place.until_journal(&child, "\"case-started\":{\"case\":\"micro::looks::answers\"", 300).await;
    support::interrupt(child.pid());
    let status = child.wait(&by("the end of the run", 120)).await.unwrap();
    let run = Run::read(&place.last());
    run.ended(status.code(), 130);
    run.judged(ANSWERS, "undetermined", "undetermined", "interrupted", &["the run was interrupted"]);
    assert!(child.tail().contains("interrupted: making the slot safe"), "{}", child.tail());
    nothing_left(&place).await;
}

/// The boot failed, which is when somebody wants to look.
async fn kept() {
    use std::os::unix::fs::PermissionsExt;

    let place = of_kind(Kind::Panic, "4s").await;
    let child = place.start(&[&args("micro")[..], &["--keep"]].concat());
    let limit = by("the DUT to be kept", 300);
    while !child.tail().contains("held until Ctrl-C") {
        assert_eq!(child.try_status().unwrap(), None, "{}", child.tail());
        limit.pause(Duration::from_millis(20), || child.tail()).await.unwrap();
    }
    let run = Run::read(&place.last());
    assert_eq!(run.case(BOOT).because.as_deref(), Some("bad-line-at-boot"));
    assert!(run.results.is_some(), "the reports are there already");
    assert_eq!(place.qemus().len(), 1, "it runs on");
    let key = run.folder.join("ssh-key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&key).unwrap().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    let said = child.tail();
    for text in ["kept: the DUT is on", "shell    ssh -i ", "/ssh-key ", " root@127.0.0.1", "/console.log"] {
        assert!(said.contains(text), "missing `{text}` in {said}");
    }
    // The slot is held with it.
    let second = place.run(&args("micro")).await;
    second.says(3, &["tests/one is held by "]);
    support::interrupt(child.pid());
    let status = child.wait(&by("the end of the run", 120)).await.unwrap();
    let run = Run::read(&place.last());
    run.ended(status.code(), 1);
    nothing_left(&place).await;
    place.run(&["report", "out/latest"]).await.says(0, &["the kernel panicked"]);
}

/// Written in Rust, for no document can make such cases: they are refused when they are loaded.
async fn broken_cases() {
    let place = of_script(&guest::good());
    let run = scripted::run(&place).await;
    run.judged(
        "broken::in::panics",
        "error",
        "harness",
        "broken-case",
        &["the case panicked: index out of bounds"],
    );
    run.judged("broken::in::pattern", "error", "harness", "broken-case", &["pattern `(up`"]);
    run.judged("broken::in::never-ends", "fail", "os", "too-late", &["what was waited for did not come"]);
    run.judged("broken::in::reconnects", "pass", "nobody", "-", &[]);
    run.ended(Some(70), 70);
}

/// Every port of a slot is the kernel's choice, asked for again when another took it in between.
async fn ports_taken() {
    // A narrow range, most of it taken: what is left must be found.
    let taken: Vec<_> = (0..2000).map_while(|_| std::net::TcpListener::bind("127.0.0.1:0").ok()).collect();
    assert!(taken.len() > 500, "{} listeners", taken.len());
    let place = of_serving("4s", ":").await;
    let (ran, run) = run(&place, "micro").await;
    assert_eq!(run.case(BOOT).outcome, Some(Outcome::Pass), "{}", ran.all());
    run.judged(
        ANSWERS,
        "fail",
        "os",
        "ssh-mute",
        &["the SSH server accepts and stays mute, and the DUT lives"],
    );
    run.ended(ran.code, 1);
}

/// In a file system of 24 KiB, which only the run sees: the journal and three recordings take a
/// page each before the first case ends. The guest comes up, so that nothing else is wrong.
async fn disk_full() {
    let place = of_script(&guest::good());
    std::fs::create_dir(place.path("out")).unwrap();
    let line = format!(
        "mount -t tmpfs -o size=24k tmpfs out && {{ '{}' {}; code=$?; ls -l out/* >&2; exit $code; }}",
        support::SHAKEDOWN,
        args("micro").join(" ")
    );
    let ran =
        place.run_program("unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", &line]).await;
    ran.says(
        3,
        &["No space left on device", "hint: free space in the output folder, or name another with --out"],
    );
    assert!(!ran.err.contains("panicked"), "{}", ran.all());
    assert!(place.qemus().is_empty());
}

async fn control_comes_up() {
    let place = of_script(HALT);
    place.file("control", guest::image(&guest::good()));
    let (ran, run) = run_with(&place, "micro", &["--control", "control"]).await;
    run.judged(
        BOOT,
        "fail",
        "os",
        "control-run-came-up",
        &["the image does not boot where the control image does"],
    );
    assert_eq!(run.ledger.control, Some(Outcome::Pass));
    run.ended(ran.code, 1);
    ran.says(1, &["the image does not boot where the control image does"]);
    blocked(&run);
}

async fn control_stays_dark() {
    let place = of_script(HALT);
    place.file("control", guest::image(&format!("{TAKE}{HALT}")));
    let (ran, run) = run_with(&place, "micro", &["--control", "control"]).await;
    run.judged(
        BOOT,
        "infra",
        "rig",
        "control-run-failed",
        &[
            "expected ready, got the control image did not come up",
            "a known-good image does not boot here either",
        ],
    );
    assert!(matches!(&run.ledger.control, Some(Outcome::Infra(_))), "{:?}", run.ledger.control);
    run.ended(ran.code, 3);
    ran.says(3, &["boot the control image"]);
    let failed =
        run.ledger.boots.iter().filter(|boot| matches!(boot.end, Some(Err(BootFailure::Late { .. }))));
    assert_eq!(failed.count(), 2, "two boots in the dark");
}
