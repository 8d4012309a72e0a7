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

use super::by;

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

/// Names the port of the models, for what runs inside.
pub(crate) const PORT: &str = "SHAKEDOWN_LAB_PORT";

/// The models on the rig host, as the guest reaches them.
const HOST: &str = "10.0.2.2";

/// A boot takes 5 to 10 s, and a loaded machine ten times that.
const BOOT: Duration = Duration::from_secs(300);
const RUN: Duration = Duration::from_secs(600);

/// A program that ends with this thread.
#[expect(clippy::disallowed_methods, reason = "counterparts that others wrote; only tests start them")]
fn command<S: AsRef<std::ffi::OsStr>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(argv);
    command
}

/// The guest, and what it needs on this side. All of it ends with the thread that booted it.
pub(crate) struct Guest {
    machine: Child,
    models: Child,
    shell: UnixStream,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Guest {
    fn drop(&mut self) {
        for child in [&mut self.machine, &mut self.models] {
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
        let mut models = command([
            program("python"),
            format!("{}/tests/peers/usb_devices.py", env!("CARGO_MANIFEST_DIR")),
            port.to_string(),
        ]);
        let mut models = models.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(models.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "the models of the USB devices");
        let (machine, shell) = machine(folder.path(), devices);
        let mut guest = Self { machine, models, shell, folder, port };
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
        let end = "lab:exit:";
        // Nothing that is typed looks like its end.
        let asked = format!("({line}\n) </dev/null; printf '\\nlab:%s:%d\\n' exit $?\n");
        self.shell.write_all(asked.as_bytes()).unwrap();
        let (mut said, began) = (Vec::new(), Instant::now());
        loop {
            let text = String::from_utf8_lossy(&said);
            if let Some((before, code)) = text.rsplit_once(end)
                && let Some((code, _)) = code.split_once('\n')
            {
                return (code.parse().unwrap(), before.trim_end_matches('\n').to_owned());
            }
            let mut bytes = [0; 4096];
            match self.shell.read(&mut bytes) {
                Ok(0) => panic!("the machine is gone, in `{line}`: {text}\n{}", self.console()),
                Ok(count) => said.extend_from_slice(&bytes[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(
                began.elapsed() < RUN,
                "`{line}` has said so far: {}\n{}",
                String::from_utf8_lossy(&said),
                self.console()
            );
        }
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

/// Starts the machine, and waits for its shell.
fn machine(folder: &Path, devices: &[&str]) -> (Child, UnixStream) {
    let cache = shakedown_host::dirs::cache().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = by("the guests' kernel with its drivers", 600);
    let kit = runtime.block_on(DeviceKit::at(&cache, &limit)).unwrap();
    let (console, shell) = (folder.join("console"), folder.join("shell"));
    let mut line = format!(
        "qemu-system-x86_64 -nodefaults -machine q35 -cpu qemu64 -accel tcg -m 768 -display none -no-reboot -serial file:{} \
         -chardev socket,id=shell,path={},server=on,wait=off -device isa-serial,chardev=shell \
         -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
         -netdev user,id=net -device virtio-net-pci,netdev=net -device qemu-xhci,id=usb",
        console.display(),
        shell.display(),
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
    let shell = UnixStream::connect(shell).unwrap();
    shell.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (machine, shell)
}

/// Ports that nobody listens on, one after the other: that of the models, and one for each of them.
fn free_ports() -> u16 {
    let count = 1 + MODELS.len() as u16;
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below those that the system gives away.
    let start = 20_000 + std::process::id() as u16 % 10_000;
    let found = (start..32_000).step_by(count.into()).find(|port| (*port..port + count).all(free));
    found.expect("free ports in a row")
}

/// What the models and the oracles are made of.
const PINNED: [&str; 3] = ["usbip==0.7.0", "usbsdmux==25.8", "sdwire==0.3.1"];

/// A folder of programs with the pinned libraries, made once in the target folder.
fn venv() -> PathBuf {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PINNED.join(",").replace("==", "-"));
    let run = |argv: &[&str]| {
        let output = command(argv).output().unwrap_or_else(|error| panic!("{argv:?}: {error}"));
        assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    if !venv.join("complete").exists() {
        run(&["python3", "-m", "venv", "--clear", venv.to_str().unwrap()]);
        let python = venv.join("bin/python");
        let pip =
            [python.to_str().unwrap(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        // sdwire names a Python that Debian has not yet, and runs with this one.
        run(&[&pip[..], &["--ignore-requires-python"], &PINNED].concat());
        std::fs::write(venv.join("complete"), "").unwrap();
    }
    venv.join("bin")
}

/// A program of the pinned libraries.
pub(crate) fn program(name: &str) -> String {
    venv().join(name).display().to_string()
}

/// Inside: tells a model something; what its pins, relays or sockets were since it was asked last.
pub(crate) fn model(words: &str) -> String {
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let mut stream = TcpStream::connect((HOST, port)).unwrap();
    stream.write_all(format!("{words}\n").as_bytes()).unwrap();
    let mut said = String::new();
    BufReader::new(stream).read_line(&mut said).unwrap();
    said.trim_end().to_owned()
}

/// Inside: another project's program; its exit code, and both of its streams.
pub(crate) fn oracle(argv: &[&str]) -> (Option<i32>, String) {
    let output = command(argv).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
