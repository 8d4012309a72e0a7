//! A case as the suites hold it: the case, where it came from, and what a profile must know for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use shakedown_core::{Capability, Case, CaseSpec, OsProfile};

use crate::facts;
use crate::fitted::Fitted;

/// A case of the suites.
#[derive(Clone)]
pub struct Entry {
    pub(crate) case: Arc<dyn Case>,
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

    /// The case as it stands in the file: for a run, take [`Entry::for_profile`].
    pub fn case(&self) -> &Arc<dyn Case> {
        &self.case
    }

    /// The case as it runs on this OS: its sabotages have their facts filled in, and what the
    /// profile lacks is a need that nobody offers, so that the case is skipped for that reason.
    pub fn for_profile(&self, profile: &OsProfile) -> Arc<dyn Case> {
        Arc::new(Fitted::new(self, profile))
    }

    /// Why it cannot run on this board, OS and slot, if it cannot: the reason of a skip.
    pub fn missing(&self, offers: &BTreeSet<Capability>, profile: &OsProfile) -> Option<String> {
        let wanted: Vec<_> = self.spec().needs.iter().filter(|need| !offers.contains(need)).collect();
        if !wanted.is_empty() {
            let names: Vec<_> = wanted.iter().map(|need| need.0.as_str()).collect();
            return Some(format!("neither board, OS nor slot offers {}", names.join(", ")));
        }
        self.lacks(profile)
            .into_iter()
            .next()
            .map(|lack| format!("the OS profile `{}` has no {lack}", profile.id))
    }

    /// Facts and configuration keys that a profile has no value for.
    pub(crate) fn lacks(&self, profile: &OsProfile) -> Vec<String> {
        let facts = self.facts.iter().filter(|fact| !facts::known(profile, fact));
        let keys = self.config_keys.iter().filter(|key| !profile.config.keys.contains_key(*key));
        facts
            .map(|fact| format!("fact `{fact}`"))
            .chain(keys.map(|key| format!("configuration key for `{key}`")))
            .collect()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} at {})", self.spec().id, self.place)
    }
}
