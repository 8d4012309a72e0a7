//! The cases: YAML checks and Rust cases side by side.
//!
//! - [`Suites::embedded`] / [`Suites::with_paths`] read every suite file; [`Suites::select`]
//!   makes a [`Plan`] of an [`Ask`]; [`Plan::planned`] says what is skipped and why.
//! - A suite file ([`doc::ModuleDoc`]) lists cases; each is a [`Check`]: steps, or a `plot`
//!   from [`cases`], with preparation before the shared reboot and a cleanup that always runs.
//! - Facts (`{name}` in commands and expectations) are listed in `suites/facts.yaml`, with the
//!   values that the reference OS's profile gives. A case whose facts, configuration keys or
//!   capabilities a profile lacks is skipped with that reason ([`Entry::missing`]).
//! - Sabotages: lines of shell that run right before [`shakedown_core::Case::run`] (for
//!   `shares-reboot` cases: after the reboot).
//!
//! `SHAKEDOWN_BLESS=1 cargo test -p shakedown-suites` writes `suites/schema/` anew.

pub mod cases;
mod check;
pub mod doc;
mod entry;
mod error;
pub mod expect;
pub mod facts;
mod files;
mod fitted;
mod lower;
mod lower_step;
mod pattern;
mod program;
mod select;
mod step;
mod suites;
mod tap;
mod template;

pub use check::{Body, Check, load_test_image};
pub use entry::{Entry, TEST_IMAGE};
pub use error::SuiteError;
pub use pattern::Pattern;
pub use program::Program;
pub use select::{Ask, Plan};
pub use step::{Act, Step, edit_config};
pub use suites::{Selection, Suites};
pub use template::{Template, Values};
