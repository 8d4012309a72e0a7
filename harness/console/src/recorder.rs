//! The recorder: a console's bytes and marks, in three files.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use shakedown_core::{Chunk, Mark, Mono, Tap};

use crate::cast::ToText;

/// The first line of a `console.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct JsonHead {
    /// The version of the format: 1.
    pub(crate) shakedown_console: u32,
    /// The time of day when `ns` was 0.
    pub(crate) wall: jiff::Timestamp,
}

/// Every other line: exactly one of `text`, `base64` and `mark`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonLine {
    /// Nanoseconds since the start of the run.
    pub(crate) ns: Mono,
    /// Offset in `console.log`.
    pub(crate) off: u64,
    /// The bytes of a chunk that is UTF-8 by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// The bytes of any other chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    /// What happened here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Mark>,
}

/// The first line of an asciicast, as far as we write it.
#[derive(Debug, Serialize)]
struct CastHead<'a> {
    version: u8,
    width: u16,
    height: u16,
    timestamp: i64,
    title: &'a str,
}

/// What a recording is of.
#[derive(Clone, Debug)]
pub struct RecordingHead {
    /// The time of day at [`Mono`] zero.
    pub wall: jiff::Timestamp,
    /// For the player: `demo, generic-amd64, console main`.
    pub title: String,
    /// Columns of the terminal in the player.
    pub width: u16,
    /// Rows of the terminal in the player.
    pub height: u16,
}

/// A file of the recording that could not be written on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteTrouble {
    /// `console.log`, `console.jsonl` or `console.cast`.
    pub file: &'static str,
    /// The system's reason.
    pub why: String,
    /// From this offset of the log on, the file has nothing (its last record may be cut).
    pub off: u64,
    /// So many bytes of the log are missing in it.
    pub lost: u64,
}

/// Tells how the recording goes, also after the recorder went into the log.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Vec<WriteTrouble>>>);

impl Health {
    /// The files that could not be written on; empty when all is well.
    pub fn troubles(&self) -> Vec<WriteTrouble> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WriteTrouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct File {
    name: &'static str,
    out: Box<dyn Write + Send>,
    health: Health,
    failed: bool,
}

impl File {
    /// One write a record, so that what a killed harness leaves ends between records.
    fn put(&mut self, record: &[u8], off: u64, log_bytes: usize) {
        if !self.failed {
            let Err(why) = self.out.write_all(record).and_then(|()| self.out.flush()) else { return };
            self.failed = true;
            let trouble = WriteTrouble { file: self.name, why: why.to_string(), off, lost: 0 };
            self.health.lock().push(trouble);
        }
        if let Some(trouble) = self.health.lock().iter_mut().find(|trouble| trouble.file == self.name) {
            trouble.lost += log_bytes as u64;
        }
    }

    fn put_json(&mut self, record: &impl Serialize, off: u64, log_bytes: usize) {
        match serde_json::to_vec(record) {
            Ok(mut line) => {
                line.push(b'\n');
                self.put(&line, off, log_bytes);
            }
            // Strings and numbers only: cannot fail, and if it does it is said.
            Err(why) => {
                let trouble =
                    WriteTrouble { file: self.name, why: why.to_string(), off, lost: log_bytes as u64 };
                self.health.lock().push(trouble);
            }
        }
    }
}

/// Writes what a console said, as it comes. Attach it to the log before power-on.
///
/// - `console.log`: the bytes, nothing else.
/// - `console.jsonl`: a head `{"shakedown-console":1,"wall":…}` with the time of day at
///   `ns` 0, then a line a chunk or mark: `{"ns":…,"off":…,"text":…}`, or `"base64"` for
///   a chunk that is not UTF-8 by itself, or `"mark"`. Exact: bytes and nanoseconds.
/// - `console.cast`: asciicast v2 for players (times in microseconds). Bytes that are
///   not UTF-8 are private use characters U+EF80 to U+EFFF; a character that is cut by
///   the end of a chunk comes with the chunk that completes it.
///
/// A write that fails ends that file, not the log; [`Health`] tells.
pub struct Recorder {
    raw: File,
    lines: File,
    cast: File,
    text: ToText,
    last: (Mono, u64),
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder(at {:?}, troubles {:?})", self.last, self.raw.health.troubles())
    }
}

