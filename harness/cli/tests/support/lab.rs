//! A guest with USB and GPIO devices, on this machine's own files: what was built and installed here runs
//! there too, on a kernel with drivers. Some devices are QEMU's, others models of ours that are served to it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use shakedown_qemu::micro::DeviceKit;

use super::{by, micro};

/// When each model is there, in the order of their ports.
const MODELS: [&str; 7] = [
    "grep -ql 10c4 /sys/bus/usb/drivers/usbhid/*/../idVendor /sys/bus/hid/devices/*/../../idVendor",
    "grep -ql 16c0 /sys/bus/usb/drivers/usbhid/*/../idVendor /sys/bus/hid/devices/*/../../idVendor",
    "grep -ql 04b4 /sys/bus/usb/drivers/usbhid/*/../idVendor /sys/bus/hid/devices/*/../../idVendor",
    "[ -e /sys/block/sda ] && [ -e /dev/sg0 ]",
    "[ -e /sys/block/sdb ] && [ -e /dev/sg1 ]",
    "grep -qx sd-wire /sys/bus/usb/devices/*/product",
    "[ -e /sys/block/sdc ] && [ -e /dev/sg2 ]",
];

/// Names the port of the models, for what runs inside. The last one of theirs is that of the boards.
pub(crate) const PORT: &str = "SHAKEDOWN_LAB_PORT";

/// The models on the rig host, as the guest reaches them.
pub(crate) const HOST: &str = "10.0.2.2";

/// The place of its USB among what is on its PCI bus.
pub(crate) const XHCI: &str = "8";

/// A boot takes 5 to 10 s, and a loaded machine ten times that.
const BOOT: Duration = Duration::from_secs(300);
/// The longest tests wait twice for what never comes, five minutes each.
const RUN: Duration = Duration::from_secs(1800);

/// A program that ends with this thread.
#[expect(clippy::disallowed_methods, reason = "counterparts that others wrote; only tests start them")]
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(argv);
    command
}

