//! The warden: a second process that cleans up when this one dies in any way.
//!
//! It is this program again, started with a hidden first argument, in a session of its
//! own. It holds the reading end of a pipe. As long as the harness lives, it is told what to
//! kill and what to run; at the end of the pipe (a return, a panic, SIGKILL) it kills the
//! groups, looks that nobody is left, runs the safe-state commands and releases the locks.
//!
//! Programs call [`serve_if_asked`] first in `main`. A test binary of cargo cannot: there
//! the variable `SHAKEDOWN_WARDEN` may name a program that does; without it, there is no
//! warden, and [`Warden::state`] says so.

mod message;
mod serve;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use shakedown_core::{Fault, InfraKind, Rig};

use crate::group::{self, ProcStat};
use message::Message;

/// The hidden first argument.
pub const ARGUMENT: &str = "__shakedown-warden";
/// Names a program that serves as warden, for test binaries that cannot.
pub const PROGRAM: &str = "SHAKEDOWN_WARDEN";
/// Every program that the harness starts carries this variable, so that even one that left
/// its group, or was started in the instant before the harness died, is found.
pub const MARK: &str = "SHAKEDOWN_WARD";

static CAN_SERVE: AtomicBool = AtomicBool::new(false);
static IS_WARDEN: AtomicBool = AtomicBool::new(false);
static WARDEN: OnceLock<Warden> = OnceLock::new();

/// Must be the first thing in `main`. In a process that was started as a warden it never returns.
pub fn serve_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == ARGUMENT) {
        IS_WARDEN.store(true, Ordering::SeqCst);
        let mark = args.next().unwrap_or_default().to_string_lossy().into_owned();
        std::process::exit(serve::serve(&mark));
    }
    CAN_SERVE.store(true, Ordering::SeqCst);
}

/// Kills what a dead harness and its dead warden started, known by the mark of the harness (its
/// process id and start time). Returns what did not work.
pub(crate) async fn clean_up_after(mark: &str) -> Vec<String> {
    serve::clean_up(&serve::Wards::default(), mark).await
}

/// Whether somebody watches over this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A warden runs.
    Watching {
        /// Its process id.
        pid: u32,
    },
    /// There never was one: why.
    Absent(String),
    /// There was one and it ended: how. Nothing is started any more.
    Died(String),
}

/// The harness's side of the pipe.
#[derive(Debug)]
pub struct Warden {
    mark: String,
    me: Option<ProcStat>,
    line: Mutex<Line>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Line {
    state: State,
    pipe: Option<PipeWriter>,
    groups: BTreeMap<u64, u32>,
}

/// The warden of this process; started at the first call. Fails when it cannot be started
/// or has died: then nothing more may be started, for nobody would clean up.
pub fn start() -> Rig<&'static Warden> {
    let warden = WARDEN.get_or_init(Warden::launch);
    match warden.state() {
        State::Died(how) => Err(fault("start a program under")
            .expected("a living warden", how)
            .hint("start the command again; if it happens again, look who kills processes on this host")),
        State::Watching { .. } | State::Absent(_) => Ok(warden),
    }
}

fn fault(op: &str) -> Fault {
    Fault::new(InfraKind::Host, "warden", op, "this process")
}

impl Warden {
    fn launch() -> Self {
        let me = group::me();
        let mark = format!("{}-{}", me.pid, me.start);
        let made = Self {
            mark,
            me: None,
            line: Mutex::new(Line {
                state: State::Absent(String::new()),
                pipe: None,
                groups: BTreeMap::new(),
            }),
            next: AtomicU64::new(0),
        };
        let program = if IS_WARDEN.load(Ordering::SeqCst) {
            Err("this is the warden".to_owned())
        } else if let Some(path) = std::env::var_os(PROGRAM) {
            Ok(PathBuf::from(path))
        } else if CAN_SERVE.load(Ordering::SeqCst) {
            Ok(PathBuf::from("/proc/self/exe"))
        } else {
            Err(format!("this program cannot serve as warden, and {PROGRAM} names none"))
        };
        let program = match program {
            Ok(program) => program,
            Err(reason) => return made.with_state(State::Absent(reason)),
        };
        match made.spawn(&program) {
            Ok(pid) => Self { me: ProcStat::of(pid), ..made.with_state(State::Watching { pid }) },
            Err(error) => {
                let how = format!("it could not be started as {}: {error}", program.display());
                made.with_state(State::Died(how))
            }
        }
    }

