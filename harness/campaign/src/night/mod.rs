//! A night: which job a slot does next, what is tried again, and what came of it all.

mod director;
pub mod page;
mod standing;
pub mod summary;
#[cfg(test)]
mod tests;

pub use director::{JobState, Night, Part, Policy};
pub use standing::{Standing, Verdict, standings};
