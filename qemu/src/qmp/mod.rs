//! QEMU's machine protocol, over a unix socket.
//!
//! The types of commands, answers and events are qapi's, generated from QEMU's
//! schema; the connection is ours. Each call has an id, so a call that was
//! dropped or came too late costs nothing but its own answer. Events outside the
//! schema are kept as they came.

mod wire;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qapi::Command;
use shakedown_core::{Deadline, Fault, InfraKind, Stop};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

pub use wire::QmpEvent;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QmpError {
    /// QEMU said no.
    #[error("QEMU refused {command}: {desc}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's class of the error: `GenericError`, `DeviceNotFound`.
        class: String,
        /// QEMU's own words.
        desc: String,
    },
    /// The connection ended before the answer.
    #[error("the connection to QEMU ended before {command} was answered: {why}")]
    Closed {
        /// The command.
        command: &'static str,
        /// `end of file`, or the error of the socket.
        why: String,
    },
    /// The answer did not come in time; it is thrown away when it comes.
    #[error("{0}")]
    Stopped(Stop),
    /// The answer is not of the command's type.
    #[error("QEMU's answer to {command} is not what its schema says: {why}: {got}")]
    Strange {
        /// The command.
        command: &'static str,
        /// serde's words.
        why: String,
        /// The start of the answer.
        got: String,
    },
}

impl QmpError {
    /// As a fault of the rig.
    pub fn fault(self, op: &str, endpoint: &str) -> Fault {
        let fault = Fault::new(InfraKind::Tool, "qemu", op, endpoint);
        match self {
            Self::Stopped(stop) => fault.stopped(stop),
            other => fault.expected("an answer on QMP", other.to_string()),
        }
    }
}

type Answer = Result<Box<serde_json::value::RawValue>, wire::Refusal>;

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    events: Vec<QmpEvent>,
    /// Why the connection is over.
    closed: Option<String>,
    /// The last line that made no sense, and how many there were.
    garbage: Option<(String, u64)>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts events and the end of the connection; readers wait for it to move.
    moved: watch::Sender<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_seen(&self) -> String {
        let state = self.lock();
        if let Some((line, count)) = &state.garbage {
            return format!("{count} line(s) that are not QMP, the last: {line}");
        }
        state.events.last().map(|event| format!("event {}", event.name)).unwrap_or_default()
    }

    fn close(&self, why: String) {
        let mut state = self.lock();
        state.closed.get_or_insert(why);
        state.pending.clear();
        drop(state);
        self.moved.send_modify(|count| *count += 1);
    }
}

/// Events kept for late readers; the oldest go first.
const KEPT_EVENTS: usize = 4096;

/// A place in the stream of events: those with this number or a higher one are to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCursor(u64);

/// A connection to one QEMU. Ends when it is dropped or QEMU ends.
pub struct Qmp {
    shared: Arc<Shared>,
    /// Whole lines for the writing task: a dropped call can never leave half a line behind.
    out: mpsc::UnboundedSender<Vec<u8>>,
    next: AtomicU64,
    tasks: Vec<tokio::task::AbortHandle>,
    version: (u32, u32, u32),
    package: String,
}

