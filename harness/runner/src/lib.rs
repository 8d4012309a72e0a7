//! One run on one slot: provision, boot, cases, collect. Adjudicates blame; emits events.
//!
//! The runner knows traits, never drivers: a rig of hardware and a rig of
//! processes hand it the same [`shakedown_core::Slot`].

pub mod adjudicate;
mod cases;
mod climb;
mod collect;
mod control;
mod cycles;
pub mod doctor;
mod dut;
mod folder;
mod health;
mod host_key;
mod identity;
mod installer;
mod kept;
mod netboot;
mod observe;
mod procedure;
mod provision;
mod run;
mod sabotaged;
mod sink;
mod steps;
mod thread;
mod tool;
mod waiting;
mod wiring;

pub use folder::RunFolder;
pub use health::health;
pub use identity::Identity;
pub use kept::Kept;
pub use procedure::{NotExecuted, executable, in_memory, netboots, own_storage};
pub use provision::{Writing, companions};
pub use run::{BOOT, Ended, Examine, Request, not_opened, run};
pub use sabotaged::Sabotaged;
pub use sink::{Follower, JournalSink};
