//! Results of other programs coming in, and ours going out.

mod junit;
mod kcidb;

use serde::Serialize;

use crate::error::HistoryError;
use crate::filter::{Filter, Over};
use crate::incoming::{Image, Row, Run};
use crate::numbers::word_number;
use crate::query::AttemptRow;
use crate::store::{Added, History, Source};

/// What an import does not say itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The board's slug.
    pub board: String,
    /// `rig/slot`, or whatever it ran on.
    pub slot: String,
    /// What names the image: best the hash of the decompressed image.
    pub image: String,
    /// The image's version.
    pub version: Option<String>,
    /// When it ran, where the document has no time.
    pub at: jiff::Timestamp,
}

/// A number of an export.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line<'a> {
    Attempt(&'a AttemptRow),
    Measure(Measure<'a>),
}

#[derive(Serialize)]
struct Measure<'a> {
    run: &'a str,
    name: &'a str,
    context: &'a str,
    board: &'a str,
    slot: &'a str,
    image: &'a str,
    at: jiff::Timestamp,
    value: f64,
    unit: &'a str,
    higher: bool,
}

impl History {
    /// Adds a JUnit file. The same file twice changes nothing, and one that was made from a run that
    /// is here already adds nothing ([`Added::copies`]). Its own properties (`board`, `slot`,
    /// `image.payload`, `started`, as our JUnit has them) count more than `about`.
    pub fn import_junit(&mut self, text: &[u8], about: &About) -> Result<Added, HistoryError> {
        named("JUnit", about)?;
        let run = junit::read(text, about)?;
        self.write(&[run])
    }

    /// Adds a KCIDB report (format 4 or 5): one run for each build, machine and run of ours. A test
    /// that is here already changes nothing, unless nobody knew yet how it ended; one that was made
    /// from a run that is here adds nothing ([`Added::copies`]).
    pub fn import_kcidb(&mut self, text: &[u8], about: &About) -> Result<Added, HistoryError> {
        named("KCIDB", about)?;
        let runs = kcidb::read(text, about)?;
        self.write(&runs)
    }

    /// Everything that is asked for, one JSON object a line: `{"attempt": {…}}`, then `{"measure": {…}}`.
    pub fn export(&self, filter: &Filter, out: &mut dyn FnMut(&str)) -> Result<(), HistoryError> {
        let mut write = |line: &Line<'_>| match serde_json::to_string(line) {
            Ok(text) => out(&text),
            // Our own types have text keys only; a number that is none (NaN) becomes null.
            Err(_) => out("{}"),
        };
        self.each(filter, &mut |row| write(&Line::Attempt(&row)))?;
        let mut all = self.conditions(filter, Over::Rows)?;
        if let Some(run) = &filter.run {
            all.and("a.run = ?", self.named("run", run)?);
        }
        // Only the numbers of the attempts that are exported; a run's own belong to no attempt.
        let of = "SELECT 1 FROM attempt AS t WHERE t.run = a.run AND t.ordinal = a.ordinal AND";
        if let Some(word) = filter.outcome {
            all.and(&format!("EXISTS ({of} t.outcome = ?)"), word_number(word));
        }
        if let Some(case) = &filter.case {
            let names = "SELECT id FROM kase WHERE id = now AND name GLOB ?";
            all.and(
                &format!("EXISTS ({of} t.kase IN (SELECT id FROM kase WHERE now IN ({names})))"),
                case.clone(),
            );
        }
        let mut ask = self.db.prepare(&format!(
            "SELECT r.name, m.name, a.context, b.name, s.name, i.payload, a.at, a.value, a.unit, a.higher
             FROM measure AS a JOIN run AS r ON r.id = a.run JOIN metric AS m ON m.id = a.metric
               JOIN board AS b ON b.id = a.board JOIN slot AS s ON s.id = a.slot
               JOIN image AS i ON i.id = a.image{} ORDER BY a.run, a.rowid",
            all.sql()
        ))?;
        let mut rows = ask.query(rusqlite::params_from_iter(&all.values))?;
        while let Some(row) = rows.next()? {
            let text = |at: usize| row.get::<_, String>(at);
            write(&Line::Measure(Measure {
                run: &text(0)?,
                name: &text(1)?,
                context: &text(2)?,
                board: &text(3)?,
                slot: &text(4)?,
                image: &text(5)?,
                at: crate::query::time(row.get(6)?),
                value: row.get(7)?,
                unit: &text(8)?,
                higher: row.get(9)?,
            }));
        }
        Ok(())
    }

    /// Attempts as a KCIDB report of format 5.3: an image is a build, an attempt a test.
    pub fn export_kcidb(&self, filter: &Filter, origin: &str) -> Result<String, HistoryError> {
        let mut rows = Vec::new();
        self.each(filter, &mut |row| rows.push(row))?;
        kcidb::write(&rows, origin)
    }
}

/// The longest that a test may have taken, in seconds: ten years. What says more is broken.
const LONGEST: f64 = 10.0 * 365.25 * 86_400.0;

/// Seconds of a document in milliseconds; 0 where it says none, or a time that runs backwards.
fn millis(seconds: Option<f64>) -> Result<i64, String> {
    match seconds {
        Some(seconds) if seconds > LONGEST => {
            Err(format!("expected a time in seconds of at most ten years, got {seconds:e}"))
        }
        // NaN, too.
        Some(seconds) if seconds >= 0.0 => Ok((seconds * 1000.0) as i64),
        _ => Ok(0),
    }
}

/// What is nameless nobody finds again.
fn named(format: &'static str, about: &About) -> Result<(), HistoryError> {
    let names = [("board", &about.board), ("slot", &about.slot), ("image", &about.image)];
    match names.into_iter().find(|(_, name)| name.trim().is_empty()) {
        Some((what, _)) => Err(HistoryError::Import {
            format,
            what: format!("expected the name of the {what}, got an empty one"),
        }),
        None => Ok(()),
    }
}

/// A run of another program.
fn foreign(name: String, about: &About, source: Source, attempts: Vec<Row>) -> Run {
    let took = attempts.iter().map(|row| row.took).fold(0, i64::saturating_add);
    Run {
        name,
        board: about.board.clone(),
        slot: about.slot.clone(),
        image: Image { payload: about.image.clone(), version: about.version.clone(), ..Image::default() },
        profile: String::new(),
        selection: String::new(),
        command: String::new(),
        harness: String::new(),
        suites: String::new(),
        descriptor: String::new(),
        profile_hash: String::new(),
        started: about.at.as_millisecond(),
        took: Some(took),
        exit: None,
        verdict: String::new(),
        source,
        journal: String::new(),
        head: String::new(),
        simulated: false,
        copy_of: None,
        attempts,
        own: None,
    }
}
