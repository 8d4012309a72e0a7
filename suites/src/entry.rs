//! A case as the suites hold it: the case, where it came from, and what a profile must know for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use shakedown_core::{Capability, Case, CaseSpec, OsProfile};

use crate::facts;

/// A case of the suites.
#[derive(Clone)]
pub struct Entry {
    /// The case.
    pub case: Arc<dyn Case>,
    /// `suites/os/swap.yaml:4`.
    pub place: String,
    /// Facts that it uses.
    pub facts: BTreeSet<String>,
    /// Keys of the configuration document that it edits, by meaning.
    pub config_keys: BTreeSet<String>,
}

impl Entry {
    /// What it is.
    pub fn spec(&self) -> &CaseSpec {
        self.case.spec()
    }

    /// Why it cannot run on this board, OS and slot, if it cannot: the reason of a skip.
    pub fn missing(&self, offers: &BTreeSet<Capability>, profile: &OsProfile) -> Option<String> {
        let wanted: Vec<_> = self.spec().needs.iter().filter(|need| !offers.contains(need)).collect();
        if !wanted.is_empty() {
            let names: Vec<_> = wanted.iter().map(|need| need.0.as_str()).collect();
            return Some(format!("neither board, OS nor slot offers {}", names.join(", ")));
        }
        let unknown = |fact: &&String| !facts::known(profile, fact);
        if let Some(fact) = self.facts.iter().find(unknown) {
            return Some(format!("the OS profile `{}` names no fact `{fact}`", profile.id));
        }
        let key = self.config_keys.iter().find(|key| !profile.config.keys.contains_key(*key))?;
        Some(format!("the OS profile `{}` has no configuration key for `{key}`", profile.id))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} at {})", self.spec().id, self.place)
    }
}
