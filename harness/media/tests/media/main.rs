//! The crate against real containers, real file systems and media that lie.

mod edits;
mod files;
mod layouts;
mod random;
mod sources;
mod support;
mod writing;
