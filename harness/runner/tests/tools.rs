//! Tools and media that come over USB, on a simulated DUT: what proves that they did their work, and what
//! is told when they did not. The tools themselves are run in the tests of `rigs`.
#![allow(clippy::unnecessary_wraps, reason = "what a tool does, beside one that fails")]

mod sim;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use shakedown_core::ledger::Step;
use shakedown_core::{
    Attached, Deadline, Effect, ExitCode, Fault, Fut, InfraKind, Ledger, MediumId, OnPercent, Outcome, Rig,
    RigTool, Side, ToolJob, UsbDevice,
};
use sim::{GOOD, Sim, World, case, recovery, usb_boot, usb_mass_storage, usual, vendor_tool};

const BOOT: &str = shakedown_runner::BOOT;
const UUID: [u8; 32] = [b'0'; 32];

type Change = fn(&mut World);
type Runs = fn(&Flash, &ToolJob) -> Rig<String>;

/// A board's own storage, and the tool that writes it or does not.
struct Flash {
    world: Arc<Mutex<World>>,
    /// The board's storage.
    internal: PathBuf,
    checks: Rig<String>,
    runs: Runs,
    /// Never comes to its end.
    hangs: bool,
}

impl RigTool for Flash {
    fn name(&self) -> &'static str {
        "flash"
    }

    fn check<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async { self.checks.clone() })
    }

    fn run<'a>(&'a self, job: ToolJob, far: OnPercent, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            std::fs::write(&job.log, b"what it printed\xff").unwrap();
            far(50);
            if self.hangs {
                let seen = || "waiting for the board".to_owned();
                let never = by.run(seen, std::future::pending::<()>()).await.unwrap_err();
                return Err(fault("run").stopped(never));
            }
            (self.runs)(self, &job)
        })
    }

    fn usb<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Vec<UsbDevice>>> {
        let usb = self.world.lock().unwrap().usb.clone();
        Box::pin(async move { Ok(usb) })
    }
}

fn fault(op: &str) -> Fault {
    Fault::new(InfraKind::Tool, "flash", op, "the board")
}

/// Writes what it is given, as a tool should.
fn writes(tool: &Flash, job: &ToolJob) -> Rig<String> {
    assert!(tool.world.lock().unwrap().on, "run while the board is off");
    std::fs::copy(job.image.as_ref().expect("a copy of the image"), &tool.internal).unwrap();
    Ok("flashed".into())
}

fn with(sim: &mut Sim, change: impl FnOnce(&mut Flash)) {
    let (world, internal) = (sim.world.clone(), sim.path("internal"));
    let mut flash = Flash { world, internal, checks: Ok("flash 1.2".into()), runs: writes, hangs: false };
    change(&mut flash);
    sim.tools = [("flash".to_owned(), Arc::new(flash) as Arc<dyn RigTool>)].into();
}

/// A board that says what its own storage holds.
fn board(procedure: shakedown_core::Procedure, change: impl FnOnce(&mut Flash)) -> Sim {
    let mut sim = Sim::new();
    sim.procedure = procedure;
    sim.config_keys().insert("uuid".into(), "uuid".into());
    with(&mut sim, change);
    sim.cases = vec![case("fine", Effect::ReadOnly, || (), |_, _| Box::pin(async { Ok(()) }))];
    // The answer is made of the bytes that are there, whoever wrote them.
    let disk = sim.path("internal").display().to_string();
    sim.world().facts.insert("internal".into(), disk);
    sim.world().answers = |world, line| {
        if !line.contains("mountinfo") {
            return usual(world, line);
        }
        let bytes = std::fs::read(&world.facts["internal"]).unwrap_or_default();
        let holds = |what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
        let version = if holds(b"VERSION_ID=1.0.0") { "1.0.0" } else { "0.9.0" };
        let ours = if holds(&UUID) { "ours=yes\n" } else { "" };
        Ok(format!("disk=mmcblk0\nversion={version}\n{ours}"))
    };
    sim
}

#[track_caller]
fn step<'a>(ledger: &'a Ledger, name: &str) -> &'a Step {
    let found = ledger.steps.iter().find(|step| step.name == name);
    found.unwrap_or_else(|| panic!("no step {name}: {:#?}", ledger.steps))
}

