//! Matching, the boot machine, recordings: no clock, no async, fed with chunks.
//!
//! - [`Patterns`] are compiled once; a [`Finder`] looks for them in a stream and is
//!   the [`shakedown_core::Matcher`] for [`shakedown_core::ConsoleLog::expect`].
//! - [`capture`] and [`Capture`] take a group out of a line.

mod clean;
mod finder;
mod pattern;
mod window;

pub use clean::{clean, text};
pub use finder::Finder;
pub use pattern::{Capture, PatternError, Patterns, capture};
