//! All that the file has of one run, to be compared with the run's journal.

use std::collections::BTreeMap;

use shakedown_core::Ledger;

use crate::error::HistoryError;
use crate::filter::Filter;
use crate::incoming::{Number, Row, Run};
use crate::query::{AttemptRow, RunRow};
use crate::store::{History, Origin};

/// All that the file has of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The run.
    pub run: RunRow,
    /// Its attempts, in their order.
    pub attempts: Vec<AttemptRow>,
    /// The cases' names when they ran, by the attempts' ordinals. [`AttemptRow::case`] is the name of
    /// now, which a renamed case has from elsewhere than the journal.
    pub ran_as: BTreeMap<u32, String>,
    /// Its measures.
    pub numbers: Vec<NumberRow>,
}

/// A measure.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberRow {
    /// The attempt's; `None` for the run's own.
    pub ordinal: Option<u32>,
    /// `boot.kernel`.
    pub name: String,
    /// The case, or what started the boot.
    pub context: String,
    /// In its unit.
    pub value: f64,
    /// `s`, `MiB` …
    pub unit: String,
}

impl History {
    /// Everything of this run.
    pub fn rows_of_run(&self, run: RunRow) -> Result<Rows, HistoryError> {
        let filter = Filter { run: Some(run.run.clone()), ..Filter::default() };
        let mut attempts = Vec::new();
        self.each(&filter, &mut |row| attempts.push(row))?;
        let of = "(SELECT id FROM run WHERE name = ?1)";
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT a.ordinal, k.name FROM attempt AS a JOIN kase AS k ON k.id = a.kase WHERE a.run = {of}"
        ))?;
        let ran_as = ask.query_map([&run.run], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let ran_as = ran_as.collect::<Result<_, _>>()?;
        let mut ask = self.db.prepare_cached(&format!(
            "SELECT a.ordinal, m.name, a.context, a.value, a.unit
             FROM measure AS a JOIN metric AS m ON m.id = a.metric WHERE a.run = {of} ORDER BY a.rowid"
        ))?;
        let numbers = ask.query_map([&run.run], |row| {
            Ok(NumberRow {
                ordinal: row.get(0)?,
                name: row.get(1)?,
                context: row.get(2)?,
                value: row.get(3)?,
                unit: row.get(4)?,
            })
        })?;
        let numbers = numbers.collect::<Result<_, _>>()?;
        Ok(Rows { run, attempts, ran_as, numbers })
    }
}

impl Rows {
    /// Whether the file has this run by a journal, whatever its `source` says by now: what another
    /// program reported has neither a journal nor its end.
    pub fn of_journal(&self) -> bool {
        let run = &self.run;
        run.source == "journal" || !run.journal.as_os_str().is_empty() || !run.head.is_empty()
    }

    /// The first thing in which these rows are not what this ledger gives, in words; `None` when there
    /// is nothing. Not compared: the image's path, OS and version (rows of several runs share them),
    /// notes (their wording may change with the program), complaints of the kernel (they are not from
    /// the journal), and a measure that is missing here.
    pub fn differ(&self, ledger: &Ledger) -> Option<String> {
        let wanted = Run::of(ledger, &Origin::default()).ok()?;
        self.run_differs(&wanted)
            .or_else(|| self.attempts_differ(&wanted))
            .or_else(|| self.numbers_differ(&wanted))
    }