#[track_caller]
fn proof(ledger: &Ledger, name: &str) -> String {
    step(ledger, name).proof.clone().unwrap_or_else(|| panic!("{name}: {:#?}", ledger.steps))
}

/// It failed as the rig's, nothing was booted after it, and the board was left safe.
#[track_caller]
fn the_rig(sim: &Sim, (exit, ledger): &(ExitCode, Ledger), name: &str, words: &[&str]) {
    let (outcome, blame, _) = step(ledger, name).failed.clone().expect("it failed");
    let said = outcome.headline();
    assert_eq!((*exit, outcome.word(), blame.word()), (ExitCode::Infra, "infra", "rig"), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    let fine = ledger.attempts.iter().find(|attempt| attempt.case.0.ends_with("fine")).unwrap();
    assert_eq!(fine.outcome, Some(Outcome::Blocked { by: name.into() }));
    let world = sim.world();
    assert!(!world.on || !world.goes_off, "left on");
    assert!(!world.outputs.get("recovery").is_some_and(|held| *held), "the jumper is left");
    assert!(!sim.path("run/image-for-the-tool.img").exists(), "the copy was left behind");
}

/// What was on the board before came up: its boot is not one of the image.
#[track_caller]
fn not_a_pass(ledger: &Ledger) {
    let boot = &ledger.attempts[0];
    let (outcome, blame, because) = step(ledger, "prove internal").failed.clone().unwrap();
    let ended = (boot.outcome.clone(), boot.blame, boot.because.clone());
    assert_eq!((boot.case.0.as_str(), ended), (BOOT, (Some(outcome), Some(blame), Some(because))));
    assert!(matches!(ledger.boots.last(), Some(boot) if matches!(boot.end, Some(Ok(_)))), "it came up");
}

fn booted(ledger: &Ledger) -> bool {
    ledger.attempts.iter().any(|attempt| {
        attempt.case.0 == BOOT && !matches!(attempt.outcome, Some(Outcome::Blocked { .. }) | None)
    })
}

#[tokio::test]
async fn a_tool_gets_a_copy_with_the_runs_names_and_what_boots_proves_it() {
    let sim = board(vendor_tool(), |_| ());
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    let names: Vec<_> = ledger.steps.iter().map(|step| step.name.as_str()).take(8).collect();
    assert_eq!(
        names.join(", "),
        "check tool, power off, configure copy, power on, send, power off written, drain, prove internal"
    );
    assert_eq!(proof(&ledger, "check tool"), "flash is flash 1.2");
    let copied = proof(&ledger, "configure copy");
    assert!(
        copied.contains("wrote and read back 4 MiB") && copied.contains("keys set, read back"),
        "{copied}"
    );
    assert!(proof(&ledger, "send").contains("said `flashed`"), "{}", proof(&ledger, "send"));
    assert_eq!(proof(&ledger, "prove internal"), "mmcblk0 runs version 1.0.0, with this run's configuration");
    assert_eq!(std::fs::read(sim.path("run/tool-flash.log")).unwrap(), b"what it printed\xff");
    assert!(!sim.path("run/image-for-the-tool.img").exists());
    // No medium of the slot had a part in it.
    assert_eq!(sim.world().started_with, [Side::Host, Side::Host]);
}

#[tokio::test]
async fn a_tool_that_is_missing_or_another_version_is_told_before_anything_is_switched() {
    let sim = board(vendor_tool(), |flash| flash.checks = Err(fault("look at").expected("1.2", "1.1")));
    sim.world().on = true;
    let ran = sim.run().await;
    the_rig(&sim, &ran, "check tool", &["expected 1.2, got 1.1"]);
    let steps: Vec<_> = ran.1.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps[0], "check tool");
    assert!(!steps.contains(&"power off") && sim.world().boots == 0, "{steps:?}");
    // A rig file without it.
    let mut sim = board(vendor_tool(), |_| ());
    sim.tools.clear();
    let ran = sim.run().await;
    the_rig(&sim, &ran, "check tool", &["`tools.flash` in the rig file"]);
}

