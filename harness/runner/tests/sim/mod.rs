//! A DUT in this process: a console, a supply, a medium in a file and shells, each of which can fail.
//!
//! It says at once what it has to say, and its clock goes [`FAST`] times as fast as the wall's.
#![allow(dead_code, unused_imports, reason = "each test uses its own part")]

mod docs;
mod loader;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use shakedown_core::event::RunHead;
use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Attached, Case, Clock, Cmd, Console, ConsoleLog, ConsoleTx, Cursor, Deadline, Exit, ExitCode, Fut,
    Guarded, Ledger, Level, Limits, Line, Loader, LoginTry, Medium, Mono, NetPath, Network, NoFence,
    ProcessState, Prompt, Ran, Rig, RigTool, Shell, ShellError, Shells, Side, Sink, Slot, SshTarget, Storage,
    Tftp, Unreachable, UsbDevice, VitalSigns, Vitals,
};
use shakedown_media::FileMedium;
use shakedown_runner::{Examine, Identity, JournalSink, Request, RunFolder, Writing};
use tokio_util::sync::CancellationToken;

pub(crate) use docs::{
    ROOT, case, flasher, netboot, profile, recovery, sharing, spec, usb_boot, usb_mass_storage, vendor_tool,
};
pub(crate) use loader::{COUNTDOWN, Files};

/// How much faster than the wall's the DUT's clock goes.
const FAST: u32 = 20;

#[derive(Debug)]
struct Fast(Instant);

impl Clock for Fast {
    fn now(&self) -> Mono {
        Mono((self.0.elapsed() * FAST).as_nanos() as u64)
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep_until(&self, at: Mono) -> Fut<'static, ()> {
        let left = at.since(self.now()) / FAST;
        #[expect(clippy::disallowed_methods, reason = "the clock of the simulated DUT")]
        Box::pin(tokio::time::sleep(left))
    }
}

/// What the DUT is and does; tests change it before and during a run.
pub(crate) struct World {
    /// What the console says in boot number n, from 0.
    pub(crate) says: fn(u32) -> &'static str,
    /// What comes of a line of shell: exit code and output.
    pub(crate) answers: fn(&mut World, &str) -> Result<String, Unreachable>,
    /// Whether SSH lets us in.
    pub(crate) ssh: bool,
    /// The fingerprint that its SSH server shows.
    pub(crate) host_key: &'static str,
    /// The names that the network was told.
    pub(crate) names: Vec<String>,
    /// What the network says.
    pub(crate) path: NetPath,
    /// Whether a login answers on the console.
    pub(crate) getty: bool,
    /// Whether the supply can be read back, and whether switching it off works.
    pub(crate) reads_back: bool,
    pub(crate) goes_off: bool,
    pub(crate) on: bool,
    /// Whether everything is as it should be; a start heals it.
    pub(crate) well: bool,
    pub(crate) boots: u32,
    pub(crate) outputs: BTreeMap<String, bool>,
    /// Where its medium is, and was at each start.
    pub(crate) side: Side,
    pub(crate) started_with: Vec<Side>,
    /// Its medium as a disk of the rig host, or what the host's guard says of it; `None`: it is there
    /// without coming or going.
    pub(crate) shown: Option<Rig<Option<Attached>>>,
    /// Devices on the rig host's USB.
    pub(crate) usb: Vec<UsbDevice>,
    /// What a test's own answers need to know.
    pub(crate) facts: BTreeMap<String, String>,
    /// What is done when the power comes.
    pub(crate) powered: fn(&mut World),
    /// What is done when another output goes on.
    pub(crate) switched: fn(&mut World),
    /// What is done when its boot loader is left, and how often it was.
    pub(crate) left: fn(&World),
    pub(crate) led: u32,
    pub(crate) log: Arc<ConsoleLog>,
}

impl World {
    fn start(&mut self) {
        let said = (self.says)(self.boots);
        self.started_with.push(self.side);
        (self.boots, self.well) = (self.boots + 1, true);
        self.log.append(said.as_bytes());
    }