    fn with_state(self, state: State) -> Self {
        self.lock().state = state;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, program: &Path) -> io::Result<u32> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command.arg0("shakedown-warden").arg(ARGUMENT).arg(&self.mark);
        // Else the warden of an outer harness would kill ours before it has cleaned up.
        command.env_remove(MARK).env_remove(PROGRAM);
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pid = child.id();
        let Some(stdout) = child.stdout.take() else {
            return Err(io::Error::other("no pipe from the warden"));
        };
        let mut stdout = BufReader::new(stdout);
        let mut ready = String::new();
        stdout.read_line(&mut ready)?;
        if ready.trim_end() != serve::READY {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("it said {ready:?} instead of {:?}", serve::READY)));
        }
        self.lock().pipe = Some(writer);
        let watch = move || {
            // Ends with the warden; it says nothing more until then.
            let mut rest = String::new();
            let _ = stdout.read_line(&mut rest);
            let how = child.wait().map_or_else(|error| error.to_string(), crate::process::describe);
            if let Some(warden) = WARDEN.get() {
                let mut line = warden.lock();
                line.state = State::Died(format!("the warden (process {pid}) ended with {how}"));
                line.pipe = None;
            }
        };
        std::thread::Builder::new().name("warden watch".into()).spawn(watch)?;
        Ok(pid)
    }

    /// Whether somebody watches over this process now.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// The warden's process, when there is one.
    pub fn process(&self) -> Option<ProcStat> {
        self.me
    }

    /// The value of [`MARK`] for what we start; `None` in the warden itself.
    pub fn mark(&self) -> Option<&str> {
        (!IS_WARDEN.load(Ordering::SeqCst)).then_some(self.mark.as_str())
    }

    /// The process groups that are registered now.
    pub fn groups(&self) -> Vec<u32> {
        self.lock().groups.values().copied().collect()
    }

    fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn tell(&self, message: &Message) -> Rig<()> {
        let mut line = self.lock();
        if let Some(pipe) = &mut line.pipe {
            let told = serde_json::to_vec(message).map_err(io::Error::from).and_then(|mut bytes| {
                bytes.push(b'\n');
                pipe.write_all(&bytes)
            });
            if let Err(error) = told {
                let fault = fault("tell").because(&error);
                line.pipe = None;
                line.state = State::Died(format!("the warden does not listen: {error}"));
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Registers a process group until the registration is dropped.
    pub fn register(&'static self, group: u32) -> Registration {
        let id = self.id();
        self.lock().groups.insert(id, group);
        // Should the warden be gone, the next start says so; this group still has its owner.
        let _ = self.tell(&Message::Group { id, group });
        Registration { id, warden: self }
    }

    /// A command that the warden runs when this process dies before the registration is
    /// dropped: it puts an output into its safe state. It has `within` for it.
    pub fn safe_state(&'static self, name: &str, argv: &[String], within: Duration) -> Rig<Registration> {
        let id = self.id();
        self.tell(&Message::Safe { id, name: name.to_owned(), argv: argv.to_vec(), within })?;
        Ok(Registration { id, warden: self })
    }

    /// A lock file whose holder document the warden empties after all else is done.
    pub(crate) fn holder(&'static self, file: &Path) -> Rig<Registration> {
        let id = self.id();
        self.tell(&Message::Holder { id, file: file.to_owned() })?;
        Ok(Registration { id, warden: self })
    }
}

/// Something that the warden has to see to. Dropped, it is forgotten.
#[derive(Debug)]
#[must_use = "dropped, the warden forgets it"]
pub struct Registration {
    id: u64,
    warden: &'static Warden,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.warden.lock().groups.remove(&self.id);
        let _ = self.warden.tell(&Message::Done { id: self.id });
    }
}