#[tokio::test]
async fn a_tool_that_fails_or_hangs_is_the_rig_and_nothing_is_booted() {
    let sim = board(vendor_tool(), |flash| {
        flash.runs = |_, _| Err(fault("run").expected("exit code 0", "exit code 1: no such board"));
    });
    let ran = sim.run().await;
    the_rig(&sim, &ran, "send", &["exit code 1: no such board"]);
    assert!(!booted(&ran.1));
    assert!(sim.path("run/tool-flash.log").exists(), "what it printed is kept");
    let sim = board(vendor_tool(), |flash| flash.hangs = true);
    let ran = sim.run().await;
    the_rig(&sim, &ran, "send", &["for send; last seen: waiting for the board"]);
    assert!(!booted(&ran.1));
}

/// It ends with success and says so, and wrote nothing.
#[tokio::test]
async fn a_tool_that_only_says_that_it_wrote_never_passes() {
    let lies = |flash: &mut Flash| flash.runs = |_, _| Ok("flashed".into());
    // What was on the board before boots, and lets us in.
    let sim = board(vendor_tool(), lies);
    let ran = sim.run().await;
    let words = ["expected 1.0.0, got 0.9.0 on mmcblk0", "the tool did not write it"];
    the_rig(&sim, &ran, "prove internal", &words);
    not_a_pass(&ran.1);
    // The same version, of a run before.
    let sim = board(vendor_tool(), lies);
    std::fs::write(sim.path("internal"), "VERSION_ID=1.0.0").unwrap();
    let ran = sim.run().await;
    the_rig(&sim, &ran, "prove internal", &["expected uuid 00000", "the tool did not bring it"]);
    not_a_pass(&ran.1);
    // It does not let us in, panics, or does not boot at all: nobody knows what that was.
    let table: [Change; 3] = [
        |world| world.ssh = false,
        |world| world.says = |_| "Linux version 6\nBUG: unable to handle x\n",
        |world| (world.says, world.getty) = (|_| "", false),
    ];
    for change in table {
        let sim = board(vendor_tool(), lies);
        change(&mut sim.world());
        let (exit, ledger) = sim.run().await;
        let boot = ledger.attempts.iter().find(|attempt| attempt.case.0 == BOOT).unwrap();
        let (outcome, blame) = (boot.outcome.clone().unwrap(), boot.blame);
        assert_eq!((exit, outcome.word()), (ExitCode::Infra, "undetermined"), "{outcome:?}");
        assert_eq!(boot.because.as_deref(), Some("written-by-a-tool"), "{blame:?}");
    }
}

#[tokio::test]
async fn once_the_running_system_has_proven_itself_its_failures_are_its_own() {
    let mut sim = board(vendor_tool(), |_| ());
    let world = sim.world.clone();
    let dies = move || {
        let mut world = world.lock().unwrap();
        world.log.append(b"BUG: unable to handle x\n");
        (world.ssh, world.well) = (false, false);
    };
    sim.cases = vec![case("dies", Effect::ReadOnly, dies, |dut, by| {
        Box::pin(
            async move { dut.run(&shakedown_core::Cmd::sh("true"), by).await.map(drop).map_err(Into::into) },
        )
    })];
    let (exit, ledger) = sim.run().await;
    let died = ledger.attempts.iter().find(|attempt| attempt.case.0.ends_with("dies")).unwrap();
    assert_eq!((exit, died.because.as_deref()), (ExitCode::Failed, Some("bad-line-in-case")), "{died:#?}");
}

#[tokio::test]
async fn what_could_not_be_proven_is_refused_before_anything_is_switched() {
    let mut sim = board(vendor_tool(), |_| ());
    sim.config_keys().remove("uuid");
    let (exit, ledger) = sim.run().await;
    let (outcome, ..) = step(&ledger, "plan").failed.clone().unwrap();
    assert_eq!(exit, ExitCode::Refused, "{outcome:?}");
    assert!(format!("{outcome:?}").contains("has no `uuid` key"), "{outcome:?}");
    assert_eq!(sim.world().boots, 0);
}

