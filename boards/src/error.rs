//! Why a board or a profile cannot be had.

use std::fmt;

use shakedown_conf::{ConfError, nearest};

/// So many names can be taken in at a glance.
const FEW: usize = 20;

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
                    match known.len() {
                        0..=FEW => write!(f, "\n  help: known: {}", known.join(", "))?,
                        many => {
                            write!(f, "\n  help: {many} are known: `shakedown boards list` shows them")?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for BoardsError {}
