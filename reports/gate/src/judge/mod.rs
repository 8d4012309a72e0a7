//! From evidence to an answer. A pure function: the same evidence, policy and day give the same answer.

mod answer;
mod cases;
mod limits;
mod lost;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use shakedown_core::Sha;

pub(crate) use answer::percent;
pub use answer::{Answer, Because, Cell, Exception, Known, Measured, Missing, Reason, Ruling, Used};

use crate::evidence::{Doubt, Evidence, Ignored, Run, failed_in, is_simulated};
use crate::manual::Found;
use crate::policy::{Manual, Policy, Waiver};

/// The version of the answer's format.
pub const FORMAT: u32 = 1;

/// Another host's clock may be so many seconds ahead of ours.
const AHEAD: i64 = 300;

/// What the parts of the judgement share.
struct Court<'a> {
    policy: &'a Policy,
    known: &'a Known,
    /// Of this image, with the right suites, young enough.
    runs: Vec<&'a Run>,
    /// Of other images: baselines.
    others: Vec<&'a Run>,
    /// Where the image lies, for commands.
    image: String,
    today: jiff::civil::Date,
    answer: Answer,
}

/// Judges an image by a policy. `image` is the hash of the decompressed image or of its file, and
/// `path` where it lies, if that is known.
pub fn judge(
    policy: &Policy,
    known: &Known,
    image: Sha,
    path: Option<&str>,
    evidence: &Evidence,
    records: &[Found],
    now: jiff::Timestamp,
) -> Answer {
    let today = now.to_zoned(TimeZone::UTC).date();
    let is_asked = |run: &&Run| {
        run.ledger.head.as_ref().is_some_and(|head| head.image.payload == image || head.image.sha256 == image)
    };
    let mut answer = Answer {
        format: FORMAT,
        ruling: Ruling::NotEnoughEvidence,
        policy: policy.doc.policy.clone(),
        policy_sha256: policy.sha,
        expires: policy.doc.expires,
        image,
        image_names: BTreeMap::new(),
        os: String::new(),
        suites: known.version,
        at: now,
        reasons: Vec::new(),
        missing: Vec::new(),
        cells: Vec::new(),
        limits: Vec::new(),
        exceptions: Vec::new(),
        manual: Vec::new(),
        used: Vec::new(),
        ignored: evidence.ignored.clone(),
    };
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for run in &evidence.runs {
        let asked = is_asked(&run);
        match doubt(run, policy, known, now, asked) {
            Some(doubt) => answer.ignored.push(unfit(run, doubt)),
            None if asked => runs.push(run),
            None => others.push(run),
        }
    }
    let head = evidence.runs.iter().find(is_asked).and_then(|run| run.ledger.head.as_ref());
    if let Some(head) = head {
        answer.image_names = BTreeMap::from([
            ("payload".to_owned(), head.image.payload),
            ("file".to_owned(), head.image.sha256),
        ]);
        let names = [&head.image.os, &head.image.version].into_iter().flatten();
        answer.os = names.map(String::as_str).collect::<Vec<_>>().join(" ");
    }
    let lies = head.map(|head| head.image.path.display().to_string());
    let image = path.map(str::to_owned).or(lies).unwrap_or_else(|| "IMAGE".to_owned());
    answer.used = runs.iter().map(|run| used(run)).collect();
    let simulated = runs.iter().filter(|run| is_simulated(&run.ledger)).count();
    if simulated > 0 {
        answer.exceptions.push(Exception::Simulated { runs: simulated });
    }
    let mut court = Court { policy, known, runs, others, image, today, answer };
    court.policy_itself();
    court.cases();
    court.lost_failures();
    court.limits();
    court.manual(records);
    court.expired_waivers();
    let mut answer = court.answer;
    answer.ruling = match (answer.reasons.is_empty(), answer.missing.is_empty()) {
        (false, _) => Ruling::DoNotShip,
        (true, false) => Ruling::NotEnoughEvidence,
        (true, true) => Ruling::Ship,
    };
    answer
}

/// Why a run that is genuine does not count all the same.
fn doubt(run: &Run, policy: &Policy, known: &Known, now: jiff::Timestamp, asked: bool) -> Option<Doubt> {
    let head = run.ledger.head.as_ref()?;
    if is_simulated(&run.ledger) && !policy.doc.accept_simulated {
        return Some(Doubt::Simulated);
    }
    let suites = head.hashes.get("suites");
    if suites != Some(&known.version) {
        let got = suites.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        return Some(Doubt::Suites { expected: known.version, got });
    }
    let began = run.ledger.started?;
    if began.duration_since(now).as_secs() > AHEAD {
        return Some(Doubt::Future(began));
    }
    let age = now.duration_since(began).as_millis();
    // A baseline is older by its nature.
    (asked && age > policy.doc.max_age.0.as_millis() as i128).then_some(Doubt::Old(began))
}

