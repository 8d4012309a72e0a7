//! A run as it is written into the file, whatever it came from.

use std::collections::BTreeMap;

use shakedown_core::event::Better;
use shakedown_core::ledger::Attempt;
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, Ledger, Mono, Outcome};

use crate::error::HistoryError;
use crate::kernel;
use crate::store::{Origin, Source};

/// The most characters of an outcome's headline that are kept.
const NOTE: usize = 500;

pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) board: String,
    pub(crate) slot: String,
    pub(crate) image: Image,
    pub(crate) profile: String,
    pub(crate) selection: String,
    pub(crate) command: String,
    pub(crate) harness: String,
    pub(crate) suites: String,
    pub(crate) descriptor: String,
    pub(crate) profile_hash: String,
    pub(crate) started: i64,
    pub(crate) took: Option<i64>,
    pub(crate) exit: Option<u8>,
    pub(crate) verdict: String,
    pub(crate) source: Source,
    pub(crate) journal: String,
    pub(crate) head: String,
    /// It ran on a simulated slot.
    pub(crate) simulated: bool,
    /// The id of the run that the document at hand was made from.
    pub(crate) copy_of: Option<String>,
    pub(crate) attempts: Vec<Row>,
    /// Of the run itself; `None` while the run is still going.
    pub(crate) own: Option<Own>,
}

#[derive(Default)]
pub(crate) struct Own {
    pub(crate) measures: Vec<Number>,
    /// `None` when nobody heard the kernel.
    pub(crate) complaints: Option<BTreeMap<String, (String, u64)>>,
}

#[derive(Clone, Default)]
pub(crate) struct Image {
    pub(crate) payload: String,
    pub(crate) file: String,
    pub(crate) path: String,
    pub(crate) os: Option<String>,
    pub(crate) version: Option<String>,
}

/// An attempt. Its place in the run is `ordinal`: one that has not ended leaves a hole.
pub(crate) struct Row {
    pub(crate) ordinal: usize,
    /// Its own id in a document that may come again with more tests: then this names it, and its
    /// place is found when it is written.
    pub(crate) ident: Option<String>,
    pub(crate) case: String,
    pub(crate) number: u32,
    pub(crate) word: Word,
    pub(crate) blame: Option<Blame>,
    pub(crate) at: i64,
    pub(crate) took: i64,
    pub(crate) because: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) measures: Vec<Number>,
}

pub(crate) struct Number {
    pub(crate) name: String,
    pub(crate) context: String,
    pub(crate) at: i64,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) higher: bool,
}

impl Run {
    /// Of a journal. While `origin.live` is set, attempts that have not ended are left out.
    pub(crate) fn of(ledger: &Ledger, origin: &Origin<'_>) -> Result<Self, HistoryError> {
        let headless = || HistoryError::Headless { run: ledger.run.clone() };
        let head = ledger.head.as_ref().ok_or_else(headless)?;
        let started = ledger.started.map_or(0, jiff::Timestamp::as_millisecond);
        let at = |mono: Mono| started + ledger.into_run(mono).as_millis() as i64;
        let hash = |name: &str| head.hashes.get(name).map(ToString::to_string).unwrap_or_default();
        let attempts = ledger.attempts.iter().enumerate();
        let attempts = attempts.filter(|(_, attempt)| !origin.live || attempt.outcome.is_some());
        let image = &head.image;
        Ok(Self {
            name: ledger.run.clone(),
            board: head.board.clone(),
            slot: head.slot.clone(),
            image: Image {
                payload: image.payload.to_string(),
                file: image.sha256.to_string(),
                path: image.path.display().to_string(),
                os: image.os.clone(),
                version: image.version.clone(),
            },
            profile: head.profile.clone(),
            selection: head.selection.clone(),
            command: head.command.clone(),
            harness: head.harness.clone(),
            suites: hash("suites"),
            descriptor: hash("board"),
            profile_hash: hash("profile"),
            started,
            took: ledger.end.as_ref().map(|end| end.2.as_millis() as i64),
            exit: ledger.end.as_ref().map(|end| end.0.code()),
            verdict: ledger.end.as_ref().map(|end| end.1.clone()).unwrap_or_default(),
            source: origin.source,
            journal: origin.journal.map(|path| path.display().to_string()).unwrap_or_default(),
            head: origin.head.map(|head| head.to_string()).unwrap_or_default(),
            simulated: head.is_simulated(),
            copy_of: None,
            attempts: attempts.map(|(ordinal, attempt)| row(ordinal, attempt, at(attempt.began))).collect(),
            own: (!origin.live).then(|| Own {
                measures: own_measures(ledger, started, &at),
                complaints: origin.kernel_log.and_then(kernel::complaints),
            }),
        })
    }
}

fn row(ordinal: usize, attempt: &Attempt, at: i64) -> Row {
    let note = attempt.outcome.as_ref().map(Outcome::headline);
    let note = note.filter(|note| !note.is_empty()).map(|note| note.chars().take(NOTE).collect());
    let measures = attempt.measures.iter().map(|measure| Number {
        name: measure.name.clone(),
        context: attempt.case.0.clone(),
        at,
        value: measure.value,
        unit: measure.unit.clone(),
        higher: measure.better == Better::Higher,
    });
    Row {
        ordinal,
        ident: None,
        case: attempt.case.0.clone(),
        number: attempt.number,
        word: Word::of(attempt.outcome.as_ref()),
        blame: attempt.blame,
        at,
        took: attempt.took.as_millis() as i64,
        because: attempt.because.clone(),
        note,
        measures: measures.collect(),
    }
}

/// The run's measures, and the stages of each boot that came up. The journal's own `boot.*` measures
/// say the same without telling a cold boot from a reboot, so the stages are taken instead.
fn own_measures(ledger: &Ledger, started: i64, at: &dyn Fn(Mono) -> i64) -> Vec<Number> {
    let others = ledger.measures.iter().filter(|measure| !measure.name.starts_with("boot."));
    let mut all: Vec<Number> = others
        .map(|measure| Number {
            name: measure.name.clone(),
            context: String::new(),
            at: started,
            value: measure.value,
            unit: measure.unit.clone(),
            higher: measure.better == Better::Higher,
        })
        .collect();
    for boot in ledger.boots.iter().filter(|boot| matches!(boot.end, Some(Ok(_)))) {
        all.extend(boot.stages.iter().map(|stage| Number {
            name: format!("boot.{}", stage.name),
            context: boot.how.clone(),
            at: at(boot.began),
            value: stage.after.as_secs_f64(),
            unit: "s".to_owned(),
            higher: false,
        }));
    }
    all
}
