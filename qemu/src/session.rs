//! One QEMU process, from its start to its end.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shakedown_core::{ConsoleLog, Deadline, Fault, InfraKind, ProcessState, Rig};
use shakedown_host::process::describe;
use shakedown_host::{Child, Tool};
use tokio::sync::watch;

use crate::args::{Plan, files};
use crate::line::ConsoleLine;
use crate::network::Forwards;
use crate::qmp::{EventCursor, Qmp, QmpEvent};

/// How a QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// We cut the power.
    Cut,
    /// The guest switched its machine off.
    GuestOff,
    /// By itself or by somebody else's hand: how.
    Died(String),
}

impl End {
    pub(crate) fn state(&self) -> ProcessState {
        match self {
            Self::Cut | Self::GuestOff => ProcessState::Off,
            Self::Died(how) => ProcessState::Died(how.clone()),
        }
    }
}

/// A QEMU whose console and QMP are connected.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) child: Child,
    pub(crate) qmp: Qmp,
    pub(crate) console: ConsoleLine,
    pub(crate) forwards: Forwards,
    /// Set before we kill it, so that its end is known as ours.
    cut: AtomicBool,
    end: watch::Sender<Option<End>>,
}

/// A QEMU that refuses its command line says why within this.
const LAST_WORDS: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(5);
/// For what is in the sockets of a process that has ended.
const DRAIN: Duration = Duration::from_secs(10);

impl Session {
    /// Starts QEMU, paused before its first instruction, and connects to it.
    pub(crate) async fn start(plan: &Plan, folder: &Path, log: &Arc<ConsoleLog>, by: &Deadline) -> Rig<Self> {
        let machine = plan.doc.machine();
        for name in [files::QMP, files::CONSOLE, files::INCOMING] {
            match std::fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(fault("remove an old socket of", plan).because(&error));
                }
                _ => {}
            }
        }
        let tool = Tool::new(machine.program).args(plan.args().words()).dir(folder).package(machine.package);
        let child = tool.start()?;
        let starting = by.child("QEMU's sockets", by.left()).at_rig_pace();
        let short = ShortPath::new(folder, plan)?;
        let console = connect(&child, &short.to(files::CONSOLE), plan, &starting).await?;
        let stream = connect(&child, &short.to(files::QMP), plan, &starting).await?;
        let console = ConsoleLine::open(console, &plan.name, log.clone())?;
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixStream::from_std(stream))
            .map_err(|error| fault("open QMP of", plan).because(&error))?;
        let qmp = match Qmp::over(stream, by).await {
            Ok(qmp) => qmp,
            Err(error) => return Err(ended_or(&child, error.fault("connect to", &plan.name), by).await),
        };
        let session = Self {
            child,
            qmp,
            console,
            forwards: Forwards::default(),
            cut: AtomicBool::new(false),
            end: watch::channel(None).0,
        };
        Ok(session)
    }

    /// Lets the guest run, and asks QEMU whether it does.
    pub(crate) async fn resume(&self, name: &str, by: &Deadline) -> Rig<()> {
        let work = async {
            self.qmp.execute(qapi::qmp::cont {}, by).await?;
            self.qmp.execute(qapi::qmp::query_status {}, by).await
        };
        let status = match work.await {
            Ok(status) => status,
            Err(error) => return Err(ended_or(&self.child, error.fault("run", name), by).await),
        };
        if status.running {
            return Ok(());
        }
        Err(Fault::new(InfraKind::Power, "qemu", "run", name)
            .expected("a running guest", format!("QEMU says {:?}", status.status)))
    }

    /// Kills the process as a power cut does, and looks that nobody of its group is left.
    pub(crate) async fn cut(&self, by: &Deadline) -> Rig<()> {
        self.cut.store(true, Ordering::SeqCst);
        self.child.kill_group(by).await?;
        self.ended(by).await
    }

    /// Waits until the end is known and all of the console is in the log.
    pub(crate) async fn ended(&self, by: &Deadline) -> Rig<()> {
        let mut end = self.end.subscribe();
        let wait = async { drop(end.wait_for(Option::is_some).await) };
        by.run(|| "the process has ended, its console has not".into(), wait)
            .await
            .map_err(|stop| Fault::new(InfraKind::Power, "qemu", "see the end of", "QEMU").stopped(stop))
    }

    /// How it ended; asks the kernel while the watcher has not told.
    pub(crate) fn how_ended(&self) -> Rig<Option<End>> {
        let told = self.end.borrow().clone();
        match told {
            Some(end) => Ok(Some(end)),
            None => Ok(self.child.try_status()?.map(|status| self.judge(status))),
        }
    }

    fn judge(&self, status: ExitStatus) -> End {
        if self.cut.load(Ordering::SeqCst) {
            return End::Cut;
        }
        if !status.success() {
            let said = self.child.epitaph().unwrap_or_else(|| describe(status));
            let killed = status.code().is_none();
            return End::Died(if killed {
                format!("QEMU was killed by {said}")
            } else {
                format!("QEMU exited: {said}")
            });
        }
        let events = self.qmp.events(EventCursor::default());
        let shutdown = events.iter().rfind(|event| event.name == "SHUTDOWN").and_then(QmpEvent::known);
        match shutdown {
            Some(qapi::qmp::Event::SHUTDOWN { data, .. }) if data.guest => End::GuestOff,
            Some(qapi::qmp::Event::SHUTDOWN { data, .. }) => {
                End::Died(format!("QEMU was asked to end from outside ({})", qapi::Enum::name(&data.reason)))
            }
            _ => End::Died("QEMU exited without a reason, with exit code 0".into()),
        }
    }

    /// To be called once the process has ended: gathers what it left in its sockets, tells the
    /// readers of the console why it ended, and then everybody that it did.
    pub(crate) async fn settle(&self, status: Rig<ExitStatus>, log: &ConsoleLog, by: &Deadline) {
        // Sockets of a dead process end by themselves; a limit all the same.
        let drain = by.child("the end of QEMU's sockets", DRAIN).at_rig_pace();
        let _ = self.console.drained(&drain).await;
        let _ = self.qmp.ended(&drain).await;
        let end = match status {
            Ok(status) => self.judge(status),
            Err(fault) => End::Died(fault.to_string()),
        };
        match &end {
            // A board without power has a silent console, not a closed one.
            End::Cut => {}
            End::GuestOff => log.close("guest powered off"),
            End::Died(how) => log.close(how),
        }
        self.end.send_replace(Some(end));
    }
}

