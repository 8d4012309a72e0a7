//! Everything that happens in a run, as events. The journal is the truth; the rest are its readers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::{BootFailure, BootReport, StageTime};
use crate::case::{Effect, Evidence};
use crate::fault::Fault;
use crate::ids::{CaseId, Sha};
use crate::image::ImageRef;
use crate::line::Proof;
use crate::outcome::{Blame, ExitCode, Outcome};

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Smaller.
    Lower,
    /// Larger.
    Higher,
}

/// A number that history keeps and the gate limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Dotted: `boot.kernel`, `memory.rest`.
    pub name: String,
    /// In `unit`.
    pub value: f64,
    /// `s`, `MiB`, `%`, `B`.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
}

/// A case of the plan, and why it will not run if it will not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Which.
    pub id: CaseId,
    /// What is true when it passes.
    pub title: String,
    /// What it does to the DUT.
    pub effect: Effect,
    /// Decided when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
}

/// What a run is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunHead {
    /// The board's slug.
    pub board: String,
    /// `rig/slot`.
    pub slot: String,
    /// The OS profile's id.
    pub profile: String,
    /// The image under test.
    pub image: ImageRef,
    /// What was asked for: `demo`, `container::*`.
    pub selection: String,
    /// The command that repeats it.
    pub command: String,
    /// shakedown's version.
    pub harness: String,
    /// Hashes of the resolved documents and of the suites: `board`, `profile`, `suites`.
    pub hashes: BTreeMap<String, Sha>,
    /// The slot's facts: QEMU's version, machine, CPU, memory; the host's name and cores.
    pub facts: BTreeMap<String, String>,
}

impl RunHead {
    /// The fact by which a simulated slot says what it is.
    pub const SIMULATED: &str = "simulated";

    /// Whether the slot exists only as data: then the run says nothing about an image.
    pub fn is_simulated(&self) -> bool {
        self.facts.contains_key(Self::SIMULATED)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The first event of a run.
    RunStarted(Box<RunHead>),
    /// What will run, in order.
    Planned {
        /// In order.
        cases: Vec<Planned>,
    },
    /// A step of provisioning, boot or collection began.
    StepStarted {
        /// A verb phrase: `write image`.
        step: String,
    },
    /// It ended well.
    StepEnded {
        /// The same phrase.
        step: String,
        /// How it is known: `read back 312 MiB, SHA-256 equal`.
        proof: String,
        /// From its start.
        #[serde(with = "crate::time::millis")]
        took: Duration,
    },
    /// It did not.
    StepFailed {
        /// The same phrase.
        step: String,
        /// What came of it.
        outcome: Outcome,
        /// Whose fault it is.
        blame: Blame,
        /// The adjudicator's row that decided.
        because: String,
        /// From its start.
        #[serde(with = "crate::time::millis")]
        took: Duration,
    },
    /// How far a long step is.
    Progress {
        /// The step's phrase.
        step: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
    },
    /// An output was switched.
    Switched {
        /// What and how it is known.
        proof: Proof,
    },
    /// A boot began.
    BootStarted {
        /// `power-on`, `clean reboot`, `watchdog`.
        how: String,
    },
    /// A stage was reached.
    StageReached(StageTime),
    /// A boot came up.
    BootEnded(BootReport),
    /// A boot did not come up.
    BootFailed(BootFailure),
    /// Deadlines of the DUT are stretched from now on.
    PaceChanged {
        /// The factor in force.
        factor: f64,
        /// `measured at boot`, `QEMU waited for a core`.
        why: String,
    },
    /// An attempt at a case began.
    CaseStarted {
        /// Which.
        case: CaseId,
        /// From 1.
        attempt: u32,
    },
    /// Something worth showing with a case, or with the run when `case` is `None`.
    Evidence {
        /// Which case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<CaseId>,
        /// What.
        evidence: Evidence,
    },
    /// A number.
    Measured {
        /// Which case; `None` for the run itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<CaseId>,
        /// What.
        measure: Measure,
    },
    /// An attempt ended.
    CaseEnded {
        /// Which.
        case: CaseId,
        /// From 1.
        attempt: u32,
        /// What came of it.
        outcome: Outcome,
        /// Whose fault it is; `None` unless something went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blame: Option<Blame>,
        /// The adjudicator's row that decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
        /// From its start.
        #[serde(with = "crate::time::millis")]
        took: Duration,
        /// The console's lines around its end, when something went wrong.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        console: Vec<String>,
    },
    /// A fault that did not end anything.
    Trouble(Fault),
    /// A file was added to the run's folder.
    Saved {
        /// Relative to the run's folder.
        path: String,
        /// `console`, `journal`, `screenshot`.
        role: String,
        /// Bytes.
        size: u64,
        /// Of the file.
        sha256: Sha,
    },
    /// A control run with a known-good image was made to settle the blame.
    ControlRun {
        /// What came of it.
        outcome: Outcome,
        /// The control image.
        image: Sha,
    },
    /// The last event of a run.
    RunEnded {
        /// What the process returns.
        exit: ExitCode,
        /// The verdict in one line.
        verdict: String,
        /// From the start of the run.
        #[serde(with = "crate::time::millis")]
        took: Duration,
        /// Of that, waiting for the DUT or the medium.
        #[serde(with = "crate::time::millis")]
        waited: Duration,
    },
}

impl Event {
    /// The kebab-case name of the variant, as the journal has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunStarted(_) => "run-started",
            Self::Planned { .. } => "planned",
            Self::StepStarted { .. } => "step-started",
            Self::StepEnded { .. } => "step-ended",
            Self::StepFailed { .. } => "step-failed",
            Self::Progress { .. } => "progress",
            Self::Switched { .. } => "switched",
            Self::BootStarted { .. } => "boot-started",
            Self::StageReached(_) => "stage-reached",
            Self::BootEnded(_) => "boot-ended",
            Self::BootFailed(_) => "boot-failed",
            Self::PaceChanged { .. } => "pace-changed",
            Self::CaseStarted { .. } => "case-started",
            Self::Evidence { .. } => "evidence",
            Self::Measured { .. } => "measured",
            Self::CaseEnded { .. } => "case-ended",
            Self::Trouble(_) => "trouble",
            Self::Saved { .. } => "saved",
            Self::ControlRun { .. } => "control-run",
            Self::RunEnded { .. } => "run-ended",
        }
    }
}

/// Takes events. Must not block for long and must not fail: it keeps its own error.
pub trait Sink: Send + Sync {
    /// The next event.
    fn emit(&self, event: Event);
}

/// A sink that forgets.
#[derive(Debug)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn emit(&self, _event: Event) {}
}