    fn run_differs(&self, wanted: &Run) -> Option<String> {
        let run = &self.run;
        if run.journal.as_os_str().is_empty() {
            return Some("no journal is named there".to_owned());
        }
        let told =
            |number: Option<i64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let exit = |code: Option<u8>| told(code.map(i64::from));
        let pairs = [
            ("source", run.source.clone(), wanted.source.text().to_owned()),
            ("board", run.board.clone(), wanted.board.clone()),
            ("slot", run.slot.clone(), wanted.slot.clone()),
            ("image", run.image.payload.clone(), wanted.image.payload.clone()),
            ("exit", exit(run.exit.map(shakedown_core::ExitCode::code)), exit(wanted.exit)),
            ("verdict", run.verdict.clone(), wanted.verdict.clone()),
            ("start", run.started.as_millisecond().to_string(), wanted.started.to_string()),
            ("duration", told(run.took.map(|took| took as i64)), told(wanted.took)),
            ("simulated", run.simulated.to_string(), wanted.simulated.to_string()),
            ("suites", run.suites.clone(), wanted.suites.clone()),
            ("descriptor", run.descriptor.clone(), wanted.descriptor.clone()),
            ("profile", run.profile.clone(), wanted.profile.clone()),
            ("profile hash", run.profile_hash.clone(), wanted.profile_hash.clone()),
            ("selection", run.selection.clone(), wanted.selection.clone()),
            ("command", run.command.clone(), wanted.command.clone()),
            ("harness", run.harness.clone(), wanted.harness.clone()),
        ];
        differing(pairs)
            .map(|(what, there, here)| format!("{what} is {there} there and {here} in the journal"))
    }

    fn attempts_differ(&self, wanted: &Run) -> Option<String> {
        let (there, here) = (self.attempts.len(), wanted.attempts.len());
        if there != here {
            return Some(format!("{there} attempts there and {here} in the journal"));
        }
        self.attempts.iter().find_map(|row| {
            let Some(of) = wanted.attempts.get(row.ordinal as usize) else {
                return Some(format!("attempt {} is not in the journal", row.ordinal));
            };
            let ran_as = self.ran_as.get(&row.ordinal).map(String::as_str).unwrap_or_default();
            attempt_differs(row, ran_as, of, wanted)
        })
    }

    /// An edited value is none of the journal's.
    fn numbers_differ(&self, wanted: &Run) -> Option<String> {
        let mut left: Vec<(Option<u32>, &Number)> = Vec::new();
        for row in &wanted.attempts {
            left.extend(row.measures.iter().map(|number| (Some(row.ordinal as u32), number)));
        }
        left.extend(wanted.own.iter().flat_map(|own| &own.measures).map(|number| (None, number)));
        self.numbers.iter().find_map(|row| {
            let same = |(ordinal, number): &(Option<u32>, &Number)| {
                *ordinal == row.ordinal
                    && number.name == row.name
                    && number.context == row.context
                    && number.unit == row.unit
                    && number.value.total_cmp(&row.value).is_eq()
            };
            match left.iter().position(same) {
                Some(at) => {
                    left.swap_remove(at);
                    None
                }
                None => Some(format!("a {} of {} {} is not in the journal", row.name, row.value, row.unit)),
            }
        })
    }
}

fn attempt_differs(row: &AttemptRow, ran_as: &str, of: &Row, run: &Run) -> Option<String> {
    let blame = |blame: Option<shakedown_core::Blame>| format!("{blame:?}");
    let pairs = [
        ("name", ran_as.to_owned(), of.case.clone()),
        ("outcome", row.outcome.text().to_owned(), of.word.text().to_owned()),
        ("blame", blame(row.blame), blame(of.blame)),
        ("number", row.number.to_string(), of.number.to_string()),
        ("start", row.at.as_millisecond().to_string(), of.at.to_string()),
        ("duration", row.took.to_string(), of.took.to_string()),
        ("reason", row.because.clone().unwrap_or_default(), of.because.clone().unwrap_or_default()),
        ("board", row.board.clone(), run.board.clone()),
        ("slot", row.slot.clone(), run.slot.clone()),
        ("image", row.image.clone(), run.image.payload.clone()),
    ];
    let (what, there, here) = differing(pairs)?;
    // How it ended needs no name.
    let what = if what == "outcome" { String::new() } else { format!("the {what} of ") };
    Some(format!("{what}{} is `{there}` there and `{here}` in the journal", of.case))
}

fn differing<const N: usize>(
    pairs: [(&'static str, String, String); N],
) -> Option<(&'static str, String, String)> {
    pairs.into_iter().find(|(_, there, here)| there != here)
}
