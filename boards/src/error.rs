//! Why a board or a profile cannot be had.

use std::fmt;

use shakedown_conf::{ConfError, nearest};

/// Why a board or a profile cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardsError {
    /// Something is wrong with a document.
    Document(ConfError),
    /// No document has this name.
    Unknown {
        /// `board`, `OS profile`.
        kind: &'static str,
        /// As asked for.
        got: String,
        /// Those that exist.
        known: Vec<String>,
    },
}

impl From<ConfError> for BoardsError {
    fn from(error: ConfError) -> Self {
        Self::Document(error)
    }
}

impl fmt::Display for BoardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(error) => fmt::Display::fmt(error, f),
            Self::Unknown { kind, got, known } => {
                write!(f, "unknown {kind} `{got}`")?;
                if let Some(meant) = nearest(got, known) {
                    write!(f, "; did you mean `{meant}`?")?;
                }
                if f.alternate() {
                    write!(f, "\n  help: known: {}", known.join(", "))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for BoardsError {}
