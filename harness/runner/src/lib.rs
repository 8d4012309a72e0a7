//! One run on one slot: provision, boot, cases, collect. Adjudicates blame; emits events.
//!
//! The runner knows traits, never drivers: a rig of hardware and a rig of
//! processes hand it the same [`shakedown_core::Slot`].

pub mod adjudicate;
