//! Installers on QEMU, through the real binary: the medium that they boot from, their end, its way back,
//! and what boots then.
//!
//! `cargo test -p shakedown --test flasher` boots guests of a boot sector. With `--ignored` the installer of
//! the reference OS installs it on a second disk, which is built when the cache does not have it.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use shakedown_core::Outcome;
use support::guest::{HALT, KERNEL, OFF, PAUSE};
use support::{Place, Ran, Run, SHAKEDOWN, guest, micro, one_by_one, trial};

const BOOT: &str = "boot::cold::ready";

fn main() {
    one_by_one(|| {
        vec![
            trial("a_medium_that_is_taken_away_is_not_in_the_machine_when_it_boots_again", taken_away),
            trial("an_installer_that_panics_is_told_at_once_and_nothing_is_booted", panics),
            trial("what_an_installer_cannot_do_is_refused_before_anything_is_made", refused),
            trial("the_reference_os_is_installed_on_a_second_disk_and_proven_there", reference)
                .with_ignored_flag(true),
        ]
    });
}

/// A slot whose board is installed: a disk for the installer, and one of its own.
fn place(script: &str) -> Place {
    let place = Place::new();
    micro::documents(&place, "4s");
    place.file(
        "private/catalogue/micro-flasher.yaml",
        "board: micro-flasher
name: Board of the tests
arch: amd64
extends: linux
provision: { flasher: {} }
media: { disks: [vdb] }
boot:
  stages:
    - { name: kernel, within: 10s }
",
    );
    let disk = guest::DISK >> 20;
    place.file(
        "rig.yaml",
        format!(
            "rig: tests
slots:
  one:
    board: micro-flasher
    qemu:
      machine: q35
      cpus: 1
      memory: 192MiB
      disk: {{ size: {disk}MiB }}
      extra-disks: {{ internal: {{ size: {disk}MiB }} }}
      network: none
  bare:
    board: micro-flasher
    qemu: {{ machine: q35, disk: {{ size: {disk}MiB }} }}
"
        ),
    );
    place.file("image", guest::versioned(script));
    place
}

/// What the board's own disk held before anybody installed anything.
fn held(place: &Place, script: &str) {
    place.file("cache/slots/tests@one/extra-internal.img", guest::image(script));
}

async fn run(place: &Place) -> (Ran, Run) {
    let args = ["run", "--path", "private", "--slot", "one", "--case", "micro::looks::answers"];
    let ran = place.run(&[&args[..], &["--image", "image", "--os", "micro"]].concat()).await;
    assert!(!ran.err.contains("panicked"), "{}", ran.all());
    assert!(place.path("out").exists(), "no run was begun: {}", ran.all());
    let run = Run::read(&place.last());
    (ran, run)
}

/// It says done and wrote nothing: what boots then is what was there before, which is seen; and without a
/// word of the running system it is not believed.
async fn taken_away() {
    let place = place(&format!("{KERNEL}INSTALLING{PAUSE}{OFF}"));
    held(&place, &guest::good());
    let (ran, run) = run(&place).await;
    let off = run.step("await off").proof.clone().unwrap_or_else(|| panic!("{}", ran.all()));
    assert!(off.starts_with("the rig saw the DUT switch itself off"), "{off}");
    assert!(run.step("main away").proof.as_ref().is_some_and(|proof| proof.contains("host's side")));
    let console = std::fs::read(run.folder.join("console.log")).unwrap();
    let console = String::from_utf8_lossy(&console);
    assert_eq!(console.matches("INSTALLING").count(), 1, "it was in the machine once\n{console}");
    assert!(console.contains("micro login: "), "{console}");
    // The slot has no network, so that nobody waits for an answer: 30 s, times the pace of a busy host.
    let (outcome, ..) = run.step("prove internal").failed.clone().expect("nobody says what runs");
    assert_eq!(outcome.word(), "infra", "{outcome:?}");
    assert_eq!(run.case(BOOT).outcome, Some(outcome), "it booted, and nothing says that it is the image");
    assert_eq!(
        run.case("micro::looks::answers").outcome,
        Some(Outcome::Blocked { by: "prove internal".into() })
    );
    assert_ne!(ran.code, Some(0));
}

async fn panics() {
    let place = place(&format!("{KERNEL}Kernel panic - not syncing: no disk\r\n{HALT}"));
    held(&place, &guest::good());
    let (ran, run) = run(&place).await;
    let (outcome, blame, because) = run.step("await off").failed.clone().expect("it panicked");
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("fail", "os", "bad-line-at-boot"));
    assert!(run.ledger.boots.is_empty(), "{:?}", run.ledger.boots);
    run.ended(ran.code, 1);
}

async fn refused() {
    let place = place(&guest::good());
    let args = ["run", "--path", "private", "--case", "micro::looks::answers", "--image", "image"];
    let with = |more: &[&'static str]| [&args[..], &["--os", "micro"], more].concat();
    for (more, said) in [
        (
            vec!["--slot", "one", "--no-flash"],
            "--no-flash: the board's own storage is written by an installer",
        ),
        (
            vec!["--slot", "one", "--control", "image"],
            "--control: the control image would have to be brought",
        ),
        (vec!["--slot", "bare"], "the machine has no internal disk"),
    ] {
        place.run(&with(&more)).await.says(2, &[said]);
    }
    let pi = ["image", "build", "--flasher", "--board", "raspberrypi3-64"];
    place.run(&pi).await.says(2, &["there is no installer of the reference OS for raspberrypi3-64"]);
    assert!(!place.path("out").exists(), "nothing was made");
}

/// The image in the machine's own cache; the first call may build it.
async fn installer() -> String {
    let built = shakedown_host::Tool::new(SHAKEDOWN).args(["image", "build", "--flasher"]);
    let built = built.run_ok(&support::by("image build", 3600)).await.unwrap();
    built.text().lines().last().expect("the image's path").to_owned()
}

async fn reference() {
    let image = installer().await;
    let place = Place::new();
    place.file(
        "rig.yaml",
        "rig: tests
slots:
  box:
    board: genericx86-64-ext
    lacks: [hdmi]
    qemu:
      machine: q35
      memory: 1GiB
      disk: { bus: usb-storage, size: 1GiB }
      extra-disks: { internal: { bus: nvme, size: 4GiB } }
",
    );
    let ran = place.run(&["provision", "box", &image]).await;
    print!("{}", ran.out);
    let run = Run::read(&place.last());
    let proof = |name: &str| run.step(name).proof.clone().unwrap_or_else(|| panic!("{name}: {}", ran.all()));
    assert!(proof("await off").contains("guest powered off"), "{}", proof("await off"));
    assert_eq!(run.case(BOOT).outcome, Some(Outcome::Pass), "{}", ran.all());
    let runs = proof("prove internal");
    assert!(runs.starts_with("nvme0n1 runs version 1.0.0, with this run's configuration"), "{runs}");
    run.ended(ran.code, 0);
}
