//! The `simulated:` block of a rig file, and the document of `--simulate`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Span;

/// A DUT that exists only as data: `simulated: {}` is one that is always well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SimulationDoc {
    /// Another seed is another night: the same seed gives the same outcomes.
    #[serde(default)]
    pub seed: u64,
    /// From power-on to ready when the DUT is well. The board's stages are spread over it.
    #[serde(default = "usual_boot")]
    pub boot: Span,
    /// What goes wrong. The first rule that fits and whose dice fall decides.
    #[serde(default)]
    pub rules: Vec<RuleDoc>,
}

fn usual_boot() -> Span {
    Span(Duration::from_secs(20))
}

impl Default for SimulationDoc {
    fn default() -> Self {
        Self { seed: 0, boot: usual_boot(), rules: Vec::new() }
    }
}

/// Something that goes wrong, where and how often. A place that is not named is everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleDoc {
    /// Slots, as `rig/slot`; `*` is any text.
    #[serde(default)]
    pub slot: Option<String>,
    /// Boards, by their slug; `*` is any text.
    #[serde(default)]
    pub board: Option<String>,
    /// Images, by version, file name or SHA-256 of the payload; `*` is any text.
    #[serde(default)]
    pub image: Option<String>,
    /// Images from this version on, numbers in it compared as numbers.
    #[serde(default)]
    pub image_from: Option<String>,
    /// Cases, by their id; `*` is any text. Not named: every case, or the boot where only a boot can do this.
    #[serde(default)]
    pub case: Option<String>,
    /// How often, from 0 to 1 (default: always).
    #[serde(default = "always")]
    pub rate: f64,
    /// What happens.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    pub does: Does,
}

fn always() -> f64 {
    1.0
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// The case fails with these words.
    Fail(String),
    /// The case's command never ends, and the DUT is well otherwise.
    Hang,
    /// The kernel oopses on the console while the case passes.
    Oops,
    /// The kernel panics: in the case, or, when no case is named, on the way up.
    Panic,
    /// The SSH server is gone until the next boot.
    LoseShell,
    /// The network of the DUT is silent until the next boot, and its console lives.
    LoseNetwork,
    /// The whole DUT falls silent until the next boot, and its supply is on.
    GoDark,
    /// A boot says nothing at all.
    Silent,
    /// A boot stops after this stage.
    StuckAfter(String),
    /// A boot takes so many times as long.
    Slow(f64),
    /// The rig: the supply does not follow.
    PowerStuck,
    /// The rig: the supply fails in the case.
    PowerLost,
    /// The rig: the medium cannot be opened.
    MediumGone,
    /// The rig: its own side of the network is down in the case.
    Unplugged,
}

/// When something can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As long as the slot is open.
    Slot,
    /// On the way up.
    Boot,
    /// In a case.
    Case,
    /// On the way up, or in the case that is named.
    Either,
}

impl Does {
    pub(crate) fn when(&self) -> When {
        match self {
            Self::PowerStuck | Self::MediumGone => When::Slot,
            Self::Silent | Self::StuckAfter(_) | Self::Slow(_) => When::Boot,
            Self::Panic => When::Either,
            Self::Fail(_)
            | Self::Hang
            | Self::Oops
            | Self::LoseShell
            | Self::LoseNetwork
            | Self::GoDark
            | Self::PowerLost
            | Self::Unplugged => When::Case,
        }
    }
}

/// A rule that says nothing, by its place below `rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `rules[2].rate`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl SimulationDoc {
    /// What the parser cannot see.
    pub fn check(&self) -> Result<(), Problem> {
        for (index, rule) in self.rules.iter().enumerate() {
            let wrong = |field: &str, what: &str| {
                Err(Problem { field: format!("rules[{index}].{field}"), what: what.to_owned() })
            };
            if !(0.0..=1.0).contains(&rule.rate) {
                return wrong("rate", &format!("expected a number from 0 to 1, got {}", rule.rate));
            }
            let in_boot = rule.case.as_deref() == Some(shakedown_core::ledger::BOOT);
            match rule.does.when() {
                When::Slot if rule.case.is_some() => {
                    return wrong("case", "this happens to the slot, whatever case runs: remove it");
                }
                When::Boot if rule.case.is_some() && !in_boot => {
                    return wrong("case", "only a boot can do this: remove it");
                }
                When::Case if in_boot => {
                    return wrong("case", "a boot cannot do this: say panic, silent or stuck-after");
                }
                _ => {}
            }
            if let Does::Slow(times) = rule.does
                && !(1.0..=1000.0).contains(&times)
            {
                return wrong("does", &format!("expected a number from 1 to 1000, got {times}"));
            }
        }
        Ok(())
    }
}
