//! What is wrong with a suite file or with what was asked of the suites.

use shakedown_conf::{ConfError, nearest};

/// Why suites cannot be loaded or a plan cannot be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file, with file, line and column.
    #[error("{0}")]
    Document(#[from] ConfError),
    /// A folder that was given cannot be used.
    #[error("{path}: {what}")]
    Folder {
        /// The folder.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A name that was asked for does not exist.
    #[error("no {kind} `{got}`{}", meant(got, known))]
    Unknown {
        /// `case`, `selection`, `suite`.
        kind: &'static str,
        /// As it was asked for.
        got: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Cases wait for one another in a circle.
    #[error("cases run after one another in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
}

fn meant(got: &str, known: &[String]) -> String {
    match nearest(got, known) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if known.is_empty() || known.len() > 12 => String::new(),
        None => format!("; there are {}", known.join(", ")),
    }
}
