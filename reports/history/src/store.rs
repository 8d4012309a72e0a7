//! The file, and writing runs into it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use shakedown_core::outcome::Word;
use shakedown_core::{Ledger, Sha};

use crate::error::HistoryError;
use crate::incoming::{Image, Number, Row, Run};
use crate::numbers::{blame_number, word_number, word_of};
use crate::schema;

/// How long a writer waits for another one; each holds the file for milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Where rows came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A chained journal. Only such can become evidence for the gate.
    #[default]
    Journal,
    /// Another program's JUnit file.
    Junit,
    /// A KCIDB report.
    Kcidb,
}

impl Source {
    /// As in the file.
    pub fn text(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Junit => "junit",
            Self::Kcidb => "kcidb",
        }
    }
}

/// What a ledger was made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// Where it came from.
    pub source: Source,
    /// The journal's path, absolute: the gate reads it again.
    pub journal: Option<&'a Path>,
    /// The hash of the journal's last line ([`shakedown_core::journal::Journal::head`]).
    pub head: Option<Sha>,
    /// The kernel's log, for the complaints in it.
    pub kernel_log: Option<&'a [u8]>,
    /// The run is still going: attempts that have not ended are left out, as are the numbers of the
    /// run itself. Call again with the same run as it grows, and without this at its end.
    pub live: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Attempts that were not there before.
    pub new: usize,
    /// Attempts of this run that are there now.
    pub attempts: usize,
    /// Runs of an imported document that are there already, by their own ids: the document was made
    /// from them, and nothing of it was added.
    pub copies: usize,
}

/// A history: one SQLite file. Several processes may have it open, and write.
///
/// Each [`History::add`] is one transaction. Killed at any moment, the file holds what was added
/// before; with [`Origin::live`] after each attempt, that is all but the attempt being written.
#[derive(Debug)]
pub struct History {
    pub(crate) db: Connection,
    names: HashMap<(&'static str, String), i64>,
}

impl History {
    /// Opens a history; makes it, with its folder, when there is none, and brings an older one up
    /// to this program's format. A newer one is refused.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let refused = |why: String| HistoryError::Open { path: path.to_owned(), why };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
        }
        let open = || -> Result<Connection, rusqlite::Error> {
            let db = Connection::open(path)?;
            db.busy_timeout(BUSY)?;
            // Readers and a writer at once; what was committed outlives the process.
            db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "normal")?;
            // Runs touch the same index pages again and again: moving them from the log into the
            // file every 64 MiB instead of every 4 saves most of the writing.
            db.pragma_update_and_check(None, "wal_autocheckpoint", 16_384, |_| Ok(()))?;
            db.pragma_update(None, "foreign_keys", true)?;
            db.pragma_update(None, "cache_size", -65536)?;
            Ok(db)
        };
        Self::of(open().map_err(|error| refused(error.to_string()))?)
    }

    /// A history that is gone with its value, for trying things.
    pub fn in_memory() -> Result<Self, HistoryError> {
        let db = Connection::open_in_memory()?;
        db.pragma_update(None, "foreign_keys", true)?;
        Self::of(db)
    }

    fn of(mut db: Connection) -> Result<Self, HistoryError> {
        db.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut db, schema::VERSION)?;
        Ok(Self { db, names: HashMap::new() })
    }

    /// Writes a run, or what is new of it: the same ledger twice changes nothing. A run that ended
    /// before with another journal is refused: one of the two is not what was run.
    pub fn add(&mut self, ledger: &Ledger, origin: &Origin<'_>) -> Result<Added, HistoryError> {
        let run = Run::of(ledger, origin)?;
        self.write(std::slice::from_ref(&run))
    }

    /// [`History::add`] for several, in one transaction: neighbours in the file are then written once
    /// and not once a run. When one is refused, none of them is written.
    pub fn add_together(&mut self, runs: &[(&Ledger, Origin<'_>)]) -> Result<Added, HistoryError> {
        let runs: Result<Vec<_>, _> = runs.iter().map(|(ledger, origin)| Run::of(ledger, origin)).collect();
        self.write(&runs?)
    }

    /// Writes these runs in one transaction.
    pub(crate) fn write(&mut self, runs: &[Run]) -> Result<Added, HistoryError> {
        let result = write(&mut self.db, &mut self.names, runs);
        if result.is_err() {
            // Names that were new are gone with the transaction.
            self.names.clear();
        }
        result
    }

    /// Tells that cases have other names now, as (old, new): their history goes on under the new
    /// one. A name that nothing ran under yet is noted too.
    pub fn renamed(&mut self, names: &[(String, String)]) -> Result<(), HistoryError> {
        if names.is_empty() {
            return Ok(());
        }
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (old, new) in names {
            let old = id(&change, &mut self.names, "kase", old)?;
            let new = id(&change, &mut self.names, "kase", new)?;
            let target: i64 =
                change.query_row("SELECT now FROM kase WHERE id = ?1", [new], |row| row.get(0))?;
            // Who was renamed to the old name before moves on with it.
            change.execute("UPDATE kase SET now = ?1 WHERE now = ?2 OR id = ?2", [target, old])?;
        }
        Ok(change.commit()?)
    }

    /// Takes runs out, by their names. Their journals stay.
    pub fn forget(&mut self, runs: &[String]) -> Result<usize, HistoryError> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut gone = 0;
        for run in runs {
            // The attempts by themselves: rows that go by a foreign key call no triggers.
            change.execute("DELETE FROM attempt WHERE run = (SELECT id FROM run WHERE name = ?1)", [run])?;
            gone += change.execute("DELETE FROM run WHERE name = ?1", [run])?;
        }
        change.commit()?;
        Ok(gone)
    }
}

