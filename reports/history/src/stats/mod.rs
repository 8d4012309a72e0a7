//! The statistics that history and the gate speak of. Nothing here knows runs or databases.
//!
//! Each function is checked against SciPy's values (`tests.rs` names the calls).

mod rank;
mod rate;
mod special;
#[cfg(test)]
mod tests;

pub use rank::{Alternative, Comparison, least_p, least_repeats, mann_whitney, median};
pub use rate::{Interval, Method, fisher, interval, seen_rate};
