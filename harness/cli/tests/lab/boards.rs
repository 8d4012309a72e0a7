//! Boards whose own storage is written over USB, through the real binary: a device comes on a bus of the kernel's,
//! a program talks to it, a disk comes in its place, and what was written boots on a machine of its own.
//!
//! The boards are models of ours, and so are the vendors' tools.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use shakedown_core::Outcome;

use crate::support::lab::{HOST, XHCI, board, boards, model, oracle};
use crate::support::{Place, Ran, Run, by, guest, interrupt, micro};

const BOOT: &str = "boot::cold::ready";
const CASE: &str = "micro::looks::answers";
const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/usb_tool.py");

/// A slot with one of the boards.
#[derive(Clone, Copy)]
struct Scene {
    /// Of its board.
    name: &'static str,
    /// The procedure, and what else its descriptor says; in it `USB` is the device.
    board: &'static str,
    /// What sends it into its boot ROM.
    contact: &'static str,
    /// The device that it is then.
    usb: &'static str,
    /// What the board does.
    does: &'static str,
    /// The serial number that its disk has; of one with an installer, the mux of its stick.
    serial: &'static str,
    /// That mux in a rig file.
    stick: Option<&'static str>,
    /// The tool's name, and how it is.
    tool: Option<(&'static str, &'static str)>,
}

const CM: Scene = Scene {
    name: "cm",
    board: "provision: { usb-boot: { jumper: true, usb-powered: false } }",
    contact: "boot-switch",
    usb: "0a5c:2711",
    does: "disk",
    serial: "10000000abcdef01",
    stick: None,
    tool: Some(("rpiboot", "works")),
};

const JETSON: Scene = Scene {
    name: "jetson",
    board: "provision: { tegra-recovery: { way: direct } }\nrecovery: { usb: 'USB', enter: the contact }",
    contact: "recovery",
    usb: "0955:7023",
    does: "takes",
    serial: "none",
    stick: None,
    tool: Some(("tegra", "works")),
};

const NANO: Scene = Scene {
    name: "nano",
    board: "provision: { tegra-recovery: { way: rcm } }\nrecovery: { usb: 'USB', enter: the contact }",
    does: "installs",
    serial: "sdmux",
    stick: Some("usb-sd-mux: { id: '00048.00643', max-size: 64MiB }"),
    tool: Some(("tegra-rcm", "works")),
    ..JETSON
};

