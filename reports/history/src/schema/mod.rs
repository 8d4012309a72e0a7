//! The file's format and the steps between its versions, each with its way back.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::HistoryError;

/// One step: what it does and what takes it back.
struct Step {
    up: &'static str,
    down: &'static str,
}

macro_rules! step {
    ($name:literal) => {
        Step { up: include_str!(concat!($name, "_up.sql")), down: include_str!(concat!($name, "_down.sql")) }
    };
}

/// From an empty file on, in order. Steps that were released are never edited.
const STEPS: [Step; 4] = [step!("v1"), step!("v2"), step!("v3"), step!("v4")];

/// The version that this program reads and writes.
pub const VERSION: u32 = STEPS.len() as u32;

/// The file's version; 0 for an empty one.
pub fn version(db: &Connection) -> Result<u32, HistoryError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings a file to `wanted`, up or down, in one transaction: killed in it, it is as before.
/// Going down loses what the older format has no place for.
pub fn migrate(db: &mut Connection, wanted: u32) -> Result<(), HistoryError> {
    let found = version(db)?;
    if found > VERSION || wanted > VERSION {
        return Err(HistoryError::Newer { found: found.max(wanted), known: VERSION });
    }
    if found == wanted {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let mut at = version(&change)?;
    while at < wanted {
        change.execute_batch(STEPS[at as usize].up)?;
        at += 1;
    }
    while at > wanted {
        at -= 1;
        change.execute_batch(STEPS[at as usize].down)?;
    }
    change.pragma_update(None, "user_version", at)?;
    Ok(change.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that the file says of its own form.
    fn form(db: &Connection) -> Vec<(String, String)> {
        let mut ask = db
            .prepare("SELECT name, ifnull(sql, '') FROM sqlite_schema ORDER BY type, name")
            .expect("a schema");
        ask.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_step_can_be_taken_back_and_taken_again() {
        let mut db = Connection::open_in_memory().unwrap();
        let mut forms = vec![form(&db)];
        for at in 1..=VERSION {
            migrate(&mut db, at).unwrap();
            forms.push(form(&db));
        }
        for at in (0..VERSION).rev() {
            migrate(&mut db, at).unwrap();
            assert_eq!((form(&db), version(&db).unwrap()), (forms[at as usize].clone(), at));
            migrate(&mut db, VERSION).unwrap();
            assert_eq!(form(&db), forms[VERSION as usize], "up again from {at}");
            migrate(&mut db, at).unwrap();
        }
    }

    #[test]
    fn runs_of_an_older_file_stay_when_it_is_told_which_are_simulated() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, 3).unwrap();
        db.execute_batch(
            "INSERT INTO board VALUES (1, 'b'); INSERT INTO slot VALUES (1, 's');
             INSERT INTO image (id, payload, file, path) VALUES (1, 'p', 'f', '/i');
             INSERT INTO run VALUES (1, 'r', 1, 1, 1, '', '', '', '', '', '', '', 5, 7, 0, 'fine', 'journal', '/j', 'h', 1);",
        )
        .unwrap();
        let row = |db: &Connection, ask: &str| -> String { db.query_row(ask, [], |row| row.get(0)).unwrap() };
        let old =
            "SELECT name || started || took || exit || verdict || journal || head || kernel_heard FROM run";
        for _ in 0..2 {
            migrate(&mut db, 4).unwrap();
            assert_eq!(row(&db, "SELECT simulated || ifnull(copy_of, '-') FROM run"), "0-");
            db.execute("UPDATE run SET simulated = 1, copy_of = 'x'", []).unwrap();
            migrate(&mut db, 3).unwrap();
            assert_eq!(row(&db, old), "r570fine/jh1");
        }
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = migrate(&mut db, VERSION).unwrap_err().to_string();
        assert!(error.contains("newer"), "{error}");
        assert_eq!(version(&db).unwrap(), VERSION + 1);
    }
}
