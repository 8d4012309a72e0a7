//! A case as the suites hold it: the case, where it came from, and what a profile must know for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use shakedown_core::{Capability, Case, CaseId, CaseSpec, OsProfile};

use crate::check::TEST_IMAGE_FILE;
use crate::facts;
use crate::fitted::Fitted;

/// The role of the small container image as a file beside the image under test.
pub const TEST_IMAGE: &str = "test-image";

/// A case of the suites.
#[derive(Clone)]
pub struct Entry {
    pub(crate) case: Arc<dyn Case>,
    /// `suites/os/swap.yaml:4`.
    pub place: String,
    /// Ids that it had before.
    pub was: Vec<CaseId>,
    /// Facts that it uses.
    pub facts: BTreeSet<String>,
    /// Keys of the configuration document that it edits, by meaning.
    pub config_keys: BTreeSet<String>,
    /// Measures that it holds to the profile's budget: without one it could not fail.
    pub budgets: BTreeSet<String>,
    /// Whether it uses the small container image.
    pub test_image: bool,
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
        let needs = self.needs(profile);
        let wanted: Vec<_> = needs.iter().filter(|need| !offers.contains(need)).collect();
        if !wanted.is_empty() {
            let names: Vec<_> = wanted.iter().map(|need| need.0.as_str()).collect();
            return Some(format!("neither board, OS nor slot offers {}", names.join(", ")));
        }
        self.lacks(profile)
            .into_iter()
            .next()
            .map(|lack| format!("the OS profile `{}` has no {lack}", profile.id))
    }

    /// Capabilities that it needs on this OS: where the small container image does not lie on the
    /// DUT, it comes with the image under test.
    pub(crate) fn needs(&self, profile: &OsProfile) -> BTreeSet<Capability> {
        let mut needs = self.spec().needs.clone();
        if self.test_image && !profile.facts.contains_key(TEST_IMAGE_FILE) {
            needs.insert(Capability::new(format!("companion-{TEST_IMAGE}")));
        }
        needs
    }

    /// Facts, configuration keys and budgets that a profile has no value for.
    pub(crate) fn lacks(&self, profile: &OsProfile) -> Vec<String> {
        let facts = self.facts.iter().filter(|fact| !facts::known(profile, fact));
        let budgets = self.budgets.iter().filter(|name| !profile.budgets.contains_key(*name));
        let keys = self.config_keys.iter().filter(|key| profile.config_key(key).is_none());
        facts
            .map(|fact| format!("fact `{fact}`"))
            .chain(keys.map(|key| format!("configuration key for `{key}`")))
            .chain(budgets.map(|name| format!("budget for `{name}`")))
            .collect()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} at {})", self.spec().id, self.place)
    }
}
