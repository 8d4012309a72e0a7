//! A rig without hardware: slots on virtual time whose boots, cases and faults are data.
//!
//! - [`SimulationDoc`] is the `simulated:` block of a rig file, and the file of `--simulate`.
//! - [`VirtualClock`] passes only when everything waits for it, so a night takes a second.
//! - [`open`] gives the runner a [`shakedown_core::Slot`] like any other, and its shells.
//! - [`case`] stands in for a case of a suite: it keeps the case's name, needs and effect, and asks
//!   the simulated DUT what comes of it.
//! - [`image`] makes a small image that every other part of shakedown treats as a real one.
//!
//! What happens is a function of the seed, the names and the count, never of who came first.

mod case;
mod clock;
mod dice;
mod doc;
mod example;
mod image;
mod medium;
mod open;
mod slot;
mod world;

pub use case::case;
pub use clock::VirtualClock;
pub use doc::{Does, Problem, RuleDoc, SimulationDoc};
pub use image::image;
pub use open::{Opened, SlotRequest, offers, open};
