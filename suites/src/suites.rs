//! All cases and selections that are known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use shakedown_conf::{Document, Loaded, load};
use shakedown_core::case::Cases;
use shakedown_core::{CaseId, Effect, Sha};

use crate::doc::{FactsDoc, ModuleDoc, ProvenDoc, SelectionDoc};
use crate::entry::Entry;
use crate::error::SuiteError;
use crate::files::Files;
use crate::{facts, lower};

/// A named choice of cases.
#[derive(Clone, Debug)]
pub struct Selection {
    /// `demo`.
    pub name: String,
    /// What it is good for.
    pub title: String,
    /// The heaviest effect that is taken.
    pub max_effect: Effect,
    /// Patterns of ids.
    pub cases: Vec<String>,
    /// Patterns of ids that are left out.
    pub without: Vec<String>,
}

/// All cases and selections that are known.
#[derive(Clone, Debug)]
pub struct Suites {
    pub(crate) entries: Vec<Entry>,
    selections: BTreeMap<String, Selection>,
    proven: Vec<(CaseId, String)>,
    facts: FactsDoc,
    hash: Sha,
}

impl Suites {
    /// Those in the binary.
    pub fn embedded() -> Result<Self, SuiteError> {
        Self::with_paths(&[])
    }

    /// Those in the binary and those in `suites/` below these folders. An id may exist once;
    /// a selection or a program of a later folder replaces one of the same name.
    pub fn with_paths(paths: &[PathBuf]) -> Result<Self, SuiteError> {
        let mut files = Files::embedded()?;
        for path in paths {
            files.add(path)?;
        }
        Self::read(&files)
    }

    pub(crate) fn read(files: &Files) -> Result<Self, SuiteError> {
        let facts_text = include_str!("../facts.yaml");
        let proven_text = include_str!("../proven.yaml");
        let facts: Loaded<FactsDoc> = load(&Document::new("suites/facts.yaml", facts_text))?;
        let proven: Loaded<ProvenDoc> = load(&Document::new("suites/proven.yaml", proven_text))?;
        let known: BTreeSet<String> = facts
            .value
            .run
            .keys()
            .chain(facts.value.profile.keys())
            .cloned()
            .chain(facts::OFFERED.map(str::to_owned))
            .collect();
        let mut modules = Vec::new();
        for document in &files.modules {
            let doc: Loaded<ModuleDoc> = load(document)?;
            let entries = lower::module(&doc, files, &known)?;
            modules.push((doc, entries));
        }
        check_ids(&modules)?;
        let entries: Vec<_> = modules.into_iter().flat_map(|(_, entries)| entries).collect();
        let selections = files.selections.iter().map(|(name, document)| selection(name, document, &entries));
        let selections: Result<Vec<_>, _> = selections.collect();
        let selections =
            selections?.into_iter().map(|selection| (selection.name.clone(), selection)).collect();
        let proven = check_proven(&proven, &entries)?;
        let hash = hash(files.contents().chain([("facts.yaml", facts_text.as_bytes())]));
        Ok(Self { entries, selections, proven, facts: facts.value, hash })
    }

    /// All cases, in the order of the files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All cases as the runner takes them.
    pub fn cases(&self) -> Cases {
        self.entries.iter().map(|entry| entry.case.clone()).collect()
    }

    /// The case with this id, or the error with the nearest one.
    pub fn get(&self, id: &str) -> Result<&Entry, SuiteError> {
        self.entries.iter().find(|entry| entry.spec().id.0 == id).ok_or_else(|| SuiteError::Unknown {
            kind: "case",
            got: id.to_owned(),
            known: self.ids(),
        })
    }

    /// The selection with this name, or the error with the nearest one.
    pub fn selection(&self, name: &str) -> Result<&Selection, SuiteError> {
        self.selections.get(name).ok_or_else(|| SuiteError::Unknown {
            kind: "selection",
            got: name.to_owned(),
            known: self.selections.keys().cloned().collect(),
        })
    }

    /// All selections, by name.
    pub fn selections(&self) -> impl Iterator<Item = &Selection> {
        self.selections.values()
    }

