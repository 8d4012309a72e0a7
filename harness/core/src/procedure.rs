//! A provisioning procedure as data: what is shown before it is done, and what is done.

use std::fmt;
use std::time::Duration;

use crate::netboot::Netboot;
use crate::storage::Side;

/// All steps from a slot in any state to a medium that holds the image and waits for power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// `sd-card`, `flasher` … as in the descriptor.
    pub kind: &'static str,
    /// In order.
    pub steps: Vec<ProvStep>,
    /// What is not known about the board and would have been used, for people.
    pub unknown: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvStep {
    /// Unique within the procedure: `write-main`.
    pub id: String,
    /// What is done.
    pub act: Act,
    /// What shows that it was done.
    pub proof: Shows,
    /// The longest time, on the rig's clock.
    pub within: Duration,
    /// What takes it back when a later step fails, besides the safe state that every run ends in.
    pub undo: Option<Act>,
    /// What may be done after it failed.
    pub redo: Redo,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The supply off.
    PowerOff,
    /// The supply on.
    PowerOn,
    /// A jumper, button or switch of the slot.
    Output {
        /// Its name in the rig file.
        name: String,
        /// Held, closed or set.
        on: bool,
    },
    /// A medium to one side of its mux.
    Switch {
        /// Its name in the rig file.
        medium: String,
        /// Who gets it.
        to: Side,
    },
    /// The image onto a medium.
    Write {
        /// Its name in the rig file.
        medium: String,
        /// What is written.
        payload: Payload,
    },
    /// The whole medium read again and compared with the image.
    ReadBack {
        /// Its name in the rig file.
        medium: String,
    },
    /// The run's names and keys into the configuration document.
    Configure {
        /// Its name in the rig file.
        medium: String,
    },
    /// A USB device appears on the rig host.
    AwaitUsb {
        /// For people.
        what: String,
        /// `vendor:product` in hex, the product `*` when unknown.
        id: String,
    },
    /// A medium appears on the rig host as a block device.
    AwaitMedium {
        /// Its name in the rig file.
        medium: String,
    },
    /// Whether a program of the rig host is there, in the version that is demanded. Changes nothing.
    CheckTool {
        /// `rpiboot`, `tegra`, `uuu`.
        name: String,
    },
    /// A program of the rig host, to its end.
    Tool {
        /// `rpiboot`, `tegra`, `uuu`.
        name: String,
        /// What it does here.
        does: String,
    },
    /// Keys on the DUT's keyboard.
    Keys {
        /// In words.
        keys: String,
    },
    /// The rig host serves the image's boot files over the network.
    Serve {
        /// Which, and what the boot loader will be told.
        how: Box<Netboot>,
    },
    /// The boot loader is told over the console to take them, and to boot them.
    Dialogue {
        /// What it is told.
        how: Box<Netboot>,
    },
    /// The boot loader takes all of them.
    AwaitFetch,
    /// The DUT powers itself off.
    AwaitOff,
    /// Nothing, until the capacitors are empty.
    Drain,
    /// The DUT is booted and asked what it runs from.
    ProveInternal {
        /// The kernel names that count; empty when unknown.
        target: Vec<String>,
    },
}

impl Act {
    /// The place of a [`Self::Configure`] that is for a tool: a file, which is none of the slot's media.
    pub const COPY: &'static str = "a copy of the image";
}

/// What is written onto a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The OS itself.
    Image,
    /// The installer that brings the OS.
    Installer,
}

/// What shows that a step was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The output, read back; else the console's silence.
    Level,
    /// The mux says on which side the medium is.
    Side,
    /// Every byte of the image was accepted by the medium, and flushed.
    Written,
    /// What was read equals the image's payload hash.
    Equal,
    /// The document was read back as it was written.
    Document,
    /// The device is enumerated on the rig host's bus, and was not before.
    Enumerated,
    /// The tool ended with success *and* said that it wrote: its exit code alone is no proof.
    ToolReport,
    /// What a program says about itself.
    Version,
    /// The boot loader's answer on the console.
    Answer,
    /// The files were fetched to their end.
    Fetched,
    /// The link went down, the current fell or the console said so, and stayed so.
    Off,
    /// The time passed with the supply proven off.
    Elapsed,
    /// The running system names its root medium, and the version or hash of the image.
    Running,
    /// Nothing: the next step's proof counts.
    Nothing,
}

/// What may be done after a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// The step again: it does the same thing twice without harm.
    Step,
    /// Everything from the first step.
    Start,
    /// Nothing by machine: a person looks first.
    Person,
}

impl Redo {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "the step again",
            Self::Start => "from the start",
            Self::Person => "a person looks first",
        }
    }
}

fn joined<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

fn side(to: Side) -> &'static str {
    match to {
        Side::Host => "the rig host",
        Side::Dut => "the DUT",
        Side::Neither => "nobody",
        Side::Unknown => "an unknown side",
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOff => f.write_str("switch the supply off"),
            Self::PowerOn => f.write_str("switch the supply on"),
            Self::Output { name, on } => write!(f, "{} `{name}`", if *on { "set" } else { "release" }),
            Self::Switch { medium, to } => write!(f, "give medium `{medium}` to {}", side(*to)),
            Self::Write { medium, payload: Payload::Image } => write!(f, "write the image to `{medium}`"),
            Self::Write { medium, payload: Payload::Installer } => {
                write!(f, "write the installer to `{medium}`")
            }
            Self::ReadBack { medium } => write!(f, "read `{medium}` back and compare it with the image"),
            Self::Configure { medium } => {
                write!(f, "put this run's names and keys on the boot partition of `{medium}`")
            }
            Self::AwaitUsb { what, id } => write!(f, "wait for {what} on USB ({id})"),
            Self::AwaitMedium { medium } => write!(f, "wait for `{medium}` as a disk of the rig host"),
            Self::CheckTool { name } => write!(f, "look whether {name} is there, and which version it is"),
            Self::Tool { name, does } => write!(f, "run {name}: {does}"),
            Self::Keys { keys } => write!(f, "press keys: {keys}"),
            Self::Serve { how } => write!(f, "serve over TFTP: {}", joined(&how.files)),
            Self::Dialogue { how } => write!(f, "tell the boot loader: {}", joined(&how.orders())),
            Self::AwaitFetch => f.write_str("wait until the boot files were fetched"),
            Self::AwaitOff => f.write_str("wait until the DUT powers itself off"),
            Self::Drain => f.write_str("let the capacitors drain"),
            Self::ProveInternal { target } if target.is_empty() => {
                f.write_str("boot, and prove that the internal medium runs this image")
            }
            Self::ProveInternal { target } => {
                write!(f, "boot, and prove that {} runs this image", target.join(" or "))
            }
        }
    }
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level => "the output read back, else the console's silence",
            Self::Side => "the mux says so",
            Self::Written => "every byte accepted and flushed",
            Self::Equal => "what was read equals the image's payload hash",
            Self::Document => "the document read back as written",
            Self::Enumerated => "a device on the bus that was not there before",
            Self::ToolReport => "the tool says that it wrote; its exit code alone is no proof",
            Self::Version => "the version that it tells is the one that the rig file demands",
            Self::Answer => "the boot loader's answers: each command done, each file of its length",
            Self::Fetched => "the server saw the last block of each acknowledged",
            Self::Off => "link, current or console say off, and stay so",
            Self::Elapsed => "the time passed with the supply proven off",
            Self::Running => "the running system names its root medium and the image's version",
            Self::Nothing => "none: the next step's proof counts",
        })
    }
}
