//! The suite files as they are written. What is checked here is their shape;
//! [`crate::lower`] makes complete cases of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::Span;
use shakedown_core::Effect;
use shakedown_core::event::Better;

/// A file of cases: `suites/os/swap.yaml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModuleDoc {
    /// The beginning of the cases' ids: `os::swap`.
    pub module: String,
    /// Facts of an OS profile that these cases use and that `suites/facts.yaml` does not
    /// list: name and meaning.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// The cases, in the order in which they run among those with the same effect.
    pub cases: Vec<CaseDoc>,
}

/// One case.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CaseDoc {
    /// Kebab-case; with the module it makes the id: `zram-size` in `os::swap::zram-size`.
    pub id: String,
    /// Ids that it had before, in full (`os::memory::swap`): its history goes on.
    #[serde(default)]
    pub was: Vec<String>,
    /// One sentence: what is true when the case passes.
    pub title: String,
    /// Capabilities of board, OS and slot without which the case is skipped. Every case needs a shell.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What the case does to the DUT.
    pub effect: EffectDoc,
    /// The longest time for the check, without its cleanup: `20s`, `2min`.
    pub within: Span,
    /// Ids of cases that run before this one, when they run at all; one that fails blocks this
    /// one. None may have a heavier effect.
    #[serde(default)]
    pub after: Vec<String>,
    /// Loads the small container image that the OS profile names, before anything else.
    #[serde(default)]
    pub test_image: bool,
    /// Steps before the reboot that `shares-reboot` cases share.
    #[serde(default)]
    pub prepare: Vec<StepDoc>,
    /// The steps of the check. Each must be able to fail.
    #[serde(default)]
    pub check: Vec<StepDoc>,
    /// Instead of `check`: the name of a plot written in Rust.
    #[serde(default)]
    pub plot: Option<String>,
    /// Steps that run after the check, whatever came of it. One that fails is a failure of the case.
    #[serde(default)]
    pub cleanup: Vec<StepDoc>,
    /// The longest time for the cleanup. Default: 30s.
    #[serde(default)]
    pub cleanup_within: Option<Span>,
    /// Edits of the OS under which the case must fail.
    pub sabotage: Vec<SabotageDoc>,
}

/// What a case does to the DUT; cases run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EffectDoc {
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

impl From<EffectDoc> for Effect {
    fn from(effect: EffectDoc) -> Self {
        match effect {
            EffectDoc::ReadOnly => Self::ReadOnly,
            EffectDoc::SharesReboot => Self::SharesReboot,
            EffectDoc::Dirties => Self::Dirties,
            EffectDoc::Reboots => Self::Reboots,
            EffectDoc::Updates => Self::Updates,
            EffectDoc::CutsPower => Self::CutsPower,
            EffectDoc::Reflashes => Self::Reflashes,
        }
    }
}

/// One step: exactly one of `run`, `config` and `program`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepDoc {
    /// A line of POSIX shell on the DUT, as root.
    #[serde(default)]
    pub run: Option<String>,
    /// An edit of the DUT's configuration document, read back.
    #[serde(default)]
    pub config: Option<ConfigDoc>,
    /// An executable of ours, put onto the DUT and run there.
    #[serde(default)]
    pub program: Option<ProgramDoc>,
    /// The sentence of the failure: what is wrong when the expectation does not hold.
    #[serde(default)]
    pub says: Option<String>,
    /// What `run` must do.
    #[serde(default)]
    pub expect: Option<ExpectDoc>,
    /// Makes the step wait for a level: the command is asked again, once a second, until
    /// the expectation holds or `within` is over. The text names what is waited for, as a noun phrase.
    /// Only for commands that look and change nothing.
    #[serde(default)]
    pub wait_for: Option<String>,
    /// The longest time for the step. Default: 30s.
    #[serde(default)]
    pub within: Option<Span>,
    /// Reports the number that `expect: number` read, and holds it to the OS profile's budget.
    /// A profile without a budget for it skips the case.
    #[serde(default)]
    pub measure: Option<MeasureDoc>,
}