fn unfit(run: &Run, doubt: Doubt) -> Ignored {
    let head = run.ledger.head.as_ref();
    Ignored {
        run: run.ledger.run.clone(),
        path: run.path.clone(),
        board: head.map(|head| head.board.clone()),
        image: head.map(|head| head.image.payload.to_string()),
        cases: run.ledger.plan.iter().map(|planned| planned.id.0.clone()).collect(),
        failed: failed_in(&run.ledger),
        simulated: is_simulated(&run.ledger),
        // A clock that was wrong says nothing about what came later.
        began: run.ledger.started.filter(|_| !matches!(doubt, Doubt::Future(_))),
        doubt,
    }
}

fn used(run: &Run) -> Used {
    let head = run.ledger.head.as_ref();
    let hash = |name: &str| head.and_then(|head| head.hashes.get(name).copied());
    Used {
        run: run.ledger.run.clone(),
        path: run.path.clone(),
        sha256: run.sha,
        head: run.head,
        sealed_by: run.by.clone(),
        board: head.map(|head| head.board.clone()).unwrap_or_default(),
        descriptor: hash("board"),
        profile: hash("profile"),
        harness: head.map(|head| head.harness.clone()).unwrap_or_default(),
    }
}

impl Court<'_> {
    fn policy_itself(&mut self) {
        let expires = self.policy.doc.expires;
        if self.today > expires {
            self.answer.reasons.push(Reason {
                because: Because::PolicyExpired,
                board: String::new(),
                what: format!("the policy `{}` expired on {expires}", self.policy.doc.policy),
                runs: Vec::new(),
                command: None,
            });
        }
    }

    /// The waiver for this, if there is one in force; it is noted as used.
    fn waived(&mut self, board: &str, is_it: impl Fn(&Waiver) -> bool) -> bool {
        let today = self.today;
        let fits = |waiver: &&Waiver| {
            is_it(waiver)
                && waiver.until >= today
                && (waiver.boards.is_empty() || waiver.boards.iter().any(|b| b == board))
        };
        let Some(waiver) = self.policy.doc.waivers.iter().find(fits) else { return false };
        let noted = self
            .answer
            .exceptions
            .iter()
            .any(|exception| matches!(exception, Exception::Waived(known) if known.name == waiver.name));
        if !noted {
            self.answer.exceptions.push(Exception::Waived(waiver.clone()));
        }
        true
    }

    fn expired_waivers(&mut self) {
        let expired = self.policy.doc.waivers.iter().filter(|waiver| waiver.until < self.today);
        self.answer.exceptions.extend(expired.cloned().map(Exception::WaiverExpired));
    }

    fn manual(&mut self, records: &[Found]) {
        let policy = self.policy;
        for manual in &policy.doc.manual {
            for board in &manual.boards {
                if !self.waived(board, |waiver| waiver.manual.as_ref() == Some(&manual.test)) {
                    self.manual_on(manual, board, records);
                }
            }
        }
    }

    /// The latest valid record counts.
    fn manual_on(&mut self, manual: &Manual, board: &str, records: &[Found]) {
        let hashes: Vec<Sha> = self.answer.image_names.values().copied().chain([self.answer.image]).collect();
        let age = self.policy.doc.max_age.0.as_millis() as i128;
        let mut why = "there is no record of it".to_owned();
        let mut best: Option<(&Found, &crate::manual::Record)> = None;
        for found in records {
            let (record, by) = match &found.record {
                Ok((record, by)) => (record, &self.policy.doc.trust[*by].name),
                Err(refused) => {
                    why = format!("{} proves nothing: {refused}", found.path.display());
                    continue;
                }
            };
            if record.test != manual.test || record.board != board {
                continue;
            }
            let told = |what: &str| format!("{}: {what}", found.path.display());
            if !hashes.contains(&record.image) {
                why = told("it is about another image");
            } else if !manual.signed_by.contains(by) {
                why = told(&format!("`{by}` may not sign it"));
            } else if self.answer.at.duration_since(record.at).as_millis() > age {
                why = told("it is too old");
            } else if record.at.duration_since(self.answer.at).as_secs() > AHEAD {
                why = told("it is dated in the future");
            } else if best.is_none_or(|(_, known)| known.at < record.at) {
                best = Some((found, record));
            }
        }
        match best {
            Some((found, record)) if record.passed => {
                let entry = (manual.test.clone(), board.to_owned(), record.by.clone(), found.path.clone());
                self.answer.manual.push(entry);
            }
            Some((_, record)) => self.answer.reasons.push(Reason {
                because: Because::ManualFailed,
                board: board.to_owned(),
                what: match record.note.trim() {
                    "" => format!("{}, by hand, failed ({})", manual.test, record.by),
                    note => format!("{}, by hand, failed: {note} ({})", manual.test, record.by),
                },
                runs: Vec::new(),
                command: None,
            }),
            None => self.answer.missing.push(Missing {
                board: board.to_owned(),
                name: manual.test.clone(),
                what: format!("the manual test {} on {board}: {why}", manual.test),
                cases: Vec::new(),
                command: Some(format!(
                    "shakedown gate manual --test {} --board {board} --image {} --passed --by NAME --key KEY --out FILE{}",
                    manual.test,
                    self.image,
                    crate::manual::ENDING
                )),
                repeats: 0,
            }),
        }
    }
}