/// The guest, and what it needs on this side. All of it ends with the thread that booted it.
pub(crate) struct Guest {
    machine: Child,
    models: [Child; 2],
    shell: Typed,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Guest {
    fn drop(&mut self) {
        for child in [&mut self.machine].into_iter().chain(&mut self.models) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Guest {
    /// Boots it and plugs the models in. `devices` are QEMU's own.
    pub(crate) fn boot(devices: &[&str]) -> Self {
        let began = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let port = free_ports();
        let models = served("usb_devices.py", [port.to_string()]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (kernel, initrd) = runtime.block_on(micro::parts());
        let path = |path: PathBuf| path.display().to_string();
        let boards = served(
            "usb_boards.py",
            [
                board_port(port).to_string(),
                port.to_string(),
                path(folder.path().to_owned()),
                path(folder.path().join("qmp")),
                path(kernel),
                path(initrd),
                micro::mounting("vda1"),
                micro::working("WORK"),
            ],
        );
        let (machine, shell) = machine(folder.path(), devices);
        let mut guest = Self { machine, models: [models, boards], shell, folder, port };
        for (index, there) in MODELS.iter().enumerate() {
            let port = usize::from(port) + 1 + index;
            // One at a time: a device is there when the kernel's driver has it.
            guest.must(&format!(
                "usbip --tcp-port {port} attach -r {HOST} -b 1-1 || exit 1; until {there}; do sleep 0.1; done"
            ));
        }
        println!("     the lab is up: {:.1} s", began.elapsed().as_secs_f64());
        guest
    }

    /// Runs a line of shell inside; its exit code and what it said.
    pub(crate) fn run(&mut self, line: &str) -> (i32, String) {
        let ran = self.shell.run(line, RUN);
        ran.unwrap_or_else(|wrong| panic!("{wrong}\n{}", self.console()))
    }

    /// The same; it must succeed.
    pub(crate) fn must(&mut self, line: &str) -> String {
        let (code, said) = self.run(line);
        assert_eq!(code, 0, "`{line}`: {said}\n{}", self.console());
        said
    }

    /// Runs one of this binary's tests inside.
    pub(crate) fn test(&mut self, name: &str) {
        let own = std::env::current_exe().unwrap();
        let line = format!("{PORT}={} {} --exact {name} --nocapture 2>&1", self.port, own.display());
        let (code, said) = self.run(&line);
        assert_eq!(code, 0, "inside:\n{said}\n--- its console\n{}", self.console());
    }

    fn console(&self) -> String {
        let log = std::fs::read(self.folder.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// A guest's shell that nobody reads but us: what is typed is not shown.
pub(crate) struct Typed(UnixStream);

impl Typed {
    pub(crate) fn on(line: UnixStream) -> Self {
        line.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self(line)
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.0.write_all(line.as_bytes()).unwrap();
    }

    /// Reads until this comes; all that came. What it says otherwise, or that it is gone.
    pub(crate) fn until(&mut self, end: impl Fn(&str) -> bool, within: Duration) -> Result<String, String> {
        let (mut said, began) = (Vec::new(), Instant::now());
        loop {
            let text = String::from_utf8_lossy(&said).into_owned();
            if end(&text) {
                return Ok(text);
            }
            let mut bytes = [0; 4096];
            match self.0.read(&mut bytes) {
                Ok(0) => return Err(format!("the machine is gone: {text}")),
                Ok(count) => said.extend_from_slice(&bytes[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(format!("{error}: {text}")),
            }
            if began.elapsed() > within {
                return Err(format!("it has said so far: {text}"));
            }
        }
    }

    /// Runs a line of shell; its exit code and what it said.
    pub(crate) fn run(&mut self, line: &str, within: Duration) -> Result<(i32, String), String> {
        // Nothing that is typed looks like its end.
        let asked = format!("({line}\n) </dev/null; printf '\\nlab:%s:%d\\n' exit $?\n");
        self.0.write_all(asked.as_bytes()).map_err(|error| format!("`{line}`: {error}"))?;
        let ended = |text: &str| {
            let (before, code) = text.rsplit_once("lab:exit:")?;
            let code = code.split_once('\n')?.0.trim_end().parse().ok()?;
            Some((code, before.trim_end().to_owned()))
        };
        let said =
            self.until(|text| ended(text).is_some(), within).map_err(|wrong| format!("`{line}`: {wrong}"))?;
        ended(&said).ok_or(said)
    }
}

/// Starts models of ours, and waits until they are there.
fn served(script: &str, args: impl IntoIterator<Item = String>) -> Child {
    let script = format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut models = command([program("python"), script.clone()].into_iter().chain(args));
    let mut models = models.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(models.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n", "{script}");
    models
}

/// Starts the machine, and waits for its shell.
fn machine(folder: &Path, devices: &[&str]) -> (Child, Typed) {
    let cache = shakedown_host::dirs::cache().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = by("the guests' kernel with its drivers", 600);
    let kit = runtime.block_on(DeviceKit::at(&cache, &limit)).unwrap();
    let (console, shell) = (folder.join("console"), folder.join("shell"));
    let mut line = format!(
        "qemu-system-x86_64 -nodefaults -machine q35 -cpu qemu64 -accel tcg -m 768 -display none -no-reboot -serial file:{} \
         -chardev socket,id=shell,path={},server=on,wait=off -device isa-serial,chardev=shell \
         -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
         -netdev user,id=net -device virtio-net-pci,netdev=net -device qemu-xhci,id=usb,addr={XHCI},p2=12,p3=12 \
         -qmp unix:{},server=on,wait=off",
        console.display(),
        shell.display(),
        folder.join("qmp").display(),
    );
    for device in devices {
        let _ = write!(line, " -device {device}");
    }
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut argv: Vec<_> = line.split_ascii_whitespace().map(str::to_owned).collect();
    let (kernel, initrd) = (kit.kernel.display().to_string(), kit.initrd.display().to_string());
    argv.extend(
        ["-kernel", &kernel, "-initrd", &initrd, "-append", "console=ttyS0 quiet panic=-1"]
            .map(str::to_owned),
    );
    let mut machine = command(argv).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let limit = by("the guest's shell", BOOT.as_secs());
    let said = |name: &str| {
        String::from_utf8_lossy(&std::fs::read(folder.join(name)).unwrap_or_default()).into_owned()
    };
    while !said("console").contains("devices: ready") {
        assert!(machine.try_wait().unwrap().is_none(), "the machine has ended: {}", said("log"));
        let pause = limit.pause(Duration::from_millis(50), || said("console"));
        runtime.block_on(pause).unwrap();
    }
    (machine, Typed::on(UnixStream::connect(shell).unwrap()))
}

/// Where the boards are asked, behind the ports of the models.
fn board_port(port: u16) -> u16 {
    port + 1 + MODELS.len() as u16
}

/// Ports that nobody listens on, one after the other: that of the models, one for each of them, and the boards'.
fn free_ports() -> u16 {
    let count = board_port(0) + 1;
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below those that the system gives away.
    let start = 20_000 + std::process::id() as u16 % 1_000 * count;
    let found = (start..32_000).step_by(count.into()).find(|port| (*port..port + count).all(free));
    found.expect("free ports in a row")
}

/// A program of the pinned libraries.
pub(crate) fn program(name: &str) -> String {
    let programs = shakedown_pinned::programs(env!("CARGO_TARGET_TMPDIR"), "lab", include_str!("lab.txt"));
    programs.join(name).display().to_string()
}

/// Inside: the port of the models.
fn port() -> u16 {
    std::env::var(PORT).unwrap().parse().unwrap()
}

/// Inside: tells a model something; what its pins, relays or sockets were since it was asked last.
pub(crate) fn model(words: &str) -> String {
    let said = ask(port(), format!("{words}\n").as_bytes());
    String::from_utf8(said).unwrap().trim_end().to_owned()
}

/// Inside: tells a board something (a line, and bytes where it takes some); its answer.
pub(crate) fn board(bytes: &[u8]) -> Vec<u8> {
    ask(board_port(port()), bytes)
}

/// Inside: the port on [`HOST`] by which programs ask a board.
pub(crate) fn boards() -> String {
    board_port(port()).to_string()
}

fn ask(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect((HOST, port)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    said
}

/// Inside: another project's program; its exit code, and both of its streams.
pub(crate) fn oracle(argv: &[&str]) -> (Option<i32>, String) {
    let output = command(argv).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
