//! Where in which document.

use std::fmt;
use std::sync::Arc;

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The document's path, or its name in the binary.
    pub name: Arc<str>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Place {
    /// Without the column, for lists: `desk.yaml:12`.
    pub fn file_line(&self) -> String {
        format!("{}:{}", self.name, self.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

/// A stretch of text on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// In characters, at least 1.
    pub(crate) len: usize,
}

impl Mark {
    pub(crate) const START: Self = Self { line: 1, column: 1, len: 1 };
}
