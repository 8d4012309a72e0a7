//! Lines in, lines out.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::{KEPT_EVENTS, Shared};

/// The longest line that is read; QEMU's own schema dump stays far below it.
const LONGEST_LINE: u64 = 16 << 20;

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QmpEvent {
    /// Counts all events of the connection, from 0.
    pub seq: u64,
    /// `RESET`, `SHUTDOWN`, `WATCHDOG`, or a name that is not in our schema.
    pub name: String,
    /// The whole line, as JSON.
    pub line: Arc<str>,
}

impl QmpEvent {
    /// In qapi's types; `None` when its schema does not have it.
    pub fn known(&self) -> Option<qapi::qmp::Event> {
        serde_json::from_str(&self.line).ok()
    }
}

/// The error of an answer. The class is text: a newer QEMU may have more of them.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) class: String,
    pub(super) desc: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Greeting {
    version: Version,
}

#[derive(Debug, Deserialize)]
struct Version {
    qemu: Triple,
    package: String,
}

#[derive(Debug, Deserialize)]
struct Triple {
    major: u32,
    minor: u32,
    micro: u32,
}

impl Greeting {
    pub(super) fn version(&self) -> (u32, u32, u32) {
        let Triple { major, minor, micro } = &self.version.qemu;
        (*major, *minor, *micro)
    }

    pub(super) fn package(&self) -> String {
        self.version.package.clone()
    }
}

/// Any line from QEMU: exactly one of the parts is there. The peer may add fields.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "QMP")]
    greeting: Option<Greeting>,
    event: Option<String>,
    #[serde(rename = "return")]
    value: Option<Box<RawValue>>,
    error: Option<Refusal>,
    id: Option<u64>,
}

pub(super) async fn read(from: OwnedReadHalf, shared: Arc<Shared>, greeted: oneshot::Sender<Greeting>) {
    let mut from = BufReader::new(from);
    let mut greeted = Some(greeted);
    let mut line = Vec::new();
    let why = loop {
        line.clear();
        match (&mut from).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) => break "end of file".to_owned(),
            Ok(_) if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST_LINE => {
                break format!("a line of more than {LONGEST_LINE} bytes");
            }
            Ok(_) if line.last() != Some(&b'\n') => break "end of file in the middle of a line".to_owned(),
            Ok(_) => {
                if let Some(greeting) = take(&line, &shared)
                    && let Some(greeted) = greeted.take()
                {
                    // The caller may have gone; then the connection goes with it.
                    let _ = greeted.send(greeting);
                }
            }
            Err(error) => break error.to_string(),
        }
    };
    shared.close(why);
}

fn take(line: &[u8], shared: &Shared) -> Option<Greeting> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let garbage = || {
        let mut state = shared.lock();
        let count = state.garbage.as_ref().map_or(0, |(_, count)| *count) + 1;
        let text = String::from_utf8_lossy(line.trim_ascii()).chars().take(200).collect();
        state.garbage = Some((text, count));
    };
    let Ok(text) = std::str::from_utf8(line) else {
        garbage();
        return None;
    };
    let Ok(message) = serde_json::from_str::<Message>(text) else {
        garbage();
        return None;
    };
    let mut state = shared.lock();
    if let Some(name) = message.event {
        let seq = state.events.last().map_or(0, |event| event.seq + 1);
        if state.events.len() == KEPT_EVENTS {
            state.events.drain(..KEPT_EVENTS / 2);
        }
        state.events.push(QmpEvent { seq, name, line: text.trim().into() });
        drop(state);
        shared.moved.send_modify(|count| *count += 1);
    } else if let Some(id) = message.id {
        let answer = match (message.error, message.value) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(value)) => Ok(value),
            (None, None) => {
                drop(state);
                garbage();
                return None;
            }
        };
        if let Some(waiting) = state.pending.remove(&id) {
            // Who asked may have stopped waiting; then nobody needs the answer.
            let _ = waiting.send(answer);
        }
    } else if message.greeting.is_none() {
        drop(state);
        garbage();
    }
    message.greeting
}

pub(super) async fn write(
    mut to: OwnedWriteHalf,
    mut lines: mpsc::UnboundedReceiver<Vec<u8>>,
    shared: Arc<Shared>,
) {
    while let Some(line) = lines.recv().await {
        if let Err(error) = to.write_all(&line).await {
            shared.close(error.to_string());
            return;
        }
    }
}
