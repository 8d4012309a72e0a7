//! Matching, the boot machine, recordings: no clock, no async, fed with chunks.
//!
//! - [`Patterns`] are compiled once; a [`Finder`] looks for them in a stream and is
//!   the [`shakedown_core::Matcher`] for [`shakedown_core::ConsoleLog::expect`].
//! - [`BootMachine`] climbs the stages of a [`shakedown_core::BootSpec`].
//! - [`capture`] and [`Capture`] take a group out of a line.

mod boot;
mod clean;
mod finder;
mod lines;
mod pattern;
mod window;

pub use boot::{BootMachine, BootStep, UnknownStage};
pub use clean::{clean, text};
pub use finder::Finder;
pub use pattern::{Capture, PatternError, Patterns, capture};
