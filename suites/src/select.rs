//! From what was asked for to cases in the order in which they run.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_core::case::Cases;
use shakedown_core::event::Planned;
use shakedown_core::names;
use shakedown_core::{Capability, CaseId, OsProfile};

use crate::entry::Entry;
use crate::error::SuiteError;
use crate::suites::Suites;

/// What was asked for. Without anything: the selection `demo`.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// A selection's name. With `cases` or `suite` alone, every effect is taken.
    pub selection: Option<String>,
    /// Patterns of ids; a case that matches any of them is taken.
    pub cases: Vec<String>,
    /// A suite's name.
    pub suite: Option<String>,
}

/// Cases in the order in which they run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for, for people: `demo`, `container::*`.
    pub name: String,
    /// Ordered by effect, then as in the files, each after those it comes after.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// The cases as they run on this OS ([`Entry::for_profile`]), in order.
    pub fn cases(&self, profile: &OsProfile) -> Cases {
        self.entries.iter().map(|entry| entry.for_profile(profile)).collect()
    }

    /// What will run and what is skipped, decided before anything runs.
    pub fn planned(&self, offers: &BTreeSet<Capability>, profile: &OsProfile) -> Vec<Planned> {
        self.entries
            .iter()
            .map(|entry| {
                let spec = entry.spec();
                let (id, title, effect) = (spec.id.clone(), spec.title.clone(), spec.effect);
                Planned { id, title, effect, skip: entry.missing(offers, profile) }
            })
            .collect()
    }
}

impl Suites {
    /// The cases that are asked for, in order. Cases that they come after are not added: the
    /// runner blocks a case only by a failure that it saw.
    pub fn select(&self, ask: &Ask) -> Result<Plan, SuiteError> {
        let mut taken: Vec<&Entry> = self.entries.iter().collect();
        let mut names = Vec::new();
        let free = !ask.cases.is_empty() || ask.suite.is_some();
        if let Some(name) = ask.selection.as_deref().or((!free).then_some("demo")) {
            let selection = self.selection(name)?;
            taken.retain(|entry| {
                let id = &entry.spec().id.0;
                let any = |patterns: &[String]| patterns.iter().any(|pattern| names::matches(pattern, id));
                entry.spec().effect <= selection.max_effect
                    && any(&selection.cases)
                    && !any(&selection.without)
            });
            names.push(name.to_owned());
        }
        if let Some(suite) = &ask.suite {
            let known = self.names();
            if !known.contains(suite) {
                return Err(SuiteError::Unknown { kind: "suite", got: suite.clone(), known });
            }
            taken.retain(|entry| entry.spec().id.suite() == suite);
            names.push(format!("{suite}::*"));
        }
        if !ask.cases.is_empty() {
            for pattern in &ask.cases {
                if !self.entries.iter().any(|entry| names::matches(pattern, &entry.spec().id.0)) {
                    let (got, known) = (pattern.clone(), self.ids());
                    return Err(SuiteError::Unknown { kind: "case", got, known });
                }
            }
            taken.retain(|entry| ask.cases.iter().any(|pattern| names::matches(pattern, &entry.spec().id.0)));
            names.extend(ask.cases.iter().cloned());
        }
        let mut entries: Vec<Entry> = taken.into_iter().cloned().collect();
        entries.sort_by_key(|entry| entry.spec().effect);
        Ok(Plan { name: names.join(" "), entries: in_order(entries)? })
    }
}

/// Moves each case behind those it comes after; otherwise keeps the order.
fn in_order(entries: Vec<Entry>) -> Result<Vec<Entry>, SuiteError> {
    let here: BTreeSet<CaseId> = entries.iter().map(|entry| entry.spec().id.clone()).collect();
    let mut waiting = entries;
    let mut done = BTreeSet::new();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let free = |entry: &Entry| {
            entry.spec().after.iter().all(|after| done.contains(after) || !here.contains(after))
        };
        let Some(next) = waiting.iter().position(free) else { return Err(circle(&waiting)) };
        let entry = waiting.remove(next);
        done.insert(entry.spec().id.clone());
        ordered.push(entry);
    }
    Ok(ordered)
}

/// Follows `after` from a case that cannot start until one comes again.
fn circle(waiting: &[Entry]) -> SuiteError {
    let after: BTreeMap<&CaseId, &Entry> = waiting.iter().map(|entry| (&entry.spec().id, entry)).collect();
    let mut path: Vec<String> = Vec::new();
    let mut next = waiting.first().map(|entry| &entry.spec().id);
    while let Some(id) = next {
        let again = path.iter().position(|seen| *seen == id.0);
        path.push(id.0.clone());
        if let Some(start) = again {
            path.drain(..start);
            break;
        }
        next = after
            .get(id)
            .and_then(|entry| entry.spec().after.iter().find(|before| after.contains_key(before)));
    }
    SuiteError::Circle(path)
}
