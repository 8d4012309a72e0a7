//! Runs of our own making, as journals.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use shakedown_core::boot::StageTime;
use shakedown_core::event::{Better, Measure, Planned, RunHead};
use shakedown_core::{
    Blame, BootReport, CaseId, Effect, Entry, Event, ExitCode, Failure, Fault, ImageRef, InfraKind,
    JournalWriter, Ledger, Mono, Outcome, Sha, journal,
};

/// A run that did these cases, each one millisecond long.
pub(crate) struct Made {
    pub(crate) run: String,
    pub(crate) board: &'static str,
    pub(crate) slot: &'static str,
    pub(crate) image: &'static str,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) cases: Vec<(&'static str, Outcome)>,
    pub(crate) measures: Vec<(&'static str, f64)>,
    /// Seconds to the kernel, of a cold boot.
    pub(crate) kernel: Option<f64>,
    pub(crate) facts: Vec<(&'static str, &'static str)>,
}

impl Made {
    pub(crate) fn new(run: impl Into<String>, image: &'static str) -> Self {
        let (board, slot) = ("board-a", "rig/one");
        Self {
            run: run.into(),
            board,
            slot,
            image,
            at: 1_800_000_000,
            cases: vec![],
            measures: vec![],
            kernel: None,
            facts: vec![],
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let id = |name: &str| CaseId(name.into());
        let planned = self.cases.iter().map(|(case, _)| Planned {
            id: id(case),
            title: String::new(),
            effect: Effect::ReadOnly,
            skip: None,
        });
        let mut events =
            vec![Event::RunStarted(Box::new(self.head())), Event::Planned { cases: planned.collect() }];
        if let Some(kernel) = self.kernel {
            let after = Duration::from_secs_f64(kernel);
            let stage = StageTime { name: "kernel".into(), after, at: Mono(0), saw: "Linux".into() };
            events.push(Event::BootStarted { how: "power-on".into() });
            events.push(Event::StageReached(stage.clone()));
            events.push(Event::BootEnded(BootReport { stages: vec![stage], pace: 1.0, banners: 1 }));
        }
        for (case, outcome) in &self.cases {
            events.push(Event::CaseStarted { case: id(case), attempt: 1 });
            for (name, value) in &self.measures {
                let measure = Measure {
                    name: (*name).into(),
                    value: *value,
                    unit: "MiB".into(),
                    better: Better::Lower,
                };
                events.push(Event::Measured { case: Some(id(case)), measure });
            }
            events.push(Event::CaseEnded {
                case: id(case),
                attempt: 1,
                outcome: outcome.clone(),
                blame: (*outcome != Outcome::Pass).then_some(Blame::Os),
                because: None,
                took: Duration::from_millis(1),
                console: vec![],
            });
        }
        let exit = if self.cases.iter().all(|(_, outcome)| *outcome == Outcome::Pass) {
            ExitCode::Ok
        } else {
            ExitCode::Failed
        };
        let took = Duration::from_secs(1);
        events.push(Event::RunEnded { exit, verdict: "as it is".into(), took, waited: took });
        events
    }

    fn head(&self) -> RunHead {
        RunHead {
            board: self.board.into(),
            slot: self.slot.into(),
            profile: "reference".into(),
            image: ImageRef {
                path: PathBuf::from("/images").join(self.image),
                sha256: Sha::of(format!("file {}", self.image).as_bytes()),
                payload: Sha::of(self.image.as_bytes()),
                size: 1,
                os: None,
                version: Some(self.image.into()),
                companions: BTreeMap::new(),
            },
            selection: "demo".into(),
            command: "shakedown run".into(),
            harness: "0.1.0".into(),
            hashes: BTreeMap::from([("suites".into(), Sha::of(b"suites"))]),
            facts: self.facts.iter().map(|(name, fact)| ((*name).into(), (*fact).into())).collect(),
        }
    }

    /// The journal's bytes, and its entries with their lines.
    pub(crate) fn journal(&self) -> (Vec<u8>, Vec<(Entry, String)>) {
        let mut text = Vec::new();
        let mut writer = JournalWriter::new(&mut text, self.run.clone());
        let wall = jiff::Timestamp::from_second(self.at).expect("a time");
        let lines = self.events().into_iter().enumerate().map(|(index, event)| {
            writer.append(Mono(index as u64 * 1_000_000), wall, event).expect("a line")
        });
        let lines = lines.collect();
        (text, lines)
    }

    pub(crate) fn ledger(&self) -> (Ledger, Option<Sha>) {
        let read = journal::read(&self.journal().0);
        (Ledger::of(&read), read.head)
    }
}

pub(crate) fn fail() -> Outcome {
    Outcome::Fail(Failure::new("it did not", "yes", "no"))
}

pub(crate) fn infra() -> Outcome {
    Outcome::Infra(Fault::new(InfraKind::Power, "gpio", "set", "power"))
}