    /// Says this on the console when so much time of the DUT's has passed.
    pub(crate) fn later(&self, span: Duration, says: &'static str) {
        let log = self.log.clone();
        let until = log.clock().now() + span;
        tokio::spawn(async move {
            log.clock().sleep_until(until).await;
            log.append(says.as_bytes());
        });
    }
}

/// Answers like a small Unix: everything is fine, and a reboot is a reboot.
pub(crate) fn usual(world: &mut World, line: &str) -> Result<String, Unreachable> {
    if line.contains("boot_id") {
        return Ok(format!("boot-{}", world.boots));
    }
    if line.contains("reboot") {
        world.start();
        return Ok("rebooting".into());
    }
    if world.well { Ok(format!("ran: {line}")) } else { Err(Unreachable::Closed("EOF".into())) }
}

/// A boot that comes up.
pub(crate) const GOOD: &str = "Linux version 6.0.0\nsim: up\n";

type Shared = Arc<Mutex<World>>;

/// A place for a run on it.
pub(crate) struct Sim {
    pub(crate) world: Shared,
    pub(crate) cancel: CancellationToken,
    pub(crate) board: shakedown_core::Board,
    pub(crate) profile: shakedown_core::OsProfile,
    pub(crate) spec: shakedown_core::BootSpec,
    pub(crate) procedure: shakedown_core::Procedure,
    pub(crate) cases: Vec<Arc<dyn Case>>,
    pub(crate) repeat: u32,
    pub(crate) keep: bool,
    pub(crate) writing: Writing,
    pub(crate) power: bool,
    pub(crate) network: bool,
    /// Look at the wiring first.
    pub(crate) examine: Examine,
    pub(crate) safe: Level,
    /// The limit of its outputs.
    pub(crate) cycles_a_minute: u32,
    pub(crate) tools: BTreeMap<String, Arc<dyn RigTool>>,
    /// Who serves boot files.
    pub(crate) tftp: Option<Arc<dyn Tftp>>,
    /// Bytes of the control image, if there is one.
    pub(crate) control: Option<u64>,
    clock: Arc<dyn Clock>,
    dir: tempfile::TempDir,
}

