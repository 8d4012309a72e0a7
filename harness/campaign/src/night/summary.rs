//! A night in numbers and words: for the page, the terminal and `summary.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use shakedown_core::outcome::Word;
use shakedown_core::{CaseId, ExitCode};

use super::director::{JobState, Night};
use super::standing::{Standing, Verdict, of_jobs, standings};
use crate::book::{Entry, Happened, Why};

/// An image of the night.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLine {
    /// `label@board`.
    pub label: String,
    /// The file's name.
    pub file: String,
    /// Of the payload, short.
    pub payload: String,
}

/// A case on a board with an image.
#[derive(Clone, Debug)]
pub struct CaseLine {
    /// The board's slug.
    pub board: String,
    /// The image's label.
    pub image: String,
    /// Which.
    pub case: CaseId,
    /// All attempts of this night.
    pub standing: Standing,
    /// What it comes to.
    pub verdict: Verdict,
    /// What it came to the night before; `None` where it was not there.
    pub before: Option<Verdict>,
}

/// A field of the matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Cases by what they come to.
    pub cases: BTreeMap<Verdict, u32>,
    /// Runs that were made.
    pub runs: u32,
    /// Jobs that nothing was made of.
    pub not_run: u32,
    /// The first run, for a link.
    pub run: String,
}

impl Field {
    /// The worst that is in it.
    pub fn worst(&self) -> Verdict {
        let worst = self.cases.keys().copied().find(|verdict| *verdict != Verdict::Skip);
        worst.unwrap_or(if self.not_run > 0 { Verdict::NotRun } else { Verdict::Pass })
    }
}

/// A night, added up.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The plan's name.
    pub plan: String,
    /// When it began and ended.
    pub began: Option<jiff::Timestamp>,
    /// When its last line was written.
    pub ended: Option<jiff::Timestamp>,
    /// Every slot was simulated: nothing was tested.
    pub simulated: bool,
    /// How often it was resumed.
    pub resumed: usize,
    /// The images.
    pub images: Vec<ImageLine>,
    /// By board, then by image and suite.
    pub matrix: BTreeMap<String, BTreeMap<(String, String), Field>>,
    /// Every case.
    pub cases: Vec<CaseLine>,
    /// When the night it is compared with began.
    pub compared: Option<jiff::Timestamp>,
    /// Slots: id, board, runs, infra, why it is out.
    pub slots: Vec<(String, String, u32, u32, Option<String>)>,
    /// Jobs that were not done, and why.
    pub not_run: Vec<(String, String)>,
    /// Jobs that ran and left something without an answer, and why.
    pub left_open: Vec<(String, String)>,
    /// Runs by why they were made.
    pub runs: BTreeMap<Why, u32>,
    /// Attempts at cases, without skips and what was blocked.
    pub attempts: u32,
    /// Time on the runs' clocks, and of that waiting for DUTs.
    pub took: (Duration, Duration),
    /// What the process returns.
    pub exit: ExitCode,
}

impl Summary {
    /// `over` says why nothing new began, if that is why jobs are open.
    pub fn of(
        plan: &str,
        night: &Night,
        entries: &[Entry],
        before: Option<&[Entry]>,
        over: Option<&str>,
    ) -> Self {
        let old = before.map(standings).unwrap_or_default();
        let cases = standings(entries).into_iter().map(|((board, image, case), standing)| {
            let key = (board, image, case);
            let before = old.get(&key).map(Standing::verdict);
            let (verdict, (board, image, case)) = (standing.verdict(), key);
            CaseLine { board, image, case, standing, verdict, before }
        });
        let mut summary = Self {
            plan: plan.to_owned(),
            began: entries.first().map(|entry| entry.0),
            ended: entries.last().map(|entry| entry.0),
            simulated: matches!(entries.first(), Some((_, Happened::Begun { simulated: true, .. }))),
            resumed: entries.iter().filter(|(_, happened)| *happened == Happened::Resumed).count(),
            images: images(entries),
            matrix: BTreeMap::new(),
            cases: cases.collect(),
            compared: before.and_then(|entries| entries.first()).map(|entry| entry.0),
            slots: Vec::new(),
            not_run: Vec::new(),
            left_open: Vec::new(),
            runs: BTreeMap::new(),
            attempts: 0,
            took: (Duration::ZERO, Duration::ZERO),
            exit: ExitCode::Ok,
        };
        let mut groups: BTreeMap<_, Vec<&JobState>> = BTreeMap::new();
        for job in night.jobs() {
            summary.add(job, night, over);
            let place = (&job.job.board, &job.job.image, &job.job.suite);
            groups.entry(place).or_default().push(job);
        }
        for ((board, image, suite), jobs) in groups {
            let row = summary.matrix.entry(board.clone()).or_default();
            let field = row.entry((image.clone(), suite.clone())).or_default();
            for standing in of_jobs(jobs.into_iter().map(|job| job.parts.as_slice())).values() {
                *field.cases.entry(standing.verdict()).or_default() += 1;
            }
        }
        summary.slots = night
            .slots()
            .iter()
            .map(|slot| {
                (slot.spec.id.clone(), slot.spec.board.clone(), slot.runs, slot.infra, slot.out.clone())
            })
            .collect();
        summary.exit = summary.exit_code();
        summary
    }