impl fmt::Debug for Qmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Qmp(QEMU {}.{}.{})", self.version.0, self.version.1, self.version.2)
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Qmp {
    /// Connects to QEMU's socket and leaves its greeting state.
    pub async fn connect(path: &Path, by: &Deadline) -> Result<Self, QmpError> {
        let closed = |why: String| QmpError::Closed { command: "connect", why };
        let stream = by
            .run(|| "the socket did not accept".into(), UnixStream::connect(path))
            .await
            .map_err(QmpError::Stopped)?
            .map_err(|error| closed(format!("{}: {error}", path.display())))?;
        Self::over(stream, by).await
    }

    /// The same over a socket that is connected already.
    pub async fn over(stream: UnixStream, by: &Deadline) -> Result<Self, QmpError> {
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { state: Mutex::default(), moved: watch::channel(0).0 });
        let (out, lines) = mpsc::unbounded_channel();
        let (greeted, greeting) = oneshot::channel();
        let reader = tokio::spawn(wire::read(read, shared.clone(), greeted));
        let writer = tokio::spawn(wire::write(write, lines, shared.clone()));
        let mut qmp = Self {
            shared,
            out,
            next: AtomicU64::new(1),
            tasks: vec![reader.abort_handle(), writer.abort_handle()],
            version: (0, 0, 0),
            package: String::new(),
        };
        let greeting = by
            .run(|| qmp.shared.last_seen(), greeting)
            .await
            .map_err(QmpError::Stopped)?
            .map_err(|_| qmp.closed("greeting"))?;
        qmp.version = greeting.version();
        qmp.package = greeting.package();
        qmp.execute(qapi::qmp::qmp_capabilities { enable: None }, by).await?;
        Ok(qmp)
    }

    /// QEMU's version, from its greeting.
    pub fn version(&self) -> (u32, u32, u32) {
        self.version
    }

    /// The distribution's name of the build: `Debian 1:7.2+dfsg-7`.
    pub fn package(&self) -> &str {
        &self.package
    }

    fn closed(&self, command: &'static str) -> QmpError {
        let why = self.shared.lock().closed.clone().unwrap_or_else(|| "the connection was dropped".into());
        QmpError::Closed { command, why }
    }

    /// Runs a command. A call that is dropped half-way leaves the connection as it was.
    pub async fn execute<C: Command>(&self, command: C, by: &Deadline) -> Result<C::Ok, QmpError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let strange = |error: serde_json::Error, got: &str| QmpError::Strange {
            command: C::NAME,
            why: error.to_string(),
            got: got.chars().take(200).collect(),
        };
        let mut line = serde_json::to_vec(&qapi::Execute::with_id(command, id))
            .map_err(|error| strange(error, "our own command"))?;
        line.push(b'\n');
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.closed.is_some() {
                drop(state);
                return Err(self.closed(C::NAME));
            }
            state.pending.insert(id, answer);
        }
        let _forget = Forget { shared: &self.shared, id };
        if self.out.send(line).is_err() {
            return Err(self.closed(C::NAME));
        }
        let named = by.child(format!("QMP {}", C::NAME), by.left()).at_rig_pace();
        match named.run(|| self.shared.last_seen(), answered).await {
            Err(stop) => Err(QmpError::Stopped(stop)),
            Ok(Err(_)) => Err(self.closed(C::NAME)),
            Ok(Ok(Err(refusal))) => {
                Err(QmpError::Refused { command: C::NAME, class: refusal.class, desc: refusal.desc })
            }
            Ok(Ok(Ok(value))) => {
                serde_json::from_str(value.get()).map_err(|error| strange(error, value.get()))
            }
        }
    }

    /// Waits until QEMU has closed the connection: all of its events are here then.
    pub async fn ended(&self, by: &Deadline) -> Result<String, QmpError> {
        let mut moved = self.shared.moved.subscribe();
        let work = async {
            loop {
                moved.borrow_and_update();
                if let Some(why) = self.shared.lock().closed.clone() {
                    return why;
                }
                // The sender lives in `self`, so this cannot fail.
                let _ = moved.changed().await;
            }
        };
        by.run(|| self.shared.last_seen(), work).await.map_err(QmpError::Stopped)
    }

    /// The place after the events so far.
    pub fn here(&self) -> EventCursor {
        EventCursor(self.shared.lock().events.last().map_or(0, |event| event.seq + 1))
    }

    /// The kept events from a place on.
    pub fn events(&self, from: EventCursor) -> Vec<QmpEvent> {
        self.shared.lock().events.iter().filter(|event| event.seq >= from.0).cloned().collect()
    }

    /// Waits for the first event of this name from a place on; it may have come already.
    pub async fn event(
        &self,
        name: &'static str,
        from: EventCursor,
        by: &Deadline,
    ) -> Result<QmpEvent, QmpError> {
        let mut moved = self.shared.moved.subscribe();
        let work = async {
            loop {
                moved.borrow_and_update();
                if let Some(event) = self.events(from).into_iter().find(|event| event.name == name) {
                    return Ok(event);
                }
                if self.shared.lock().closed.is_some() {
                    return Err(self.closed(name));
                }
                // The sender lives in `self`, so this cannot fail.
                let _ = moved.changed().await;
            }
        };
        let named = by.child(format!("QMP event {name}"), by.left()).at_rig_pace();
        named.run(|| self.shared.last_seen(), work).await.map_err(QmpError::Stopped)?
    }
}

/// Takes a dropped call out of the table, so that its late answer is thrown away.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.lock().pending.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
