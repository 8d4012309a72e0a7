//! What is said on the keeper's socket: frames of JSON documents and of console bytes.
//!
//! ```text
//! frame   = kind (1 byte: 0 document, 1 bytes) length (4 bytes, big endian) payload
//! keeper:   Welcome
//! command:  Hello, with one Ask
//! keeper:   Reply (several where the Ask says so), console bytes
//! command:  Say, console bytes
//! ```
//!
//! One connection is one request; closing it ends a console and gives a hold back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shakedown_core::{Fault, Level, Mark, Proof, Sha};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Raised with every change of what is said.
pub const VERSION: u32 = 3;
/// The longest payload. Console chunks are smaller, and so is every document; a picture comes in parts.
pub const LONGEST: u32 = 1 << 20;

/// The keeper's first words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`VERSION`] of the keeper. Later fields are for later versions, so unknown ones are no error here.
    pub version: u32,
    /// Its process.
    pub pid: u32,
}

/// Who asks, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hello {
    /// Of the rig file as the command read it.
    pub rig: Sha,
    /// What somebody typed, to be shown to others.
    pub command: String,
    /// The hold that this command belongs to ([`Handles::hold`]).
    pub hold: Option<String>,
    /// What is asked.
    pub ask: Ask,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Ask {
    /// Which slots are open: [`Reply::Seats`].
    Status,
    /// Switches or reads an output: [`Reply::Proofs`] or [`Reply::Level`].
    Switch {
        /// Its name in the rig file.
        slot: String,
        /// `power`, or the name of another output.
        output: String,
        /// What to do.
        to: Switch,
    },
    /// On, a while, off: [`Reply::Proofs`].
    Press {
        /// Its name in the rig file.
        slot: String,
        /// Which output.
        output: String,
        /// How long.
        #[serde(with = "shakedown_core::time::millis")]
        held: Duration,
    },
    /// Follows a console: [`Reply::Console`], then bytes both ways and [`Reply::Note`]s.
    Console {
        /// Its name in the rig file.
        slot: String,
        /// Which console.
        console: String,
        /// How many bytes of what was said before come first.
        tail: u64,
    },
    /// Takes a slot until the connection ends: [`Reply::Held`]; after [`Say::GiveBack`], [`Reply::Proofs`].
    Hold {
        /// Its name in the rig file.
        slot: String,
    },
    /// Takes a slot for a run, until the connection ends: [`Reply::Lent`]; after [`Say::GiveBack`],
    /// [`Reply::Proofs`], after [`Say::Leave`], [`Reply::Done`].
    Borrow {
        /// Its name in the rig file.
        slot: String,
    },
    /// Switches or reads an output of a borrowed slot, and nothing besides: [`Reply::Proofs`] or
    /// [`Reply::Level`].
    Line {
        /// Its name in the rig file.
        slot: String,
        /// Which output.
        output: String,
        /// `None`: only reads it.
        on: Option<bool>,
        /// How long it may take.
        #[serde(with = "shakedown_core::time::millis")]
        within: Duration,
    },
    /// A console of a borrowed slot: [`Reply::Console`], then its bytes from now on, [`Reply::Marked`] and
    /// [`Reply::Closed`]. What is typed, as bytes or as [`Say::SysRq`], is answered by [`Reply::Typed`].
    Feed {
        /// Its name in the rig file.
        slot: String,
        /// Which console.
        console: String,
    },
    /// What reaches a TCP port of the DUT now: [`Reply::Address`].
    Address {
        /// Its name in the rig file.
        slot: String,
        /// The DUT's port.
        port: u16,
    },
    /// Takes a picture of the DUT's screen: [`Reply::Picture`], then its bytes.
    Screen {
        /// Its name in the rig file.
        slot: String,
    },
    /// Closes a slot that nobody uses, for somebody who takes its lock: [`Reply::Done`].
    Yield {
        /// Its name in the rig file.
        slot: String,
    },
    /// Makes all slots safe and ends: [`Reply::Proofs`].
    Stop,
}

/// What to do with an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Energises it.
    On,
    /// Takes the energy away.
    Off,
    /// Off, the minimum off time, on.
    Cycle,
    /// Reads it back; switches nothing.
    Status,
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Reply {
    /// The open slots.
    Seats(Vec<Seated>),
    /// What was switched, and how it is known.
    Proofs(Vec<Proof>),
    /// What the hardware says.
    Level {
        /// Now.
        level: Level,
        /// Driver and endpoint.
        of: String,
    },
    /// The console's bytes follow.
    Console {
        /// Who types on it; `None`: this connection does.
        writer: Option<Who>,
        /// Whether anybody can: some lines only listen.
        can_type: bool,
    },
    /// Something about the console that is not its text.
    Note(String),
    /// A question to the person at the bench; [`Say::Answer`] is waited for.
    Question(String),
    /// The slot is this connection's.
    Held(Handles),
    /// The slot is this run's.
    Lent(Loan),
    /// What happened to the line, here among its bytes.
    Marked(Mark),
    /// The line was closed: why. It may come back.
    Closed(String),
    /// The line took it.
    Typed,
    /// Where the DUT's port is.
    Address(SocketAddr),
    /// A PNG of so many bytes follows.
    Picture {
        /// How many.
        bytes: usize,
    },
    /// Nothing to tell.
    Done,
    /// Why not.
    Refused(Box<Refusal>),
}

/// What a command says after its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Say {
    /// The answer to a [`Reply::Question`].
    Answer(Said),
    /// The hold ends, or the run.
    GiveBack,
    /// The run ends; what is on stays on.
    Leave,
    /// A break and this key.
    SysRq(u8),
}

