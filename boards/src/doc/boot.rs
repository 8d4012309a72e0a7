//! The `boot:` block of a board, a family or an OS profile.

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::{Pattern, Span};

use super::BlameDoc;

/// What a boot looks like on the console.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BootDoc {
    /// The stages on the way up, in order.
    #[serde(default)]
    pub stages: Vec<StageDoc>,
    /// Lines that end a boot at once.
    #[serde(default)]
    pub bad: Vec<BadDoc>,
}

/// One stage, or changes to an inherited one of the same name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StageDoc {
    /// `firmware`, `bootloader`, `kernel`, `userspace`, `login`, `ready`.
    pub name: String,
    /// How it is seen.
    #[serde(default, deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Option<SeenDoc>")]
    pub seen: Option<SeenDoc>,
    /// The longest time from the stage before, on a quiet machine.
    pub within: Option<Span>,
    /// What it takes from the stage before on a quiet machine, where that is known: the measure of a slow one.
    pub typical: Option<Span>,
    /// A boot may come up without showing it (default: false).
    pub optional: Option<bool>,
    /// Seen again after a later stage, it means an unexpected reset (default: false).
    pub once: Option<bool>,
    /// The stage before, where it is not the last one so far.
    pub after: Option<String>,
}

/// How a stage is seen to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeenDoc {
    /// Any of these byte regexes on the main console.
    Console(Vec<Pattern>),
    /// The SSH server answers and lets us in.
    Shell,
    /// The container engine is healthy.
    Engine,
}

/// A line that ends a boot at once, or changes to an inherited one of the same id.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BadDoc {
    /// `kernel-panic`, `no-root`, `watchdog-reset`.
    pub id: String,
    /// A byte regex for the line.
    pub pattern: Option<Pattern>,
    /// What it means, for people: a clause without a full stop.
    pub says: Option<String>,
    /// Whose fault it is when nothing else speaks against it.
    pub blame: Option<BlameDoc>,
    /// How long to go on reading for the lines after it (default: 2s).
    pub drain: Option<Span>,
}
