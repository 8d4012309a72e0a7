//! What happens, as a function of the seed, the names and the count.

use std::cmp::Ordering;

use shakedown_core::{ImageRef, Sha};

use crate::doc::{Does, RuleDoc, SimulationDoc, When};

/// Where something may happen.
pub(crate) struct Scene<'a> {
    pub(crate) slot: &'a str,
    pub(crate) board: &'a str,
    pub(crate) image: &'a ImageRef,
    /// What tells this run from another one on the same slot.
    pub(crate) nonce: &'a str,
}

/// What is about to happen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment<'a> {
    /// The slot is opened.
    Open,
    /// It starts.
    Boot,
    /// This case runs.
    Case(&'a str),
}

/// The first rule that fits and whose dice fall. `count` tells the n-th time in this run.
pub(crate) fn decide(doc: &SimulationDoc, scene: &Scene<'_>, moment: Moment<'_>, count: u32) -> Option<Does> {
    let fits = |(_, rule): &(usize, &RuleDoc)| fits(rule, scene, moment);
    let falls = |(index, rule): &(usize, &RuleDoc)| {
        // The slot is no part of the dice: who came first to a slot would decide otherwise.
        let about = match moment {
            Moment::Open => "open",
            Moment::Boot => "boot",
            Moment::Case(case) => case,
        };
        let (index, count, payload) = (index.to_string(), count.to_string(), scene.image.payload.to_string());
        roll(doc.seed, &[&index, &payload, scene.nonce, about, &count]) < rule.rate
    };
    doc.rules.iter().enumerate().filter(fits).find(falls).map(|(_, rule)| rule.does.clone())
}

/// From 0 to 1, the same for the same words.
pub(crate) fn roll(seed: u64, words: &[&str]) -> f64 {
    let text = words.iter().fold(seed.to_string(), |text, word| format!("{text}\n{word}"));
    let Sha(bytes) = Sha::of(text.as_bytes());
    let number = bytes.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number as f64 / u64::MAX as f64
}

fn fits(rule: &RuleDoc, scene: &Scene<'_>, moment: Moment<'_>) -> bool {
    let when = match (moment, rule.does.when()) {
        (Moment::Open, When::Slot) => true,
        (Moment::Boot, When::Boot) => true,
        (Moment::Boot, When::Either) => {
            rule.case.as_deref().is_none_or(|case| case == shakedown_core::ledger::BOOT)
        }
        (Moment::Case(_), When::Either) => rule.case.is_some(),
        (Moment::Case(_), When::Case) => true,
        _ => false,
    };
    let case = match (moment, &rule.case) {
        (Moment::Case(id), Some(case)) => matches(case, id),
        _ => true,
    };
    let names = names(scene.image);
    let is_one = |pattern: &Option<String>, name: &str| pattern.as_ref().is_none_or(|p| matches(p, name));
    when && case
        && is_one(&rule.slot, scene.slot)
        && is_one(&rule.board, scene.board)
        && rule.image.as_ref().is_none_or(|pattern| names.iter().any(|name| matches(pattern, name)))
        && rule.image_from.as_ref().is_none_or(|from| names[0..1].iter().any(|name| !before(name, from)))
}

/// What a rule may call an image: its version first, or its file where it has none.
fn names(image: &ImageRef) -> Vec<String> {
    let file = image.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = image.version.clone().filter(|version| !version.is_empty());
    version.into_iter().chain([file, image.payload.to_string()]).collect()
}

/// Whether the whole name matches; `*` is any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(left) = name.strip_prefix(first) else { return false };
    let starts = left.char_indices().map(|(at, _)| at).chain([left.len()]);
    starts.into_iter().any(|at| matches(rest, &left[at..]))
}

/// Whether `a` comes before `b`, numbers in them compared as numbers.
fn before(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (parts(a).into_iter(), parts(b).into_iter());
    loop {
        match (a.next(), b.next()) {
            (Some(one), Some(other)) => match one.cmp(&other) {
                Ordering::Equal => {}
                order => return order == Ordering::Less,
            },
            (None, Some(_)) => return true,
            (_, None) => return false,
        }
    }
}

/// Numbers before words, as they come.
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
    fn a_rate_is_kept_over_many_runs_and_a_seed_repeats() {
        let fell = |seed, rate| {
            (0..2000).filter(|run: &u32| roll(seed, &["a::case", &run.to_string()]) < rate).count()
        };
        for rate in [0.0, 0.3, 0.97, 1.0] {
            let share = fell(1, rate) as f64 / 2000.0;
            assert!((share - rate).abs() < 0.04, "{rate}: {share}");
        }
        assert_eq!(fell(7, 0.3), fell(7, 0.3));
        let falls = |seed| (0..64).map(|run: u32| roll(seed, &[&run.to_string()]) < 0.5).collect::<Vec<_>>();
        assert_ne!(falls(7), falls(8));
    }

    #[test]
    fn names_and_versions() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("sim/*", "sim/a1", true),
            ("sim/*", "desk/a1", false),
            ("*::engine::*", "container::engine::answers", true),
            ("a*a", "a", false),
            ("1.2", "1.20", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        for (a, b, less) in
            [("1.9", "1.10", true), ("1.10", "1.9", false), ("1.2", "1.2", false), ("1.2", "1.2.1", true)]
        {
            assert_eq!(before(a, b), less, "{a} {b}");
        }
    }
}
