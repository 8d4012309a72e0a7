//! Which SSH host key of the DUT is believed, and when another one may take its place.

use shakedown_core::{Evidence, KeyWord, Unreachable};

/// Whether the boot that is watched may bring another key that nobody told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Window {
    #[default]
    Closed,
    /// A case said so; its next boot opens it.
    Declared,
    /// The boot that was declared is on its way, and no other key let us in yet.
    Open,
}

/// The key that is believed.
#[derive(Debug, Default)]
pub(crate) struct HostKey {
    /// The fingerprint that the console showed, or the first one met.
    believed: Option<String>,
    window: Window,
    /// What was refused last, until SSH lets us in or another boot begins.
    refused: Option<Unreachable>,
}

impl HostKey {
    /// The fingerprint, if one is known.
    pub(crate) fn believed(&self) -> Option<&str> {
        self.believed.as_deref()
    }

    /// The boot after this may bring another key.
    pub(crate) fn declare(&mut self) {
        self.window = Window::Declared;
    }

    /// A boot is watched from now on.
    pub(crate) fn boot_begins(&mut self) {
        self.refused = None;
        if self.window == Window::Declared {
            self.window = Window::Open;
        }
    }

    /// The boot or the case is over: no other key comes unseen from now on.
    pub(crate) fn close(&mut self) {
        self.window = Window::Closed;
    }

    /// The console showed this one: whatever was believed before, it is this now.
    pub(crate) fn told(&mut self, now: String) -> Option<Evidence> {
        self.believe(now, KeyWord::Console)
    }

    /// The other key that was offered, if it may be tried now.
    pub(crate) fn other(&self, why: &Unreachable) -> Option<String> {
        match why {
            Unreachable::WrongHostKey { got, .. } if self.window == Window::Open => Some(got.clone()),
            _ => None,
        }
    }

    /// SSH let us in, at a server with this key: the believed one, the first, or the one that
    /// [`HostKey::other`] gave. With that the window is used up.
    pub(crate) fn met(&mut self, key: String) -> Option<Evidence> {
        self.refused = None;
        if self.believed.as_ref() != Some(&key) {
            self.window = Window::Closed;
        }
        self.believe(key, KeyWord::Declared)
    }

    /// SSH did not let us in.
    pub(crate) fn failed(&mut self, why: &Unreachable) {
        self.refused = matches!(why, Unreachable::WrongHostKey { .. }).then(|| why.clone());
    }

    /// The key that was refused, if that was the last that came of SSH in this boot.
    pub(crate) fn refused(&self) -> Option<Unreachable> {
        self.refused.clone()
    }

    fn believe(&mut self, now: String, word: KeyWord) -> Option<Evidence> {
        let was = self.believed.replace(now.clone()).filter(|was| *was != now)?;
        Some(Evidence::HostKey { was, now, word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(expected: &str, got: &str) -> Unreachable {
        Unreachable::WrongHostKey { expected: expected.into(), got: got.into() }
    }

    fn with(key: &str) -> HostKey {
        let mut keys = HostKey::default();
        assert_eq!(keys.met(key.into()), None, "the first one is no change");
        keys
    }

    #[test]
    fn a_declared_boot_may_bring_one_other_key_and_no_second_one() {
        let mut keys = with("old");
        keys.declare();
        assert_eq!(keys.other(&wrong("old", "early")), None, "the boot has not begun");
        keys.boot_begins();
        keys.met("old".into());
        assert_eq!(
            keys.other(&wrong("old", "new")),
            Some("new".into()),
            "on its way down it had the old one"
        );
        keys.failed(&wrong("old", "new"));
        assert_eq!(keys.believed(), Some("old"), "nobody with that key let us in yet");
        let change = Evidence::HostKey { was: "old".into(), now: "new".into(), word: KeyWord::Declared };
        assert_eq!((keys.met("new".into()), keys.refused()), (Some(change), None));
        assert_eq!(keys.other(&wrong("new", "third")), None);
        keys.failed(&wrong("new", "third"));
        assert_eq!((keys.believed(), keys.refused()), (Some("new"), Some(wrong("new", "third"))));
    }

    #[test]
    fn the_window_is_of_one_boot_and_of_one_case() {
        let other = |keys: &HostKey| keys.other(&wrong("old", "new"));
        let mut keys = with("old");
        keys.boot_begins();
        assert_eq!(other(&keys), None, "nobody declared it");
        keys.declare();
        keys.close();
        keys.boot_begins();
        assert_eq!(other(&keys), None, "the case ended before its boot");
        keys.declare();
        keys.boot_begins();
        assert_eq!(keys.other(&Unreachable::Denied("root".into())), None, "that is no key");
        keys.close();
        assert_eq!(other(&keys), None, "it was ready");
        keys.boot_begins();
        assert_eq!(other(&keys), None, "a later boot");
    }

    #[test]
    fn the_console_is_believed_at_any_time_and_says_nothing_new_of_the_same_key() {
        let mut keys = HostKey::default();
        assert_eq!(keys.told("first".into()), None, "nothing was believed before");
        assert_eq!(keys.told("first".into()), None);
        let change = Evidence::HostKey { was: "first".into(), now: "second".into(), word: KeyWord::Console };
        assert_eq!((keys.told("second".into()), keys.believed()), (Some(change), Some("second")));
    }
}
