//! Why the gate could not do what it was asked to.

use std::path::PathBuf;

/// Why the gate could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// Not a key of ours.
    #[error("not an ed25519 key: {why}")]
    Key {
        /// What was expected and what was got.
        why: String,
    },
    /// An envelope that is not as it should be, or that nobody whom we trust signed.
    #[error("{0}")]
    Envelope(#[from] crate::dsse::Refused),
    /// The policy.
    #[error("{0:#}")]
    Policy(#[from] shakedown_conf::ConfError),
    /// The kernel gave no random numbers.
    #[error("no random numbers: {why}")]
    Random {
        /// The operating system's words.
        why: String,
    },
}

impl GateError {
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }

    pub(crate) fn key(why: impl Into<String>) -> Self {
        Self::Key { why: why.into() }
    }
}
