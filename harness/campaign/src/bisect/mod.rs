//! The first bad image: a search that repeats as often as a flaky fault makes it necessary.

mod director;
mod search;

pub use director::{Bisect, Line};
pub use search::{Answer, Look, Search, Tally};
