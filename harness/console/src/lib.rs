//! Matching, the boot machine, recordings: no clock, no async, fed with chunks.
//!
//! - [`Patterns`] are compiled once; a [`Finder`] looks for them in a stream and is
//!   the [`shakedown_core::Matcher`] for [`shakedown_core::ConsoleLog::expect`].
//! - [`BootMachine`] climbs the stages of a [`shakedown_core::BootSpec`].
//! - [`Recorder`] writes `console.log`, `.jsonl` and `.cast`; [`Recording`] reads the
//!   last two; [`replay()`] runs a boot machine over one on virtual time, and an
//!   [`Expectation`] says what must come of it.
//! - [`capture`] and [`Capture`] take a group out of a line.

pub mod bench;
mod boot;
mod cast;
mod clean;
mod expect;
mod finder;
mod lines;
mod pattern;
mod recorder;
mod recording;
mod replay;
mod window;

pub use boot::{BootMachine, BootStep, UnknownStage};
pub use clean::{clean, text};
pub use expect::{BootSpecFile, Expectation, ExpectationError, Expected};
pub use finder::Finder;
pub use pattern::{Capture, PatternError, Patterns, capture};
pub use recorder::{Health, Recorder, RecordingHead, WriteTrouble};
pub use recording::{Recording, RecordingError};
pub use replay::{BootOutcome, replay, replayed};
