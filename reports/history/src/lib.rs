//! Every attempt of every run in one SQLite file, and the questions asked of it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use shakedown_core::{Ledger, journal};
//! use shakedown_history::{History, Origin};
//!
//! let path = std::path::Path::new("/srv/runs/r1/journal.jsonl");
//! let journal = journal::read(&std::fs::read(path)?);
//! let origin = Origin { journal: Some(path), head: journal.head, ..Origin::default() };
//! let mut history = History::open(std::path::Path::new("history.sqlite"))?;
//! let added = history.add(&Ledger::of(&journal), &origin)?;
//! println!("{} new attempts", added.new);
//! # Ok(())
//! # }
//! ```
//!
//! Rows are a copy for quick questions: the truth is the journals, and the gate believes only those.

pub mod diff;
mod error;
mod exchange;
mod filter;
pub mod flakes;
mod incoming;
pub mod kernel;
mod numbers;
mod query;
mod recorder;
mod rows;
pub mod schema;
pub mod stats;
mod store;
pub mod svg;
pub mod trend;

pub use error::HistoryError;
pub use exchange::About;
pub use filter::Filter;
pub use query::{AttemptRow, ImageRow, RunRow};
pub use recorder::Recorder;
pub use rows::{NumberRow, Rows};
pub use store::{Added, History, Origin, Source};
