//! Boots over the network on QEMU, through the real binary: U-Boot for arm64 fetches by TFTP what the plan
//! serves, and boots it.
//!
//! `cargo test -p shakedown --test netboot`. The kernel is that of the reference OS for arm64, which is
//! built when the cache does not have it. Boot loaders ask port 69: without leave to take it (root has it) the
//! tests that serve are listed as ignored.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::io::ErrorKind;
use std::net::UdpSocket;

use shakedown_core::Outcome;
use shakedown_host::Tool;
use shakedown_media::{FileMedium, Select, open_source, read_file, write_image};
use shakedown_qemu::micro::Archive;
use support::{Place, Ran, Run, SHAKEDOWN, by, guest, micro, one_by_one, trial};

const BOOT: &str = "boot::cold::ready";

fn main() {
    one_by_one(|| {
        // An address that no slot is served on.
        let refused =
            UdpSocket::bind("127.69.255.253:69").is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
        vec![
            trial("u_boot_boots_over_tftp_what_the_plan_serves", boots).with_ignored_flag(refused),
            trial("a_name_that_is_not_served_is_told_in_the_loader_s_words", old_name)
                .with_ignored_flag(refused),
            trial("a_server_that_is_silent_is_told_in_the_loader_s_words", silent).with_ignored_flag(refused),
            trial("a_countdown_that_never_comes_is_the_rig_s", no_countdown).with_ignored_flag(refused),
            trial("what_is_not_in_the_image_is_refused_before_the_power_is_on", not_in_the_image),
            trial("what_is_not_right_in_the_descriptor_is_told_at_its_place", descriptor),
        ]
    });
}

/// How the loader gets into the slot's network, as a board with a fixed address does.
const NETWORK: &str = "'setenv ipaddr {ipaddr}', 'setenv netmask {netmask}', 'setenv gatewayip {gatewayip}', \
                       'setenv netretry no'";

/// A board that U-Boot boots over the network, with this more to be done before, and this way to speak.
fn board(before: &str, loader: &str) -> String {
    format!(
        "board: micro-netboot
name: Board of the tests
arch: aarch64
extends: linux
provision:
  netboot:
    root: medium{loader}
    before: [{NETWORK}{before}]
    variables: {{ bootargs: 'console=ttyAMA0 rdinit=/micro name={{hostname}}' }}
    files:
      - {{ from: 'boot:/Image', to: '${{kernel_addr_r}}' }}
      - {{ from: 'boot:/initrd.img', to: '${{ramdisk_addr_r}}', size: ramdisk_size }}
    boot: 'booti ${{kernel_addr_r}} ${{ramdisk_addr_r}}:${{ramdisk_size}} ${{fdtcontroladdr}}'
boot:
  stages:
    - {{ name: kernel, within: 120s }}
"
    )
}

fn place(board: &str, image: &[u8]) -> Place {
    let place = Place::new();
    micro::documents(&place, "4s");
    place.file("private/catalogue/micro-netboot.yaml", board);
    place.file(
        "rig.yaml",
        "rig: tests
slots:
  one:
    board: micro-netboot
    qemu: { machine: virt, firmware: u-boot, cpus: 1, memory: 512MiB, disk: { size: 80MiB } }
",
    );
    place.file("image", image);
    place
}

/// Boot files that nothing can boot: for dialogues that never get so far.
fn unbootable() -> Vec<u8> {
    let junk = vec![7; 3000];
    guest::holding(4 << 20, &[("config.json", b"{}\n"), ("Image", &junk), ("initrd.img", &junk)])
}

async fn provision(place: &Place) -> (Ran, Run) {
    let ran = place.run(&["provision", "one", "image", "--path", "private", "--os", "micro"]).await;
    assert!(!ran.err.contains("panicked"), "{}", ran.all());
    assert!(place.path("out").exists(), "no run was begun: {}", ran.all());
    let run = Run::read(&place.last());
    (ran, run)
}

fn proof(run: &Run, ran: &Ran, step: &str) -> String {
    run.step(step).proof.clone().unwrap_or_else(|| panic!("{step}: {}", ran.all()))
}

