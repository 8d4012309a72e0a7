//! YAML text to a typed value, with a place for every error. No domain nouns.
//!
//! ```
//! use shakedown_conf::{Document, load};
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Desk {
//!     port: u16,
//! }
//!
//! let doc = Document::new("desk.yaml", "prot: 22\n");
//! let error = load::<Desk>(&doc).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "desk.yaml:1:1: prot: unknown field `prot`; did you mean `port`?"
//! );
//! ```
//!
//! - [`Document`] is a text with its name, refused beyond [`limits`] before anything parses it.
//! - [`load`] makes a [`Loaded`]: the value and the [`Spots`] of each field, so that a check made
//!   later ([`Loaded::refuse`]) names file, line and column as well as the parser does.
//! - [`ConfError`] shows one line by `{}`, and by `{:#}` also the lines of text it is about.
//! - [`Span`], [`Bytes`], [`Secret`] and [`Pattern`] are values that documents of every kind use.
//! - [`schema_text`] is the JSON Schema that editors read.
//!
//! Documents are a subset of YAML: one document, text keys, no anchors, aliases, tags or merges.
//! Enums with data are written as a mapping with one key; their fields take
//! `#[serde(with = "serde_yaml::with::singleton_map")]`, or only its `deserialize_with` beside a schema.

mod classify;
mod document;
mod error;
pub mod limits;
mod load;
mod nearest;
mod place;
mod schema;
mod spots;
mod values;

pub use document::Document;
pub use error::{ConfError, Problem};
pub use load::{Loaded, load};
pub use nearest::nearest;
pub use place::Place;
pub use schema::schema_text;
pub use spots::{Leaf, Spots};
pub use values::{Bytes, Pattern, Revealed, Secret, SecretError, Span};
