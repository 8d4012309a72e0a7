//! Cases: what is checked, what it needs, and the sabotage under which it must fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::board::Board;
use crate::boot::{BootFailure, BootReport};
use crate::console::{Console, Cursor};
use crate::event::Measure;
use crate::fault::Fault;
use crate::ids::{Capability, CaseId};
use crate::profile::OsProfile;
use crate::shell::{Cmd, Ran, ShellError};
use crate::time::{Deadline, Stop};

/// What a case does to the DUT. Cases run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Leaves the DUT as it was: what it starts, it removes.
    ReadOnly,
    /// Prepares something, then checks it after one reboot that all such cases share.
    SharesReboot,
    /// Changes the running OS; the next reboot or the case itself heals it.
    Dirties,
    /// Reboots by itself.
    Reboots,
    /// Installs another version.
    Updates,
    /// Cuts the power.
    CutsPower,
    /// Leaves the medium in need of a new image.
    Reflashes,
}

/// A small edit of the OS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// A line of shell on the running DUT, as root.
    Shell(String),
}

/// An edit under which the case must fail, with the text that its failure must then contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sabotage {
    /// Kebab-case, unique within the case.
    pub id: String,
    /// In order.
    pub edits: Vec<Edit>,
    /// A line of shell that takes it back; `None`: a reboot does.
    pub undo: Option<String>,
    /// Part of the failure's text (`what`, `expected` or `got`).
    pub must_say: String,
}

/// What a case is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSpec {
    /// Stable: history hangs on it.
    pub id: CaseId,
    /// One sentence: what is true when it passes.
    pub title: String,
    /// What board, OS and slot must offer.
    pub needs: BTreeSet<Capability>,
    /// What it does to the DUT.
    pub effect: Effect,
    /// The longest time for one attempt, at pace 1.
    pub within: Duration,
    /// Cases that must have passed before.
    pub after: Vec<CaseId>,
    /// At least one.
    pub sabotage: Vec<Sabotage>,
}

/// The OS did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// One sentence.
    pub what: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub got: String,
}

impl Failure {
    /// A failure with what was expected and what was got.
    pub fn new(what: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), got: got.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.what, self.expected, self.got)
    }
}

/// Why a case ended before its end. Neutral but for `Fail` and `Broken`: the adjudicator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The OS did not do what it should.
    Fail(Failure),
    /// The shell did not get through.
    Shell(ShellError),
    /// The rig broke.
    Rig(Fault),
    /// A wait ended.
    Late(Stop),
    /// A boot did not come up.
    Boot(BootFailure),
    /// The case itself is broken: an invalid pattern, a missing file of ours.
    Broken(String),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<ShellError> for Cut {
    fn from(error: ShellError) -> Self {
        Self::Shell(error)
    }
}

impl From<Fault> for Cut {
    fn from(fault: Fault) -> Self {
        Self::Rig(fault)
    }
}

impl From<Stop> for Cut {
    fn from(stop: Stop) -> Self {
        Self::Late(stop)
    }
}

impl From<BootFailure> for Cut {
    fn from(failure: BootFailure) -> Self {
        Self::Boot(failure)
    }
}

/// How to reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// The OS is asked to.
    Clean,
    /// The reset line.
    Reset,
    /// Power off and on.
    PowerCut,
}

/// What a watched reboot may do on its way to *ready*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resets {
    /// How many further starts are expected (a rollback starts several times).
    pub up_to: u32,
    /// Ids of known-bad lines that are expected (a panic that a rollback answers).
    pub bad: Vec<String>,
}

/// Something worth showing with a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A command, recorded by the harness for every [`Dut::run`].
    Command {
        /// The line of shell.
        line: String,
        /// `ssh` or `console`.
        by: String,
        /// `exit code 0`, or why it did not end.
        ended: String,
        /// The start of its standard output, as text.
        out: String,
        /// The start of its standard error, as text.
        err: String,
        /// How long it took.
        #[serde(with = "crate::time::millis")]
        took: Duration,
    },
    /// A note of the case.
    Note(String),
    /// Another SSH host key of the DUT is believed from here on.
    HostKey {
        /// The fingerprint that was believed until now: `SHA256:…`.
        was: String,
        /// The one that is believed now.
        now: String,
        /// Why.
        word: KeyWord,
    },
    /// A file in the run's folder.
    File {
        /// Relative to the run's folder.
        path: String,
        /// `screenshot`, `journal`.
        role: String,
    },
}

