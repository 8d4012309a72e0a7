//! Two images side by side: what is new, what is fixed, what became slower, what the kernel says now.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use shakedown_core::outcome::Word;

use crate::error::HistoryError;
use crate::filter::{Filter, Over, Where};
use crate::flakes::{By, Tally};
use crate::numbers::word_number;
use crate::query::ImageRow;
use crate::stats::{Alternative, fisher, least_p, mann_whitney, median};
use crate::store::History;

/// With fewer values of either image nothing is said of a change.
pub const LEAST: usize = 3;

/// Below this, a change is told. Each measure is a test of its own: of a hundred that did not
/// change, one is told by chance.
pub const ALPHA: f64 = 0.01;

/// A case on one board, on both images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseChange {
    /// The case.
    pub case: String,
    /// The board's slug.
    pub board: String,
    /// On the first image.
    pub before: Tally,
    /// On the second.
    pub after: Tally,
    /// Fisher's exact test of the two rates.
    pub p: f64,
}

/// A measure on one board, on both images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// The measure, or `duration` of a case.
    pub measure: String,
    /// Of which case or kind of boot.
    pub context: String,
    /// The board's slug.
    pub board: String,
    /// `s`, `MiB` …
    pub unit: String,
    /// How many values of the first image, and the middle one.
    pub before: (usize, f64),
    /// How many of the second, and the middle one.
    pub after: (usize, f64),
    /// Worse by this factor: 1.25 is a quarter worse. Infinite from nothing to something.
    pub worse: f64,
    /// Mann and Whitney's test, one-sided in the direction that is told.
    pub p: f64,
}

/// A complaint of the kernel that only the second image has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    /// With its numbers taken out.
    pub line: String,
    /// One of them as it stood.
    pub sample: String,
    /// Runs that have it.
    pub runs: u64,
    /// Runs of the second image whose kernel log is known.
    pub of: u64,
}

/// Two images side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The first image.
    pub before: ImageRow,
    /// The second.
    pub after: ImageRow,
    /// Never failed on the first, did on the second.
    pub new_failures: Vec<CaseChange>,
    /// Failed on both, and surely more often on the second.
    pub worse: Vec<CaseChange>,
    /// Failed on the first, passed and never failed on the second.
    pub fixed: Vec<CaseChange>,
    /// Tried on the first only.
    pub not_tried: Vec<String>,
    /// Worse with significance, the most first.
    pub slower: Vec<Shift>,
    /// Better with significance.
    pub faster: Vec<Shift>,
    /// How many measures had values enough on both for a change to be told at all: the clearest one
    /// of so many values is below [`ALPHA`].
    pub compared: usize,
    /// New lines of the kernel; `None` when one image has no run with a kernel log.
    pub complaints: Option<Vec<Complaint>>,
}

type Values = BTreeMap<(String, String, i64), (String, bool, Vec<f64>)>;

impl History {
    /// Compares what is known of two images on the boards and slots and of the times that the filter
    /// names. Its other fields are refused.
    pub fn diff(&self, before: &str, after: &str, filter: &Filter) -> Result<Diff, HistoryError> {
        let useless = |got, why| HistoryError::Useless { question: "diff".to_owned(), got, why };
        for (given, got, why) in [
            (filter.image.is_some(), "image", "it has two of its own"),
            (filter.run.is_some(), "run", "a run has one image, and this compares two"),
            (filter.case.is_some(), "case", "it tells all that changed"),
            (filter.outcome.is_some(), "outcome", "it compares how attempts ended"),
        ] {
            if given {
                return Err(useless(got, why));
            }
        }
        let (a, b) = (self.image_id(before)?, self.image_id(after)?);
        let mut diff = Diff {
            before: self.image(before)?,
            after: self.image(after)?,
            new_failures: Vec::new(),
            worse: Vec::new(),
            fixed: Vec::new(),
            not_tried: Vec::new(),
            slower: Vec::new(),
            faster: Vec::new(),
            compared: 0,
            complaints: self.new_complaints(a, b, filter)?,
        };
        self.cases(&mut diff, a, b, filter)?;
        self.shifts(&mut diff, a, b, filter)?;
        Ok(diff)
    }

