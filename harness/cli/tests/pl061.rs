//! The driver `gpio` on arm64: our own binary, in a machine whose GPIO chip (a PL061 of QEMU's `virt`, with the
//! kernel's driver) is watched and driven from outside by QEMU's qtest: each edge of an output, and inputs.
//!
//! `cargo xtask test --full --only pl061` builds the binary for arm64 and runs this; by itself it is ignored.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use shakedown_qemu::micro::Archive;
use support::lab::{Typed, command};
use support::{Place, by, micro, one_by_one, trial};

/// Names a folder with `shakedown` for arm64 that needs no library, `busybox` and `vmlinuz`.
const KIT: &str = "SHAKEDOWN_ARM64";
/// The kernel is at its shell within 5 s; a loaded machine takes ten times that.
const WITHIN: Duration = Duration::from_secs(300);
/// An edge is told before the command that made it has ended.
const QUIET: Duration = Duration::from_millis(500);

fn main() {
    one_by_one(|| vec![trial("each_edge_of_a_line_is_seen_at_the_chip", edges).with_ignored_flag(true)]);
}

const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmp /tmp
$b --install -s /bin
export PATH=/bin HOME=/tmp SHAKEDOWN_CACHE=/tmp/cache SHAKEDOWN_RUNTIME=/tmp/run SHAKEDOWN_OUT=/tmp/out
cd /work
stty raw -echo </dev/ttyAMA0
echo arm64: ready
# Not on a terminal: it would prompt.
setsid sh </dev/ttyAMA0 2>&1 | cat >/dev/ttyAMA0
";

