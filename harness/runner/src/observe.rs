//! A look around, just after something ended early: everything that the adjudicator may use.

use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::{ConsoleLog, Cursor, Hit, NetPath, Seen};

use crate::adjudicate::{BadLine, ConsoleState, Observed};
use crate::dut::LiveDut;

/// How long a living console may take to answer a line break. An idle getty under
/// emulation answers within 0.1 s; a starved one was seen to need 1.5 s.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the probe of the SSH port may take.
const PROBE: Duration = Duration::from_secs(5);

/// Bytes before and behind a hit in which its line is looked for.
const LINE: u64 = 256;

/// Looks around; console bytes after `since` belong to what ended.
pub(crate) async fn observe(dut: &LiveDut, since: Cursor) -> Observed {
    let log = &dut.console.log;
    if dut.cancel.is_cancelled() {
        // Nobody waits for an answer any more; what the run did not do says nothing about the DUT.
        return Observed { path: NetPath::Unknown, ..Observed::healthy() };
    }
    let probe = dut.wait("probe of the SSH port", PROBE);
    let path = dut.path(dut.profile.ssh.port, &probe).await;
    let power = match &dut.slot.power {
        Some(power) => power.status(&dut.wait("power status", PROBE)).await.ok(),
        None => None,
    };
    let (bad, rebooted) = said(dut, since.max(dut.settled()));
    let console = console_state(dut, log, since).await;
    let mut vitals = dut.slot.vitals.look();
    // The gauge remembers the strain of the last seconds; the signs show this moment.
    vitals.starved = vitals.starved.max(1.0);
    Observed { console, power, path, vitals, rebooted, bad }
}

async fn console_state(dut: &LiveDut, log: &ConsoleLog, since: Cursor) -> ConsoleState {
    let mut here = log.here();
    if here == Cursor(0) || here == dut.settled() && since == here && log.last_at().is_none() {
        return ConsoleState::NeverSpoke;
    }
    let Some(tx) = &dut.console.tx else {
        return if here > since { ConsoleState::Alive } else { ConsoleState::Quiet };
    };
    let by = dut.wait("an answer of the console", ANSWER);
    if tx.send(b"\n", &by).await.is_err() {
        return ConsoleState::Closed;
    }
    match by.run(|| log.last_line(), log.next(&mut here)).await {
        Ok(Ok(_)) => ConsoleState::Alive,
        Ok(Err(_)) => ConsoleState::Closed,
        Err(_) => ConsoleState::Quiet,
    }
}

/// Known-bad lines and signs of an unasked start since `from`.
fn said(dut: &LiveDut, from: Cursor) -> (Option<BadLine>, Option<String>) {
    let bad: Vec<_> = dut.spec.bad.iter().map(|bad| bad.pattern.as_str()).collect();
    let starts: Vec<_> = dut
        .spec
        .stages
        .iter()
        .filter(|stage| stage.once)
        .filter_map(|stage| match &stage.seen {
            Seen::Console(patterns) => Some(patterns),
            Seen::Shell | Seen::Engine => None,
        })
        .flatten()
        .map(String::as_str)
        .collect();
    let all: Vec<&str> = bad.iter().chain(&starts).copied().collect();
    // They compiled when the boot was watched.
    let Ok(patterns) = Patterns::compile(&all) else { return (None, None) };
    let mut finder = Finder::new(&patterns);
    let mut cursor = from;
    let (mut bad_line, mut rebooted) = (None, None);
    let mut hits = Vec::new();
    while let Some(chunk) = dut.console.log.try_next(&mut cursor) {
        finder.feed_all(&chunk, &mut hits);
    }
    for hit in hits {
        match dut.spec.bad.get(hit.pattern) {
            Some(spec) => {
                let line = || BadLine { id: spec.id.clone(), blame: spec.blame, line: line_of(dut, &hit) };
                bad_line.get_or_insert_with(line);
            }
            None => {
                rebooted.get_or_insert_with(|| line_of(dut, &hit));
            }
        }
    }
    (bad_line, rebooted)
}

/// The whole line of a hit, for people: a pattern often matches only the line's first words.
fn line_of(dut: &LiveDut, hit: &Hit) -> String {
    let around = Cursor(hit.start.saturating_sub(LINE));
    let cleaned = shakedown_console::clean(&dut.console.log.bytes(around, Cursor(hit.end + LINE)));
    let text = String::from_utf8_lossy(&cleaned);
    let line = text.lines().find(|line| line.contains(&hit.text));
    line.map_or_else(|| hit.text.clone(), |line| line.trim().to_owned())
}

/// The console's last lines, cleaned for people.
pub(crate) fn last_lines(log: &ConsoleLog, from: Cursor, most: usize) -> Vec<String> {
    let end = log.here();
    let from = Cursor(from.0.max(end.0.saturating_sub(16 << 10)));
    let cleaned = shakedown_console::clean(&log.bytes(from, end));
    let text = String::from_utf8_lossy(&cleaned);
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| (*line).to_owned()).collect()
}