    fn cases(&self, diff: &mut Diff, a: i64, b: i64, filter: &Filter) -> Result<(), HistoryError> {
        let (before, after) = (self.tallies(a, filter)?, self.tallies(b, filter)?);
        for (key, then) in &before {
            let now = after.get(key).copied().unwrap_or_default();
            if now.all == 0 && then.all > 0 {
                let place = self.name_of(By::Board, key.1)?;
                diff.not_tried.push(format!("{} on {place}", self.name_of(By::Case, key.0)?));
            }
        }
        for (key, now) in &after {
            let then = before.get(key).copied().unwrap_or_default();
            if then.all == 0 || now.all == 0 {
                continue;
            }
            let change = CaseChange {
                case: self.name_of(By::Case, key.0)?,
                board: self.name_of(By::Board, key.1)?,
                before: then,
                after: *now,
                p: fisher((then.bad, then.all), (now.bad, now.all)),
            };
            let grew = now.bad * then.all > then.bad * now.all;
            match (then.bad, now.bad) {
                (0, 1..) => diff.new_failures.push(change),
                (1.., 0) => diff.fixed.push(change),
                (1.., 1..) if grew && change.p < ALPHA => diff.worse.push(change),
                _ => {}
            }
        }
        for list in [&mut diff.new_failures, &mut diff.worse, &mut diff.fixed] {
            list.sort_by(|x, y| x.p.total_cmp(&y.p).then(x.case.cmp(&y.case)));
        }
        Ok(())
    }

