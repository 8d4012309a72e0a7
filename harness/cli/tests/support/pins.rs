//! Our own binary for arm64 in a machine whose GPIO chip is watched from outside: qtest tells each edge, the
//! monitor shows the registers.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use shakedown_qemu::micro::Archive;

use super::lab::{Typed, command};
use super::{Place, by, micro};

/// Names a folder with `shakedown` for arm64 that needs no library, `busybox`, `vmlinuz` and device trees.
const KIT: &str = "SHAKEDOWN_ARM64";
/// The kernel is at its shell within 5 s; a loaded machine takes ten times that.
const WITHIN: Duration = Duration::from_secs(300);
/// An edge is told before the command that made it has ended.
const QUIET: Duration = Duration::from_millis(500);

/// `TTY` is where its shell is.
const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmp /tmp
$b --install -s /bin
export PATH=/bin HOME=/tmp SHAKEDOWN_CACHE=/tmp/cache SHAKEDOWN_RUNTIME=/tmp/run SHAKEDOWN_OUT=/tmp/out
cd /work
stty raw -echo </dev/TTY
echo arm64: ready
# Not on a terminal: it would prompt.
setsid sh </dev/TTY 2>&1 | cat >/dev/TTY
";

/// A machine with a GPIO chip.
pub(crate) struct Kind {
    /// What QEMU is told: the machine, and which of its ports is the shell's.
    pub(crate) machine: &'static str,
    /// The file of its device tree in the kit, where QEMU does not make one.
    pub(crate) tree: Option<&'static str>,
    /// The port of the shell.
    pub(crate) tty: &'static str,
    /// What the kernel is told besides.
    pub(crate) kernel: &'static str,
    /// Its rig file.
    pub(crate) rig: &'static str,
}

/// Which processes are killed, as a case of a shell.
#[derive(Clone, Copy)]
pub(crate) enum Killed {
    /// There is one, and its warden is not it.
    Keeper,
    Wardens,
}

/// The machine, and its three lines to us.
pub(crate) struct Machine {
    child: Child,
    shell: Typed,
    monitor: Typed,
    chip: BufReader<UnixStream>,
    /// That came while it was told something.
    edges: Vec<String>,
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
    pub(crate) async fn boot(kind: &Kind) -> Self {
        let kit = std::env::var_os(KIT).map(PathBuf::from);
        let kit = kit.unwrap_or_else(|| panic!("run by `cargo xtask test --full --only pins`"));
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("initrd"), initrd(&kit, kind)).unwrap();
        let line = format!(
            "qemu-system-aarch64 -nodefaults {machine} -accel tcg -display none -no-reboot \
             -chardev socket,id=shell,path={shell},server=on,wait=on \
             -monitor unix:{monitor},server=on,wait=off -qtest unix:{qtest},server=on,wait=off -qtest-log none \
             -kernel {kernel} -initrd {initrd}",
            machine = kind.machine,
            shell = path("shell").display(),
            monitor = path("monitor").display(),
            qtest = path("qtest").display(),
            kernel = kit.join("vmlinuz").display(),
            initrd = path("initrd").display(),
        );
        let mut argv: Vec<_> = line.split_ascii_whitespace().collect();
        let words = format!("console={} loglevel=1 panic=-1 {}", kind.tty, kind.kernel);
        argv.extend(["-append", &words]);
        let tree = kind.tree.map(|name| kit.join(name).display().to_string());
        argv.extend(tree.iter().flat_map(|tree| ["-dtb", tree]));
        let child = command(argv).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut shell = Typed::on(connect(&path("shell")).await);
        let mut monitor = Typed::on(connect(&path("monitor")).await);
        let chip = connect(&path("qtest")).await;
        chip.set_read_timeout(Some(QUIET)).unwrap();
        shell.until(|text| text.contains("arm64: ready"), WITHIN).unwrap();
        monitor.until(|text| text.ends_with("(qemu) "), WITHIN).unwrap();
        Self { child, shell, monitor, chip: BufReader::new(chip), edges: Vec::new(), _folder: folder }
    }

    /// Asks the monitor.
    pub(crate) fn asked(&mut self, line: &str) -> String {
        self.monitor.send(&format!("{line}\n"));
        let said = self.monitor.until(|text| text.ends_with("(qemu) "), WITHIN).unwrap();
        said.replace('\r', "")
    }

    /// A register of the chip, read from outside by the monitor: qtest's own socket stays free for edges.
    pub(crate) fn register(&mut self, address: &str) -> u32 {
        let said = self.asked(&format!("xp /1wx {address}"));
        let word =
            said.lines().find_map(|line| line.split_once(": 0x")).map(|(_, word)| word.trim().to_owned());
        let word = word.unwrap_or_else(|| panic!("{said}"));
        u32::from_str_radix(&word, 16).unwrap()
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
    pub(crate) fn qtest(&mut self, line: &str) {
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
    pub(crate) fn sees(&mut self, wanted: &[&str]) {
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
    pub(crate) fn power(&mut self, slot: &str, word: &str, says: &str) {
        self.powered(slot, word, 0, says);
    }

    /// The same, with the exit code that it must have.
    #[track_caller]
    pub(crate) fn powered(&mut self, slot: &str, word: &str, exits: i32, says: &str) {
        let (code, said) = self.run(&format!("/shakedown --path private power {slot} {word} 2>&1"));
        assert_eq!((code, said.contains(says)), (exits, true), "{slot} {word}: {said}");
    }

    /// On and off this often, each seen at this line.
    #[track_caller]
    pub(crate) fn blinks(&mut self, slot: &str, times: usize, line: u8) {
        let rounds = " .".repeat(times);
        let each = "do for w in on off; do /shakedown --path private power";
        let (code, said) =
            self.run(&format!("for i in{rounds}; {each} {slot} $w || exit 1; done; done 2>&1"));
        assert_eq!(code, 0, "{said}");
        let (up, down) = (format!("+{line}"), format!("-{line}"));
        self.sees(&[up.as_str(), &down].repeat(times));
    }

    /// Kills by SIGKILL; there must be one.
    #[track_caller]
    pub(crate) fn kill(&mut self, killed: Killed) {
        let of = match killed {
            Killed::Keeper => "shakedown-warden*) ;; *' --on-demand'*)",
            Killed::Wardens => "shakedown-warden*)",
        };
        let (code, said) = self.run(&format!(
            "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in {of} kill -9 ${{p#/proc/}} && killed=1 ;; \
             esac; done 2>/dev/null; [ -n \"$killed\" ]"
        ));
        assert_eq!(code, 0, "{said}");
    }

    #[track_caller]
    pub(crate) fn run(&mut self, line: &str) -> (i32, String) {
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

fn initrd(kit: &Path, kind: &Kind) -> Vec<u8> {
    let mut archive = Archive::default();
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for folder in ["bin", "dev", "proc", "sys", "tmp", "work", "work/private"] {
        archive.folder(folder);
    }
    archive.device("dev/console", (5, 1));
    archive.file("bin/busybox", 0o755, &read(kit.join("busybox")));
    archive.file("shakedown", 0o755, &read(kit.join("shakedown")));
    archive.file("init", 0o755, INIT.replace("TTY", kind.tty).as_bytes());
    archive.file("work/rig.yaml", 0o644, kind.rig.as_bytes());
    let place = Place::new();
    micro::documents(&place, "2s");
    archive.folder("work/private/catalogue");
    let board = "private/catalogue/micro-board.yaml";
    archive.file(&format!("work/{board}"), 0o644, &read(place.path(board)));
    archive.finish()
}
