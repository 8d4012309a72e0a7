//! Which attempts a question is about.

use rusqlite::types::Value;
use shakedown_core::outcome::Word;

use crate::error::HistoryError;
use crate::numbers::word_number;
use crate::store::History;

/// Which attempts a question is about; everything that is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The board's slug.
    pub board: Option<String>,
    /// `rig/slot`.
    pub slot: Option<String>,
    /// An image: the beginning of its hash (of the image or of its file), or its version.
    pub image: Option<String>,
    /// A pattern of case ids, as of now: `os::*`.
    pub case: Option<String>,
    /// Only attempts that ended so.
    pub outcome: Option<Word>,
    /// Only attempts that began at this time or later.
    pub since: Option<jiff::Timestamp>,
    /// Only attempts that began before this time.
    pub until: Option<jiff::Timestamp>,
    /// A run's id.
    pub run: Option<String>,
    /// Also runs on simulated slots: they say nothing of an image. A run that is named is there
    /// anyway.
    pub simulated: bool,
}

/// What a query calls `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// `run`.
    Runs,
    /// `attempt` or `measure`.
    Rows,
    /// A roll-up, or what [`History::rolled`] makes of it.
    RollUp,
}

impl Over {
    fn time(self) -> &'static str {
        if self == Self::Runs { "started" } else { "at" }
    }
}

/// The conditions of a query over `attempt AS a` (or `run AS a`), and their values.
#[derive(Debug, Default)]
pub(crate) struct Where {
    conditions: Vec<String>,
    pub(crate) values: Vec<Value>,
}

impl Where {
    /// Adds a condition; its value stands in it as `?`.
    pub(crate) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.conditions.push(condition.replacen('?', &format!("?{}", self.values.len()), 1));
    }

    /// Adds a condition without a value.
    fn plainly(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// The clause; empty when there is no condition.
    pub(crate) fn sql(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.conditions.join(" AND "))
        }
    }
}

impl Filter {
    /// Whether only boards and cases are asked for, which the roll-ups can answer.
    pub(crate) fn is_rolled_up(&self) -> bool {
        let Self { board: _, case: _, simulated: _, outcome, slot, image, since, until, run } = self;
        outcome.is_none()
            && slot.is_none()
            && image.is_none()
            && since.is_none()
            && until.is_none()
            && run.is_none()
    }
}

impl History {
    /// The conditions on rows that have `board`, `slot`, `image` and a time.
    /// A name that the history does not have is an error: an empty answer would look like good news.
    pub(crate) fn conditions(&self, filter: &Filter, over: Over) -> Result<Where, HistoryError> {
        let time = over.time();
        let mut all = Where::default();
        if let Some(board) = &filter.board {
            all.and("a.board = ?", self.named("board", board)?);
        }
        if let Some(slot) = &filter.slot {
            all.and("a.slot = ?", self.named("slot", slot)?);
        }
        if let Some(image) = &filter.image {
            all.and("a.image = ?", self.image_id(image)?);
        }
        if let Some(since) = filter.since {
            all.and(&format!("a.{time} >= ?"), since.as_millisecond());
        }
        if let Some(until) = filter.until {
            all.and(&format!("a.{time} < ?"), until.as_millisecond());
        }
        match over {
            _ if filter.simulated || filter.run.is_some() => {}
            Over::Runs => all.plainly("NOT a.simulated"),
            Over::Rows => all.plainly("a.run NOT IN (SELECT id FROM run WHERE simulated)"),
            Over::RollUp => {}
        }
        Ok(all)
    }

    /// What stands for a roll-up (`by_slot`, `by_image`) in a query: it counts simulated runs like all
    /// others, so that those are taken off again where they are not asked for.
    pub(crate) fn rolled(&self, table: &str, filter: &Filter) -> Result<String, HistoryError> {
        if filter.simulated || self.simulated()? == 0 {
            return Ok(table.to_owned());
        }
        let key = table.trim_start_matches("by_");
        let columns = Word::ALL.map(|word| word.text().replace('-', "_"));
        let off = Word::ALL.map(|word| format!("-(outcome = {})", word_number(word)));
        Ok(format!(
            "(SELECT kase, board, {key}, {} FROM {table} UNION ALL
              SELECT kase, board, {key}, {} FROM attempt WHERE run IN (SELECT id FROM run WHERE simulated))",
            columns.join(", "),
            off.join(", ")
        ))
    }

    /// How many runs on simulated slots there are.
    pub fn simulated(&self) -> Result<u64, HistoryError> {
        let ask = "SELECT count(*) FROM run WHERE simulated";
        Ok(self.db.query_row(ask, [], |row| row.get::<_, i64>(0))? as u64)
    }

    /// The same for rows that have a case as well.
    pub(crate) fn case_conditions(&self, filter: &Filter) -> Result<Where, HistoryError> {
        let mut all = self.conditions(filter, Over::Rows)?;
        self.and_case(&mut all, filter, "a.kase")?;
        if let Some(word) = filter.outcome {
            all.and("a.outcome = ?", word_number(word));
        }
        if let Some(run) = &filter.run {
            all.and("a.run = ?", self.named("run", run)?);
        }
        Ok(all)
    }

    /// The condition on this column: all the names that the matching cases ever had.
    pub(crate) fn and_case(
        &self,
        all: &mut Where,
        filter: &Filter,
        column: &str,
    ) -> Result<(), HistoryError> {
        let Some(case) = &filter.case else { return Ok(()) };
        let any: bool = self.db.query_row(
            "SELECT EXISTS (SELECT 1 FROM kase WHERE id = now AND name GLOB ?1)",
            [case],
            |row| row.get(0),
        )?;
        if !any {
            return Err(self.unknown("case", "kase", case)?);
        }
        let names = "(SELECT id FROM kase WHERE id = now AND name GLOB ?)";
        all.and(&format!("{column} IN (SELECT id FROM kase WHERE now IN {names})"), case.clone());
        Ok(())
    }

    /// The row of a name.
    pub(crate) fn named(&self, table: &'static str, name: &str) -> Result<i64, HistoryError> {
        let found =
            self.db.query_row(&format!("SELECT id FROM {table} WHERE name = ?1"), [name], |row| row.get(0));
        match found {
            Ok(id) => Ok(id),
            Err(rusqlite::Error::QueryReturnedNoRows) => Err(self.unknown(table, table, name)?),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn unknown(
        &self,
        kind: &'static str,
        table: &str,
        got: &str,
    ) -> Result<HistoryError, HistoryError> {
        let mut ask = self.db.prepare(&format!("SELECT name FROM {table} ORDER BY id DESC LIMIT 12"))?;
        let names: Vec<String> = ask.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let near = (!names.is_empty()).then(|| names.join(", "));
        let kind = if kind == "metric" { "measure" } else { kind };
        Ok(HistoryError::Unknown { kind, got: got.to_owned(), near })
    }
}