impl Recorder {
    /// A recorder into these writers (unbuffered: each gets one write a record), with
    /// the two heads written.
    pub fn new(
        head: &RecordingHead,
        raw: impl Write + Send + 'static,
        jsonl: impl Write + Send + 'static,
        cast: impl Write + Send + 'static,
    ) -> (Self, Health) {
        let health = Health::default();
        let file =
            |name, out: Box<dyn Write + Send>| File { name, out, health: health.clone(), failed: false };
        let mut recorder = Self {
            raw: file("console.log", Box::new(raw)),
            lines: file("console.jsonl", Box::new(jsonl)),
            cast: file("console.cast", Box::new(cast)),
            text: ToText::default(),
            last: (Mono(0), 0),
        };
        recorder.lines.put_json(&JsonHead { shakedown_console: 1, wall: head.wall }, 0, 0);
        let timestamp = head.wall.as_second();
        let (width, height, title) = (head.width, head.height, head.title.as_str());
        recorder.cast.put_json(&CastHead { version: 2, width, height, timestamp, title }, 0, 0);
        (recorder, health)
    }

    /// One event of the asciicast.
    fn event(&mut self, at: Mono, code: &str, text: &str, off: u64, log_bytes: usize) {
        if text.is_empty() {
            return;
        }
        // Three fields by hand: a float would be written with all its digits.
        let (seconds, micros) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000 / 1000);
        // A string always becomes JSON.
        let text = serde_json::to_string(text).unwrap_or_default();
        let line = format!("[{seconds}.{micros:06}, \"{code}\", {text}]\n");
        self.cast.put(line.as_bytes(), off, log_bytes);
    }
}

impl Tap for Recorder {
    fn chunk(&mut self, chunk: &Chunk) {
        let bytes = &chunk.bytes[..];
        self.last = (chunk.at, chunk.end());
        self.raw.put(bytes, chunk.off, bytes.len());
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let base64 = text.is_none().then(|| STANDARD.encode(bytes));
        let line = JsonLine { ns: chunk.at, off: chunk.off, text, base64, mark: None };
        self.lines.put_json(&line, chunk.off, bytes.len());
        let text = self.text.text(bytes);
        self.event(chunk.at, "o", &text, chunk.off, bytes.len());
    }

    fn mark(&mut self, at: Mono, off: u64, mark: &Mark) {
        self.last.0 = at;
        let line = JsonLine { ns: at, off, text: None, base64: None, mark: Some(mark.clone()) };
        self.lines.put_json(&line, off, 0);
        let (code, text) = event_of(mark);
        self.event(at, code, &text, off, 0);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let (at, off) = self.last;
        let rest = self.text.rest();
        self.event(at, "o", &rest, off, 0);
    }
}

/// A mark as an asciicast event: input for what was typed, a marker for all else.
fn event_of(mark: &Mark) -> (&'static str, String) {
    match mark {
        Mark::PowerOn => ("m", "power-on".into()),
        Mark::PowerOff => ("m", "power-off".into()),
        Mark::Reset => ("m", "reset".into()),
        Mark::Gap(why) => ("m", format!("gap: {why}")),
        Mark::Note(note) => ("m", note.clone()),
        Mark::Sent(bytes) => {
            let mut text = ToText::default();
            let whole = text.text(bytes);
            ("i", whole + &text.rest())
        }
    }
}

/// The mark of an asciicast marker.
pub(crate) fn mark_of(label: &str) -> Mark {
    match label {
        "power-on" => Mark::PowerOn,
        "power-off" => Mark::PowerOff,
        "reset" => Mark::Reset,
        other => match other.strip_prefix("gap: ") {
            Some(why) => Mark::Gap(why.to_owned()),
            None => Mark::Note(other.to_owned()),
        },
    }
}
