//! Failures in runs that cannot be believed or are gone: no later pass disproves them.

use std::collections::BTreeSet;

use shakedown_core::ledger::BOOT;

use super::{Court, Missing};
use crate::evidence::{Ignored, STEP};

impl Court<'_> {
    /// While somebody knows of a failure, the run that showed it must be found again, or the case be
    /// waived by name: else whoever loses a failed run need only run it until it passes.
    pub(super) fn lost_failures(&mut self) {
        let policy = self.policy;
        for board in policy.boards() {
            let asked = self.asked(board);
            let mut lost = self.doubted(board);
            lost.retain(|ignored| self.is_young(ignored));
            for ignored in lost {
                let is_open = |name: &&String| {
                    let is_asked = name.starts_with(STEP) || asked.contains(*name);
                    is_asked && self.quarantined(name, board).is_none()
                };
                let mut open: Vec<String> = ignored.failed.iter().filter(is_open).cloned().collect();
                open.retain(|name| !self.waived(board, |waiver| waiver.case.as_ref() == Some(name)));
                if let Some(first) = open.first() {
                    let what = told(board, &ignored, first, open.len() - 1);
                    self.answer.missing.push(Missing {
                        board: board.to_owned(),
                        name: ignored.run.clone(),
                        what,
                        cases: open.into_iter().filter(|name| !name.starts_with(STEP)).collect(),
                        command: None,
                        repeats: 0,
                    });
                }
            }
        }
    }

    /// Every case that is asked for on a board; the boot always is.
    fn asked(&self, board: &str) -> BTreeSet<String> {
        let here = self.policy.doc.require.iter().filter(|require| require.boards.iter().any(|b| b == board));
        let groups = here.flat_map(|require| {
            let suites = require.suites.iter().filter_map(|name| self.known.suites.get(name));
            suites.chain(require.selections.iter().filter_map(|name| self.known.selections.get(name)))
        });
        groups.flatten().cloned().chain([BOOT.to_owned()]).collect()
    }

    /// One that is too old would not count if it were there.
    fn is_young(&self, ignored: &Ignored) -> bool {
        let age = self.policy.doc.max_age.0.as_millis() as i128;
        ignored.began.is_none_or(|began| self.answer.at.duration_since(began).as_millis() <= age)
    }

    /// The runs of this image that cannot be believed, and that may have been on this board. A
    /// simulated slot's would not count if they could be believed, unless the policy is only tried.
    pub(super) fn doubted(&self, board: &str) -> Vec<Ignored> {
        let hashes: Vec<String> =
            self.answer.image_names.values().chain([&self.answer.image]).map(ToString::to_string).collect();
        let fits = |ignored: &&Ignored| {
            ignored.doubt.is_tampering()
                && (!ignored.simulated || self.policy.doc.accept_simulated)
                && ignored.board.as_deref().is_none_or(|name| name == board)
                && ignored.image.as_ref().is_none_or(|image| hashes.contains(image))
        };
        self.answer.ignored.iter().filter(fits).cloned().collect()
    }
}

fn told(board: &str, ignored: &Ignored, first: &str, more: usize) -> String {
    let name = if ignored.run.is_empty() { ignored.path.display().to_string() } else { ignored.run.clone() };
    let (first, way) = match first.strip_prefix(STEP) {
        Some("") => ("one of its steps".to_owned(), "bring the run back"),
        Some(step) => (format!("the step `{step}`"), "bring the run back"),
        None => (first.to_owned(), "bring the run back, or waive the case by name"),
    };
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the run {name} on {board}: {first}{more} failed in it, and it cannot be believed ({}); \
         later passes do not disprove a failure: {way}",
        ignored.doubt.told()
    )
}
