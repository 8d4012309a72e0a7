//! What a bring-up shows of a board: rung by rung, from journals alone.
//!
//! A rung passes, fails or was not tried, and what was not tried says why. Only what the board
//! or its OS did wrong fails a rung: a rig that broke leaves it untried, whatever it hides.

mod figures;
mod html;
mod rungs;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};
use shakedown_core::event::RunHead;
use shakedown_core::ledger::Step;
use shakedown_core::line::{Proof, SeenBy};
use shakedown_core::{Ledger, Sha};

use crate::text as plain;
use crate::verdict::Ruling;
use crate::view::{CaseView, View, Word};

pub use figures::Figure;
pub use html::html;
pub use rungs::{RUNGS, Rung};
pub use text::text;

/// Said before anything else, where nothing was tried on a DUT.
const SIMULATED: &str = "SIMULATED: this slot exists only as data. Nothing here says anything about a board.";

/// Names of the files.
pub const FILES: [&str; 2] = ["conformance.html", "conformance.json"];

/// Where a rung or a part of it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Shown.
    Pass,
    /// Shown not to be so.
    Fail,
    /// Neither, for the reason that stands beside it.
    NotTried,
}

impl Standing {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotTried => "not tried",
        }
    }
}

/// One step or case of a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The step's phrase or the case's id.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// The proof, what failed, or why it was not tried; empty for a case that passed.
    pub says: String,
}

/// Where a rung stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungResult {
    /// As `--only` names it.
    pub name: String,
    /// What holds when it passes.
    pub title: String,
    /// Fails if any part fails; passes if one passed and none was kept from being tried by the rig.
    pub standing: Standing,
    /// In order.
    pub parts: Vec<Part>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// The run whose journal shows it.
    pub run: String,
}

/// What was brought up: results count for these only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its slug.
    pub board: String,
    /// The place.
    pub slot: String,
    /// The OS profile.
    pub profile: String,
    /// SHA-256 of the image's payload.
    pub image: Sha,
    /// Its os-release: name and version.
    pub os: String,
    /// Of descriptor, profile and suites.
    pub hashes: std::collections::BTreeMap<String, Sha>,
    /// The harness's version.
    pub harness: String,
    /// On a slot that exists only as data: it says nothing about any board.
    #[serde(default)]
    pub simulated: bool,
}

impl Subject {
    /// Of a run with this head.
    pub fn of(head: &RunHead) -> Self {
        let image = &head.image;
        let os = [&image.os, &image.version].into_iter().flatten().map(|word| plain::line(word));
        Self {
            board: head.board.clone(),
            slot: head.slot.clone(),
            profile: head.profile.clone(),
            image: image.payload,
            os: os.collect::<Vec<_>>().join(" "),
            hashes: head.hashes.clone(),
            harness: head.harness.clone(),
            simulated: head.is_simulated(),
        }
    }
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformance {
    /// What was brought up; `None` when no journal says.
    pub subject: Option<Subject>,
    /// In the order of [`RUNGS`].
    pub rungs: Vec<RungResult>,
    /// Lines to change in the board's descriptor, as measured; empty when nothing speaks for a change.
    pub patch: Vec<String>,
}

impl Conformance {
    /// What a run shows of the rungs that it was made for. A rung that nobody asked for is not
    /// tried, whatever the run happens to show of it.
    pub fn of(ledger: &Ledger, asked: &[&Rung]) -> Self {
        let view = View::of(ledger);
        let subject = ledger.head.as_ref().map(Subject::of);
        let result = |rung: &Rung| {
            let is_asked = asked.iter().any(|asked| asked.name == rung.name);
            if is_asked { result(rung, &view) } else { not_asked(rung) }
        };
        Self { subject, rungs: RUNGS.iter().map(result).collect(), patch: figures::patch(&view) }
    }

    /// Keeps what an earlier bring-up of the same subject showed, where this one shows nothing.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        if self.subject != earlier.subject {
            return self;
        }
        for rung in &mut self.rungs {
            let before = earlier.rungs.iter().find(|before| before.name == rung.name);
            if let Some(before) = before
                && rung.standing == Standing::NotTried
                // Asked for again and not tried again: this time's reason is the one that holds.
                && (before.standing != Standing::NotTried || rung.run.is_empty())
            {
                rung.clone_from(before);
            }
        }
        for line in &earlier.patch {
            if !self.patch.contains(line) {
                self.patch.push(line.clone());
            }
        }
        self
    }

    /// Whether it was made on a slot that exists only as data.
    pub fn is_simulated(&self) -> bool {
        self.subject.as_ref().is_some_and(|subject| subject.simulated)
    }

    /// Whether a rung failed, in this bring-up or in one before it that counts.
    pub fn has_failed(&self) -> bool {
        self.rungs.iter().any(|rung| rung.standing == Standing::Fail)
    }

    /// The rungs that passed.
    pub fn passed(&self) -> impl Iterator<Item = &RungResult> {
        self.rungs.iter().filter(|rung| rung.standing == Standing::Pass)
    }

    /// What stands between this board and the claim that it is supported.
    pub fn missing(&self) -> Vec<String> {
        let open = self.rungs.iter().filter(|rung| rung.standing != Standing::Pass);
        open.map(|rung| format!("{}: {}, {}", rung.name, rung.standing.word(), rung.why())).collect()
    }

    /// The files' names and bytes.
    pub fn render(&self) -> [(&'static str, String); 2] {
        let json = serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string());
        [(FILES[0], html(self)), (FILES[1], json + "\n")]
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self))
    }
}