    fn add(&mut self, job: &JobState, night: &Night, over: Option<&str>) {
        let row = self.matrix.entry(job.job.board.clone()).or_default();
        let field = row.entry((job.job.image.clone(), job.job.suite.clone())).or_default();
        for part in &job.parts {
            *self.runs.entry(part.why).or_default() += 1;
            field.runs += 1;
            if field.run.is_empty() {
                field.run.clone_from(&part.run);
            }
            self.took.0 += part.came.took;
            self.took.1 += part.came.waited;
            let ran = |word| !matches!(word, Word::Skip | Word::Blocked | Word::CutOff);
            self.attempts += part.came.seen.iter().filter(|seen| ran(seen.word)).count() as u32;
        }
        if !job.is_done() {
            field.not_run += 1;
            let sick = night.slots().iter().filter(|slot| slot.spec.board == job.job.board);
            let sick: Vec<_> =
                sick.filter_map(|slot| Some(format!("{}: {}", slot.spec.id, slot.out.as_ref()?))).collect();
            let why = over
                .map_or_else(|| format!("no slot is left in service: {}", sick.join("; ")), str::to_owned);
            self.not_run.push((job.job.key.clone(), why));
        } else if job.is_lost() {
            // Another repeat may have passed: that does not stand for this one.
            let last = job.parts.last().and_then(|part| part.came.steps.last());
            let why =
                last.map_or_else(|| "not every case came to an answer".to_owned(), |(_, says)| says.clone());
            self.left_open.push((job.job.key.clone(), format!("its tries are used up: {why}")));
        }
    }

    fn exit_code(&self) -> ExitCode {
        let any = |verdict: Verdict| self.cases.iter().any(|case| case.verdict == verdict);
        // A run that the image kept from beginning has no case that says so.
        let refused = self
            .matrix
            .values()
            .flat_map(BTreeMap::values)
            .any(|field| field.runs > 0 && field.cases.is_empty());
        let left = !self.not_run.is_empty() || !self.left_open.is_empty();
        let open = any(Verdict::Undetermined) || any(Verdict::Infra) || left || refused;
        if self.cases.iter().any(|case| case.verdict.is_failure()) {
            ExitCode::Failed
        } else if open {
            ExitCode::Infra
        } else if any(Verdict::Pass) {
            ExitCode::Ok
        } else {
            ExitCode::NothingRan
        }
    }

    /// Cases that this says of, worst first.
    pub fn that(&self, is: impl Fn(&CaseLine) -> bool) -> Vec<&CaseLine> {
        let mut found: Vec<_> = self.cases.iter().filter(|case| is(case)).collect();
        found.sort_by_key(|case| case.verdict);
        found
    }

    /// Fails now and did not the night before.
    pub fn new_failures(&self) -> Vec<&CaseLine> {
        self.that(|case| case.verdict.is_failure() && !case.before.is_some_and(Verdict::is_failure))
    }

    /// Failed the night before and passes.
    pub fn fixed(&self) -> Vec<&CaseLine> {
        self.that(|case| case.verdict == Verdict::Pass && case.before.is_some_and(Verdict::is_failure))
    }

    /// Failed the night before, and still does.
    pub fn still(&self) -> Vec<&CaseLine> {
        self.that(|case| case.verdict.is_failure() && case.before.is_some_and(Verdict::is_failure))
    }