    /// Failures and decided attempts by case and board.
    fn tallies(&self, image: i64, filter: &Filter) -> Result<BTreeMap<(i64, i64), Tally>, HistoryError> {
        let (table, sums, all) = if filter.is_rolled_up() {
            let mut all = self.conditions(filter, Over::RollUp)?;
            all.and("a.image = ?", image);
            (self.rolled("by_image", filter)?, "sum(a.fail), sum(a.fail + a.pass)".to_owned(), all)
        } else {
            let (pass, fail) = (word_number(Word::Pass), word_number(Word::Fail));
            let sums = format!("sum(a.outcome = {fail}), sum(a.outcome IN ({pass}, {fail}))");
            ("attempt".to_owned(), sums, self.rows_of(image, filter)?)
        };
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT k.now, a.board, {sums} FROM {table} AS a
             JOIN kase AS k ON k.id = a.kase{} GROUP BY 1, 2",
            all.sql()
        ))?;
        let rows = ask.query_map(params_from_iter(&all.values), |row| {
            let tally = Tally { bad: row.get::<_, i64>(2)? as u64, all: row.get::<_, i64>(3)? as u64 };
            Ok(((row.get(0)?, row.get(1)?), tally))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The conditions on attempts with an image; by their runs, which are few.
    fn rows_of(&self, image: i64, filter: &Filter) -> Result<Where, HistoryError> {
        let mut all = self.conditions(filter, Over::Rows)?;
        all.and("a.run IN (SELECT id FROM run WHERE image = ?)", image);
        Ok(all)
    }

    fn shifts(&self, diff: &mut Diff, a: i64, b: i64, filter: &Filter) -> Result<(), HistoryError> {
        let (before, after) = (self.values(a, filter)?, self.values(b, filter)?);
        for ((measure, context, place), (unit, higher, then)) in before {
            let key = (measure, context, place);
            let Some((_, _, now)) = after.get(&key) else { continue };
            if then.len() < LEAST || now.len() < LEAST || least_p(then.len(), now.len()) >= ALPHA {
                continue;
            }
            diff.compared += 1;
            let (measure, context, place) = key;
            let up = mann_whitney(now, &then, Alternative::Greater).p;
            let down = mann_whitney(&then, now, Alternative::Greater).p;
            let (was, is) = (median(&then), median(now));
            let (p_worse, p_better, worse) = if higher { (down, up, was / is) } else { (up, down, is / was) };
            let shift = |p| Shift {
                board: String::new(),
                measure: measure.clone(),
                context: context.clone(),
                unit: unit.clone(),
                before: (then.len(), was),
                after: (now.len(), is),
                worse,
                p,
            };
            let board = self.name_of(By::Board, place)?;
            if p_worse < ALPHA {
                diff.slower.push(Shift { board, ..shift(p_worse) });
            } else if p_better < ALPHA {
                diff.faster.push(Shift { board, ..shift(p_better) });
            }
        }
        diff.slower.sort_by(|x, y| y.worse.total_cmp(&x.worse));
        diff.faster.sort_by(|x, y| x.worse.total_cmp(&y.worse));
        Ok(())
    }

    /// All numbers of an image, and how long its passing cases took.
    fn values(&self, image: i64, filter: &Filter) -> Result<Values, HistoryError> {
        let mut all = Values::new();
        let mut only = self.conditions(filter, Over::Rows)?;
        only.and("a.image = ?", image);
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT m.name, a.context, a.board, a.value, a.unit, a.higher FROM measure AS a
             JOIN metric AS m ON m.id = a.metric{}",
            only.sql()
        ))?;
        let mut rows = ask.query(params_from_iter(&only.values))?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?);
            let value = all.entry(key).or_insert((row.get(4)?, row.get(5)?, Vec::new()));
            value.2.push(row.get(3)?);
        }
        let mut only = self.rows_of(image, filter)?;
        only.and("a.outcome = ?", word_number(Word::Pass));
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT n.name, a.board, a.took / 1000.0 FROM attempt AS a
             JOIN kase AS k ON k.id = a.kase JOIN kase AS n ON n.id = k.now{}",
            only.sql()
        ))?;
        let mut rows = ask.query(params_from_iter(&only.values))?;
        while let Some(row) = rows.next()? {
            let key = ("duration".to_owned(), row.get(0)?, row.get(1)?);
            let value = all.entry(key).or_insert_with(|| ("s".to_owned(), false, Vec::new()));
            value.2.push(row.get(2)?);
        }
        Ok(all)
    }

    /// Lines that no run of the first image has.
    fn new_complaints(
        &self,
        a: i64,
        b: i64,
        filter: &Filter,
    ) -> Result<Option<Vec<Complaint>>, HistoryError> {
        let (_, lines_before, runs_before) = self.complaints(a, filter)?;
        let (after, _, runs_after) = self.complaints(b, filter)?;
        if runs_before == 0 || runs_after == 0 {
            return Ok(None);
        }
        let new = after.into_iter().filter(|complaint| !lines_before.contains(&complaint.line));
        Ok(Some(new.map(|complaint| Complaint { of: runs_after, ..complaint }).collect()))
    }

    /// The complaints of an image, their lines, and in how many runs the kernel was heard at all.
    fn complaints(
        &self,
        image: i64,
        filter: &Filter,
    ) -> Result<(Vec<Complaint>, BTreeSet<String>, u64), HistoryError> {
        let mut only = self.conditions(filter, Over::Runs)?;
        only.and("a.image = ?", image);
        let only_sql = only.sql();
        let runs: i64 = self.db.query_row(
            &format!("SELECT count(*) FROM run AS a{only_sql} AND a.kernel_heard"),
            params_from_iter(&only.values),
            |row| row.get(0),
        )?;
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT c.line, min(d.sample), count(*) FROM run AS a JOIN complained AS d ON d.run = a.id
             JOIN complaint AS c ON c.id = d.complaint{only_sql} GROUP BY c.id ORDER BY 3 DESC, 1"
        ))?;
        let rows = ask.query_map(params_from_iter(&only.values), |row| {
            let runs = row.get::<_, i64>(2)? as u64;
            Ok(Complaint { line: row.get(0)?, sample: row.get(1)?, runs, of: 0 })
        })?;
        let all: Vec<Complaint> = rows.collect::<Result<_, _>>()?;
        let lines = all.iter().map(|complaint| complaint.line.clone()).collect();
        Ok((all, lines, runs as u64))
    }
}
