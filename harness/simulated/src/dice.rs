//! What happens, as a function of the seed, the names and the count.

use shakedown_core::names::{compare, matches};
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
        && rule
            .image_from
            .as_ref()
            .is_none_or(|from| names[0..1].iter().any(|name| !compare(name, from).is_lt()))
}

/// What a rule may call an image: its version first, or its file where it has none.
fn names(image: &ImageRef) -> Vec<String> {
    let file = image.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = image.version.clone().filter(|version| !version.is_empty());
    version.into_iter().chain([file, image.payload.to_string()]).collect()
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
}