/// The row of a name, made when missing.
fn id(
    db: &Connection,
    names: &mut HashMap<(&'static str, String), i64>,
    table: &'static str,
    name: &str,
) -> Result<i64, HistoryError> {
    // Looking up must not need a copy of the name: this runs for each attempt.
    if let Some(id) = names.get(&(table, name.to_owned())) {
        return Ok(*id);
    }
    let column = if table == "complaint" { "line" } else { "name" };
    let found = db
        .prepare_cached(&format!("SELECT id FROM {table} WHERE {column} = ?1"))?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let id = if let Some(id) = found {
        id
    } else {
        let made = match table {
            "kase" => "INSERT INTO kase (name, now) VALUES (?1, 0)".to_owned(),
            _ => format!("INSERT INTO {table} ({column}) VALUES (?1)"),
        };
        db.prepare_cached(&made)?.execute([name])?;
        let id = db.last_insert_rowid();
        if table == "kase" {
            db.execute("UPDATE kase SET now = id WHERE id = ?1", [id])?;
        }
        id
    };
    names.insert((table, name.to_owned()), id);
    Ok(id)
}

fn image_id(
    db: &Connection,
    names: &mut HashMap<(&'static str, String), i64>,
    image: &Image,
) -> Result<i64, HistoryError> {
    // What an import says of an image is less than what a run says of it: each is written once.
    let key = ("image", format!("{}\n{}\n{}", image.payload, image.file, image.path));
    if let Some(id) = names.get(&key) {
        return Ok(*id);
    }
    db.execute(
        "INSERT INTO image (payload, file, path, os, version) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (payload) DO UPDATE SET
           file = CASE excluded.file WHEN '' THEN file ELSE excluded.file END,
           path = CASE excluded.path WHEN '' THEN path ELSE excluded.path END,
           os = CASE excluded.file WHEN '' THEN ifnull(os, excluded.os) ELSE ifnull(excluded.os, os) END,
           version = CASE excluded.file WHEN '' THEN ifnull(version, excluded.version)
             ELSE ifnull(excluded.version, version) END",
        params![image.payload, image.file, image.path, image.os, image.version],
    )?;
    let id = db.query_row("SELECT id FROM image WHERE payload = ?1", [&image.payload], |row| row.get(0))?;
    names.insert(key, id);
    Ok(id)
}

fn write(
    db: &mut Connection,
    names: &mut HashMap<(&'static str, String), i64>,
    runs: &[Run],
) -> Result<Added, HistoryError> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut added = Added::default();
    for run in runs {
        let one = write_run(&change, names, run)?;
        added.new += one.new;
        added.attempts += one.attempts;
        added.copies += one.copies;
    }
    change.commit()?;
    Ok(added)
}

/// Rows that say where a run took place.
struct Place {
    run: i64,
    board: i64,
    slot: i64,
    image: i64,
}

fn write_run(
    db: &Connection,
    names: &mut HashMap<(&'static str, String), i64>,
    run: &Run,
) -> Result<Added, HistoryError> {
    if let Some(of) = &run.copy_of
        && db.prepare_cached("SELECT 1 FROM run WHERE name = ?1")?.exists([of])?
    {
        return Ok(Added { copies: 1, ..Added::default() });
    }
    if run.source == Source::Journal {
        // The run itself is more than what other documents said of it.
        db.prepare_cached("DELETE FROM attempt WHERE run IN (SELECT id FROM run WHERE copy_of = ?1)")?
            .execute([&run.name])?;
        db.prepare_cached("DELETE FROM run WHERE copy_of = ?1")?.execute([&run.name])?;
    }
    let known = db
        .prepare_cached("SELECT id, head, took IS NOT NULL FROM run WHERE name = ?1")?
        .query_row([&run.name], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    if let Some((_, head, true)) = &known
        && *head != run.head
    {
        return Err(HistoryError::Conflict {
            run: run.name.clone(),
            known: head.clone(),
            got: run.head.clone(),
        });
    }
    let board = id(db, names, "board", &run.board)?;
    let slot = id(db, names, "slot", &run.slot)?;
    let image = image_id(db, names, &run.image)?;
    let ended = params![
        run.name,
        board,
        slot,
        image,
        run.profile,
        run.selection,
        run.command,
        run.harness,
        run.suites,
        run.descriptor,
        run.profile_hash,
        run.started,
        run.took,
        run.exit,
        run.verdict,
        run.source.text(),
        run.journal,
        run.head,
        run.simulated,
        run.copy_of,
    ];
    db.prepare_cached(
        "INSERT INTO run (name, board, slot, image, profile, selection, command, harness, suites,
           descriptor, profile_hash, started, took, exit, verdict, source, journal, head,
           simulated, copy_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
         ON CONFLICT (name) DO UPDATE SET took = excluded.took, exit = excluded.exit,
           verdict = excluded.verdict, journal = excluded.journal, head = excluded.head,
           simulated = excluded.simulated",
    )?
    .execute(ended)?;
    let place = match known {
        Some((run, _, _)) => Place { run, board, slot, image },
        None => Place { run: db.last_insert_rowid(), board, slot, image },
    };
    let there = words(db, &place)?;
    let mut places = Places::of(db, &place, run)?;
    let mut added = Added { attempts: there.len(), ..Added::default() };
    let mut tallies: BTreeMap<i64, [i64; Word::ALL.len()]> = BTreeMap::new();
    for row in &run.attempts {
        let ordinal = places.find(db, &place, row)?;
        match there.get(&ordinal) {
            None => added = Added { new: added.new + 1, attempts: added.attempts + 1, ..added },
            // One that had not ended when it was written before may have ended since: it is written
            // anew, with its numbers. Another program's test may have had no status yet.
            Some(Word::CutOff) => take_out(db, &place, ordinal)?,
            Some(Word::Undetermined) if row.ident.is_some() => take_out(db, &place, ordinal)?,
            Some(_) => continue,
        }
        let kase = id(db, names, "kase", &row.case)?;
        tallies.entry(kase).or_default()[word_number(row.word) as usize] += 1;
        db.prepare_cached(
            "INSERT INTO attempt (run, ordinal, kase, board, slot, image, number, outcome, blame, at,
               took, because, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            place.run,
            ordinal,
            kase,
            board,
            slot,
            image,
            row.number,
            word_number(row.word),
            row.blame.map(blame_number),
            row.at,
            row.took,
            row.because,
            row.note,
        ])?;
        numbers(db, names, &place, Some(ordinal), &row.measures)?;
    }
    roll_up(db, &place, &tallies)?;
    if let Some(own) = &run.own {
        db.prepare_cached("DELETE FROM measure WHERE run = ?1 AND ordinal IS NULL")?.execute([place.run])?;
        numbers(db, names, &place, None, &own.measures)?;
        if own.complaints.is_some() {
            db.execute("UPDATE run SET kernel_heard = 1 WHERE id = ?1", [place.run])?;
        }
        for (line, (sample, times)) in own.complaints.iter().flatten() {
            let line = id(db, names, "complaint", line)?;
            db.prepare_cached("INSERT OR REPLACE INTO complained VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![place.run, line, sample, *times as i64])?;
        }
    }
    Ok(added)
}

/// Adds what is new of a run to the roll-ups.
fn roll_up(
    db: &Connection,
    place: &Place,
    tallies: &BTreeMap<i64, [i64; Word::ALL.len()]>,
) -> Result<(), HistoryError> {
    for (table, key, of) in [("by_slot", "slot", place.slot), ("by_image", "image", place.image)] {
        let columns = Word::ALL.map(|word| word.text().replace('-', "_"));
        let sums = columns.each_ref().map(|column| format!("{column} = {column} + excluded.{column}"));
        let mut add = db.prepare_cached(&format!(
            "INSERT INTO {table} (kase, board, {key}, {}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO UPDATE SET {}",
            columns.join(", "),
            sums.join(", ")
        ))?;
        for (kase, [a, b, c, d, e, f, g, h]) in tallies {
            add.execute(params![kase, place.board, of, a, b, c, d, e, f, g, h])?;
        }
    }
    Ok(())
}

/// How a run's attempts ended that are written, by their places.
fn words(db: &Connection, place: &Place) -> Result<BTreeMap<i64, Word>, HistoryError> {
    let mut ask = db.prepare_cached("SELECT ordinal, outcome FROM attempt WHERE run = ?1")?;
    let rows = ask.query_map([place.run], |row| Ok((row.get(0)?, word_of(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn take_out(db: &Connection, place: &Place, ordinal: i64) -> Result<(), HistoryError> {
    for table in ["measure", "attempt"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1 AND ordinal = ?2"))?
            .execute([place.run, ordinal])?;
    }
    Ok(())
}

/// Where the tests of a run stand that have ids of their own.
struct Places {
    known: HashMap<String, i64>,
    next: i64,
}

impl Places {
    fn of(db: &Connection, place: &Place, run: &Run) -> Result<Self, HistoryError> {
        let mut known = HashMap::new();
        if run.attempts.iter().any(|row| row.ident.is_some()) {
            let mut ask = db.prepare_cached("SELECT ident, ordinal FROM foreign_test WHERE run = ?1")?;
            let rows = ask.query_map([place.run], |row| Ok((row.get(0)?, row.get(1)?)))?;
            known = rows.collect::<Result<_, _>>()?;
        }
        let next = known.values().max().map_or(0, |last| last + 1);
        Ok(Self { known, next })
    }

    /// The place of this attempt: its own, or the one that its id has or gets now.
    fn find(&mut self, db: &Connection, place: &Place, row: &Row) -> Result<i64, HistoryError> {
        let Some(ident) = &row.ident else { return Ok(row.ordinal as i64) };
        if let Some(ordinal) = self.known.get(ident) {
            return Ok(*ordinal);
        }
        let ordinal = self.next;
        self.next += 1;
        self.known.insert(ident.clone(), ordinal);
        db.prepare_cached("INSERT INTO foreign_test (run, ident, ordinal) VALUES (?1, ?2, ?3)")?
            .execute(params![place.run, ident, ordinal])?;
        Ok(ordinal)
    }
}

fn numbers(
    db: &Connection,
    names: &mut HashMap<(&'static str, String), i64>,
    place: &Place,
    ordinal: Option<i64>,
    all: &[Number],
) -> Result<(), HistoryError> {
    for number in all {
        let metric = id(db, names, "metric", &number.name)?;
        db.prepare_cached(
            "INSERT INTO measure (run, ordinal, metric, context, board, slot, image, at, value, unit, higher)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            place.run,
            ordinal,
            metric,
            number.context,
            place.board,
            place.slot,
            place.image,
            number.at,
            number.value,
            number.unit,
            number.higher,
        ])?;
    }
    Ok(())
}
