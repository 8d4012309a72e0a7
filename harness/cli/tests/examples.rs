//! The examples of `examples/`: an OS that knows nothing of us, by YAML alone.
//!
//! `--ignored` builds Debian and runs every case that its profile allows, on QEMU.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::path::{Path, PathBuf};

use libtest_mimic::Arguments;
use shakedown_host::warden;
use support::{Place, trial};

fn main() {
    warden::serve_if_asked();
    let args = Arguments::from_args();
    let tests = vec![
        trial("the_documents_of_debian_are_accepted_and_its_card_is_planned", checked),
        trial("debian_runs_what_its_profile_allows", debian).with_ignored_flag(true),
    ];
    libtest_mimic::run(&args, tests).exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/debian").canonicalize().unwrap()
}

async fn checked() {
    let place = Place::new();
    let (path, rig) = (folder().display().to_string(), folder().join("rig.yaml").display().to_string());
    place.run(&["boards", "check", "--path", &path]).await.says(0, &["0 error(s)"]);
    place.run(&["rigs", "check", "--path", &path, "--rig", &rig]).await.says(0, &["2 slot(s), 0 error(s)"]);
    let image = place.file("any.img", [0; 512]);
    let plan = ["provision", "vm", image.to_str().unwrap(), "--dry-run", "--path", &path, "--rig", &rig];
    place.run(&plan).await.says(0, &["write-main", "read-back-main"]);
}

async fn debian() {
    let place = Place::new();
    let image = place.file("debian.img", []);
    let build = folder().join("build").display().to_string();
    place.run_program(&build, &[image.to_str().unwrap()]).await.says(0, &[]);
    let (path, rig) = (folder().display().to_string(), folder().join("rig.yaml").display().to_string());
    let run = place
        .run(&[
            "run",
            "--path",
            &path,
            "--rig",
            &rig,
            "--slot",
            "vm",
            "--image",
            image.to_str().unwrap(),
            "--selection",
            "all",
        ])
        .await;
    run.says(
        0,
        &[
            "boot::cold::ready",
            "os::kernel::container-features",
            "container::engine::data-on-data-partition",
            "neither board, OS nor slot offers ab-update",
        ],
    );
}
