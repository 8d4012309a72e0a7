//! What a boot looks like (data), and what came of one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::console::Closed;
use crate::outcome::Blame;
use crate::time::{Mono, Stop};

/// How a stage is seen to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Any of these patterns (byte regexes) on the main console.
    Console(Vec<String>),
    /// The SSH server answers and lets us in.
    Shell,
    /// The container engine answers as the OS profile says.
    Engine,
}

/// One stage of the way up, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// `firmware`, `bootloader`, `kernel`, `userspace`, `login`, `ready`.
    pub name: String,
    /// How it is seen.
    pub seen: Seen,
    /// The longest time from the stage before, at pace 1.
    pub within: Duration,
    /// What it takes on a quiet machine: the measure of the pace. `None` when unknown.
    pub typical: Option<Duration>,
    /// A board may boot without showing it (a silent firmware).
    pub optional: bool,
    /// Seen again after a later stage, it means an unexpected reset.
    pub once: bool,
}

/// A line that ends a boot at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSpec {
    /// `kernel-panic`, `no-root`, `watchdog-reset`.
    pub id: String,
    /// A byte regex.
    pub pattern: String,
    /// What it means, for people.
    pub says: String,
    /// Whose fault it is when nothing else speaks against it.
    pub blame: Blame,
    /// How long to go on reading for the lines after it.
    pub drain: Duration,
}

/// A board's stages and an OS profile's stages, composed when a run is resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootSpec {
    /// In order.
    pub stages: Vec<StageSpec>,
    /// In no order.
    pub bad: Vec<BadSpec>,
}

impl BootSpec {
    /// Whether the console may stay silent on the way up: no stage that must come is seen on it.
    pub fn may_be_silent(&self) -> bool {
        self.stages.iter().all(|stage| stage.optional || !matches!(stage.seen, Seen::Console(_)))
    }
}

/// A stage that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTime {
    /// The stage's name.
    pub name: String,
    /// Since power-on (or since the reboot was asked for).
    #[serde(with = "crate::time::millis")]
    pub after: Duration,
    /// On the run's clock.
    pub at: Mono,
    /// The console line, or what answered.
    pub saw: String,
}

/// A boot that came up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootReport {
    /// In order.
    pub stages: Vec<StageTime>,
    /// The pace that this boot was measured at: 1.0 is as the descriptor says.
    pub pace: f64,
    /// How often the bootloader's banner was seen.
    pub banners: u32,
}

/// A boot that did not come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootFailure {
    /// A known-bad line.
    Bad {
        /// Its id.
        id: String,
        /// What it means.
        says: String,
        /// Whose fault it is when nothing else speaks against it.
        blame: Blame,
        /// The last stage before it.
        stage: String,
        /// The lines around it.
        lines: Vec<String>,
    },
    /// A stage was not reached in time.
    Late {
        /// The stage that did not come.
        stage: String,
        /// The last one that did; `power` when none.
        after: String,
        /// It is seen over the network, and all that the console must show before it was shown.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        outside: bool,
        /// The wait.
        stop: Stop,
    },
    /// A later stage came first.
    OutOfOrder {
        /// The stage that should have come.
        expected: String,
        /// The one that came.
        got: String,
        /// The line that showed it.
        line: String,
    },
    /// The DUT started over.
    Reset {
        /// The stage it had reached.
        stage: String,
        /// The line that showed it.
        line: String,
    },
    /// The console ended.
    Closed(Closed),
}

impl BootFailure {
    /// One line for people.
    pub fn headline(&self) -> String {
        match self {
            Self::Bad { says, stage, .. } => format!("{says} (after {stage})"),
            Self::Late { stage, after, stop, .. } => format!("{stage} not reached after {after}: {stop}"),
            Self::OutOfOrder { expected, got, line } => format!("{got} was seen before {expected}: {line}"),
            Self::Reset { stage, line } => format!("unexpected reset after {stage}: {line}"),
            Self::Closed(closed) => format!("the console ended: {}", closed.why),
        }
    }
}