/// Switches a board's supply or contact: `switch BOARD power|held [on|off]`. Who is told where its device is plugs it in.
const SWITCH: &str = "exec 3<>/dev/tcp/HOST/PORT; echo \"$*\" >&3; read -r level port <&3
[ -z \"$port\" ] || flock /tmp/cable usbip --tcp-port \"$port\" attach -r HOST -b 1-1
echo \"$level\"
";

struct Slot {
    scene: Scene,
    place: Place,
}

impl Scene {
    /// Its documents, and a new board.
    fn slot(self) -> Slot {
        static PORTS: AtomicU8 = AtomicU8::new(3);
        let (place, port) = (Place::new(), PORTS.fetch_add(1, Ordering::Relaxed));
        let Self { name, usb, does, serial, contact, .. } = self;
        let console = board(format!("{name} make {usb} {port} {does} {serial}\n").as_bytes());
        let console = String::from_utf8(console).unwrap();
        micro::documents(&place, "20s");
        micro::mounted_profile(&place);
        place.file(
            "private/catalogue/micro-usb.yaml",
            format!(
                "board: micro-usb\nname: Board of the tests\narch: amd64\nextends: linux\n{}\nboot:\n  stages:\n    - {{ name: kernel, within: 60s }}\n",
                self.board.replace("USB", usb)
            ),
        );
        let script = place.file("switch", SWITCH.replace("HOST", HOST).replace("PORT", &boards()));
        let output = |what: &str| {
            let run = |more: &str| format!("[bash, {}, {name}, {what}{more}]", script.display());
            format!(
                "{{ command: {{ on: {}, off: {}, status: {{ run: {}, on: ^on, off: ^off }}, within: 120s }} }}",
                run(", 'on'"),
                run(", 'off'"),
                run("")
            )
        };
        let writes = self.tool.is_some_and(|(tool, _)| tool == "tegra");
        let media = if let Some(mux) = self.stick {
            // 32 MiB, and nothing on it.
            model(&format!("{serial} card 65536"));
            format!("    media: {{ main: {{ {mux} }} }}\n")
        } else if writes {
            String::new()
        } else {
            // As udev names it.
            let path = format!("/dev/disk/by-path/pci-0000:00:0{XHCI}.0-usb-0:{port}:1.0-scsi-0:0:0:0");
            let serial = CM.serial;
            format!(
                "    media: {{ main: {{ block-device: {{ path: '{path}', max-size: 64MiB, serial: {serial} }} }} }}\n"
            )
        };
        let tools = self.tool.map_or_else(String::new, |(tool, how)| {
            let image = if writes { ", '{image}'" } else { "" };
            format!(
                "    tools:
      {tool}:
        run: [python3, {TOOL}, {tool}, {how}, '{usb}'{image}]
        version: {{ run: [python3, {TOOL}, --version], is: '^version 1\\.2' }}
"
            )
        });
        let rig = format!(
            "rig: tests
slots:
  one:
    board: micro-usb
    power: {}
    outputs: {{ {contact}: {} }}
    consoles: {{ main: {{ tcp: {{ address: '{HOST}:{}' }} }} }}
{media}{tools}",
            output("power"),
            output("held"),
            console.trim_end(),
        );
        place.file("rig.yaml", rig);
        place.file("image", guest::versioned(&guest::good()));
        Slot { scene: self, place }
    }

    async fn run(self) -> Ended {
        self.slot().run().await
    }

    /// A run on a board whose own storage held this before.
    async fn holding(self, held: &[u8]) -> Ended {
        let slot = self.slot();
        let put = format!("{} put {}\n", self.name, held.len());
        assert_eq!(board(&[put.as_bytes(), held].concat()), b"put\n");
        slot.run().await
    }
}

const ARGS: [&str; 11] =
    ["run", "--path", "private", "--slot", "one", "--case", CASE, "--image", "image", "--os", "micro"];

impl Slot {
    async fn run(self) -> Ended {
        let ran = self.place.run(&ARGS).await;
        self.ended(ran)
    }

    /// All that is in its board's own storage.
    fn storage(&self) -> Vec<u8> {
        board(format!("{} get\n", self.scene.name).as_bytes())
    }

    fn ended(self, ran: Ran) -> Ended {
        assert!(self.place.path("out").exists(), "no run was begun: {}", ran.all());
        let run = Run::read(&self.place.last());
        println!("{}:\n{}", self.scene.name, ran.out);
        Ended { slot: self, ran, run }
    }
}

/// A run that is over.
struct Ended {
    slot: Slot,
    ran: Ran,
    run: Run,
}

impl Ended {
    #[track_caller]
    fn proof(&self, step: &str) -> String {
        self.run.step(step).proof.clone().unwrap_or_else(|| panic!("{step}: {}", self.ran.all()))
    }

    /// The rig's failure in this step, in these words; nothing was booted after it, and all is off.
    #[track_caller]
    fn the_rig(&self, step: &str, words: &[&str]) {
        let (outcome, blame, _) = self.run.step(step).failed.clone().expect("it failed");
        let said = outcome.headline();
        assert_eq!((outcome.word(), blame.word()), ("infra", "rig"), "{}: {outcome:?}", self.slot.scene.name);
        for word in words {
            assert!(said.contains(word), "{}: `{word}` is not in: {said}", self.slot.scene.name);
        }
        assert_eq!(self.run.case(CASE).outcome, Some(Outcome::Blocked { by: step.into() }));
        assert!(self.run.ledger.boots.is_empty(), "it was booted");
        self.off();
        self.run.ended(self.ran.code, 3);
    }

    /// What was there before boots, and says so.
    #[track_caller]
    fn another(&self, blamed: (&str, &str)) {
        let (outcome, blame, _) = self.run.step("prove internal").failed.clone().expect("it is another one");
        assert_eq!((outcome.word(), blame.word()), blamed, "{outcome:?}");
        assert!(format!("{outcome:?}").contains("0.9.0 on vda"), "{outcome:?}");
        assert_eq!(self.run.case(BOOT).outcome, Some(outcome));
        self.off();
        self.run.ended(self.ran.code, if blamed.1 == "os" { 1 } else { 3 });
    }

    #[track_caller]
    fn unwritten(&self) {
        let storage = self.slot.storage();
        assert!(storage.iter().all(|byte| *byte == 0), "{} was written", self.slot.scene.name);
    }

    #[track_caller]
    fn off(&self) {
        for what in ["power", "held"] {
            assert_eq!(board(format!("{} {what}\n", self.slot.scene.name).as_bytes()), b"off\n", "{what}");
        }
    }

    /// What was written booted, and answered.
    #[track_caller]
    fn booted(&self) {
        assert_eq!(self.run.case(BOOT).outcome, Some(Outcome::Pass), "{}", self.ran.all());
        assert_eq!(self.run.case(CASE).outcome, Some(Outcome::Pass), "{}", self.ran.all());
        self.off();
        self.run.ended(self.ran.code, 0);
    }
}

/// Names disks by their place, as on any rig host.
struct Udev;

impl Udev {
    fn start() -> Self {
        let (code, said) = oracle(&["/lib/systemd/systemd-udevd", "--daemon"]);
        assert_eq!(code, Some(0), "{said}");
        Self
    }
}

impl Drop for Udev {
    fn drop(&mut self) {
        let (code, said) = oracle(&["udevadm", "control", "--exit"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

/// As far as it is quick: the capacitors' minute is not waited for. And a board that shows another disk than its own.
pub(crate) async fn written() {
    let _udev = Udev::start();
    let other = Scene { name: "other", usb: "0a5c:2764", serial: "10000000abcdef02", ..CM };
    let ((ended, storage), other) = tokio::join!(until_drained(CM.slot()), other.run());
    assert_eq!(ended.proof("check tool"), "rpiboot is version 1.2.3");
    let load = ended.proof("load");
    assert!(load.contains("said `Second stage boot server done`"), "{load}");
    let came = ended.proof("await main");
    assert!(came.starts_with("attached anew as sd"), "{came}");
    assert!(came.ends_with(&format!("8388608 bytes, serial number {}", CM.serial)), "{came}");
    let wrote = ended.proof("write image");
    assert!(wrote.starts_with("wrote and read back 5 MiB"), "{wrote}");
    ended.off();
    assert!(guest::config(&storage).contains("\"uuid\""), "{}", guest::config(&storage));
    other.the_rig("await main", &["serial number 10000000abcdef01", "10000000abcdef02"]);
    other.unwritten();
}

async fn until_drained(slot: Slot) -> (Ended, Vec<u8>) {
    let child = slot.place.start(&ARGS);
    slot.place.until_journal(&child, "\"step\":\"drain\"", 600).await;
    interrupt(child.pid());
    let limit = by("the end of an interrupted run", 300);
    while child.try_status().unwrap().is_none() {
        limit.pause(Duration::from_millis(100), || child.tail()).await.unwrap();
    }
    let storage = slot.storage();
    let ran = Ran { code: None, out: child.tail(), err: String::new() };
    (slot.ended(ran), storage)
}

/// The whole way, and what only the end of a wait shows; all at once, for most of it is waiting.
pub(crate) async fn whole() {
    let _udev = Udev::start();
    let late = |name, usb, does, how| Scene { name, usb, does, tool: Some(("rpiboot", how)), ..CM };
    let stick = Scene {
        name: "stick",
        board: "provision: { usb-mass-storage: {} }",
        does: "shows",
        tool: None,
        ..CM
    };
    let (cm, stick, absent, gone, tablet) = tokio::join!(
        CM.run(),
        stick.run(),
        late("absent", "0a5c:2763", "absent", "works").run(),
        late("gone", "0a5c:2764", "gone", "works").run(),
        late("tablet", "0a5c:2712", "tablet", "works").run(),
    );
    cm.booted();
    stick.booted();
    absent.the_rig("load", &["Waiting for 0a5c:2763"]);
    gone.the_rig("await main", &["no such disk"]);
    tablet.the_rig("await main", &["no such disk"]);
    let (lies, hangs, quiet, large) = tokio::join!(
        late("lies", "0a5c:2763", "disk", "lies").run(),
        late("hangs", "0a5c:2764", "disk", "hangs").run(),
        late("quiet", "0a5c:2711", "disk", "quiet").run(),
        late("large", "0a5c:2712", "large", "works").run(),
    );
    lies.the_rig("await main", &["no such disk"]);
    hangs.the_rig("load", &["Sending bootcode.bin"]);
    quiet.the_rig("load", &["a line with `^Second stage boot server done`", "nothing printed"]);
    large.the_rig("await main", &["64"]);
    for ended in [absent, gone, tablet, lies, hangs, quiet, large] {
        ended.unwritten();
    }
}

/// A tool that writes by itself is believed when what boots says so.
pub(crate) async fn recovery() {
    let held = guest::other_version(guest::versioned(&guest::good()), "0.9.0");
    let lies = Scene { name: "lies", usb: "0955:7c18", tool: Some(("tegra", "lies")), ..JETSON };
    let nobody = Scene { name: "nobody", usb: "0955:7019", does: "absent", ..JETSON };
    let (jetson, lies, nobody) = tokio::join!(JETSON.run(), lies.holding(&held), nobody.run());
    nobody.the_rig("await recovery", &["a device 0955:7019"]);
    assert!(jetson.proof("await recovery").starts_with("0955:7023 in port "));
    assert_eq!(jetson.proof("prove internal"), "vda runs version 1.0.0, with this run's configuration");
    jetson.booted();
    lies.another(("infra", "rig"));
}

/// An installer that RCM boot starts: it is on a stick behind a mux, which the board really has meanwhile.
pub(crate) async fn installer() {
    let _udev = Udev::start();
    let held = guest::other_version(guest::versioned(&guest::good()), "0.9.0");
    let skips = Scene {
        name: "skips",
        usb: "0955:7523",
        does: "skips",
        serial: "sdfst",
        stick: Some("usb-sd-mux: { id: '00109.00017', max-size: 64MiB }"),
        ..NANO
    };
    let panics = Scene {
        name: "panics",
        usb: "0955:7423",
        does: "panics",
        serial: "sdwire",
        stick: Some("sdwire: { serial: sdw-7, max-size: 64MiB }"),
        ..NANO
    };
    let (nano, skips, panics) = tokio::join!(NANO.run(), skips.holding(&held), panics.run());
    assert!(nano.proof("send").contains("said `[   4.3174 ] RCM-boot started`"), "{}", nano.proof("send"));
    let off = nano.proof("await off");
    assert!(off.contains("reboot: Power down"), "{off}");
    assert!(nano.proof("main away").contains("host's side"), "{}", nano.proof("main away"));
    let runs = "vda runs version 1.0.0, with this run's configuration; the installer's medium is not there";
    assert_eq!(nano.proof("prove internal"), runs);
    nano.booted();
    // The installer ended well, and installed nothing: it is the OS's own.
    assert!(skips.proof("await off").contains("reboot: Power down"), "{}", skips.proof("await off"));
    skips.another(("fail", "os"));
    let (outcome, blame, because) = panics.run.step("await off").failed.clone().expect("it panicked");
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("fail", "os", "bad-line-at-boot"));
    assert!(panics.run.ledger.boots.is_empty(), "it was booted");
    panics.unwritten();
    panics.off();
    panics.run.ended(panics.ran.code, 1);
}
