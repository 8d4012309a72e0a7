//! What is left of a console's bytes when terminal codes are taken out.
//!
//! [`Cleaner`] keeps its state over chunk borders and never waits for the end of
//! a code to go on: garbage that looks like the start of one costs at most the
//! rest of its line. It is byte-wise: text that is not UTF-8 passes unchanged.
//!
//! Taken out: ECMA-48 escape sequences (CSI, OSC and the other strings, two-byte
//! escapes, Linux's palette codes), NUL, DEL inside a code, and carriage returns
//! before a line feed. Other carriage returns stay, a run of them as one.

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// A string (OSC, DCS, …) that is not ended within this many bytes is given up.
const LONGEST_STRING: u16 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Intermediate,
    Csi,
    /// Just after `ESC ]`.
    Osc,
    /// Linux's `ESC ] P` and seven hexadecimal digits; this many are left.
    Palette(u8),
    /// Inside a string, so many bytes long.
    Text(u16),
    /// Inside a string, after an ESC that may begin its terminator.
    TextEscape,
}

/// Takes what remains of a stream.
pub(crate) trait Keep {
    /// These bytes stay. `index` is that of the first one in the block being fed;
    /// negative for a carriage return that came with a block before.
    fn keep(&mut self, index: i64, bytes: &[u8]);
}

/// Removes terminal codes from a stream of blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaner {
    state: State,
    /// A carriage return that may yet be before a line feed: its index in the block.
    held_cr: Option<i64>,
}

impl Default for Cleaner {
    fn default() -> Self {
        Self { state: State::Ground, held_cr: None }
    }
}

impl Cleaner {
    /// Feeds a block; gives to `out` what remains, in order.
    pub(crate) fn feed(&mut self, block: &[u8], out: &mut impl Keep) {
        // Indices of this block are from 0; a held return has a negative one.
        let mut i = 0;
        while i < block.len() {
            if self.state != State::Ground {
                i += usize::from(self.code(block[i]));
                continue;
            }
            let rest = &block[i..];
            let run = memchr::memchr3(ESC, b'\r', 0, rest).unwrap_or(rest.len());
            if run > 0 {
                self.release(rest[0], out);
                out.keep(i as i64, &rest[..run]);
                i += run;
            } else {
                match rest[0] {
                    ESC => self.state = State::Escape,
                    b'\r' => self.held_cr = Some(i as i64),
                    _ => {}
                }
                i += 1;
            }
        }
        self.held_cr = self.held_cr.map(|index| index - block.len() as i64);
    }

    /// Whether a carriage return of the block that was just fed is being held back.
    pub(crate) fn holds_from(&self, block: &[u8]) -> bool {
        self.held_cr.is_some_and(|index| index + block.len() as i64 >= 0)
    }

    /// The byte after a held carriage return is known.
    fn release(&mut self, next: u8, out: &mut impl Keep) {
        if let Some(index) = self.held_cr.take()
            && next != b'\n'
        {
            out.keep(index, b"\r");
        }
    }

    /// One byte inside a code; controls in there go with it. Whether it was used up; if not, it is looked at again as text.
    #[expect(
        clippy::match_same_arms,
        reason = "in the order of the states, and the first arm that fits counts"
    )]
    fn code(&mut self, byte: u8) -> bool {
        use State::{Csi, Escape, Ground, Intermediate, Osc, Palette, Text, TextEscape};
        let (next, used) = match (self.state, byte) {
            // These end any code; a line feed so that garbage costs one line at most.
            (_, CAN | SUB) => (Ground, true),
            (_, b'\n') => (Ground, false),
            (Text(_) | Osc, BEL) => (Ground, true),
            (Text(_) | Osc, ESC) => (TextEscape, true),
            (TextEscape, b'\\') => (Ground, true),
            // The string was cut off by another code.
            (TextEscape, _) => (Escape, false),
            (Text(length), _) if length < LONGEST_STRING => (Text(length + 1), true),
            (Osc, b'R') => (Ground, true),
            (Osc, b'P') => (Palette(7), true),
            (Osc, _) => (Text(1), true),
            (Palette(left), _) if byte.is_ascii_hexdigit() => {
                (if left > 1 { Palette(left - 1) } else { Ground }, true)
            }
            (_, ESC) => (Escape, true),
            (state @ (Escape | Intermediate | Csi), 0..=0x1f | 0x7f) => (state, true),
            (Escape, b'[') => (Csi, true),
            (Escape, b']') => (Osc, true),
            (Escape, b'P' | b'X' | b'^' | b'_') => (Text(0), true),
            (Escape | Intermediate, 0x20..=0x2f) => (Intermediate, true),
            (Escape | Intermediate, 0x30..=0x7e) => (Ground, true),
            (Csi, 0x20..=0x3f) => (Csi, true),
            (Csi, 0x40..=0x7e) => (Ground, true),
            // Not a code after all.
            _ => (Ground, false),
        };
        self.state = next;
        used
    }
}

impl Keep for Vec<u8> {
    fn keep(&mut self, _: i64, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The bytes without terminal codes, as the matcher sees them.
pub fn clean(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    Cleaner::default().feed(bytes, &mut out);
    out
}

/// Cleaned bytes as text for people: what is not UTF-8 becomes U+FFFD, controls
/// except line feed and tab go, and past `most` bytes it ends with `…`.
pub fn text(cleaned: &[u8], most: usize) -> String {
    let cut = cleaned.len() > most;
    let shown = String::from_utf8_lossy(&cleaned[..cleaned.len().min(most)]);
    let mut shown: String = shown.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    if cut {
        // The cut may have been inside a character.
        while shown.ends_with(char::REPLACEMENT_CHARACTER) {
            shown.pop();
        }
        shown.push('…');
    }
    shown
}
