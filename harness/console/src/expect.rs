//! What must come of a recording: `NAME.expect.json` beside `NAME.cast`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shakedown_core::{BadSpec, Blame, BootFailure, BootSpec, Resets, Seen, StageSpec};

use crate::pattern::{PatternError, Patterns};
use crate::replay::BootOutcome;

/// A boot spec as a JSON file, for recordings: the console stages only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootSpecFile {
    /// In order.
    pub stages: Vec<StageFile>,
    /// In no order.
    #[serde(default)]
    pub bad: Vec<BadFile>,
}

/// A [`StageSpec`] in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StageFile {
    /// See [`StageSpec::name`].
    pub name: String,
    /// See [`Seen::Console`].
    pub patterns: Vec<String>,
    /// See [`StageSpec::within`], in milliseconds.
    pub within_ms: u64,
    /// See [`StageSpec::typical`], in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical_ms: Option<u64>,
    /// See [`StageSpec::optional`].
    #[serde(default)]
    pub optional: bool,
    /// See [`StageSpec::once`].
    #[serde(default)]
    pub once: bool,
}

/// A [`BadSpec`] in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BadFile {
    /// See [`BadSpec::id`].
    pub id: String,
    /// See [`BadSpec::pattern`].
    pub pattern: String,
    /// See [`BadSpec::says`].
    pub says: String,
    /// See [`BadSpec::blame`].
    pub blame: Blame,
    /// See [`BadSpec::drain`], in milliseconds.
    pub drain_ms: u64,
}

/// What must come of one recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// What the recording shows and how it was made.
    pub about: String,
    /// The file with the boot spec, in the same folder.
    pub spec: String,
    /// How many further starts are expected.
    #[serde(default)]
    pub up_to: u32,
    /// Ids of known-bad lines that are expected.
    #[serde(default)]
    pub bad: Vec<String>,
    /// What comes of it.
    pub expect: Expected,
}

/// The part of an outcome that does not depend on times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It comes up.
    Up {
        /// The stages of the last climb.
        stages: Vec<String>,
        /// How many starts showed a `once` stage.
        banners: u32,
    },
    /// A known-bad line ends it.
    Bad {
        /// Which.
        id: String,
        /// After which stage.
        stage: String,
        /// A line that must be among those shown.
        line: String,
    },
    /// A stage does not come in time.
    Late {
        /// Which.
        stage: String,
        /// After which.
        after: String,
    },
    /// A stage is missing before another.
    OutOfOrder {
        /// The missing one.
        expected: String,
        /// The one that came.
        got: String,
    },
    /// It starts over.
    Reset {
        /// After which stage.
        stage: String,
    },
    /// The console ends.
    Closed {
        /// Why.
        why: String,
    },
}

/// A file that cannot be used, or a recording that did not come to what it should.
#[derive(Debug, thiserror::Error)]
pub enum ExpectationError {
    /// The JSON is not what it should be.
    #[error("{what}: {why}")]
    Json {
        /// Which document.
        what: &'static str,
        /// With line and column.
        why: serde_json::Error,
    },
    /// It came to something else.
    #[error("expected {expected:?}, got {got:?}")]
    Differs {
        /// What the file says.
        expected: Box<Expected>,
        /// What came of it.
        got: Box<BootOutcome>,
    },
}

impl BootSpecFile {
    /// The stages of a spec that a console can show, and its known-bad lines.
    pub fn of(spec: &BootSpec) -> Self {
        let stage = |stage: &StageSpec| {
            let Seen::Console(patterns) = &stage.seen else { return None };
            Some(StageFile {
                name: stage.name.clone(),
                patterns: patterns.clone(),
                within_ms: millis(stage.within),
                typical_ms: stage.typical.map(millis),
                optional: stage.optional,
                once: stage.once,
            })
        };
        let bad = |bad: &BadSpec| BadFile {
            id: bad.id.clone(),
            pattern: bad.pattern.clone(),
            says: bad.says.clone(),
            blame: bad.blame,
            drain_ms: millis(bad.drain),
        };
        Self {
            stages: spec.stages.iter().filter_map(stage).collect(),
            bad: spec.bad.iter().map(bad).collect(),
        }
    }

