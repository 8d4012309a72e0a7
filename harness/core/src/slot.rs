//! A DUT's place on a rig: everything that the runner may hold, whoever provides it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::board::Board;
use crate::case::LoginTry;
use crate::console::{Console, ConsoleLog, Cursor};
use crate::fault::{Fault, InfraKind, Rig};
use crate::ids::Capability;
use crate::line::Guarded;
use crate::netboot::{Loader, Prompt, Tftp};
use crate::probe::Probe;
use crate::profile::LoginProfile;
use crate::shell::{Shell, ShellError};
use crate::storage::Storage;
use crate::time::{Deadline, PaceGauge};
use crate::tool::RigTool;

/// Where to find the DUT on the network. Asked anew after each boot, never cached.
pub trait Network: Send + Sync {
    /// The address that reaches this TCP port of the DUT. A DUT that cannot be found is unreachable; a fault
    /// is what is wrong with the rig.
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>>;
    /// Tells the path apart from what is behind it.
    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath>;
    /// Looks at the rig's own end, whether or not the DUT is there: what is in order.
    fn look<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<String>>;
    /// Tells a host name that this run gave its image: the DUT has it, or one of those told before. A way
    /// that needs no name has no use for it.
    fn named(&self, hostname: &str) {
        let _ = hostname;
    }
}

/// What the network says about the DUT, without logging in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetPath {
    /// The port accepts and a server speaks.
    Speaks,
    /// The port accepts, and nothing is said.
    Mute,
    /// The DUT's network stack refuses the port.
    Refused,
    /// No answer.
    Silent,
    /// The rig's own side is down: no carrier, no such interface.
    RigDown(String),
    /// This slot has no network, or cannot tell.
    Unknown,
}

/// Whether a process that a virtual DUT consists of still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// It runs.
    Running,
    /// We ended it, or the DUT powered itself off.
    Off,
    /// It ended by itself or by somebody else's hand: how.
    Died(String),
    /// The DUT is hardware.
    None,
}

/// What the rig can tell about the DUT and itself from outside, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitalSigns {
    /// The process behind the DUT.
    pub process: ProcessState,
    /// How much longer things took because the rig host had no CPU for them: 1.0 is not at all.
    pub starved: f64,
    /// What is wrong with the rig host, if anything: `disk full: /out`.
    pub host: Option<String>,
}

/// Looks at the DUT and the rig from outside.
pub trait Vitals: Send + Sync {
    /// Now.
    fn look(&self) -> VitalSigns;
}

/// A picture of the DUT's screen.
pub trait Capture: Send + Sync {
    /// A PNG of what is shown now. A fault of the kind [`InfraKind::Screen`] says that nothing is.
    fn screenshot<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Vec<u8>>>;
}

/// What the rig host serves to its DUT.
pub trait Services: Send + Sync {
    /// Starts an NTP server that tells the host's time (once), and returns its
    /// address as the DUT sees it.
    fn ntp<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<SocketAddr>>;
}

/// How to log in over SSH.
#[derive(Clone)]
pub struct SshTarget {
    /// What reaches the DUT's SSH port now.
    pub addr: SocketAddr,
    /// The user.
    pub user: String,
    /// An OpenSSH private key (PEM), made for this run.
    pub key: Arc<str>,
    /// The fingerprint `SHA256:…` that is believed; `None` accepts the first and returns it pinned.
    pub host_key: Option<String>,
}

impl fmt::Debug for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({})", self.user, self.addr, self.host_key.as_deref().unwrap_or("no pinned key"))
    }
}

/// Makes shells. Given by the composition root, so that the runner knows no SSH library.
pub trait Shells: Send + Sync {
    /// Connects and logs in; returns the shell and the host key's fingerprint.
    fn ssh<'a>(
        &'a self,
        target: &'a SshTarget,
        by: &'a Deadline,
    ) -> Fut<'a, Result<(Arc<dyn Shell>, String), ShellError>>;
    /// Tries to log in as somebody who must not get in; whether the DUT let us in.
    fn try_login<'a>(
        &'a self,
        addr: SocketAddr,
        user: &'a str,
        how: LoginTry,
        by: &'a Deadline,
    ) -> Fut<'a, Result<bool, ShellError>>;
    /// Waits for a boot loader's countdown in what comes after `since`, ends it, and sees its prompt.
    /// A fault where no DUT has a boot loader.
    fn interrupt<'a>(
        &'a self,
        console: &'a Console,
        loader: &'a Loader,
        since: Cursor,
        by: &'a Deadline,
    ) -> Fut<'a, Rig<Box<dyn Prompt>>> {
        let _ = (console, since, by);
        let fault = Fault::new(InfraKind::Config, "shells", "speak with", "the boot loader")
            .expected(format!("somebody who waits for `{}`", loader.countdown), "nobody: there is none here");
        Box::pin(async { Err(fault) })
    }
    /// Logs in on the console.
    fn login<'a>(
        &'a self,
        console: &'a Console,
        login: &'a LoginProfile,
        by: &'a Deadline,
    ) -> Fut<'a, Result<Arc<dyn Shell>, ShellError>>;
}

/// One DUT's place on a rig.
pub struct Slot {
    /// `rig/slot`: `qemu/amd64`.
    pub id: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The supply; `None` on a rig without power control.
    pub power: Option<Guarded>,
    /// Buttons, jumpers, boot switches, USB VBUS by name.
    pub outputs: BTreeMap<String, Guarded>,
    /// Consoles by name; `main` is the one that boots are watched on.
    pub consoles: BTreeMap<String, Console>,
    /// Media by name; the first that the board boots from is `main`.
    pub media: BTreeMap<String, Arc<dyn Storage>>,
    /// Debug probes by name.
    pub probes: BTreeMap<String, Arc<dyn Probe>>,
    /// Programs of the rig host that bring an image onto the board, by the names that procedures have
    /// for them.
    pub tools: BTreeMap<String, Arc<dyn RigTool>>,
    /// The way to the DUT's network.
    pub network: Option<Arc<dyn Network>>,
    /// What the rig host serves.
    pub services: Option<Arc<dyn Services>>,
    /// Who gives boot files to the DUT.
    pub tftp: Option<Arc<dyn Tftp>>,
    /// The screen.
    pub capture: Option<Arc<dyn Capture>>,
    /// Signs of life from outside.
    pub vitals: Arc<dyn Vitals>,
    /// How slow the DUT is right now.
    pub pace: Arc<PaceGauge>,
    /// What this place adds to the board's capabilities: `power-cut`, `console-input`, `watchdog`.
    pub offers: BTreeSet<Capability>,
    /// Facts for the journal: QEMU's version, the machine, CPU and memory.
    pub facts: BTreeMap<String, String>,
}

impl Slot {
    /// The console that boots are watched on.
    pub fn console(&self) -> Option<&Console> {
        self.consoles.get("main")
    }

    /// The main console's log.
    pub fn log(&self) -> Option<&Arc<ConsoleLog>> {
        self.console().map(|console| &console.log)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, {})", self.id, self.board.slug)
    }
}