impl Sim {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Fast(Instant::now()));
        let world = World {
            says: |_| GOOD,
            answers: usual,
            ssh: true,
            host_key: "SHA256:sim",
            names: Vec::new(),
            path: NetPath::Speaks,
            getty: true,
            reads_back: true,
            goes_off: true,
            on: false,
            well: true,
            boots: 0,
            outputs: BTreeMap::new(),
            side: Side::Host,
            started_with: Vec::new(),
            shown: None,
            usb: Vec::new(),
            facts: BTreeMap::new(),
            powered: |_| (),
            switched: |_| (),
            left: |_| (),
            led: 0,
            log: Arc::new(ConsoleLog::new(clock.clone())),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            cancel: CancellationToken::new(),
            board: docs::board(),
            profile: profile(),
            spec: spec(),
            procedure: docs::procedure(),
            cases: Vec::new(),
            repeat: 1,
            keep: false,
            writing: Writing::Whole,
            power: true,
            network: true,
            examine: Examine::default(),
            safe: Level::Off,
            cycles_a_minute: 99,
            tools: BTreeMap::new(),
            tftp: None,
            control: None,
            clock,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The keys of the OS's configuration document.
    pub(crate) fn config_keys(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.profile.config.as_mut().unwrap().keys
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self, name: &str, size: u64) -> Arc<shakedown_media::Identity> {
        let path = self.path(name);
        std::fs::write(&path, docs::image(size)).unwrap();
        shakedown_media::identify(&path, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    fn slot(&self, sink: &Arc<JournalSink>) -> Slot {
        let guarded = |name: &str, safe| {
            let line = Arc::new(Output(self.world.clone(), name.to_owned()));
            let limits =
                Limits { min_off: Duration::ZERO, max_cycles_per_minute: self.cycles_a_minute, safe };
            Guarded::new(name, line, limits, Arc::new(NoFence), sink.clone() as Arc<dyn Sink>)
        };
        let tx: Arc<dyn ConsoleTx> = Arc::new(Wire(self.world.clone()));
        let console = Console { log: self.world().log.clone(), tx: Some(tx) };
        let disk: Arc<dyn Storage> = Arc::new(Disk(self.path("disk"), self.world.clone()));
        Slot {
            id: "sim/one".into(),
            board: Arc::new(self.board.clone()),
            power: self.power.then(|| guarded("power", self.safe)),
            outputs: BTreeMap::from([("recovery".to_owned(), guarded("recovery", Level::Off))]),
            consoles: BTreeMap::from([("main".to_owned(), console)]),
            media: BTreeMap::from([("main".to_owned(), disk)]),
            probes: BTreeMap::new(),
            tools: self.tools.clone(),
            network: self.network.then(|| Arc::new(Wire(self.world.clone())) as Arc<dyn Network>),
            services: None,
            tftp: self.tftp.clone(),
            capture: None,
            vitals: Arc::new(Healthy),
            pace: Arc::default(),
            offers: BTreeSet::new(),
            facts: BTreeMap::new(),
        }
    }

    /// Runs it; what the run's `latest` folder holds is in [`Sim::path`]`("run")`.
    pub(crate) async fn run(&self) -> (ExitCode, Ledger) {
        let folder = self.path("run");
        std::fs::create_dir_all(&folder).unwrap();
        let journal = std::fs::File::create(folder.join("journal.jsonl")).unwrap();
        let sink = JournalSink::new("sim", Box::new(journal), Vec::new(), self.clock.clone());
        FileMedium::create(&self.path("disk"), docs::DISK).unwrap();
        let image = self.image("image", docs::DISK);
        let head = RunHead {
            board: "sim-board".into(),
            slot: "sim/one".into(),
            profile: "sim".into(),
            image: image.image().clone(),
            selection: "sim".into(),
            command: "by hand".into(),
            harness: "test".into(),
            hashes: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        let request = Request {
            slot: self.slot(&sink),
            profile: Arc::new(self.profile.clone()),
            head,
            spec: self.spec.clone(),
            image,
            procedure: self.procedure.clone(),
            cases: self.cases.clone(),
            repeat: self.repeat,
            cold_boots: 1,
            examine: self.examine,
            keep: self.keep,
            writing: self.writing,
            control: self.control.map(|size| self.image("control", size)),
            identity: Identity {
                hostname: "sim".into(),
                uuid: "0".repeat(32),
                private_key: "key".into(),
                public_key: "ssh-ed25519 AAAA".into(),
            },
            shells: Arc::new(Wire(self.world.clone())),
            sink: sink.clone(),
            folder: RunFolder::new(folder, sink.clone()),
            recordings: Vec::new(),
            cancel: self.cancel.clone(),
            verdict: |ledger| format!("{:?}", ledger.end.as_ref().map(|end| end.0)),
        };
        let exit = shakedown_runner::run(request).await.exit;
        (exit, sink.ledger())
    }
}

struct Output(Shared, String);

impl Line for Output {
    fn driver(&self) -> &'static str {
        "sim"
    }

    fn endpoint(&self) -> String {
        self.1.clone()
    }

    fn set<'a>(&'a self, on: bool, _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        let mut world = self.0.lock().unwrap();
        if self.1 == "power" {
            let starts = on && !world.on;
            world.on = on || !world.goes_off && world.on;
            if starts {
                let powered = world.powered;
                powered(&mut world);
                world.start();
            }
        } else if on {
            let switched = world.switched;
            switched(&mut world);
        }
        world.outputs.insert(self.1.clone(), on);
        Box::pin(async { Ok(()) })
    }

    fn read<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        let world = self.0.lock().unwrap();
        let level = match self.1.as_str() {
            "power" if !world.reads_back => Level::Unknown,
            "power" => Level::from(world.on),
            other => Level::from(world.outputs.get(other).copied().unwrap_or(false)),
        };
        Box::pin(async move { Ok(level) })
    }

    fn when_dropped(&self) -> Level {
        Level::Unknown
    }
}

/// The way to the DUT: its console, its network, its shells.
struct Wire(Shared);