#[tokio::test]
async fn power_that_does_not_drop_after_the_tool_is_the_rig() {
    for procedure in [vendor_tool(), recovery(false)] {
        let sim = board(procedure, |_| ());
        sim.world().powered = |world| {
            world.goes_off = false;
            world.usb.push(device("0955:7023", 9));
        };
        let ran = sim.run().await;
        the_rig(&sim, &ran, "power off written", &[]);
        assert!(!booted(&ran.1), "booted from what is under power");
    }
}

#[tokio::test]
async fn an_interrupt_while_the_tool_runs_ends_in_the_safe_state() {
    let sim = board(vendor_tool(), |flash| flash.hangs = true);
    let (cancel, log) = (sim.cancel.clone(), sim.path("run/tool-flash.log"));
    let stop = async {
        while !log.exists() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let ((exit, _), ()) = tokio::join!(sim.run(), stop);
    assert_eq!(exit, ExitCode::Interrupted);
    assert!(!sim.world().on);
    assert!(!sim.path("run/image-for-the-tool.img").exists());
}

fn disk(number: u32) -> Attached {
    let medium = MediumId { path: "/dev/disk/by-path/x".into(), serial: Some("4711".into()), size: 4 << 20 };
    Attached { medium, as_what: format!("sdb, disk {number}") }
}

/// The loader makes the board show its storage.
fn shows(tool: &Flash, job: &ToolJob) -> Rig<String> {
    assert_eq!(job.image, None, "a loader needs no image");
    tool.world.lock().unwrap().shown = Some(Ok(Some(disk(8))));
    Ok("loaded".into())
}

#[tokio::test]
async fn a_boards_storage_is_written_when_it_is_attached_anew() {
    for before in [None, Some(disk(7))] {
        let sim = board(usb_boot(), |flash| flash.runs = shows);
        sim.world().shown = Some(Ok(before));
        let (exit, ledger) = sim.run().await;
        assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
        let names: Vec<_> = ledger.steps.iter().map(|step| step.name.as_str()).take(11).collect();
        assert_eq!(
            names.join(", "),
            "check tool, power off, set recovery, power on, load, await main, write image, inject identity, \
             power off written, release recovery, drain"
        );
        assert_eq!(
            proof(&ledger, "await main"),
            "attached anew as sdb, disk 8: 4194304 bytes, serial number 4711"
        );
        assert!(proof(&ledger, "write image").starts_with("wrote and read back 4 MiB"));
        let written = std::fs::read(sim.path("disk")).unwrap();
        assert!(written.windows(3).any(|part| part == b"sim"), "the run's host name is on it");
    }
}

/// The cable is enough for it: its disk is there before the supply is switched on.
#[tokio::test]
async fn a_storage_that_comes_with_the_cable_is_the_boards_and_no_disk_of_before() {
    for before in [None, Some(disk(7))] {
        let sim = board(usb_mass_storage(), |_| ());
        sim.world().shown = Some(Ok(before));
        sim.world().switched = |world| world.shown = Some(Ok(Some(disk(8))));
        let (exit, ledger) = sim.run().await;
        assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
        assert!(proof(&ledger, "await main").starts_with("attached anew as sdb, disk 8"));
    }
    // One that the cable does not bring is still told.
    let sim = board(usb_mass_storage(), |_| ());
    sim.world().shown = Some(Ok(Some(disk(7))));
    the_rig(&sim, &sim.run().await, "await main", &["the disk that was there before"]);
}

#[tokio::test]
async fn a_storage_that_never_comes_is_old_or_is_another_one_is_the_rig() {
    fn does_nothing(_: &Flash, _: &ToolJob) -> Rig<String> {
        Ok("loaded".into())
    }
    fn shows_another(tool: &Flash, _: &ToolJob) -> Rig<String> {
        let refused = Fault::new(InfraKind::Config, "block-device", "write to", "main")
            .expected("the device with the serial number 4711", "sdc has 4712");
        tool.world.lock().unwrap().shown = Some(Err(refused));
        Ok("loaded".into())
    }
    let table: [(Option<Attached>, Runs, &[&str]); 3] = [
        (None, does_nothing, &["a disk that was attached anew", "no such disk"]),
        (Some(disk(7)), does_nothing, &["the disk that was there before"]),
        (None, shows_another, &["serial number 4711, got sdc has 4712"]),
    ];
    for (before, runs, words) in table {
        let sim = board(usb_boot(), |flash| flash.runs = runs);
        sim.world().shown = Some(Ok(before));
        let ran = sim.run().await;
        the_rig(&sim, &ran, "await main", words);
        assert!(!booted(&ran.1));
        let untouched = std::fs::read(sim.path("disk")).unwrap().iter().all(|byte| *byte == 0);
        assert!(untouched, "something was written to it");
    }
}

fn device(id: &str, number: u8) -> UsbDevice {
    let (vendor, product) = id.split_once(':').unwrap();
    let hex = |text| u16::from_str_radix(text, 16).unwrap();
    UsbDevice { vendor: hex(vendor), product: hex(product), place: "1-1".into(), number }
}

#[tokio::test]
async fn a_board_in_recovery_mode_is_seen_on_usb_before_the_tool_runs() {
    let sim = board(recovery(false), |_| ());
    sim.world().usb = vec![device("0955:7023", 4)];
    // It leaves the bus and comes back: another number.
    sim.world().powered = |world| world.usb = vec![device("0955:7023", 5)];
    let (exit, ledger) = sim.run().await;
    assert_eq!(exit, ExitCode::Ok, "{ledger:#?}");
    assert_eq!(proof(&ledger, "await recovery"), "0955:7023 in port 1-1 (device 5)");
}

#[tokio::test]
async fn a_board_that_does_not_come_on_usb_is_the_rig_and_the_tool_is_not_run() {
    let table: [(Change, &str); 4] = [
        (|_| (), "one that was there before: 0955:7023 in port 1-1 (device 4)"),
        (|world| world.usb.clear(), "no device that was not there before"),
        (|world| world.usb.push(device("0955:7020", 6)), "one that was there before"),
        (|world| world.usb.extend([device("0955:7023", 5), device("0955:7023", 6)]), "say which port"),
    ];
    for (powered, words) in table {
        let sim = board(recovery(false), |_| ());
        sim.world().usb = vec![device("0955:7023", 4)];
        sim.world().powered = powered;
        let ran = sim.run().await;
        let (outcome, ..) = step(&ran.1, "await recovery").failed.clone().unwrap();
        let told = format!("{outcome:?}");
        assert!(told.contains(words), "{told}");
        the_rig(&sim, &ran, "await recovery", &[]);
        assert!(!sim.path("run/tool-flash.log").exists(), "the tool was run");
    }
}

/// A tool only starts the installer, which comes from a stick: what it leaves behind is the installer's.
#[tokio::test]
async fn a_tool_that_starts_an_installer_is_followed_by_the_installers_own_proofs() {
    let done = "Linux version 6.0.0\n[   9.1] reboot: Power down\n";
    let starts = |flash: &mut Flash| {
        flash.runs = |tool, job| {
            assert_eq!(job.image, None, "the installer is on its stick");
            let world = tool.world.lock().unwrap();
            world.log.append(b"Linux version 6.0.0\n[   9.1] reboot: Power down\n");
            Ok("started".into())
        };
    };
    for (holds, exit_code) in [(true, ExitCode::Ok), (false, ExitCode::Failed)] {
        let mut sim = board(recovery(true), starts);
        sim.profile.partitions.insert("installer-boot".into(), "SIM-BOOT".into());
        // In recovery mode the console is silent.
        sim.world().says = |boot| if boot == 0 { "" } else { GOOD };
        sim.world().powered = |world| world.usb.push(device("0955:7023", 9));
        if holds {
            std::fs::write(sim.path("internal"), [b"VERSION_ID=1.0.0 ", &UUID[..]].concat()).unwrap();
        }
        let (exit, ledger) = sim.run().await;
        assert_eq!(exit, exit_code, "{done}{ledger:#?}");
        assert!(proof(&ledger, "await off").contains("reboot: Power down"));
        assert_eq!(sim.world().started_with[..2], [Side::Dut, Side::Host]);
        if !holds {
            let (outcome, blame, _) = step(&ledger, "prove internal").failed.clone().unwrap();
            assert_eq!((outcome.word(), blame.word()), ("fail", "os"), "{outcome:?}");
        }
    }
}