/// However the run ended: nobody serves any more.
fn serves_no_more(run: &Run, ran: &Ran) {
    let told = proof(run, ran, "serve");
    let addr = told.split_once(" serves ").unwrap().0;
    UdpSocket::bind(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
}

/// Kernel and initial file system of the reference OS for arm64. The first call may build it.
async fn reference() -> [Vec<u8>; 2] {
    let built = Tool::new(SHAKEDOWN).args(["image", "build", "--arch", "arm64"]);
    let built = built.run_ok(&by("image build", 3600)).await.unwrap();
    let image = built.text().lines().last().expect("the image's path").to_owned();
    let folder = tempfile::tempdir().unwrap();
    let mut source = open_source(image.as_ref()).unwrap();
    let mut disk = FileMedium::create(&folder.path().join("disk"), 4 << 30).unwrap();
    write_image(&mut source, &mut disk, &mut |_: &_| std::ops::ControlFlow::Continue(())).unwrap();
    let root = Select::Label("resin-rootA".into());
    ["/boot/vmlinuz", "/boot/initrd.img"]
        .map(|path| read_file(&mut disk, &root, path, 256 << 20).unwrap().bytes)
}

/// The guest's only program, beside the busybox that the initial file system has.
const INIT: &[u8] = b"#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
echo micro: init
echo micro: ready \"$(/bin/busybox cat /proc/cmdline)\"
while :; do
	echo -n 'micro login: '
	read -r name
	echo Login incorrect
done
";

async fn boots() {
    let [kernel, mut initrd] = reference().await;
    let mut own = Archive::default();
    own.file("micro", 0o755, INIT);
    // The kernel unpacks one archive after the other; each begins at a multiple of four.
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(own.finish());
    let files = [("config.json", &b"{}\n"[..]), ("Image", &kernel), ("initrd.img", &initrd)];
    // Nothing but memory: its own disk stays empty.
    let memory = board("", "").replace("root: medium", "root: memory");
    let place = place(&memory, &guest::holding(64 << 20, &files));
    let dry = ["provision", "one", "image", "--path", "private", "--os", "micro", "--dry-run"];
    place.run(&dry).await.says(
        0,
        &[
            "serve: serve over TFTP: boot:/Image; boot:/initrd.img",
            "`tftpboot ${kernel_addr_r} {serverip}:{hostname}/1-Image`",
            "`booti ${kernel_addr_r} ${ramdisk_addr_r}:${ramdisk_size} ${fdtcontroladdr}`",
        ],
    );
    let (ran, run) = provision(&place).await;
    assert_eq!(run.case(BOOT).outcome, Some(Outcome::Pass), "{}", ran.all());
    let dialogue = proof(&run, &ran, "dialogue");
    assert!(dialogue.contains(&format!("{} bytes; ", kernel.len())), "{dialogue}");
    let fetch = proof(&run, &ran, "fetch");
    assert_eq!(fetch.matches("to its last block").count(), 2, "{fetch}");
    let console = std::fs::read(run.folder.join("console.log")).unwrap();
    let console = String::from_utf8_lossy(&console);
    // The name that this run served under is the one that the kernel was given.
    let name = fetch.split_once(" took `").unwrap().1.split_once('/').unwrap().0;
    assert!(
        console.contains(&format!("micro: ready console=ttyAMA0 rdinit=/micro name={name}")),
        "{console}"
    );
    serves_no_more(&run, &ran);
    run.ended(ran.code, 0);
}

/// The dialogue failed, as the rig's, with all of these words.
fn failed_with(run: &Run, ran: &Ran, words: &[&str]) {
    let (outcome, blame, because) =
        run.step("dialogue").failed.clone().unwrap_or_else(|| panic!("{}", ran.all()));
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("infra", "rig", "driver-fault"));
    let told = format!("{outcome:?}");
    for word in words {
        assert!(told.contains(word), "missing `{word}`: {told}");
    }
    assert!(run.ledger.boots.is_empty(), "{:?}", run.ledger.boots);
    serves_no_more(run, ran);
    run.ended(ran.code, 3);
}

async fn old_name() {
    let place = place(&board(", 'tftpboot ${loadaddr} {serverip}:0ld0ld0/1-Image'", ""), &unbootable());
    let (ran, run) = provision(&place).await;
    failed_with(&run, &ran, &["0ld0ld0/1-Image` to succeed", "TFTP error: 'there is no such file' (1)"]);
}

async fn silent() {
    let asks = ", setenv tftptimeout 1000, setenv tftptimeoutcountmax 1, \
                'tftpboot ${loadaddr} 127.69.255.254:1-Image'";
    let (ran, run) = provision(&place(&board(asks, ""), &unbootable())).await;
    failed_with(&run, &ran, &["127.69.255.254:1-Image` to succeed", "Retry count exceeded"]);
}

async fn no_countdown() {
    let loader = "\n    loader: { countdown: Press ESC, key: ' ', prompt: '=> $' }";
    // So long the board has to its kernel.
    let board = board("", loader).replace("within: 120s", "within: 3s");
    let (ran, run) = provision(&place(&board, &unbootable())).await;
    failed_with(&run, &ran, &["its countdown", "the boot loader's countdown"]);
}

async fn not_in_the_image() {
    let image = guest::holding(4 << 20, &[("config.json", b"{}\n"), ("Image", b"x")]);
    let (ran, run) = provision(&place(&board("", ""), &image)).await;
    let (outcome, blame, because) = run.step("serve").failed.clone().expect("it is not there");
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("fail", "image", "image-refused"));
    assert!(format!("{outcome:?}").contains("boot:/initrd.img: partition 1: /initrd.img does not exist"));
    assert!(!run.folder.join("console.log").metadata().is_ok_and(|file| file.len() > 0), "{}", ran.all());
    assert_ne!(ran.code, Some(0));
}

async fn descriptor() {
    let good = board("", "");
    for (from, to, said) in [
        (
            "name={hostname}",
            "name={hostnam}",
            "variables.bootargs: unknown placeholder `{hostnam}`; did you mean `{hostname}`?",
        ),
        ("boot:/Image", "Image", "files[0].from: `Image` is no file of a partition such as `boot:/Image`"),
        (
            "size: ramdisk_size",
            "size: 'ramdisk size'",
            "files[1].size: `ramdisk size` is no name of a variable",
        ),
        (
            "'setenv netretry no'",
            "\"setenv\\tx\"",
            "before[3]: a boot loader is told one line of printable ASCII",
        ),
        ("root: medium", "root: disk", "provision.netboot.root: unknown choice `disk`"),
    ] {
        assert!(good.contains(from), "{from}");
        let place = place(&good.replace(from, to), b"");
        let ran = place.run(&["boards", "check", "--path", "private"]).await;
        ran.says(2, &[said, "micro-netboot.yaml:"]);
    }
    let place = place(&good.replace("root: medium", "root: memory"), &unbootable());
    let run = ["run", "--path", "private", "--slot", "one", "--image", "image", "--os", "micro"];
    for (more, said) in [
        (&["--control", "image"][..], "--control: the control image's boot files"),
        (&["--no-flash"], "--no-flash: there is no medium"),
    ] {
        place.run(&[&run[..], &["--case", "micro::looks::answers"], more].concat()).await.says(2, &[said]);
    }
    assert!(!place.path("out").exists(), "nothing was begun");
}