impl ConsoleTx for Wire {
    fn send<'a>(&'a self, _bytes: &'a [u8], _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        let world = self.0.lock().unwrap();
        if world.on && world.getty {
            world.log.append(b"\r\nsim login: ");
        }
        Box::pin(async { Ok(()) })
    }

    fn sysrq<'a>(&'a self, _key: u8, _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl Network for Wire {
    fn tcp<'a>(&'a self, port: u16, _by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        Box::pin(async move { Ok(SocketAddr::from(([127, 0, 0, 1], port))) })
    }

    fn path<'a>(&'a self, _port: u16, _by: &'a Deadline) -> Fut<'a, NetPath> {
        let path = self.0.lock().unwrap().path.clone();
        Box::pin(async move { path })
    }

    fn look<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async { Ok("simulated".to_owned()) })
    }

    fn named(&self, hostname: &str) {
        self.0.lock().unwrap().names.push(hostname.to_owned());
    }
}

impl Shells for Wire {
    fn ssh<'a>(
        &'a self,
        target: &'a SshTarget,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(Arc<dyn Shell>, String), ShellError>> {
        Box::pin(async {
            let world = self.0.lock().unwrap();
            if !world.ssh || !world.on {
                return Err(ShellError::Dut(Unreachable::Refused("port 22".into())));
            }
            let got = world.host_key.to_owned();
            match target.host_key.clone().filter(|expected| *expected != got) {
                Some(expected) => Err(ShellError::Dut(Unreachable::WrongHostKey { expected, got })),
                None => Ok((Arc::new(Self(self.0.clone())) as Arc<dyn Shell>, got)),
            }
        })
    }

    fn try_login<'a>(
        &'a self,
        _addr: SocketAddr,
        _user: &'a str,
        _how: LoginTry,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async { Ok(false) })
    }

    fn interrupt<'a>(
        &'a self,
        console: &'a Console,
        loader: &'a Loader,
        since: Cursor,
        by: &'a Deadline,
    ) -> Fut<'a, Rig<Box<dyn Prompt>>> {
        Box::pin(loader::interrupt(&self.0, console, loader, since, by))
    }

    fn login<'a>(
        &'a self,
        _console: &'a Console,
        _login: &'a LoginProfile,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Arc<dyn Shell>, ShellError>> {
        Box::pin(async { Ok(Arc::new(Self(self.0.clone())) as Arc<dyn Shell>) })
    }
}

impl Shell for Wire {
    fn kind(&self) -> &'static str {
        "sim"
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, _by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        let mut world = self.0.lock().unwrap();
        let answers = world.answers;
        let said = answers(&mut world, &cmd.line).map_err(ShellError::Dut);
        let ran = said.map(|out| Ran {
            exit: Exit::Code(0),
            out: out.into_bytes(),
            err: Vec::new(),
            took: Duration::ZERO,
            truncated: false,
        });
        Box::pin(async move { ran })
    }

    fn put<'a>(
        &'a self,
        _to: &'a str,
        _data: &'a [u8],
        _mode: u32,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(
        &'a self,
        _from: &'a str,
        _most: u64,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Vec<u8>, ShellError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

struct Disk(PathBuf, Shared);

impl Storage for Disk {
    fn driver(&self) -> &'static str {
        "sim"
    }

    fn endpoint(&self) -> String {
        self.0.display().to_string()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        let side = self.1.lock().unwrap().side;
        Box::pin(async move { Ok(side) })
    }

    fn switch<'a>(&'a self, to: Side, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        self.1.lock().unwrap().side = to;
        Box::pin(async move { Ok(to) })
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async { FileMedium::open(&self.0).map(|medium| Box::new(medium) as Box<dyn Medium>) })
    }

    fn attached<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Option<Attached>>> {
        let shown = self.1.lock().unwrap().shown.clone();
        Box::pin(async move { shown.expect("a medium that comes and goes") })
    }
}

struct Healthy;

impl Vitals for Healthy {
    fn look(&self) -> VitalSigns {
        VitalSigns { process: ProcessState::None, starved: 1.0, host: None }
    }
}