    /// Reads the document.
    ///
    /// # Errors
    /// With line and column.
    pub fn parse(json: &str) -> Result<BootSpec, ExpectationError> {
        let file: Self =
            serde_json::from_str(json).map_err(|why| ExpectationError::Json { what: "boot spec", why })?;
        let stage = |stage: StageFile| StageSpec {
            name: stage.name,
            seen: Seen::Console(stage.patterns),
            within: Duration::from_millis(stage.within_ms),
            typical: stage.typical_ms.map(Duration::from_millis),
            optional: stage.optional,
            once: stage.once,
        };
        let bad = |bad: BadFile| BadSpec {
            id: bad.id,
            pattern: bad.pattern,
            says: bad.says,
            blame: bad.blame,
            drain: Duration::from_millis(bad.drain_ms),
        };
        let stages = file.stages.into_iter().map(stage).collect();
        Ok(BootSpec { stages, bad: file.bad.into_iter().map(bad).collect() })
    }
}

fn millis(span: Duration) -> u64 {
    span.as_millis() as u64
}

impl Expectation {
    /// Reads the document.
    ///
    /// # Errors
    /// With line and column.
    pub fn parse(json: &str) -> Result<Self, ExpectationError> {
        serde_json::from_str(json).map_err(|why| ExpectationError::Json { what: "expectation", why })
    }

    /// The starts and known-bad lines that belong to it.
    pub fn allowed(&self) -> Resets {
        Resets { up_to: self.up_to, bad: self.bad.clone() }
    }

    /// Compares.
    ///
    /// # Errors
    /// What was expected and what was got.
    pub fn check(&self, got: &BootOutcome) -> Result<(), ExpectationError> {
        if self.expect.fits(got) {
            return Ok(());
        }
        Err(ExpectationError::Differs { expected: Box::new(self.expect.clone()), got: Box::new(got.clone()) })
    }
}

impl Expected {
    /// What this outcome of a boot by `spec` is to be once more.
    ///
    /// # Errors
    /// The pattern of the known-bad line is not valid.
    pub fn of(outcome: &BootOutcome, spec: &BootSpec) -> Result<Self, PatternError> {
        let failure = match outcome {
            BootOutcome::Up(report) => {
                let stages = report.stages.iter().map(|stage| stage.name.clone()).collect();
                return Ok(Self::Up { stages, banners: report.banners });
            }
            BootOutcome::Failed(failure) => failure.clone(),
        };
        Ok(match failure {
            BootFailure::Bad { id, stage, lines, .. } => {
                let patterns: Vec<_> =
                    spec.bad.iter().filter(|bad| bad.id == id).map(|bad| bad.pattern.as_str()).collect();
                let mut set = Patterns::compile(&patterns)?.per_line()?;
                let line = lines.into_iter().find(|line| set.matching(line.as_bytes()).next().is_some());
                Self::Bad { id, stage, line: line.unwrap_or_default() }
            }
            BootFailure::Late { stage, after, .. } => Self::Late { stage, after },
            BootFailure::OutOfOrder { expected, got, .. } => Self::OutOfOrder { expected, got },
            BootFailure::Reset { stage, .. } => Self::Reset { stage },
            BootFailure::Closed(closed) => Self::Closed { why: closed.why },
        })
    }

    fn fits(&self, got: &BootOutcome) -> bool {
        match (self, got) {
            (Self::Up { stages, banners }, BootOutcome::Up(report)) => {
                report.stages.iter().map(|stage| &stage.name).eq(stages) && report.banners == *banners
            }
            (_, BootOutcome::Failed(failure)) => self.fits_failure(failure),
            (_, BootOutcome::Up(_)) => false,
        }
    }

    fn fits_failure(&self, failure: &BootFailure) -> bool {
        match (self, failure) {
            (Self::Bad { id, stage, line }, BootFailure::Bad { id: got, stage: after, lines, .. }) => {
                id == got && stage == after && lines.iter().any(|got| got.contains(line.as_str()))
            }
            (Self::Late { stage, after }, BootFailure::Late { stage: got, after: last, .. }) => {
                stage == got && after == last
            }
            (
                Self::OutOfOrder { expected, got },
                BootFailure::OutOfOrder { expected: missing, got: came, .. },
            ) => expected == missing && got == came,
            (Self::Reset { stage }, BootFailure::Reset { stage: got, .. }) => stage == got,
            (Self::Closed { why }, BootFailure::Closed(closed)) => *why == closed.why,
            _ => false,
        }
    }
}
