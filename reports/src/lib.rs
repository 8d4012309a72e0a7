//! Renderers of the journal: terminal, JUnit, TAP, JSON, HTML, summary.
//!
//! Everything is made from a [`shakedown_core::Ledger`], the fold of a journal; what a run's
//! folder holds beside the journal (console recordings, screenshots) is optional and comes
//! as bytes in [`Extras`]. Output is deterministic: the same journal gives the same bytes.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! let journal = shakedown_core::journal::read(&std::fs::read("run/journal.jsonl")?);
//! let ledger = shakedown_core::Ledger::of(&journal);
//! let extras = shakedown_reports::Extras::default();
//! let mut written = Ok(());
//! shakedown_reports::render_all(&ledger, &extras, &mut |name, bytes| {
//!     if written.is_ok() {
//!         written = std::fs::write(std::path::Path::new("run").join(name), bytes);
//!     }
//! });
//! written?;
//! println!("{}", shakedown_reports::verdict(&ledger));
//! # Ok(())
//! # }
//! ```
//!
//! Two conventions on measures, because an event has no field for a limit: a measure named
//! `X.budget` is the budget of the measure `X` of the same case (or of the run) and is drawn
//! as its bar's mark; `boot.<stage>.budget` of the run, in seconds from the stage before, is
//! drawn as the stage's deadline in the boot timeline.

#![expect(
    clippy::format_push_string,
    reason = "reports are written once; write! into a String would add an error that cannot happen"
)]

pub mod conformance;
pub mod console;
pub mod extras;
pub mod html;
pub mod json;
pub mod junit;
pub mod summary;
pub mod tap;
pub mod terminal;
pub mod text;
pub mod verdict;
pub mod view;

pub use extras::{ExtraFile, Extras};
pub use json::Results;
pub use terminal::{Options, Terminal};
pub use verdict::{Ruling, Verdict, verdict};
pub use view::View;

use shakedown_core::Ledger;

/// Names of the files that [`render_all`] makes, in its order.
pub const FILES: [&str; 5] = ["report.html", "results.json", "junit.xml", "results.tap", "summary.md"];

/// Makes every report and hands each out as a file's name and bytes, in the order of [`FILES`].
pub fn render_all(ledger: &Ledger, extras: &Extras, out: &mut dyn FnMut(&str, &[u8])) {
    out("report.html", html::html(ledger, extras).as_bytes());
    out("results.json", json::json(ledger).as_bytes());
    out("junit.xml", junit::junit(ledger).as_bytes());
    out("results.tap", tap::tap(ledger).as_bytes());
    out("summary.md", summary::summary(ledger).as_bytes());
}