/// Why another host key is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyWord {
    /// The console showed it.
    Console,
    /// A case had declared that the boot may bring another one ([`Dut::host_key_may_change`]), and it was the
    /// first other one at which the boot let us in.
    Declared,
}

impl fmt::Display for KeyWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Console => "the console showed it",
            Self::Declared => "the case had declared that this boot may bring another one",
        })
    }
}

/// The DUT as a case sees it: no driver, rig, board slug or QEMU in sight.
pub trait Dut: Send + Sync {
    /// What the OS under test promises.
    fn profile(&self) -> &OsProfile;
    /// The board type.
    fn board(&self) -> &Board;
    /// Facts of this run for `{name}` in checks: `hostname`, `uuid`, `board`, `engine`,
    /// `version`, `ntp`, and the profile's own.
    fn facts(&self) -> &BTreeMap<String, String>;
    /// Whether board, OS and slot together offer it.
    fn offers(&self, capability: &Capability) -> bool;
    /// Runs a command over the DUT's shell and records it as evidence. Reconnects by itself after a reboot.
    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>>;
    /// The same through the login on the console, when the network is what is tested.
    fn run_on_console<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, Cut>>;
    /// Writes a file on the DUT.
    fn put<'a>(&'a self, to: &'a str, data: &'a [u8], by: &'a Deadline) -> Fut<'a, Result<(), ShellError>>;
    /// Puts one of the image's companion files (`update`, `update-broken-init`, …) onto the DUT.
    fn put_companion<'a>(&'a self, role: &'a str, to: &'a str, by: &'a Deadline) -> Fut<'a, Result<(), Cut>>;
    /// The main console.
    fn console(&self) -> &Console;
    /// Reboots and waits until *ready*.
    fn reboot<'a>(&'a self, how: Reboot, by: &'a Deadline) -> Fut<'a, Result<BootReport, Cut>>;
    /// Watches a reboot that the DUT does by itself, from `since` on, until *ready*.
    fn await_boot<'a>(
        &'a self,
        since: Cursor,
        allowed: &'a Resets,
        by: &'a Deadline,
    ) -> Fut<'a, Result<BootReport, Cut>>;
    /// The fingerprint `SHA256:…` of the SSH host key that is believed now; `None` where SSH never let us in.
    fn host_key(&self) -> Option<String>;
    /// Declares that what the case does next erases the place of the SSH host key. From the next reboot that
    /// the case asks for or awaits to its *ready*, the first other key at which the run's own key lets us in is
    /// believed instead, with [`Evidence::HostKey`]; at any other time another key is refused. Ends with that
    /// boot, or with the case. Where the OS profile says how the console shows the key, only the console is
    /// believed.
    fn host_key_may_change(&self);
    /// Declares that the DUT has, now or from its next boot on, this host name as well as those before.
    fn renamed(&self, hostname: &str) {
        let _ = hostname;
    }
    /// Tries to log in with another key or none; `Ok` is the method that let us in.
    fn try_login<'a>(&'a self, how: LoginTry, by: &'a Deadline) -> Fut<'a, Result<bool, ShellError>>;
    /// Whether a TCP port of the DUT accepts from outside.
    fn port_open<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<bool, Cut>>;
    /// The NTP server that the rig host offers, as the DUT sees it.
    fn ntp<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, Cut>>;
    /// Reports a measure.
    fn measure(&self, measure: Measure);
    /// Adds evidence.
    fn evidence(&self, evidence: Evidence);
}

/// A login that should be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginTry {
    /// With a fresh key that nobody authorized.
    UnknownKey,
    /// With a password.
    Password,
}

/// A check. `prepare` runs before the shared reboot and only for [`Effect::SharesReboot`].
pub trait Case: Send + Sync {
    /// What it is.
    fn spec(&self) -> &CaseSpec;
    /// Before the reboot that it shares.
    fn prepare<'a>(&'a self, _dut: &'a dyn Dut, _by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async { Ok(()) })
    }
    /// The check itself.
    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>>;
}

/// All cases that are known, by id.
pub type Cases = Vec<Arc<dyn Case>>;
