//! A line that a pattern finds: what a simulated console says where a board's stage is looked for.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A text for this byte regex, short; `None` where the pattern is not valid.
pub(crate) fn example(pattern: &str) -> Option<Vec<u8>> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).unicode(false).build().parse(pattern);
    // What needs Unicode's classes is a pattern of text.
    let hir = hir.or_else(|_| regex_syntax::parse(pattern)).ok()?;
    let mut text = Vec::new();
    write(&hir, &mut text);
    Some(text)
}

fn write(hir: &Hir, text: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(class) => text.extend_from_slice(&letter(class)),
        HirKind::Repetition(repetition) => {
            // Once where it may be left out: what is longer looks more like the real line.
            let times = repetition.min.max(1).min(repetition.max.unwrap_or(u32::MAX));
            (0..times).for_each(|_| write(&repetition.sub, text));
        }
        HirKind::Capture(capture) => write(&capture.sub, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, text)),
        HirKind::Alternation(ways) => ways.iter().take(1).for_each(|way| write(way, text)),
    }
}

/// A letter or digit if the class has one, else its first member.
fn letter(class: &Class) -> Vec<u8> {
    let readable = |has: &dyn Fn(u8) -> bool| b"x0A ".iter().copied().find(|byte| has(*byte));
    match class {
        Class::Bytes(class) => {
            let has = |byte: u8| class.iter().any(|range| (range.start()..=range.end()).contains(&byte));
            let first = class.ranges().first().map(regex_syntax::hir::ClassBytesRange::start);
            readable(&has).or(first).into_iter().collect()
        }
        Class::Unicode(class) => {
            let has = |byte: u8| {
                class.iter().any(|range| (range.start()..=range.end()).contains(&char::from(byte)))
            };
            let first = class.iter().next().map(|range| range.start().to_string().into_bytes());
            readable(&has).map(|byte| vec![byte]).or(first).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_what_is_looked_for() {
        for (pattern, line) in [
            (r"Linux version \d", "Linux version 0"),
            (r"\S+ login: ", "x login: "),
            (r"(?m)^U-Boot (SPL )?20\d\d", "U-Boot SPL 2000"),
            (r"a{3}|b", "aaa"),
            (r"systemd\[1\]: Detected architecture", "systemd[1]: Detected architecture"),
        ] {
            assert_eq!(
                example(pattern).map(|text| String::from_utf8_lossy(&text).into_owned()).as_deref(),
                Some(line)
            );
        }
        assert_eq!(example("("), None);
    }
}
