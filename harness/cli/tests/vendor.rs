//! A vendor's tool through the real binary: it is handed a copy of the image, writes a machine's own disk, and
//! what boots from that disk says what it is. The tool is a stand-in of ours, a script that behaves or does
//! not; the machine is a micro guest that mounts what was written.
//!
//! `cargo test -p shakedown --test vendor` boots guests.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use shakedown_core::Outcome;
use support::{Place, Ran, Run, guest, kill, micro, one_by_one, trial};

const BOOT: &str = "boot::cold::ready";

fn main() {
    one_by_one(|| {
        vec![
            trial("a_tool_writes_a_machines_own_disk_and_what_boots_proves_it", writes),
            trial("a_tool_that_says_done_and_wrote_nothing_is_never_believed", lies),
            trial("a_tool_of_another_version_is_told_before_the_machine_is_started", another_version),
            trial("a_tool_does_not_outlive_a_killed_harness", outlives),
        ]
    });
}

const BOARD: &str = "board: micro-tool
name: Board of the tests
arch: amd64
extends: linux
provision: { vendor-tool: { tool: edison } }
boot:
  stages:
    - { name: kernel, within: 30s }
";

/// The stand-in: `tool MODE IMAGE DISK`.
const TOOL: &str = "#!/bin/sh
case $1 in
--version) echo 'stand-in for a vendors tool'; echo 'version 1.2.3'; exit ;;
hangs) echo \"$$\" >\"$3.pid\"; sleep 1000 & wait ;;
writes) echo '[===>    ] 50%'; dd if=\"$2\" of=\"$3\" bs=1M conv=notrunc,fsync ;;
esac
echo 'flashed the board'
";

/// A slot whose machine has a disk of its own, which only the tool writes; before, it holds this version.
async fn place(mode: &str, version: &str, held: &str) -> Place {
    let place = Place::new();
    micro::documents(&place, "20s");
    place.file("private/catalogue/micro-tool.yaml", BOARD);
    micro::mounted_profile(&place);
    // The other disk is the slot's medium, which stays empty.
    micro::scripted_rig(&place, &micro::mounting("vdb1")).await;
    let (tool, disk) = (place.file("tool", TOOL), place.path("cache/slots/tests@one/extra-internal.img"));
    let mib = guest::DISK >> 20;
    let rig = std::fs::read_to_string(place.path("rig.yaml")).unwrap().replace("micro-board", "micro-tool");
    place.file(
        "rig.yaml",
        format!(
            "{rig}      extra-disks: {{ internal: {{ size: {mib}MiB }} }}
      network: none
    tools:
      edison:
        run: [sh, {tool}, {mode}, '{{image}}', {disk}]
        version: {{ run: [sh, {tool}, --version], is: '^version {version}' }}
        done: ^flashed
        progress: '([0-9]+)%'
",
            tool = tool.display(),
            disk = disk.display(),
        ),
    );
    let image = guest::versioned(&guest::good());
    place.file("image", &image);
    place.file("cache/slots/tests@one/extra-internal.img", guest::other_version(image, held));
    place
}

const ARGS: [&str; 11] = [
    "run",
    "--path",
    "private",
    "--slot",
    "one",
    "--case",
    "micro::looks::answers",
    "--image",
    "image",
    "--os",
    "micro",
];

async fn run(place: &Place) -> (Ran, Run) {
    let ran = place.run(&ARGS).await;
    assert!(place.path("out").exists(), "no run was begun: {}", ran.all());
    let run = Run::read(&place.last());
    (ran, run)
}

async fn writes() {
    let place = place("writes", "1\\.2", "0.9.0").await;
    let (ran, run) = run(&place).await;
    let proof = |name: &str| run.step(name).proof.clone().unwrap_or_else(|| panic!("{name}: {}", ran.all()));
    assert_eq!(proof("check tool"), "edison is version 1.2.3");
    assert!(proof("configure copy").contains("wrote and read back 5 MiB"), "{}", proof("configure copy"));
    assert!(proof("send").contains("said `flashed the board`"), "{}", proof("send"));
    assert_eq!(run.case(BOOT).outcome, Some(Outcome::Pass), "{}", ran.all());
    assert_eq!(proof("prove internal"), "vdb runs version 1.0.0, with this run's configuration");
    assert_eq!(run.case("micro::looks::answers").outcome, Some(Outcome::Pass), "{}", ran.all());
    run.ended(ran.code, 0);
    let log = std::fs::read(run.folder.join("tool-edison.log")).unwrap();
    assert!(log.windows(3).any(|part| part == b"50%"), "{}", log.escape_ascii());
    let files: Vec<_> =
        std::fs::read_dir(&run.folder).unwrap().flatten().map(|file| file.file_name()).collect();
    assert!(!files.iter().any(|file| file.to_string_lossy().ends_with(".img")), "the copy stayed: {files:?}");
    // No other disk of the machine was touched.
    let main = std::fs::read(place.path("cache/slots/tests@one/main.img")).unwrap();
    assert!(main.iter().all(|byte| *byte == 0));
}

async fn lies() {
    // The same version, of an earlier run.
    let place = place("lies", "1", "1.0.0").await;
    let (ran, run) = run(&place).await;
    // What was there before boots, and is seen for what it is: that boot is none of this image.
    let (outcome, blame, because) = run.step("prove internal").failed.clone().expect("it is another one");
    let boot = run.case(BOOT);
    let ended = (boot.outcome.clone(), boot.blame, boot.because.clone());
    assert_eq!(ended, (Some(outcome.clone()), Some(blame), Some(because)), "{}", ran.all());
    assert!(run.ledger.boots.iter().any(|boot| matches!(boot.end, Some(Ok(_)))), "it came up: {}", ran.all());
    assert_eq!((outcome.word(), blame.word()), ("infra", "rig"), "{outcome:?}");
    assert!(outcome.headline().contains("expected uuid"), "{}", outcome.headline());
    let blocked = Outcome::Blocked { by: "prove internal".into() };
    assert_eq!(run.case("micro::looks::answers").outcome, Some(blocked));
    run.ended(ran.code, 3);
}

async fn another_version() {
    let place = place("writes", "2", "0.9.0").await;
    let (ran, run) = run(&place).await;
    let (outcome, blame, _) = run.step("check tool").failed.clone().expect("another version");
    assert_eq!((outcome.word(), blame.word()), ("infra", "rig"), "{outcome:?}");
    assert!(outcome.headline().contains("`^version 2`"), "{}", outcome.headline());
    assert!(run.ledger.boots.is_empty() && !run.folder.join("tool-edison.log").exists());
    assert_eq!(std::fs::read(run.folder.join("console.log")).unwrap(), b"", "the machine was started");
    run.ended(ran.code, 3);
}

async fn outlives() {
    let place = place("hangs", "1", "0.9.0").await;
    let child = place.start(&ARGS);
    let pid = place.path("cache/slots/tests@one/extra-internal.img.pid");
    let limit = support::by("the tool to run", 300);
    let tick = std::time::Duration::from_millis(50);
    while std::fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
        limit.pause(tick, String::new).await.unwrap_or_else(|stop| panic!("{stop}: {}", child.tail()));
    }
    kill(child.pid());
    let limit = support::by("the end of all that was started", 60);
    while !place.processes().is_empty() {
        let seen = || format!("{:?}", place.processes());
        limit.pause(tick, seen).await.unwrap();
    }
    let pid: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(!shakedown_host::group::processes().iter().any(|process| process.pid == pid), "the tool lives");
}
