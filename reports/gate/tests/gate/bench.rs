//! A bench of sealed runs, a policy, and the gate over them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shakedown_conf::Document;
use shakedown_core::{Ledger, Outcome, Sha, journal};
use shakedown_gate::{Answer, Evidence, Known, Policy, SecretKey, Source, gather, judge, manual, seal};
use shakedown_history::{Filter, History, Origin, Rows};

use crate::made::Made;

pub(crate) const DAY: i64 = 86_400;
/// When the gate is asked: a day after the runs.
pub(crate) const NOW: i64 = 1_800_000_000 + DAY;
pub(crate) const CASES: [&str; 2] = ["os::a::one", "os::a::two"];

pub(crate) struct Bench {
    pub(crate) place: tempfile::TempDir,
    pub(crate) key: SecretKey,
    pub(crate) known: Known,
    pub(crate) now: i64,
    pub(crate) results: fn(&Ledger) -> String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let cases = CASES.map(str::to_owned).to_vec();
        let known = Known {
            version: Sha::of(b"suites"),
            boards: BTreeSet::from(["board-a".to_owned(), "board-b".to_owned()]),
            suites: BTreeMap::from([("os".to_owned(), cases.clone())]),
            selections: BTreeMap::from([("quick".to_owned(), vec![cases[0].clone()])]),
        };
        let results = |ledger: &Ledger| format!("{:?}", ledger.counts());
        Self {
            place: tempfile::tempdir().unwrap(),
            key: SecretKey::generate().unwrap(),
            known,
            now: NOW,
            results,
        }
    }

    /// A sealed run on board-a in which both cases pass.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.add(&good(name))
    }

    pub(crate) fn runs(&self, many: usize) {
        for index in 0..many {
            self.run(&format!("r{index}"));
        }
    }

    /// A sealed run of this kind, with its results file.
    pub(crate) fn add(&self, made: &Made) -> PathBuf {
        let folder = self.place.path().join(&made.run);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("journal.jsonl"), made.journal().0).unwrap();
        std::fs::write(folder.join("results.json"), (self.results)(&made.ledger().0)).unwrap();
        seal::seal(&folder, &self.key).unwrap();
        folder
    }

    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.place.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            folders.map(|folder| folder.join("journal.jsonl")).filter(|file| file.exists()).collect();
        files.sort();
        files
    }

    pub(crate) fn policy_text(&self, rest: &str) -> String {
        format!(
            "policy: release\nexpires: 2030-01-01\nmax-age: 14d\ntrust:\n  - name: lab\n    key: {}\n{rest}",
            self.key.public()
        )
    }

    pub(crate) fn policy(&self, rest: &str) -> Result<Policy, String> {
        let document = Document::new("policy.yaml", &self.policy_text(rest));
        Policy::of(&document, &self.known).map_err(|error| error.to_string())
    }

    /// The history of all runs as they lie there now.
    pub(crate) fn history(&self) -> History {
        let mut history = History::in_memory().unwrap();
        for path in self.journals() {
            let read = journal::read(&std::fs::read(&path).unwrap());
            let origin = Origin { journal: Some(&path), head: read.head, ..Origin::default() };
            history.add(&Ledger::of(&read), &origin).unwrap();
        }
        history
    }

    /// What the gate reads when these folders are named and the history has these rows.
    pub(crate) fn evidence_of(&self, policy: &Policy, named: &[PathBuf], rows: Vec<Rows>) -> Evidence {
        let runs = rows.iter().map(|rows| rows.run.clone()).collect();
        let gathered = gather(named, runs, Sha::of(b"1.1"), &[]);
        let is_wanted = |rows: &Rows| gathered.runs.iter().any(|run| run.run == rows.run.run);
        let results = |ledger: &Ledger| ("results.json", (self.results)(ledger));
        let source = Source {
            history: rows.into_iter().filter(is_wanted).collect(),
            journals: gathered.journals,
            results: &results,
        };
        let names: Vec<String> = policy.doc.trust.iter().map(|trust| trust.name.clone()).collect();
        Evidence::read(&source, &policy.keys(), &names)
    }

    pub(crate) fn rows(history: &History) -> Vec<Rows> {
        let runs = history.runs(&Filter { simulated: true, ..Filter::default() }, 999).unwrap();
        runs.into_iter().map(|run| history.rows_of_run(run).unwrap()).collect()
    }

    /// The answer where no folder is named and the history has these rows.
    pub(crate) fn ask_by(&self, rest: &str, rows: Vec<Rows>) -> Answer {
        let policy = self.policy(rest).unwrap();
        let evidence = self.evidence_of(&policy, &[], rows);
        let now = jiff::Timestamp::from_second(self.now).unwrap();
        judge(&policy, &self.known, Sha::of(b"1.1"), None, &evidence, &[], now)
    }

    pub(crate) fn ask(&self, rest: &str) -> Answer {
        self.ask_with(rest, None)
    }

    pub(crate) fn ask_with(&self, rest: &str, history: Option<&History>) -> Answer {
        let policy = self.policy(rest).unwrap();
        let rows = history.map(Self::rows).unwrap_or_default();
        let evidence = self.evidence_of(&policy, &self.journals(), rows);
        let records = manual::read(self.place.path(), &policy.keys()).unwrap();
        let now = jiff::Timestamp::from_second(self.now).unwrap();
        judge(&policy, &self.known, Sha::of(b"1.1"), None, &evidence, &records, now)
    }
}

pub(crate) fn good(name: &str) -> Made {
    Made {
        cases: CASES.map(|case| (case, Outcome::Pass)).to_vec(),
        kernel: Some(7.0),
        ..Made::new(name, "1.1")
    }
}

pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} is not in {}", file.display());
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// What most policies here ask for.
pub(crate) const THREE: &str = "require:\n  - boards: [board-a]\n    suites: [os]\n    repeats: 3\n";
