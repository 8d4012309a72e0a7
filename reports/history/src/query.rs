//! Runs, attempts and images as rows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Row, params_from_iter};
use serde::{Deserialize, Serialize};
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, ExitCode};

use crate::error::HistoryError;
use crate::filter::{Filter, Over};
use crate::numbers::{blame_of, exit_of, word_of};
use crate::store::History;

/// An image that was tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRow {
    /// Hash of the whole decompressed image, 64 hex digits; of an import whatever names it there.
    pub payload: String,
    /// Hash of the file as it last lay.
    pub file: String,
    /// Where it last lay.
    pub path: PathBuf,
    /// From its os-release.
    pub os: Option<String>,
    /// From its os-release.
    pub version: Option<String>,
}

impl ImageRow {
    /// For people: `shakedown-reference 1.0.0 (9b04f5d472f9)`.
    pub fn label(&self) -> String {
        let short: String = self.payload.chars().take(12).collect();
        let name: Vec<_> = [&self.os, &self.version].into_iter().flatten().map(String::as_str).collect();
        if name.is_empty() { short } else { format!("{} ({short})", name.join(" ")) }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// The board's slug.
    pub board: String,
    /// `rig/slot`.
    pub slot: String,
    /// What was tested.
    pub image: ImageRow,
    /// The OS profile.
    pub profile: String,
    /// What was asked for.
    pub selection: String,
    /// The command that repeats it.
    pub command: String,
    /// shakedown's version.
    pub harness: String,
    /// Hash of the suites.
    pub suites: String,
    /// Hash of the resolved board descriptor.
    pub descriptor: String,
    /// Hash of the resolved OS profile.
    pub profile_hash: String,
    /// When it began.
    pub started: jiff::Timestamp,
    /// Milliseconds; `None` when the journal has no end.
    pub took: Option<u64>,
    /// What the process returned.
    pub exit: Option<ExitCode>,
    /// In one line.
    pub verdict: String,
    /// `journal`, `junit`, `kcidb`.
    pub source: String,
    /// The journal's path; empty when there is none.
    pub journal: PathBuf,
    /// The hash of the journal's last line; empty when there is none.
    pub head: String,
    /// It ran on a simulated slot.
    pub simulated: bool,
    /// How many attempts ended how.
    pub counts: BTreeMap<Word, u64>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRow {
    /// Its run's id.
    pub run: String,
    /// Its place in the run, from 0.
    pub ordinal: u32,
    /// The case, by its name of now.
    pub case: String,
    /// Which attempt at the case, from 1.
    pub number: u32,
    /// The board's slug.
    pub board: String,
    /// `rig/slot`.
    pub slot: String,
    /// The image's hash.
    pub image: String,
    /// The image's version.
    pub version: Option<String>,
    /// Hash of the suites.
    pub suites: String,
    /// Hash of the resolved board descriptor.
    pub descriptor: String,
    /// shakedown's version.
    pub harness: String,
    /// How it ended.
    pub outcome: Word,
    /// Whose fault it is.
    pub blame: Option<Blame>,
    /// The adjudicator's row.
    pub because: Option<String>,
    /// The first line of what went wrong.
    pub note: Option<String>,
    /// When it began.
    pub at: jiff::Timestamp,
    /// Milliseconds.
    pub took: u64,
    /// It ran on a simulated slot.
    pub simulated: bool,
}

pub(crate) fn time(millis: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

impl History {
    /// The latest runs, newest first. `case` and `outcome` of the filter choose runs that have such
    /// an attempt.
    pub fn runs(&self, filter: &Filter, most: usize) -> Result<Vec<RunRow>, HistoryError> {
        let mut all = self.conditions(filter, Over::Runs)?;
        if let Some(run) = &filter.run {
            all.and("a.name = ?", run.clone());
        }
        let mut inner = Vec::new();
        if filter.case.is_some() || filter.outcome.is_some() {
            let (case, outcome) = (filter.case.clone(), filter.outcome);
            let only = Filter { case, outcome, simulated: true, ..Filter::default() };
            let within = self.case_conditions(&only)?;
            // Their numbers follow those of the outer conditions.
            let offset = all.values.len();
            let mut text = within.sql();
            for at in (1..=within.values.len()).rev() {
                text = text.replace(&format!("?{at}"), &format!("?{}", at + offset));
            }
            inner.push(format!("a.id IN (SELECT a.run FROM attempt AS a{text})"));
            all.values.extend(within.values);
        }
        let outer = all.sql();
        let glue = if outer.is_empty() { " WHERE " } else { " AND " };
        let inner = inner.first().map(|text| format!("{glue}{text}")).unwrap_or_default();
        let mut ask = self.db.prepare(&format!(
            "SELECT a.name, b.name, s.name, i.payload, i.file, i.path, i.os, i.version, a.profile,
               a.selection, a.command, a.harness, a.suites, a.descriptor, a.profile_hash, a.started,
               a.took, a.exit, a.verdict, a.source, a.journal, a.head, a.simulated, a.id
             FROM run AS a JOIN board AS b ON b.id = a.board JOIN slot AS s ON s.id = a.slot
               JOIN image AS i ON i.id = a.image{outer}{inner}
             ORDER BY a.started DESC LIMIT {most}"
        ))?;
        let rows = ask.query_map(params_from_iter(&all.values), |row| Ok((run_row(row)?, row.get(23)?)))?;
        let rows: Vec<(RunRow, i64)> = rows.collect::<Result<_, _>>()?;
        let mut count =
            self.db.prepare("SELECT outcome, count(*) FROM attempt WHERE run = ?1 GROUP BY outcome")?;
        let mut runs = Vec::new();
        for (mut run, id) in rows {
            let counts =
                count.query_map([id], |row| Ok((word_of(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
            run.counts = counts.collect::<Result<_, _>>()?;
            runs.push(run);
        }
        Ok(runs)
    }

    /// The latest attempts, newest first.
    pub fn attempts(&self, filter: &Filter, most: usize) -> Result<Vec<AttemptRow>, HistoryError> {
        let mut all = Vec::new();
        self.each_attempt(filter, &format!("ORDER BY a.at DESC LIMIT {most}"), &mut |row| all.push(row))?;
        Ok(all)
    }

    /// Hands out attempts one by one, in the order of runs and within them: for exports.
    pub fn each(&self, filter: &Filter, out: &mut dyn FnMut(AttemptRow)) -> Result<(), HistoryError> {
        self.each_attempt(filter, "ORDER BY a.run, a.ordinal", out)
    }

    fn each_attempt(
        &self,
        filter: &Filter,
        order: &str,
        out: &mut dyn FnMut(AttemptRow),
    ) -> Result<(), HistoryError> {
        let all = self.case_conditions(filter)?;
        let mut ask = self.db.prepare(&format!(
            "SELECT r.name, a.ordinal, k.name, a.number, b.name, s.name, i.payload, i.version, r.suites,
               r.descriptor, r.harness, a.outcome, a.blame, a.because, a.note, a.at, a.took, r.simulated
             FROM attempt AS a JOIN run AS r ON r.id = a.run
               JOIN kase AS o ON o.id = a.kase JOIN kase AS k ON k.id = o.now
               JOIN board AS b ON b.id = a.board JOIN slot AS s ON s.id = a.slot
               JOIN image AS i ON i.id = a.image{} {order}",
            all.sql()
        ))?;
        let mut rows = ask.query(params_from_iter(&all.values))?;
        while let Some(row) = rows.next()? {
            out(attempt_row(row)?);
        }
        Ok(())
    }

    /// All images, the latest tested first.
    pub fn images(&self, filter: &Filter) -> Result<Vec<ImageRow>, HistoryError> {
        let all = self.conditions(filter, Over::Runs)?;
        let mut ask = self.db.prepare(&format!(
            "SELECT i.payload, i.file, i.path, i.os, i.version
             FROM image AS i JOIN run AS a ON a.image = i.id{}
             GROUP BY i.id ORDER BY max(a.started) DESC",
            all.sql()
        ))?;
        let rows = ask.query_map(params_from_iter(&all.values), |row| image_row(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The image that is meant: by the beginning of a hash, or by its version when only one image
    /// has it.
    pub fn image(&self, name: &str) -> Result<ImageRow, HistoryError> {
        let id = self.image_id(name)?;
        let ask = "SELECT payload, file, path, os, version FROM image WHERE id = ?1";
        Ok(self.db.query_row(ask, [id], |row| image_row(row, 0))?)
    }

    pub(crate) fn image_id(&self, name: &str) -> Result<i64, HistoryError> {
        let mut ask = self.db.prepare(
            "SELECT id FROM image WHERE version = ?1
               OR (length(?1) >= 4 AND (substr(payload, 1, length(?1)) = ?1 OR substr(file, 1, length(?1)) = ?1))
             LIMIT 2",
        )?;
        let found: Vec<i64> = ask.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if let [only] = found.as_slice() {
            return Ok(*only);
        }
        let images = self.images(&Filter { simulated: true, ..Filter::default() })?;
        let near: Vec<_> = images.iter().take(12).map(ImageRow::label).collect();
        let kind = if found.is_empty() { "image" } else { "one image" };
        let near = (!near.is_empty()).then(|| near.join(", "));
        Err(HistoryError::Unknown { kind, got: name.to_owned(), near })
    }

    /// How many attempts there are.
    pub fn len(&self) -> Result<u64, HistoryError> {
        let many: i64 = self.db.query_row("SELECT count(*) FROM attempt", [], |row| row.get(0))?;
        Ok(many as u64)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, HistoryError> {
        Ok(self.db.query_row("SELECT NOT EXISTS (SELECT 1 FROM attempt)", [], |row| row.get(0))?)
    }
}

fn image_row(row: &Row<'_>, at: usize) -> rusqlite::Result<ImageRow> {
    Ok(ImageRow {
        payload: row.get(at)?,
        file: row.get(at + 1)?,
        path: PathBuf::from(row.get::<_, String>(at + 2)?),
        os: row.get(at + 3)?,
        version: row.get(at + 4)?,
    })
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        run: row.get(0)?,
        board: row.get(1)?,
        slot: row.get(2)?,
        image: image_row(row, 3)?,
        profile: row.get(8)?,
        selection: row.get(9)?,
        command: row.get(10)?,
        harness: row.get(11)?,
        suites: row.get(12)?,
        descriptor: row.get(13)?,
        profile_hash: row.get(14)?,
        started: time(row.get(15)?),
        took: row.get::<_, Option<i64>>(16)?.map(|millis| millis as u64),
        exit: exit_of(row.get(17)?),
        verdict: row.get(18)?,
        source: row.get(19)?,
        journal: PathBuf::from(row.get::<_, String>(20)?),
        head: row.get(21)?,
        simulated: row.get(22)?,
        counts: BTreeMap::new(),
    })
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        run: row.get(0)?,
        ordinal: row.get(1)?,
        case: row.get(2)?,
        number: row.get(3)?,
        board: row.get(4)?,
        slot: row.get(5)?,
        image: row.get(6)?,
        version: row.get(7)?,
        suites: row.get(8)?,
        descriptor: row.get(9)?,
        harness: row.get(10)?,
        outcome: word_of(row.get(11)?),
        blame: blame_of(row.get(12)?),
        because: row.get(13)?,
        note: row.get(14)?,
        at: time(row.get(15)?),
        took: row.get::<_, i64>(16)? as u64,
        simulated: row.get(17)?,
    })
}
