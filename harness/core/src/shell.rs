//! A way to run commands on the DUT. What it cannot reach is neutral: blame is given elsewhere.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::fault::{Fault, InfraKind};
use crate::time::{Deadline, Stop};

/// A command for the DUT's shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    /// One line of POSIX shell.
    pub line: String,
    /// What the command reads.
    pub stdin: Vec<u8>,
    /// The most bytes kept of each of its outputs.
    pub limit: usize,
}

impl Cmd {
    /// Output kept unless told otherwise.
    pub const LIMIT: usize = 4 << 20;

    /// A line of POSIX shell.
    pub fn sh(line: impl Into<String>) -> Self {
        Self { line: line.into(), stdin: Vec::new(), limit: Self::LIMIT }
    }

    /// A program with its arguments, each quoted for the shell.
    pub fn argv<I: IntoIterator<Item = S>, S: AsRef<str>>(argv: I) -> Self {
        let words: Vec<_> = argv.into_iter().map(|word| quote(word.as_ref())).collect();
        Self::sh(words.join(" "))
    }

    /// What the command reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }
}

/// One word for a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It returned this.
    Code(i32),
    /// A signal ended it: `KILL`.
    Signal(String),
}

impl Exit {
    /// Whether it returned 0.
    pub fn is_ok(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// A command that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// Standard output, at most [`Cmd::limit`] bytes.
    pub out: Vec<u8>,
    /// Standard error, at most [`Cmd::limit`] bytes. Empty where a shell cannot tell it apart.
    pub err: Vec<u8>,
    /// From sending to the end.
    pub took: Duration,
    /// Whether more was printed than kept.
    pub truncated: bool,
}

impl Ran {
    /// Standard output as text for people and patterns, without the last line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// The DUT did not answer. Neutral: a dead sshd and a pulled cable look alike from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreachable {
    /// Nothing listens: the connection was refused.
    Refused(String),
    /// No answer at all to the connection attempt.
    NoRoute(String),
    /// Connected, and then silent.
    Mute(Stop),
    /// The connection ended in the middle.
    Closed(String),
    /// The session had ended before the command was sent: nothing of it was done.
    NotSent(String),
    /// It speaks, but not the protocol.
    Garbage(String),
    /// The DUT does not let us in.
    Denied(String),
    /// The DUT let us in and would not do it: no such file, a full disk.
    Refusal(String),
    /// What arrived is not what was sent.
    Mangled(String),
    /// Another machine answered, or the DUT has a new key.
    WrongHostKey {
        /// The pinned fingerprint, `SHA256:…`.
        expected: String,
        /// What was offered.
        got: String,
    },
    /// The command did not end in time.
    Hung(Stop),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(what) => write!(f, "connection refused: {what}"),
            Self::NoRoute(what) => write!(f, "no answer to the connection: {what}"),
            Self::Mute(stop) => write!(f, "connected, then silent: {stop}"),
            Self::Closed(what) => write!(f, "the connection was closed: {what}"),
            Self::NotSent(what) => write!(f, "not sent: {what}"),
            Self::Garbage(what) => write!(f, "the answer is not SSH: {what}"),
            Self::Denied(what) => write!(f, "access denied: {what}"),
            Self::Refusal(what) => f.write_str(what),
            Self::Mangled(what) => write!(f, "mangled on the way: {what}"),
            Self::WrongHostKey { expected, got } => write!(f, "host key {got} instead of {expected}"),
            Self::Hung(stop) => write!(f, "the command did not end: {stop}"),
        }
    }
}

/// Why a command did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShellError {
    /// The DUT did not answer.
    Dut(Unreachable),
    /// The rig broke.
    Rig(Fault),
}

impl fmt::Display for ShellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dut(unreachable) => unreachable.fmt(f),
            Self::Rig(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ShellError {}

impl ShellError {
    /// As a fault, for somebody who only wants to get to the DUT and asks for no blame.
    pub fn into_fault(self, slot: &str) -> Fault {
        match self {
            Self::Rig(fault) => fault,
            Self::Dut(unreachable) => {
                let fault = Fault::new(InfraKind::Network, "network", "find the DUT of", slot);
                fault.expected("an address", unreachable.to_string())
            }
        }
    }
}

/// A shell on the DUT: SSH, or a login on the console.
pub trait Shell: Send + Sync {
    /// `ssh` or `console`.
    fn kind(&self) -> &'static str;
    /// Runs a command to its end.
    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>>;
    /// Writes a file: whole, then renamed into place.
    fn put<'a>(
        &'a self,
        to: &'a str,
        data: &'a [u8],
        mode: u32,
        by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>>;
    /// Reads a file of at most `most` bytes.
    fn get<'a>(&'a self, from: &'a str, most: u64, by: &'a Deadline) -> Fut<'a, Result<Vec<u8>, ShellError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive_the_shell() {
        assert_eq!(Cmd::argv(["echo", "it's", "a b", ""]).line, r"echo 'it'\''s' 'a b' ''");
    }
}
