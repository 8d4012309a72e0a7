//! The stand-in for balenaOS: a variant of the reference OS that executes balenaOS's profile.
//!
//! `--ignored` builds it and runs every case that the profile allows, on QEMU.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::path::{Path, PathBuf};

use libtest_mimic::Arguments;
use shakedown_boards::Catalogue;
use shakedown_host::{Tool, warden};
use support::{Place, Run, SHAKEDOWN, by, trial};

fn main() {
    warden::serve_if_asked();
    let args = Arguments::from_args();
    let tests = vec![
        trial("the_stand_in_has_every_program_unit_partition_and_mark_that_the_profile_names", agrees),
        trial("what_there_is_no_stand_in_for_is_refused", refused),
        trial("the_suites_pass_on_the_stand_in_with_only_the_profile_changed", suites)
            .with_ignored_flag(true),
    ];
    libtest_mimic::run(&args, tests).exit();
}

/// Its machine starts by UEFI.
const RIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/balenaos/rig.yaml");

fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../qemu/os").canonicalize().unwrap()
}

/// Whether the slot has this absolute path: of the stand-in's own files, or of the reference OS's.
fn has(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    ["balena/tree", "tree"].iter().any(|tree| recipe().join(tree).join(path).is_file())
}

async fn agrees() {
    let read = |path: &str| std::fs::read_to_string(recipe().join(path)).unwrap();
    let profile = Catalogue::embedded().profile("balenaos").unwrap();
    let (os, disk) = (read("balena/os.sh"), read("assemble/60-disk.sh"));
    assert!(os.contains(&format!("\nid={}\nname={}\n", profile.os_release_ids[0], profile.name)));

    let facts = profile.all_facts();
    let unit = |fact: &str| format!("/etc/systemd/system/{}", facts[fact]);
    for path in [
        unit("engine-unit"),
        unit("ntp-unit"),
        unit("ssh-unit"),
        facts["update-program"].clone(),
        facts["safe-reboot"].clone(),
    ] {
        assert!(has(&path), "nothing makes {path}");
    }
    // These are made from the packages' own files.
    let engine = profile.engine.as_ref().unwrap();
    for (name, dir) in [
        (engine.command.as_str(), "/usr/bin/"),
        (engine.process.as_deref().unwrap(), "/usr/bin/"),
        (engine.healthy.as_str(), ""),
        (facts["fingerprint-check"].rsplit(' ').next().unwrap(), ""),
        (facts["firewall-chain"].as_str(), ""),
        (facts["test-image"].as_str(), ""),
    ] {
        assert!(os.contains(&format!("{dir}{name}")), "balena/os.sh makes no {dir}{name}");
    }
    for role in ["boot", "root-a", "root-b", "state", "data"] {
        let label = &profile.partitions[role];
        assert!(disk.contains(&format!("\npartition {label} ")), "there is no partition {label}");
    }
    let update = profile.update.as_ref().unwrap();
    let hooks = read("balena/tree/usr/bin/hostapp-update-hooks");
    for (mark, path) in &update.markers {
        let (folder, file) = path.rsplit_once("/rollback-").unwrap();
        assert_eq!(folder, facts["state-dir"], "{mark}");
        assert!(hooks.contains(&format!("rollback-{file}")), "the hooks know no mark rollback-{file}");
    }
    let sshd = read("balena/tree/etc/systemd/system/sshd.socket");
    assert!(sshd.contains(&format!(":{}\n", profile.ssh.port)), "{sshd}");
    // Silent by design: the kernel is told of no serial line.
    assert!(!read("balena/grub.cfg").contains("ttyS"));
}

async fn refused() {
    let place = Place::new();
    let build = ["image", "build", "--os", "balenaos", "--board"];
    for (board, os) in [("generic-aarch64", "balenaos"), ("generic-amd64", "micro")] {
        let said = match os {
            "balenaos" => "there is no stand-in for balenaOS for the board generic-aarch64",
            _ => "we build no OS that executes the profile micro",
        };
        place.run(&["image", "build", "--board", board, "--os", os]).await.says(2, &[said]);
    }
    place
        .run(&[&build[..], &["raspberrypi3-64"]].concat())
        .await
        .says(2, &["there is one for generic-amd64"]);
}

/// From the machine's own cache; the first call may build it all.
async fn suites() {
    let built = Tool::new(SHAKEDOWN).args(["image", "build", "--os", "balenaos", "--updates"]);
    let built = built.run_ok(&by("image build", 3600)).await.unwrap().text();
    let mut lines = built.lines();
    let image = lines.next().expect("the image's path").to_owned();
    let mut args: Vec<_> =
        ["run", "--rig", RIG, "--slot", "uefi", "--selection", "all", "--cold-boots", "2", "--image", &image]
            .map(str::to_owned)
            .into();
    for line in lines {
        let (role, file) = line.split_once(": ").expect("ROLE: FILE");
        args.extend(["--companion".to_owned(), format!("{role}={file}")]);
    }
    let place = Place::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    // Three updates and a dozen cold boots: 40 minutes quiet, several times that when busy.
    let ran = place.run_within(SHAKEDOWN, &args, 3 * 3600).await;
    print!("{}", ran.out);
    ran.says(0, &["profile balenaos"]);
    let run = Run::read(&place.last());
    for id in [
        "boot::cold::ready",
        "container::run::restart-over-reboot",
        "update::commit::new-version-runs",
        "update::rollback::broken-init",
        "update::rollback::failing-health-check",
    ] {
        let outcome = run.case(id).outcome.as_ref();
        assert!(outcome.is_some_and(|outcome| outcome.word() == "pass"), "{id}: {outcome:?}");
    }
}
