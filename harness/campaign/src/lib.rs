//! Many runs: a plan over boards, images and suites through the night, and the first bad image.
//!
//! - [`plan`] is the YAML document and what it comes to: a list of jobs.
//! - [`came`] is what one run added up to, as a campaign sees it.
//! - [`book`] is the campaign's own journal: what was begun and what came of it, so that it goes on
//!   after a SIGKILL.
//! - [`night`] decides which job a slot does next, what is tried again, and which slot is sick; its
//!   [`night::summary`] adds it up and [`night::page`] shows it.
//! - [`bisect`] finds the first bad image. Both only decide: they read no clock and open nothing.
//! - [`engine`] runs what they decide, a thread a slot, on a [`engine::Bench`] that somebody else gives.

pub mod bisect;
pub mod book;
pub mod came;
pub mod engine;
pub mod night;
pub mod plan;
pub mod slots;

pub use book::{Book, Happened, Why};
pub use came::{Came, Class, Seen};
pub use engine::{Bench, Director, Order, Room, Task};
