//! What a command ends with when it cannot do what it was asked to.

use std::fmt;

use shakedown_boards::BoardsError;
use shakedown_conf::ConfError;
use shakedown_core::{ExitCode, Fault, InfraKind, Stop};
use shakedown_suites::SuiteError;

/// One error for the person at the terminal, and the exit code that goes with it.
#[derive(Debug)]
pub struct CliError {
    /// By the table in DESIGN.md section 6.
    pub exit: ExitCode,
    /// What is wrong. The first line is a sentence; the rest may show the place.
    pub what: String,
    /// What the person can do.
    pub hint: Option<String>,
}

impl CliError {
    /// Usage, a descriptor or an image is refused: exit code 2.
    pub fn refused(what: impl fmt::Display) -> Self {
        Self { exit: ExitCode::Refused, what: what.to_string(), hint: None }
    }

    /// The rig or its host: exit code 3.
    pub fn infra(what: impl fmt::Display) -> Self {
        Self { exit: ExitCode::Infra, what: what.to_string(), hint: None }
    }

    /// What the person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what.trim_end())?;
        match &self.hint {
            Some(hint) => write!(f, "\n hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ConfError> for CliError {
    fn from(error: ConfError) -> Self {
        Self::refused(format!("{error:#}"))
    }
}

impl From<BoardsError> for CliError {
    fn from(error: BoardsError) -> Self {
        Self::refused(format!("{error:#}"))
    }
}

impl From<SuiteError> for CliError {
    fn from(error: SuiteError) -> Self {
        match error {
            SuiteError::Document(error) => error.into(),
            other => Self::refused(other),
        }
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        let hint = fault.hint.clone();
        let exit = match (&fault.stop, fault.kind) {
            (Some(Stop::Cancelled(_)), _) => ExitCode::Interrupted,
            // What somebody wrote into a document or a variable is refused; the rig itself is not to blame.
            (_, InfraKind::Config) => ExitCode::Refused,
            _ => ExitCode::Infra,
        };
        Self { exit, hint, ..Self::infra(fault) }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::infra(error)
    }
}

/// What every subcommand returns.
pub type CliResult<T = ExitCode> = Result<T, CliError>;