    /// The suites' names: the first parts of the ids.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<_> =
            self.entries.iter().map(|entry| entry.spec().id.suite().to_owned()).collect();
        names.into_iter().collect()
    }

    /// Case and sabotage ids that the test command proves: quick ones, across the modules.
    pub fn proven(&self) -> &[(CaseId, String)] {
        &self.proven
    }

    /// The facts that an OS profile should give, with their meaning and their value on the reference OS.
    pub fn profile_facts(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let facts = self.facts.profile.iter();
        facts.map(|(name, fact)| (name.as_str(), fact.means.as_str(), fact.reference.as_str()))
    }

    /// Cases that had another id before, as (old, new): history follows them.
    pub fn renames(&self) -> Vec<(String, String)> {
        let old = |entry: &Entry| entry.was.iter().map(|was| was.0.clone()).collect::<Vec<_>>();
        let all = self.entries.iter();
        all.flat_map(|entry| old(entry).into_iter().map(|was| (was, entry.spec().id.0.clone()))).collect()
    }

    /// Of all suite files that these cases were read from.
    pub fn hash(&self) -> Sha {
        self.hash
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.spec().id.0.clone()).collect()
    }
}

fn check_ids(modules: &[(Loaded<ModuleDoc>, Vec<Entry>)]) -> Result<(), SuiteError> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    let all: BTreeMap<String, Effect> = modules
        .iter()
        .flat_map(|(_, entries)| entries)
        .map(|entry| (entry.spec().id.0.clone(), entry.spec().effect))
        .collect();
    for (doc, entries) in modules {
        for (index, entry) in entries.iter().enumerate() {
            let id = &entry.spec().id.0;
            if let Some(first) = seen.insert(id, &entry.place) {
                let what = format!("a case `{id}` already stands at {first}");
                return Err(doc.invalid(&format!("cases[{index}].id"), what).into());
            }
            for (at, was) in entry.was.iter().enumerate() {
                if let Some(other) = all.get_key_value(&was.0) {
                    let what = format!("`{}` is a case of today, and its history its own", other.0);
                    return Err(doc.invalid(&format!("cases[{index}].was[{at}]"), what).into());
                }
                if let Some(other) = before.insert(was.0.clone(), id.clone()) {
                    let what = format!("`{}` is claimed by `{other}` too", was.0);
                    return Err(doc.invalid(&format!("cases[{index}].was[{at}]"), what).into());
                }
            }
            for (at, after) in entry.spec().after.iter().enumerate() {
                let field = format!("cases[{index}].after[{at}]");
                let Some(effect) = all.get(&after.0) else {
                    return Err(doc.unknown_name(&field, "case", &after.0, all.keys().cloned()).into());
                };
                if *effect > entry.spec().effect {
                    let what = format!("`{}` has a heavier effect, so it always runs later", after.0);
                    return Err(doc.invalid(&field, what).into());
                }
            }
        }
    }
    Ok(())
}

fn selection(name: &str, document: &Document, entries: &[Entry]) -> Result<Selection, SuiteError> {
    let doc: Loaded<SelectionDoc> = load(document)?;
    for (field, patterns) in [("cases", &doc.value.cases), ("without", &doc.value.without)] {
        for (index, pattern) in patterns.iter().enumerate() {
            if !entries.iter().any(|entry| shakedown_core::names::matches(pattern, &entry.spec().id.0)) {
                let what = format!("`{pattern}` matches no case");
                return Err(doc.invalid(&format!("{field}[{index}]"), what).into());
            }
        }
    }
    let SelectionDoc { title, max_effect, cases, without } = doc.value;
    Ok(Selection { name: name.to_owned(), title, max_effect: max_effect.into(), cases, without })
}

fn check_proven(doc: &Loaded<ProvenDoc>, entries: &[Entry]) -> Result<Vec<(CaseId, String)>, SuiteError> {
    let mut proven = Vec::new();
    for (index, item) in doc.value.proven.iter().enumerate() {
        let field = format!("proven[{index}]");
        let Some(entry) = entries.iter().find(|entry| entry.spec().id.0 == item.case) else {
            let known = entries.iter().map(|entry| entry.spec().id.0.clone());
            return Err(doc.unknown_name(&format!("{field}.case"), "case", &item.case, known).into());
        };
        let known: Vec<_> = entry.spec().sabotage.iter().map(|sabotage| sabotage.id.clone()).collect();
        if !known.contains(&item.sabotage) {
            let field = format!("{field}.sabotage");
            return Err(doc.unknown_name(&field, "sabotage", &item.sabotage, known).into());
        }
        proven.push((entry.spec().id.clone(), item.sabotage.clone()));
    }
    Ok(proven)
}

/// Names and contents, each with its length before it, so that nothing can move between files unseen.
fn hash<'a>(contents: impl Iterator<Item = (&'a str, &'a [u8])>) -> Sha {
    let mut all = Vec::new();
    for (name, bytes) in contents {
        for part in [name.as_bytes(), bytes] {
            all.extend((part.len() as u64).to_le_bytes());
            all.extend(part);
        }
    }
    Sha::of(&all)
}
