//! What a rig does wrong, typed. A fault never decides whose fault it was.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Stop;

/// The part of a rig that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InfraKind {
    /// Switching or reading back an output.
    Power,
    /// The line to the DUT's console.
    Console,
    /// A storage mux or the way to a medium.
    Storage,
    /// The medium itself: unreadable, too small, not what was written.
    Medium,
    /// The path between the rig host and the DUT.
    Network,
    /// A USB device of the rig.
    Usb,
    /// A debug probe, or the chip behind it.
    Probe,
    /// What takes pictures of the DUT's screen.
    Capture,
    /// The DUT's screen, which shows nothing as far as its capture can tell: no signal, a machine that is off.
    Screen,
    /// A program that the rig runs.
    Tool,
    /// The rig host: memory, disk, starved of CPU.
    Host,
    /// The right to the slot.
    Lease,
    /// A rig file that does not match the rig.
    Config,
}

/// One failed operation of a driver, with what was expected and what was got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What failed.
    pub kind: InfraKind,
    /// The driver: `gpio`, `qemu`, `ssh`.
    pub driver: String,
    /// The operation as a verb: `set`, `read back`, `open`.
    pub op: String,
    /// Which one: a path, an address, an output's name.
    pub endpoint: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub got: String,
    /// What is behind it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What the person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The wait that ended, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// The result of a rig operation.
pub type Rig<T> = Result<T, Fault>;

impl Fault {
    /// A fault of `driver` while it did `op` on `endpoint`.
    pub fn new(
        kind: InfraKind,
        driver: impl Into<String>,
        op: impl Into<String>,
        endpoint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            driver: driver.into(),
            op: op.into(),
            endpoint: endpoint.into(),
            expected: String::new(),
            got: String::new(),
            causes: Vec::new(),
            hint: None,
            stop: None,
        }
    }

    /// What should have been and what was.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.expected = expected.into();
        self.got = got.into();
        self
    }

    /// Adds an error and all that is behind it.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// What the person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The wait that ended.
    #[must_use]
    pub fn stopped(mut self, stop: Stop) -> Self {
        if self.got.is_empty() {
            self.got = stop.to_string();
        }
        self.stop = Some(stop);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot {} {}", self.driver, self.op, self.endpoint)?;
        if !self.expected.is_empty() {
            write!(f, ": expected {}, got {}", self.expected, self.got)?;
        } else if !self.got.is_empty() {
            write!(f, ": {}", self.got)?;
        }
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
