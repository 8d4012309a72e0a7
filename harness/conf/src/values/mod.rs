//! Values that documents of every kind use.

mod bytes;
mod pattern;
mod secret;
mod span;

pub use bytes::Bytes;
pub use pattern::Pattern;
pub(crate) use secret::NOT_HERE;
pub use secret::{Revealed, Secret, SecretError};
pub use span::Span;

/// A number with a unit: the digits before it and the unit after it.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}
