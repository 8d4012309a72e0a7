//! Names and numbers of things as people write them: patterns that pick some, and the order that they
//! expect.

use std::cmp::Ordering;

/// What stands in names of files and in ids as it is: letters, digits, `-`, `_` and `.`.
pub fn is_plain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Whether it can stand in paths, in names of files and in ids as it is: only such, a letter or a digit
/// first.
pub fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain_char)
}

/// Whether it is a board's slug: a plain name without capitals.
pub fn is_slug(name: &str) -> bool {
    is_plain(name) && !name.contains(|c: char| c.is_ascii_uppercase())
}

/// `1 pass`, `2 passes`.
pub fn many(many: u64, one: &str, several: &str) -> String {
    format!("{many} {}", if many == 1 { one } else { several })
}

/// Whether the whole name matches: `*` is any text, everything else is itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Names in the order in which people put versions: `1.9` before `1.10`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a).into_iter(), parts(b).into_iter());
    loop {
        match (a.next(), b.next()) {
            (Some(one), Some(other)) => match one.cmp(&other) {
                Ordering::Equal => {}
                order => return order,
            },
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
        }
    }
}

fn parts(text: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (part, left) = rest.split_at(end);
        parts.push(if digit { (part.parse().unwrap_or(u64::MAX), "") } else { (0, part) });
        rest = left;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, want) in [
            ("container::*", "container::engine::answers", true),
            ("container::*", "os::engine::answers", false),
            ("*engine*", "container::engine::answers", true),
            ("*::engine::*", "container::engine::answers", true),
            ("os::*::zram-*", "os::swap::zram-size", true),
            ("os::*::zram-*x", "os::swap::zram-size", false),
            ("os::swap", "os::swap::zram-size", false),
            ("1.2", "1.20", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_plain_name_cannot_leave_its_folder() {
        for (name, plain) in [
            ("pi-4.a_b", true),
            ("", false),
            ("../evil", false),
            ("a/b", false),
            (".hidden", false),
            ("a b", false),
        ] {
            assert_eq!((is_plain(name), is_slug(name)), (plain, plain), "{name}");
        }
        assert!(is_plain("Pi") && !is_slug("Pi"));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut names = ["os-1.10.0.img", "os-1.9.2.img", "os-1.9.10.img", "os-2.img"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["os-1.9.2.img", "os-1.9.10.img", "os-1.10.0.img", "os-2.img"]);
        assert_eq!(compare("1.2", "1.2"), Ordering::Equal);
        assert_eq!(compare("1.2", "1.2.1"), Ordering::Less);
    }
}