/// What a person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It is so, or done.
    Yes,
    /// It is not so.
    No,
    /// Nobody can tell.
    DoNotKnow,
}

/// Somebody who uses a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Who {
    /// As the kernel says.
    pub user: String,
    /// As the kernel says.
    pub pid: u32,
    /// As the process says.
    pub command: String,
    /// When it asked.
    pub since: jiff::Timestamp,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, pid, command, since } = self;
        write!(f, "{user} (process {pid}, since {since:.0}, `{command}`)")
    }
}

/// How somebody uses a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Use {
    /// Left this output on; the process may have ended since.
    On(String),
    /// Follows this console.
    Follows(String),
    /// Has it alone.
    Holds,
    /// Is switching something.
    Works,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(output) => write!(f, "{output} was switched on by"),
            Self::Follows(console) => write!(f, "the console {console} is followed by"),
            Self::Holds => f.write_str("it is held by"),
            Self::Works => f.write_str("it is used by"),
        }
    }
}

/// One use of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Used {
    /// How.
    pub how: Use,
    /// By whom.
    pub by: Who,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.how, self.by)
    }
}

/// An open slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Seated {
    /// `rig/slot`.
    pub slot: String,
    /// Who uses it, and how.
    pub uses: Vec<Used>,
}

/// What a held slot is to a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Handles {
    /// `rig/slot`.
    pub slot: String,
    /// Lets further commands use the slot while it is held.
    pub hold: String,
    /// A unix socket a console, raw both ways.
    pub consoles: BTreeMap<String, PathBuf>,
    /// The names of the outputs, `power` first.
    pub outputs: Vec<String>,
    /// Where the media are.
    pub media: BTreeMap<String, String>,
}

/// What a borrowed slot is to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Loan {
    /// Lets the run's further requests in.
    pub hold: String,
    /// Driver and endpoint of each output.
    pub outputs: BTreeMap<String, String>,
    /// The consoles.
    pub consoles: BTreeSet<String>,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Refusal {
    /// The keeper has another rig file than the command.
    RigChanged {
        /// When the keeper read its own.
        since: jiff::Timestamp,
    },
    /// The slot has no such thing.
    NoSuch {
        /// `slot`, `output`, `console`.
        kind: String,
        /// What was asked for.
        got: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Somebody else uses the slot.
    InUse {
        /// `rig/slot`.
        slot: String,
        /// How, and who.
        used: Used,
    },
    /// The hold that the request belongs to has ended.
    HoldEnded,
    /// The keeper is ending: nothing is begun any more.
    Ends,
    /// Another process holds the slot's lock: who.
    Locked(String),
    /// The request makes no sense to the keeper.
    Garbled(String),
    /// The rig broke.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A document, not parsed yet.
    Document(Vec<u8>),
    /// Console bytes.
    Bytes(Vec<u8>),
}

impl Frame {
    /// A document as a frame.
    pub fn of(document: &impl Serialize) -> io::Result<Self> {
        Ok(Self::Document(serde_json::to_vec(document)?))
    }

    /// The document in it.
    pub fn parse<T: DeserializeOwned>(&self) -> io::Result<T> {
        match self {
            Self::Document(text) => Ok(serde_json::from_slice(text)?),
            Self::Bytes(_) => Err(invalid("console bytes where a document belongs")),
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Writes a frame.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let (kind, payload) = match frame {
        Frame::Document(text) => (0, text),
        Frame::Bytes(bytes) => (1, bytes),
    };
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| invalid("a frame is too long"))?;
    let mut whole = Vec::with_capacity(5 + payload.len());
    whole.push(kind);
    whole.extend(length.to_be_bytes());
    whole.extend(payload);
    to.write_all(&whole).await
}

/// Reads a frame; `None` at the end between two frames. Not to be cancelled in its middle.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut kind = [0];
    if from.read(&mut kind).await? == 0 {
        return Ok(None);
    }
    let length = from.read_u32().await?;
    if length > LONGEST {
        return Err(invalid("a frame is too long"));
    }
    let mut payload = vec![0; length as usize];
    from.read_exact(&mut payload).await?;
    match kind {
        [0] => Ok(Some(Frame::Document(payload))),
        [1] => Ok(Some(Frame::Bytes(payload))),
        _ => Err(invalid("a frame of an unknown kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_as_they_were_sent_and_garbage_is_an_error() {
        let ask = Ask::Switch { slot: "pi4".into(), output: "power".into(), to: Switch::Cycle };
        let sent = [Frame::of(&ask).unwrap(), Frame::Bytes(b"\x00\xff\x1b[0m".to_vec())];
        let mut wire = Vec::new();
        for frame in &sent {
            write(&mut wire, frame).await.unwrap();
        }
        let mut from = &wire[..];
        assert_eq!(read(&mut from).await.unwrap().unwrap().parse::<Ask>().unwrap(), ask);
        assert_eq!(read(&mut from).await.unwrap(), Some(sent[1].clone()));
        assert_eq!(read(&mut from).await.unwrap(), None);
        for cut in 1..wire.len() {
            let mut from = &wire[..cut];
            let (first, second) = (read(&mut from).await, read(&mut from).await);
            assert!(first.is_err() || second.is_err() || from.is_empty(), "cut at {cut}");
        }
        for garbage in [&[7, 0, 0, 0, 0][..], &[0, 255, 255, 255, 255], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut from = garbage;
            assert!(read(&mut from).await.is_err(), "{garbage:?}");
        }
        assert!(Frame::Document(b"{\"stop\":1}".to_vec()).parse::<Ask>().is_err());
        assert!(sent[1].parse::<Ask>().is_err());
    }
}
