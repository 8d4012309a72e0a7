//! Text from outside made safe to show, and numbers as people read them.
//!
//! All that a DUT said is hostile: escape codes, control characters and marks
//! that turn the writing direction are taken out here, before any renderer
//! adds its own escaping.

use std::fmt::Write as _;
use std::time::Duration;

use shakedown_core::{KeyWord, names};

/// Marks that reorder, hide or join text.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Keeps what a terminal would print on one line; a lone carriage return starts a new one,
/// so that an overwritten progress line is still readable.
#[derive(Default)]
struct Printable {
    out: String,
    returned: bool,
}

impl vte::Perform for Printable {
    fn print(&mut self, c: char) {
        if std::mem::take(&mut self.returned) && !self.out.is_empty() {
            self.out.push('\n');
        }
        match c {
            c if is_hidden(c) => {
                // Writing to a String cannot fail.
                let _ = write!(self.out, "<U+{:04X}>", u32::from(c));
            }
            // XML cannot hold these.
            '\u{fffe}' | '\u{ffff}' => self.out.push('\u{fffd}'),
            c if c.is_control() => {}
            c => self.out.push(c),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => self.out.push('\t'),
            b'\r' => self.returned = true,
            _ => {}
        }
    }
}

/// Without escape codes and control characters, but for line breaks and tabs.
pub fn block(text: &str) -> String {
    bytes(text.as_bytes())
}

/// The same for bytes; what is not UTF-8 becomes the replacement character.
///
/// Each line is read with a parser of its own: an escape code that never ends hides
/// the rest of its line and no more.
pub fn bytes(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, raw) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if raw.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            out.push_str(std::str::from_utf8(raw).unwrap_or_default());
            continue;
        }
        let mut parser = vte::Parser::new();
        let mut line = Printable::default();
        parser.advance(&mut line, raw);
        out.push_str(&line.out);
    }
    out
}

/// On one line: line breaks become ` ⏎ `, blanks at the ends go.
pub fn line(text: &str) -> String {
    let clean = block(text);
    let mut lines = clean.trim().lines().map(str::trim_end);
    let mut out = lines.next().unwrap_or_default().to_owned();
    for next in lines {
        out.push_str(" ⏎ ");
        out.push_str(next);
    }
    out.replace('\t', " ")
}

/// The first `most` characters, with an ellipsis in place of the rest.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// A span for people: `0.81 s`, `12.4 s`, `3 min 12 s`, `1 h 02 min`.
pub fn span(took: Duration) -> String {
    let millis = took.as_millis();
    let seconds = (millis + 500) / 1000;
    match millis {
        0..10_000 => format!("{:.2} s", took.as_secs_f64()),
        10_000..59_950 => format!("{:.1} s", took.as_secs_f64()),
        59_950..3_599_500 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes for people: `812 B`, `3.1 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} B"),
        (_, value) if value >= 100.0 => format!("{value:.0} {}", UNITS[unit]),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// A measure's value: at most three digits after the point, no idle zeros.
pub fn number(value: f64) -> String {
    if !value.is_finite() || value.abs() >= 1e12 {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// A number with its unit, which is short or cut.
pub fn quantity(value: f64, unit: &str) -> String {
    format!("{} {}", number(value), cut(&line(unit), 12)).trim_end().to_owned()
}

/// `1 case`, `3 cases`.
pub fn count(many: usize, noun: &str) -> String {
    names::many(many as u64, noun, &format!("{noun}s"))
}

/// A change of the DUT's SSH host key.
pub fn host_key(was: &str, now: &str, word: KeyWord) -> String {
    format!("the SSH host key is {} now, it was {}: {word}", line(now), line(was))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_controls_and_direction_marks_do_not_get_through() {
        for (raw, shown) in [
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]0;owned\u{7}title", "title"),
            ("\u{1b}]0;never ends\nnext line", "\nnext line"),
            ("\u{1b}Pdcs never ends\nnext", "\nnext"),
            ("a\u{0}b\u{7}c\u{8}d\u{7f}", "abcd"),
            ("\u{9b}31mc1", "31mc1"),
            ("10 %\r20 %\r\n", "10 %\n20 %\n"),
            ("\r\nx", "\nx"),
            ("\u{202e}evil", "<U+202E>evil"),
            ("zero\u{200b}width", "zero<U+200B>width"),
            ("\u{ffff}", "\u{fffd}"),
            ("tab\there", "tab\there"),
        ] {
            assert_eq!(block(raw), shown, "{raw:?}");
        }
        assert_eq!(bytes(b"\xff\xfe ok"), "\u{fffd}\u{fffd} ok");
        assert_eq!(line("  a\n\tb \r\nc\n"), "a ⏎  b ⏎ c");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        let spans = [0, 812, 12_440, 59_960, 192_000, 3_720_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["0.00 s", "0.81 s", "12.4 s", "1 min 00 s", "3 min 12 s", "1 h 02 min"]);
        assert_eq!(
            [812, 3_250_586, 327_155_712, 5 << 30].map(size),
            ["812 B", "3.1 MiB", "312 MiB", "5.0 GiB"]
        );
        assert_eq!(
            [1.0, 1.25, -0.0001, 412.5004, f64::MAX].map(number),
            ["1", "1.25", "0", "412.5", "1.798e308"]
        );
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!((count(1, "case"), count(0, "case")), ("1 case".into(), "0 cases".into()));
    }
}
