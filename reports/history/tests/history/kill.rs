//! SIGKILL at any moment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use shakedown_core::{Outcome, journal};
use shakedown_history::{History, Recorder};

use super::made::Made;

const CASES: usize = 400;

fn made() -> Made {
    Made { cases: vec![("os::a", Outcome::Pass); CASES], ..Made::new("killed", "1.0") }
}

/// What the parent below starts again and again; by itself it does nothing.
#[test]
fn child_that_records_until_it_is_killed() {
    let Some(file) = std::env::var_os("SHAKEDOWN_TEST_HISTORY") else { return };
    let mut recorder = Recorder::new(History::open(file.as_ref()).unwrap(), "/r/journal.jsonl".into());
    for (entry, line) in made().journal().1 {
        recorder.entry(&entry, &line);
        if entry.event.kind() == "case-ended" {
            writeln!(std::io::stdout(), "written").unwrap();
        }
    }
}

#[test]
fn a_kill_loses_at_most_the_attempt_being_written() {
    for turn in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.sqlite");
        // Made before, so that the kill meets writing and not the making of tables.
        drop(History::open(&file).unwrap());
        #[expect(clippy::disallowed_methods, reason = "a process to kill; only tests start it")]
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_records_until_it_is_killed", "--nocapture"])
            .env("SHAKEDOWN_TEST_HISTORY", &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 1 + turn * 7;
        let seen = lines.map_while(Result::ok).filter(|line| line.contains("written")).take(wanted).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, wanted);
        let mut history = History::open(&file).unwrap();
        let kept = history.len().unwrap() as usize;
        assert!(kept >= wanted, "{wanted} attempts were written, {kept} are there");
        // What is missing comes with the journal, and nothing comes twice.
        let (ledger, head) = made().ledger();
        let whole = shakedown_history::Origin { head, ..Default::default() };
        assert_eq!(history.add(&ledger, &whole).unwrap().new, CASES - kept);
        assert_eq!(history.len().unwrap() as usize, CASES);
        assert!(journal::read(&made().journal().0).problems.is_empty());
    }
}
