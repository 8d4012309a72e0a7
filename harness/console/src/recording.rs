//! Reading recordings back: asciicast v2 and our own `console.jsonl`.

use std::io::{self, BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use shakedown_core::{Chunk, Mark, Mono};

use crate::cast::to_bytes;
use crate::recorder::{JsonHead, JsonLine, mark_of};

/// A longer line in a recording is not read.
const LONGEST_LINE: u64 = 16 << 20;

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("line {line} cannot be read: {why}")]
    Read {
        /// From 1.
        line: usize,
        /// The system's reason.
        why: io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line}: expected {expected}, got {got}")]
    Line {
        /// From 1.
        line: usize,
        /// What should have been there.
        expected: &'static str,
        /// What was there, or how it is wrong.
        got: String,
    },
}

/// What a console said, and when.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In order, offsets from 0.
    pub chunks: Vec<Chunk>,
    /// What happened to the line, with offset.
    pub marks: Vec<(Mono, u64, Mark)>,
    /// The time of day at `Mono(0)`, if the recording says.
    pub wall: Option<jiff::Timestamp>,
    /// The last line is cut off: the writer was killed. It was left out.
    pub cut_off: bool,
}

/// The head of an asciicast: what we need of what any tool may write.
#[derive(Deserialize)]
struct CastHead {
    version: u8,
    #[serde(default)]
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
struct CastEvent(f64, String, String);

/// What a line should have been, and what it was.
type Wrong = (&'static str, String);

impl Recording {
    /// Reads an asciicast v2, also one that another tool recorded.
    ///
    /// # Errors
    /// Not an asciicast v2, or a broken line with its number.
    pub fn from_cast(input: impl Read) -> Result<Self, RecordingError> {
        let mut this = Self::default();
        this.cut_off =
            each_line(
                input,
                |number, line| {
                    if number == 1 { this.cast_head(line) } else { this.cast_event(line) }
                },
            )?;
        Ok(this)
    }

    /// Reads our own `console.jsonl`.
    ///
    /// # Errors
    /// Not such a file, or a broken line with its number.
    pub fn from_jsonl(input: impl Read) -> Result<Self, RecordingError> {
        let mut this = Self::default();
        this.cut_off =
            each_line(
                input,
                |number, line| {
                    if number == 1 { this.json_head(line) } else { this.json_line(line) }
                },
            )?;
        Ok(this)
    }

    /// Offset past the last byte.
    pub fn end(&self) -> u64 {
        self.chunks.last().map_or(0, Chunk::end)
    }

    /// When the DUT was switched on, as far as the recording says; else its first byte's time.
    pub fn start(&self) -> Mono {
        let on = self.marks.iter().find(|(.., mark)| *mark == Mark::PowerOn).map(|(at, ..)| *at);
        on.or(self.chunks.first().map(|chunk| chunk.at)).unwrap_or_default()
    }

    fn cast_head(&mut self, line: &str) -> Result<(), Wrong> {
        const EXPECTED: &str = "the head of an asciicast v2";
        let head: CastHead = serde_json::from_str(line).map_err(|why| (EXPECTED, why.to_string()))?;
        if head.version != 2 {
            let got = format!("version {}; `asciinema convert` makes version 2 of it", head.version);
            return Err((EXPECTED, got));
        }
        self.wall = head.timestamp.and_then(|seconds| jiff::Timestamp::from_second(seconds as i64).ok());
        Ok(())
    }

    fn cast_event(&mut self, line: &str) -> Result<(), Wrong> {
        const EXPECTED: &str = "an event [seconds, code, text]";
        let event: CastEvent = serde_json::from_str(line).map_err(|why| (EXPECTED, why.to_string()))?;
        let CastEvent(seconds, code, text) = event;
        if !(0.0..1e9).contains(&seconds) {
            return Err((EXPECTED, format!("{seconds} seconds")));
        }
        let at = Mono((seconds * 1e6).round() as u64 * 1000);
        match code.as_str() {
            "o" => self.add(at, &to_bytes(&text)),
            "i" => self.add_mark(at, Mark::Sent(to_bytes(&text))),
            "m" => self.add_mark(at, mark_of(&text)),
            // The format asks readers to pass over codes that they do not know.
            _ => Ok(()),
        }
    }

    fn json_head(&mut self, line: &str) -> Result<(), Wrong> {
        const EXPECTED: &str = "the head of a console.jsonl, version 1";
        let head: JsonHead = serde_json::from_str(line).map_err(|why| (EXPECTED, why.to_string()))?;
        if head.shakedown_console != 1 {
            return Err((EXPECTED, format!("version {}", head.shakedown_console)));
        }
        self.wall = Some(head.wall);
        Ok(())
    }

    fn json_line(&mut self, line: &str) -> Result<(), Wrong> {
        const EXPECTED: &str = "one of text, base64 and mark, at the end of the log so far";
        let line: JsonLine = serde_json::from_str(line).map_err(|why| (EXPECTED, why.to_string()))?;
        if line.off != self.end() {
            return Err((EXPECTED, format!("offset {} after {} bytes", line.off, self.end())));
        }
        match (line.text, line.base64, line.mark) {
            (Some(text), None, None) => self.add(line.ns, text.as_bytes()),
            (None, Some(code), None) => {
                let bytes = STANDARD.decode(code).map_err(|why| (EXPECTED, why.to_string()))?;
                self.add(line.ns, &bytes)
            }
            (None, None, Some(mark)) => self.add_mark(line.ns, mark),
            _ => Err((EXPECTED, "none or several".into())),
        }
    }

    fn add(&mut self, at: Mono, bytes: &[u8]) -> Result<(), Wrong> {
        self.not_before(at)?;
        if !bytes.is_empty() {
            let off = self.end();
            self.chunks.push(Chunk { at, off, bytes: bytes.into() });
        }
        Ok(())
    }

    fn add_mark(&mut self, at: Mono, mark: Mark) -> Result<(), Wrong> {
        self.not_before(at)?;
        self.marks.push((at, self.end(), mark));
        Ok(())
    }

    fn not_before(&self, at: Mono) -> Result<(), Wrong> {
        let chunk = self.chunks.last().map(|chunk| chunk.at);
        let mark = self.marks.last().map(|(at, ..)| *at);
        match chunk.max(mark) {
            Some(last) if at < last => {
                Err(("times that never go back", format!("{} ns after {} ns", at.0, last.0)))
            }
            _ => Ok(()),
        }
    }
}

/// Gives every line to `act`. True when the last one is cut off: without its end and broken.
fn each_line(
    input: impl Read,
    mut act: impl FnMut(usize, &str) -> Result<(), Wrong>,
) -> Result<bool, RecordingError> {
    let mut input = BufReader::new(input);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        let read = read.map_err(|why| RecordingError::Read { line: number, why })?;
        if read == 0 && number > 1 {
            break;
        }
        let line = str::from_utf8(&bytes).map_err(|why| ("UTF-8", why.to_string()));
        match line.and_then(|line| act(number, line.trim_end_matches(['\r', '\n']))) {
            Err(_) if number > 1 && !bytes.ends_with(b"\n") && (read as u64) < LONGEST_LINE => {
                return Ok(true);
            }
            Err((expected, got)) => return Err(RecordingError::Line { line: number, expected, got }),
            Ok(()) => {}
        }
    }
    Ok(false)
}