fn fault(op: &str, plan: &Plan) -> Fault {
    Fault::new(InfraKind::Power, "qemu", op, &plan.name)
}

/// What QEMU said when it ended explains more than a connection that ended. Its sockets end
/// a little before the process does, and its last words come a little after.
async fn ended_or(child: &Child, fault: Fault, by: &Deadline) -> Fault {
    let last_words = by.child("QEMU's last words", LAST_WORDS).at_rig_pace();
    if child.wait(&last_words).await.is_ok() {
        while child.tail().is_empty() && last_words.pause(POLL, String::new).await.is_ok() {}
    }
    match child.epitaph() {
        Some(epitaph) => Fault { expected: "QEMU to run".into(), got: epitaph, ..fault },
        None => fault,
    }
}

async fn connect(child: &Child, path: &Path, plan: &Plan, by: &Deadline) -> Rig<UnixStream> {
    loop {
        let error = match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if child.try_status()?.is_some() {
            return Err(ended_or(child, fault("start", plan), by).await);
        }
        by.pause(POLL, || error.to_string()).await.map_err(|stop| fault("connect to", plan).stopped(stop))?;
    }
}

/// A folder by its descriptor: the address of a unix socket has room for 107 bytes only.
struct ShortPath(std::fs::File);

impl ShortPath {
    fn new(folder: &Path, plan: &Plan) -> Rig<Self> {
        std::fs::File::open(folder)
            .map(Self)
            .map_err(|error| fault("open the folder of", plan).because(&error))
    }

    fn to(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}
