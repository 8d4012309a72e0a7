//! Names in the order in which people put versions: `1.9` before `1.10`.

use std::cmp::Ordering;

/// Compares names, numbers in them as numbers.
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
    fn versions_are_in_order() {
        let mut names = ["os-1.10.0.img", "os-1.9.2.img", "os-1.9.10.img", "os-2.img"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["os-1.9.2.img", "os-1.9.10.img", "os-1.10.0.img", "os-2.img"]);
    }
}
