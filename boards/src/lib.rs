//! The catalogue of boards and OS profiles: partial documents to complete types.
//!
//! - [`Catalogue::embedded`] holds the documents of this folder; [`Catalogue::with_paths`] adds
//!   folders of the same layout (`catalogue/`, `families/`, `os/`), of which a later one wins
//!   where a name stands twice.
//! - [`Catalogue::board`] and [`Catalogue::profile`] give complete types;
//!   [`Catalogue::resolved`] also says where each value of a board came from.
//! - [`boot_spec`] puts a board's stages and a profile's together: a board never names an OS.
//!
//! # How documents merge
//!
//! A document `extends` one family or a list of them, and families extend families. They are
//! applied in order, each once, then the document itself; what comes later wins:
//!
//! - a single value (`arch`, `baud`, `min-off`, `provision` …) replaces the earlier one;
//! - `capabilities` add up, and so do the lines of `config-txt`;
//! - `boot.stages` merge by `name` and `boot.bad` by `id`, field by field. A new stage goes to
//!   the end, or behind the one that its `after` names.
//!
//! A profile's stage or known-bad line of the same name replaces the board's as a whole (so a
//! profile of a silent OS can make the stage `kernel` optional).

mod board;
mod catalogue;
mod check;
mod consistent;
pub mod doc;
mod error;
mod explain;
mod facts;
mod files;
pub mod import;
mod layers;
mod merge;
mod origin;
pub mod plan;
mod profile;
mod schema;
mod sketch;
mod sources;
mod text;

pub use catalogue::{Catalogue, Listed, Resolved};
pub use check::boot_spec;
pub use error::BoardsError;
pub use explain::{explain, procedure};
pub use facts::Facts;
pub use origin::Origin;
pub use schema::schemas;
pub use sketch::sketch;