/// What a command must do. All that is given must hold; the exit code always counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectDoc {
    /// The exit code. Default: 0.
    #[serde(default)]
    pub exit: Option<i32>,
    /// The whole standard output, without line breaks at its end.
    #[serde(default)]
    pub equals: Option<String>,
    /// Texts that the standard output contains.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Patterns that the standard output matches. `^` and `$` are the ends of lines.
    #[serde(default)]
    pub matches: Vec<String>,
    /// Patterns that the standard output does not match. Not alone: an empty output would pass.
    #[serde(default)]
    pub not_matches: Vec<String>,
    /// How many lines with something in them.
    #[serde(default)]
    pub lines: Option<CountDoc>,
    /// A number in the output.
    #[serde(default)]
    pub number: Option<NumberDoc>,
}

/// A range of counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CountDoc {
    /// The smallest that is right.
    #[serde(default)]
    pub at_least: Option<usize>,
    /// The largest that is right.
    #[serde(default)]
    pub at_most: Option<usize>,
}

/// A number in the output and its range.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NumberDoc {
    /// A pattern whose first group is the number. Default: the whole output.
    #[serde(default)]
    pub from: Option<String>,
    /// The smallest that is right.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// The largest that is right.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// `MiB`, `s`, `%`.
    pub unit: String,
}

/// A measure that a step reports. The OS profile's budget of the same name limits it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeasureDoc {
    /// Dotted: `memory.rest`.
    pub name: String,
    /// Which way is better.
    pub better: BetterDoc,
}

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BetterDoc {
    /// Smaller.
    Lower,
    /// Larger.
    Higher,
}

impl From<BetterDoc> for Better {
    fn from(better: BetterDoc) -> Self {
        match better {
            BetterDoc::Lower => Self::Lower,
            BetterDoc::Higher => Self::Higher,
        }
    }
}

/// An edit of the configuration document: exactly one of `value` and `unset`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigDoc {
    /// What it means to us: `hostname`, `ntp-servers`. The OS profile knows the key.
    pub key: String,
    /// The new value, as JSON text.
    #[serde(default)]
    pub value: Option<String>,
    /// Removes the key.
    #[serde(default)]
    pub unset: bool,
}

/// An executable that reports about itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProgramDoc {
    /// Its file under `programs/`.
    pub file: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// How it reports.
    pub format: FormatDoc,
}

/// How an executable reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FormatDoc {
    /// The Test Anything Protocol, version 12 to 14.
    Tap,
    /// The kernel's dialect of it.
    Ktap,
    /// Exit code 0 is well.
    Exit,
}

/// An edit of the OS under which the case must fail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SabotageDoc {
    /// Kebab-case, unique within the case.
    pub id: String,
    /// In order, right before the check (for `shares-reboot`: after the reboot).
    pub edits: Vec<EditDoc>,
    /// A line of shell that takes it back. Without it, a reboot does.
    #[serde(default)]
    pub undo: Option<String>,
    /// Part of the failure's text.
    pub must_say: String,
}

/// One edit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EditDoc {
    /// A line of shell on the running DUT, as root.
    pub shell: String,
}

/// A selection: `suites/selections/demo.yaml`. Its name is the file's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SelectionDoc {
    /// What it is good for, in one sentence.
    pub title: String,
    /// The heaviest effect that is taken.
    pub max_effect: EffectDoc,
    /// Patterns of ids, `*` for any text.
    pub cases: Vec<String>,
    /// Patterns of ids that are left out.
    #[serde(default)]
    pub without: Vec<String>,
}

/// The facts that cases may use: `suites/facts.yaml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FactsDoc {
    /// Known in every run: name and meaning.
    pub run: BTreeMap<String, String>,
    /// Given by the OS profile under `facts:`: name and what it stands for.
    pub profile: BTreeMap<String, ProfileFactDoc>,
}

/// A fact that OS profiles give.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProfileFactDoc {
    /// What it stands for.
    pub means: String,
    /// Its value on the reference OS.
    pub reference: String,
}

/// Sabotages that the test command proves: `suites/proven.yaml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProvenDoc {
    /// Case id and sabotage id.
    pub proven: Vec<ProvenItemDoc>,
}

/// One sabotage of one case.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProvenItemDoc {
    /// The case's full id.
    pub case: String,
    /// The sabotage's id within it.
    pub sabotage: String,
}
