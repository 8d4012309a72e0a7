//! Patterns of case ids: `*` for any text, everything else as it is.

/// Whether the whole id matches.
pub(crate) fn matches(pattern: &str, id: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = id.strip_prefix(first) else { return false };
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

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, id, want) in [
            ("container::*", "container::engine::answers", true),
            ("container::*", "os::engine::answers", false),
            ("*engine*", "container::engine::answers", true),
            ("os::*::zram-*", "os::swap::zram-size", true),
            ("os::*::zram-*x", "os::swap::zram-size", false),
            ("os::swap", "os::swap::zram-size", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, id), want, "{pattern} {id}");
        }
    }
}