    /// The verdict in one line.
    pub fn verdict(&self) -> String {
        let count = |verdict| self.cases.iter().filter(|case| case.verdict == verdict).count();
        let word = match self.exit {
            ExitCode::Ok => "PASS",
            ExitCode::Failed => "FAIL",
            ExitCode::NothingRan => "NOTHING RAN",
            _ => "OPEN",
        };
        let mut parts = vec![format!(
            "{} of {} cases passed",
            count(Verdict::Pass),
            self.cases.len() - count(Verdict::Skip)
        )];
        for verdict in [
            Verdict::Fail,
            Verdict::Flaky,
            Verdict::Error,
            Verdict::Undetermined,
            Verdict::Infra,
            Verdict::Blocked,
            Verdict::NotRun,
            Verdict::Skip,
        ] {
            let many = count(verdict);
            if many > 0 {
                parts.push(format!("{many} {}", verdict.text()));
            }
        }
        for (jobs, what) in [(&self.not_run, "not done"), (&self.left_open, "left open")] {
            if !jobs.is_empty() {
                parts.push(format!("{} job(s) {what}", jobs.len()));
            }
        }
        let out = self.slots.iter().filter(|slot| slot.4.is_some()).count();
        if out > 0 {
            parts.push(format!("{out} slot(s) taken out"));
        }
        format!("{word} — {}", parts.join(", "))
    }

    /// `summary.md`: for a pull request or a step of CI.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}: {}\n", self.plan, self.verdict());
        if self.simulated {
            text.push_str("\nEvery slot was simulated: nothing was tested.\n");
        }
        let list = |text: &mut String, title: &str, cases: &[&CaseLine]| {
            if cases.is_empty() {
                return;
            }
            let _ = writeln!(text, "\n### {title} ({})\n", cases.len());
            for case in cases.iter().take(MOST) {
                let says = plain(&case.standing.says);
                let _ = writeln!(
                    text,
                    "- **{}** `{}` on {} with {}: {says}",
                    case.verdict.text(),
                    case.case,
                    case.board,
                    case.image
                );
            }
            more(text, cases.len());
        };
        let title = if self.compared.is_some() { "New since the night before" } else { "Failures" };
        list(&mut text, title, &self.new_failures());
        list(&mut text, "Fixed", &self.fixed());
        list(&mut text, "Still failing", &self.still());
        let unclear = |case: &CaseLine| matches!(case.verdict, Verdict::Undetermined | Verdict::Infra);
        list(&mut text, "Undetermined, or lost to the rig", &self.that(unclear));
        for (title, jobs) in [("Not done", &self.not_run), ("Left open", &self.left_open)] {
            if jobs.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n### {title} ({})\n", jobs.len());
            for (job, why) in jobs.iter().take(MOST) {
                let _ = writeln!(text, "- `{job}`: {}", plain(why));
            }
            more(&mut text, jobs.len());
        }
        let columns: Vec<_> = self.columns();
        let heads: Vec<_> = columns.iter().map(|(image, suite)| format!(" {image} · {suite} |")).collect();
        let _ = writeln!(text, "\n| board |{}", heads.concat());
        let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
        for (board, row) in &self.matrix {
            let text_of = |column| row.get(column).map(field_text).unwrap_or_default();
            let fields: Vec<_> = columns.iter().map(|column| format!(" {} |", text_of(column))).collect();
            let _ = writeln!(text, "| {board} |{}", fields.concat());
        }
        for (id, _, _, _, out) in self.slots.iter().filter(|slot| slot.4.is_some()) {
            let _ = writeln!(text, "\n**{id}** was taken out: {}", out.as_deref().unwrap_or_default());
        }
        text
    }

    /// Image and suite of each column of the matrix.
    pub fn columns(&self) -> Vec<(String, String)> {
        let columns: std::collections::BTreeSet<_> = self.matrix.values().flat_map(BTreeMap::keys).collect();
        columns.into_iter().cloned().collect()
    }
}

/// Lines of a list in `summary.md`; all of them are on the page.
const MOST: usize = 20;

fn more(text: &mut String, of: usize) {
    if of > MOST {
        let _ = writeln!(text, "- and {} more", of - MOST);
    }
}

/// Words of a DUT as text of a list: neither code nor a tag begins in them.
fn plain(says: &str) -> String {
    says.replace('`', " ").replace('<', "&lt;")
}

/// `41 pass, 1 flaky`.
pub(super) fn field_text(field: &Field) -> String {
    let mut parts: Vec<_> =
        field.cases.iter().map(|(verdict, many)| format!("{many} {}", verdict.text())).collect();
    if field.cases.is_empty() && field.runs > 0 {
        parts.push("no case ran".to_owned());
    }
    if field.not_run > 0 {
        parts.push(format!("{} not done", field.not_run));
    }
    parts.join(", ")
}

fn images(entries: &[Entry]) -> Vec<ImageLine> {
    let begun = entries.iter().find_map(|(_, happened)| match happened {
        Happened::Begun { images, .. } => Some(images),
        _ => None,
    });
    let line = |(label, payload, path): &(String, shakedown_core::Sha, std::path::PathBuf)| ImageLine {
        label: label.clone(),
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        payload: payload.short(),
    };
    begun.into_iter().flatten().map(line).collect()
}
