//! A look around, just after something ended early: everything that the adjudicator may use.

use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::{BootSpec, Closed, ConsoleLog, Cursor, Hit, NetPath, Seen};

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
    let console = console_state(dut, since).await;
    let mut vitals = dut.slot.vitals.look();
    // The gauge remembers the strain of the last seconds; the signs show this moment.
    vitals.starved = vitals.starved.max(1.0);
    Observed { console, power, path, vitals, rebooted, bad, unproven: dut.unproven() }
}

/// What the console says about a case that passed; nothing else is looked at.
pub(crate) fn heard(dut: &LiveDut, since: Cursor) -> Observed {
    let (bad, rebooted) = said(dut, since.max(dut.settled()));
    Observed { rebooted, bad, ..Observed::healthy() }
}

/// Types a line break and looks whether the console answers; `since` is when what ended began.
pub(crate) async fn console_state(dut: &LiveDut, since: Cursor) -> ConsoleState {
    let log = &dut.console.log;
    let mut here = log.here();
    // Before our own line break, whose echo is no word of the DUT's.
    let spoke = readable(log, dut.ascent());
    if here == Cursor(0) || dut.console.tx.is_none() && !spoke {
        return ConsoleState::NeverSpoke;
    }
    let Some(tx) = &dut.console.tx else {
        return if here > since { ConsoleState::Alive } else { ConsoleState::Quiet };
    };
    let by = dut.wait("an answer of the console", ANSWER);
    if tx.send(b"\n", &by).await.is_err() {
        return ConsoleState::Closed;
    }
    let typed = here;
    // One that has said nothing yet in this boot must say something that can be read.
    let answer = async {
        loop {
            log.next(&mut here).await?;
            if spoke || readable(log, typed) {
                return Ok::<_, Closed>(());
            }
        }
    };
    match dut.waiting.on(by.run(|| log.last_line(), answer)).await {
        Ok(Ok(())) => ConsoleState::Alive,
        Ok(Err(_)) => ConsoleState::Closed,
        Err(_) if spoke => ConsoleState::Quiet,
        Err(_) => ConsoleState::NeverSpoke,
    }
}

/// Whether anything that can be read came since `from`. So many bytes without any are not looked for.
fn readable(log: &ConsoleLog, from: Cursor) -> bool {
    const ENOUGH: u64 = 64 << 10;
    let cleaned = shakedown_console::clean(&log.bytes(from, Cursor(from.0 + ENOUGH)));
    cleaned.iter().any(u8::is_ascii_graphic)
}

/// Known-bad lines and signs of an unasked start since `from`.
fn said(dut: &LiveDut, from: Cursor) -> (Option<BadLine>, Option<String>) {
    // They compiled when the boot was watched.
    let Some(patterns) = &dut.alarms else { return (None, None) };
    let mut finder = Finder::new(patterns);
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

/// Known-bad lines in their order, then the patterns of stages that show once in a boot.
pub(crate) fn alarms(spec: &BootSpec) -> Option<Patterns> {
    let starts = spec.stages.iter().filter(|stage| stage.once).flat_map(|stage| match &stage.seen {
        Seen::Console(patterns) => patterns.as_slice(),
        Seen::Shell | Seen::Engine => &[],
    });
    let bad = spec.bad.iter().map(|bad| &bad.pattern);
    Patterns::compile(&bad.chain(starts).collect::<Vec<_>>()).ok()
}
