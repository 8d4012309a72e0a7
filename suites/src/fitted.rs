//! A case as it runs on one family of OSes.

use std::sync::Arc;

use shakedown_core::{Capability, Case, CaseSpec, Cut, Deadline, Dut, Edit, Fut, OsProfile, Sabotage};

use crate::entry::Entry;
use crate::template::{Template, Values};

/// A case whose head was fitted to an OS profile; what it does is the case's own.
#[derive(Clone)]
pub(crate) struct Fitted {
    spec: CaseSpec,
    case: Arc<dyn Case>,
}

impl Fitted {
    pub(crate) fn new(entry: &Entry, profile: &OsProfile) -> Self {
        let mut spec = entry.spec().clone();
        spec.needs = entry.needs(profile);
        spec.needs.extend(entry.lacks(profile).into_iter().map(Capability::new));
        let values = profile.all_facts();
        // A sabotage that uses what the profile lacks cannot be made there.
        spec.sabotage = spec.sabotage.iter().filter_map(|sabotage| fill(sabotage, &values)).collect();
        Self { spec, case: entry.case.clone() }
    }
}

fn fill(sabotage: &Sabotage, values: &Values) -> Option<Sabotage> {
    let line = |line: &String| Template::parse(line).fill(values).ok();
    let edit = |Edit::Shell(text): &Edit| line(text).map(Edit::Shell);
    Some(Sabotage {
        edits: sabotage.edits.iter().map(edit).collect::<Option<_>>()?,
        undo: match &sabotage.undo {
            Some(text) => Some(line(text)?),
            None => None,
        },
        ..sabotage.clone()
    })
}

impl Case for Fitted {
    fn spec(&self) -> &CaseSpec {
        &self.spec
    }

    fn prepare<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        self.case.prepare(dut, by)
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        self.case.run(dut, by)
    }
}
