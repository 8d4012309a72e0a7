//! Colours, and only where asked for.

/// What a word means; never the only carrier of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Heading,
    Good,
    Bad,
    Warning,
    Faint,
}

/// Whether to use SGR codes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn on(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            _ if !self.0 || text.trim().is_empty() => return text.to_owned(),
            Ink::Plain => return text.to_owned(),
            Ink::Heading => "1",
            Ink::Good => "32;1",
            Ink::Bad => "31;1",
            Ink::Warning => "33;1",
            Ink::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
