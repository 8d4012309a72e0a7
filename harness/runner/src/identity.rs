//! The identity of one run, injected into the image so that the DUT can be found and entered.

use std::collections::BTreeMap;
use std::sync::Arc;

use shakedown_core::{OsProfile, Slot};

/// What the OS profile calls the key of the host name.
pub(crate) const HOSTNAME: &str = "hostname";

/// Made new for each run.
#[derive(Clone)]
pub struct Identity {
    /// The host name.
    pub hostname: String,
    /// 32 hex digits.
    pub uuid: String,
    /// An OpenSSH private key (PEM).
    pub private_key: Arc<str>,
    /// `ssh-ed25519 AAAA…`.
    pub public_key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.hostname)
    }
}

impl Identity {
    /// The edits of the configuration document: dotted key and JSON text, for the
    /// keys that the profile has; none where it has no such document. `extra` is set by meaning too (`ntp-servers`, …).
    pub fn edits(&self, profile: &OsProfile, extra: &[(String, String)]) -> Vec<(String, String)> {
        let json = |text: &str| serde_json::to_string(text).expect("a string is JSON");
        let own = [
            (HOSTNAME, json(&self.hostname)),
            ("uuid", json(&self.uuid)),
            ("ssh-keys", format!("[{}]", json(&self.public_key))),
            ("development-mode", "true".to_owned()),
        ];
        let own = own.into_iter().map(|(meaning, value)| (meaning.to_owned(), value));
        own.chain(extra.iter().cloned())
            .filter_map(|(meaning, value)| profile.config_key(&meaning).map(|key| (key.to_owned(), value)))
            .collect()
    }
}

/// What cases may use as `{name}`: the run's own facts, the profile's and the identity's.
pub(crate) fn facts(
    slot: &Slot,
    profile: &OsProfile,
    identity: &Identity,
    run: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut facts = profile.all_facts();
    let own = [
        ("board", slot.board.slug.clone()),
        ("arch", slot.board.arch.to_string()),
        (HOSTNAME, identity.hostname.clone()),
        ("uuid", identity.uuid.clone()),
        ("public-key", identity.public_key.clone()),
    ];
    facts.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    facts.extend(run);
    facts
}