/// Kills the keeper, and not its warden; there is one.
const KILL: &str = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in shakedown-warden*) ;; \
    *' --on-demand'*) kill -9 ${p#/proc/} && killed=1 ;; esac; done 2>/dev/null; [ -n \"$killed\" ]";

const RIG: &str = "rig: tests
slots:
  one:
    board: micro-board
    power: { gpio: { chip: gpiochip0, line: 5 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  low:
    board: micro-board
    power: { gpio: { chip: 9030000.pl061, line: 6, active-low: true } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  input:
    board: micro-board
    power: { gpio: { chip: gpiochip0, line: 4 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
";

/// ARM DDI 0190B: the levels of all eight lines, and which of them are outputs.
const LEVELS: &str = "0x090303fc";
const DIRECTIONS: &str = "0x09030400";

/// The machine, and its three lines to us.
struct Machine {
    child: Child,
    shell: Typed,
    monitor: Typed,
    chip: BufReader<UnixStream>,
    /// That came while it was told something.
    edges: Vec<String>,
    pl061: String,
    _folder: tempfile::TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Machine {
    async fn boot(kit: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("initrd"), initrd(kit)).unwrap();
        let line = format!(
            "qemu-system-aarch64 -nodefaults -machine virt -cpu cortex-a53 -accel tcg -m 768 -display none -no-reboot \
             -chardev socket,id=shell,path={shell},server=on,wait=on -serial chardev:shell \
             -monitor unix:{monitor},server=on,wait=off -qtest unix:{qtest},server=on,wait=off -qtest-log none \
             -kernel {kernel} -initrd {initrd}",
            shell = path("shell").display(),
            monitor = path("monitor").display(),
            qtest = path("qtest").display(),
            kernel = kit.join("vmlinuz").display(),
            initrd = path("initrd").display(),
        );
        let mut argv: Vec<_> = line.split_ascii_whitespace().collect();
        argv.extend(["-append", "console=ttyAMA0 loglevel=1 panic=-1"]);
        let child = command(argv).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut shell = Typed::on(connect(&path("shell")).await);
        let mut monitor = Typed::on(connect(&path("monitor")).await);
        let chip = connect(&path("qtest")).await;
        chip.set_read_timeout(Some(QUIET)).unwrap();
        shell.until(|text| text.contains("arm64: ready"), WITHIN).unwrap();
        monitor.until(|text| text.ends_with("(qemu) "), WITHIN).unwrap();
        let (chip, pl061) = (BufReader::new(chip), String::new());
        let mut machine = Self { child, shell, monitor, chip, edges: Vec::new(), pl061, _folder: folder };
        let tree = machine.asked("info qom-tree /machine/unattached");
        let device = tree.lines().map(str::trim).find_map(|line| line.strip_suffix(" (pl061)"));
        machine.pl061 =
            format!("/machine/unattached{}", device.unwrap_or_else(|| panic!("no PL061: {tree}")));
        machine
    }

    /// Asks the monitor.
    fn asked(&mut self, line: &str) -> String {
        self.monitor.send(&format!("{line}\n"));
        let said = self.monitor.until(|text| text.ends_with("(qemu) "), WITHIN).unwrap();
        said.replace('\r', "")
    }

    /// A register of the chip, read from outside by the monitor: qtest's own socket stays free for edges.
    fn register(&mut self, address: &str) -> u8 {
        let said = self.asked(&format!("xp /1wx {address}"));
        let word =
            said.lines().find_map(|line| line.split_once(": 0x")).map(|(_, word)| word.trim().to_owned());
        let word = word.unwrap_or_else(|| panic!("{said}"));
        u8::try_from(u32::from_str_radix(&word, 16).unwrap()).unwrap()
    }

    /// The next line of qtest's, when one comes in time.
    fn line(&mut self) -> Option<String> {
        let mut said = String::new();
        loop {
            match self.chip.read_line(&mut said) {
                Ok(0) => panic!("the machine is gone"),
                Ok(_) => return Some(said.trim_end().to_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if said.is_empty() {
                        return None;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Tells qtest something, which may make an edge.
    fn qtest(&mut self, line: &str) {
        self.chip.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        let began = Instant::now();
        loop {
            match self.line() {
                Some(said) if said == "OK" => return,
                Some(edge) => self.edges.push(edge),
                None => assert!(began.elapsed() < WITHIN, "{line}"),
            }
        }
    }

    /// What the chip put onto its lines since the last look: `+5` and `-5`. As many as are wanted, and no more.
    #[track_caller]
    fn sees(&mut self, wanted: &[&str]) {
        let (mut seen, began) = (std::mem::take(&mut self.edges), Instant::now());
        loop {
            match self.line() {
                Some(edge) => seen.push(edge),
                None if seen.len() >= wanted.len() || began.elapsed() > WITHIN => break,
                None => {}
            }
        }
        let short = |edge: &String| edge.replace("IRQ raise ", "+").replace("IRQ lower ", "-");
        assert_eq!(seen.iter().map(short).collect::<Vec<_>>(), wanted);
    }

    /// `shakedown power SLOT WORD` inside; it must say this.
    #[track_caller]
    fn power(&mut self, slot: &str, word: &str, says: &str) {
        let (code, said) = self.run(&format!("/shakedown --path private power {slot} {word} 2>&1"));
        assert_eq!((code, said.contains(says)), (0, true), "{slot} {word}: {said}");
    }

    #[track_caller]
    fn run(&mut self, line: &str) -> (i32, String) {
        self.shell.run(line, WITHIN).unwrap()
    }
}

/// QEMU makes its sockets one after the other.
async fn connect(path: &Path) -> UnixStream {
    let limit = by("a socket of the machine", WITHIN.as_secs());
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => limit.pause(Duration::from_millis(20), || error.to_string()).await.unwrap(),
        }
    }
}

fn initrd(kit: &Path) -> Vec<u8> {
    let mut archive = Archive::default();
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for folder in ["bin", "dev", "proc", "sys", "tmp", "work", "work/private"] {
        archive.folder(folder);
    }
    archive.device("dev/console", (5, 1));
    archive.file("bin/busybox", 0o755, &read(kit.join("busybox")));
    archive.file("shakedown", 0o755, &read(kit.join("shakedown")));
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("work/rig.yaml", 0o644, RIG.as_bytes());
    let place = Place::new();
    micro::documents(&place, "2s");
    archive.folder("work/private/catalogue");
    let board = "private/catalogue/micro-board.yaml";
    archive.file(&format!("work/{board}"), 0o644, &read(place.path(board)));
    archive.finish()
}

async fn edges() {
    let kit = std::env::var(KIT).unwrap_or_else(|_| panic!("run by `cargo xtask test --full --only pl061`"));
    let mut machine = Machine::boot(Path::new(&kit)).await;
    let chip = machine.pl061.clone();
    machine.qtest(&format!("irq_intercept_out {chip}"));
    assert_eq!((machine.register(LEVELS), machine.register(DIRECTIONS)), (0, 0), "nobody's yet");

    machine.power("one", "status", "power off: read back");
    machine.sees(&[]);
    assert_eq!(machine.register(DIRECTIONS), 0, "a look changes nothing");
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);
    assert_eq!(
        (machine.register(LEVELS), machine.register(DIRECTIONS)),
        (0x20, 0x20),
        "held after the command"
    );
    machine.power("one", "cycle", "power on: read back on");
    machine.sees(&["-5", "+5"]);
    machine.power("one", "off", "power off: read back off");
    machine.sees(&["-5"]);

    // Each edge of many, in order.
    let line = "for i in 1 2 3 4 5 6 7 8; do for w in on off; do /shakedown --path private power one $w || exit 1; done; done 2>&1";
    let (code, said) = machine.run(line);
    assert_eq!(code, 0, "{said}");
    machine.sees(&["+5", "-5"].repeat(8));

    // Active low, from a low line: what is off is high, and nothing is on by accident in between.
    machine.power("low", "off", "power off: read back off");
    machine.sees(&["+6"]);
    machine.power("low", "on", "power on: read back on");
    machine.sees(&["-6"]);
    machine.power("low", "off", "power off: read back off");
    machine.sees(&["+6"]);

    // The chip counts, not what was asked last.
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);
    machine.qtest("writel 0x09030080 0");
    machine.sees(&["-5"]);
    machine.power("one", "status", "power off: read back");
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);

    // A killed keeper: its warden switches off.
    let (code, said) = machine.run(KILL);
    assert_eq!(code, 0, "{said}");
    machine.sees(&["-5"]);
    assert_eq!(machine.register(LEVELS), 0x40);

    // Inputs, the other way.
    for (level, word) in [(1, "on"), (0, "off"), (1, "on")] {
        machine.qtest(&format!("set_irq_in {chip} unnamed-gpio-in 4 {level}"));
        machine.power("input", "status", &format!("power {word}: read back"));
    }
    assert_eq!(machine.register(DIRECTIONS) & 0x10, 0, "it was not made an output");
    machine.sees(&[]);
}