impl RungResult {
    /// ` (2 parts not tried)` behind a rung that passed without them; else empty.
    pub fn in_part(&self) -> String {
        let untried = self.parts.iter().filter(|part| part.standing == Standing::NotTried).count();
        match (self.standing, untried) {
            (Standing::Pass, 1..) => format!(" ({} not tried)", plain::count(untried, "part")),
            _ => String::new(),
        }
    }

    /// The first part that failed, or else why the rung was not tried.
    pub fn why(&self) -> String {
        let of = |standing| self.parts.iter().find(|part| part.standing == standing);
        match of(self.standing) {
            Some(part) => format!("{}: {}", part.name, part.says),
            None => "nothing of it ran".into(),
        }
    }
}

fn not_asked(rung: &Rung) -> RungResult {
    let says = "this bring-up was not asked for it".into();
    RungResult {
        name: rung.name.into(),
        title: rung.title.into(),
        standing: Standing::NotTried,
        parts: vec![Part { name: rung.name.into(), standing: Standing::NotTried, says }],
        figures: Vec::new(),
        run: String::new(),
    }
}

fn result(rung: &Rung, view: &View<'_>) -> RungResult {
    let mut parts: Vec<Part> = rung.outputs.iter().map(|output| of_output(output, view)).collect();
    parts.extend(rung.steps.iter().map(|step| of_step(step, view)));
    for of in rung.cases {
        let cases = view.cases.iter().filter(|case| rungs::stands_for(of, &case.id.0));
        let before = parts.len();
        parts.extend(cases.map(of_case));
        if parts.len() == before {
            let (name, says) = ((*of).to_owned(), "the run did not plan it".to_owned());
            parts.push(Part { name, standing: Standing::NotTried, says });
        }
    }
    if view.verdict.ruling == Ruling::Untrusted {
        for part in &mut parts {
            part.standing = Standing::NotTried;
            "the journal was edited or is damaged".clone_into(&mut part.says);
        }
    }
    RungResult {
        name: rung.name.into(),
        title: rung.title.into(),
        standing: standing(rung, view, &parts),
        figures: figures::of(rung, view),
        parts,
        run: plain::line(&view.ledger.run),
    }
}

fn standing(rung: &Rung, view: &View<'_>, parts: &[Part]) -> Standing {
    let any = |wanted| parts.iter().any(|part| part.standing == wanted);
    let untried = parts.iter().filter(|part| part.standing == Standing::NotTried).count();
    let skipped = |case: &&CaseView<'_>| rung.of_claims && rung.has(&case.id.0) && case.word == Word::Skip;
    match () {
        () if any(Standing::Fail) => Standing::Fail,
        () if any(Standing::Pass) && untried == view.cases.iter().filter(skipped).count() => Standing::Pass,
        () => Standing::NotTried,
    }
}

/// Off and then on, both seen: by a read-back, the console's silence, its words, or a person.
fn of_output(output: &str, view: &View<'_>) -> Part {
    let proofs: Vec<&Proof> = view.ledger.switched.iter().filter(|proof| proof.output == output).collect();
    let seen = |proof: &&&Proof, on| proof.on == on && proof.seen != SeenBy::Nothing;
    let off = proofs.iter().find(|proof| seen(proof, false));
    // A board that climbs stages has power, whatever the supply can tell.
    let came_up = |after: &Proof| {
        view.ledger.boots.iter().any(|boot| boot.began >= after.at && !boot.stages.is_empty())
    };
    let on = off.and_then(|off| {
        let mut later = proofs.iter().filter(|proof| proof.on && proof.at > off.at);
        later.find(|proof| proof.seen != SeenBy::Nothing || came_up(off)).map(|on| (off, on))
    });
    let (standing, says) = match (on, off, proofs.is_empty()) {
        (Some((off, on)), _, _) => {
            let on = match &on.seen {
                SeenBy::Nothing => "the board came up".to_owned(),
                seen => seen.to_string(),
            };
            (Standing::Pass, format!("off: {}; on: {on}", off.seen))
        }
        (None, _, true) => (Standing::NotTried, "the slot does not switch it".into()),
        (None, None, false) => (Standing::NotTried, "it was never seen to be off".into()),
        (None, Some(_), false) => (Standing::NotTried, "it was not seen to be on again".into()),
    };
    Part { name: output.into(), standing, says: plain::line(&says) }
}

fn of_step(name: &str, view: &View<'_>) -> Part {
    let step = view.ledger.steps.iter().find(|step| step.name == name);
    let (standing, says) = match step {
        Some(Step { proof: Some(proof), .. }) => (Standing::Pass, plain::line(proof)),
        Some(Step { failed: Some((outcome, _, _)), .. }) => {
            let standing = fault_of(Word::of(Some(outcome)));
            (standing, plain::line(&outcome.headline()))
        }
        Some(_) => (Standing::NotTried, "the run ended in the middle of it".into()),
        // The run came past its place.
        None if !view.ledger.boots.is_empty() => {
            let why = "the run went on without it: the slot, the procedure or the OS does not bear it";
            (Standing::NotTried, why.into())
        }
        None => (Standing::NotTried, "the run did not come to it".into()),
    };
    Part { name: name.into(), standing, says }
}

fn of_case(case: &CaseView<'_>) -> Part {
    let says = match case.word {
        Word::Pass => String::new(),
        Word::Skip | Word::Fail => case.headline(),
        word => format!("{}: {}", word.text(), case.headline()),
    };
    let standing = if case.word == Word::Pass { Standing::Pass } else { fault_of(case.word) };
    Part { name: plain::line(&case.id.0), standing, says }
}

/// Only what the DUT did wrong is a failure of the board.
fn fault_of(word: Word) -> Standing {
    match word {
        Word::Fail | Word::Flaky => Standing::Fail,
        _ => Standing::NotTried,
    }
}
