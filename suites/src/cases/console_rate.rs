//! The console at full rate: a wrong baud or an adapter without flow loses bytes only when there are many.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Fault, InfraKind, Stop};

use super::Plot;
use super::host::Host;

pub(super) const PLOT: Plot =
    Plot { name: "console-full-rate", facts: &[], config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

/// How long a wire at the board's baud is kept busy, in seconds.
const BUSY: u32 = 10;
/// What each line ends with, after its number.
const TAIL: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// Bytes of a line on the wire, its CR and LF included.
const LINE: u32 = 60;
/// The least that shows anything, on the slowest line.
const LEAST: u32 = 100;

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, &[], by).await?;
    // 8N1: ten bits a byte.
    let lines = (dut.board().baud / 10 * BUSY / LINE).max(LEAST);
    let since = dut.console().log.here();
    // The kernel's own lines would cut ours in two. Plain shell: busybox's `seq` has no format.
    let talk = format!(
        "level=$(cut -f 1 /proc/sys/kernel/printk); trap 'echo \"$level\" > /proc/sys/kernel/printk' EXIT; \
         echo 1 > /proc/sys/kernel/printk; n=1; \
         while [ $n -le {lines} ]; do printf 'shakedown-rate %06d {TAIL}\n' $n || exit 1; n=$((n + 1)); done > /dev/console"
    );
    let talking = by.child("the board to talk on its console", Duration::from_secs(90));
    let ran = host.ask_slowly(&talk, &talking).await?;
    if !ran.exit.is_ok() {
        let what = "the board cannot write to its console";
        return Err(Failure::new(what, "exit code 0", format!("{}, {}", ran.exit, ran.text())).into());
    }
    let log = &dut.console().log;
    let wait = by.child("the last line on the console", Duration::from_secs(30));
    loop {
        let said = log.bytes(since, log.here());
        let missing = missing(&said, lines);
        let Some(first) = missing.first() else { return Ok(()) };
        let seen = format!(
            "{} of {lines} lines, the first that is not there is {first}",
            lines - missing.len() as u32
        );
        match wait.pause(Duration::from_millis(500), || seen.clone()).await {
            Ok(()) => {}
            Err(Stop::Late(_)) if missing.len() as u32 == lines => {
                let what = "what the board wrote to its console did not arrive";
                return Err(Failure::new(what, format!("{lines} lines"), "none of them").into());
            }
            // Some came, so the board speaks: the line to it loses bytes.
            Err(Stop::Late(_)) => {
                return Err(Fault::new(InfraKind::Console, "console", "bring every byte of", "main")
                    .expected(format!("{lines} lines, whole and in order"), seen)
                    .hint("look at the baud, at the adapter and at its cable")
                    .into());
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

/// The numbers of the lines that did not come, each whole and after the one before it.
fn missing(said: &[u8], lines: u32) -> Vec<u32> {
    let mut rest = said;
    let mut missing = Vec::new();
    for number in 1..=lines {
        let line = format!("shakedown-rate {number:06} {TAIL}");
        match rest.windows(line.len()).take(WINDOW).position(|window| window == line.as_bytes()) {
            Some(at) => rest = &rest[at + line.len()..],
            None => missing.push(number),
        }
    }
    missing
}

/// How far behind its place a line is looked for: what others say in between is a few lines.
const WINDOW: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::{TAIL, missing};

    fn said(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
        numbers.flat_map(|number| format!("shakedown-rate {number:06} {TAIL}\r\n").into_bytes()).collect()
    }

    #[test]
    fn a_line_that_is_lost_cut_or_out_of_order_is_named() {
        assert_eq!(missing(&said(1..=300), 300), Vec::<u32>::new());
        assert_eq!(missing(&said((1..=300).filter(|n| *n != 7)), 300), [7]);
        assert_eq!(missing(&said([2, 1, 3].into_iter()), 3), [2]);
        let mut cut = said(1..=3);
        cut.remove(30);
        assert_eq!(missing(&cut, 3), [1]);
        assert_eq!(missing(b"", 2), [1, 2]);
        let mut among: Vec<u8> = b"login: \x1b[0m".to_vec();
        among.extend(said(1..=2));
        assert_eq!(missing(&among, 2), Vec::<u32>::new());
    }
}
