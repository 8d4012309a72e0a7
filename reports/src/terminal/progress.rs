//! Rate and remaining time of a long step, from the journal's own clock.

use std::collections::VecDeque;
use std::time::Duration;

use shakedown_core::Mono;

use crate::text;

/// The rate is taken over this much of the past: steady, and still follows a change.
const WINDOW: Duration = Duration::from_secs(5);

/// From here on units are taken for bytes: nothing else in a run comes by the million.
const BYTES_FROM: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Progress {
    seen: VecDeque<(Mono, u64)>,
    plain_at: Option<Mono>,
}

impl Progress {
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_known(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(super) fn add(&mut self, now: Mono, done: u64) {
        // A step that starts over (a second pass that reads back) has a rate of its own.
        if self.seen.back().is_some_and(|(_, before)| *before > done) {
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, _)| now.since(*at) > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Units a second; `None` until it is known.
    fn rate(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.seen.front()?, self.seen.back()?);
        let span = to.since(*from).as_secs_f64();
        (span > 0.0 && last > first).then(|| (last - first) as f64 / span)
    }

    /// `45 % of 312 MiB, 118 MiB/s, 2 s left`.
    pub(super) fn line(&self, done: u64, total: u64) -> String {
        let bytes = total.max(done) >= BYTES_FROM;
        let amount = |units: u64| if bytes { text::size(units) } else { units.to_string() };
        let mut line = if total == 0 {
            amount(done)
        } else {
            let percent = u128::from(done.min(total)) * 100 / u128::from(total);
            format!("{percent} % of {}", amount(total))
        };
        let Some(rate) = self.rate() else { return line };
        line += &if bytes { format!(", {}/s", text::size(rate as u64)) } else { format!(", {rate:.1}/s") };
        if total > done {
            let left = Duration::from_secs_f64(((total - done) as f64 / rate).min(1e9));
            line += &format!(", {} left", text::span(Duration::from_secs(left.as_secs_f64().ceil() as u64)));
        }
        line
    }

    /// Whether a plain line is due now; the first one is.
    pub(super) fn plain_due(&mut self, now: Mono, every: Duration) -> bool {
        let due = self.plain_at.is_none_or(|at| now.since(at) >= every);
        if due {
            self.plain_at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_remaining_time_follow_the_last_seconds() {
        let mib = |n: u64| n << 20;
        let second = |n: u64| Mono(n * 1_000_000_000);
        let mut progress = Progress::default();
        progress.add(second(0), 0);
        assert_eq!(progress.line(0, mib(400)), "0 % of 400 MiB", "no rate from one reading");
        for s in 1..=10 {
            progress.add(second(s), mib(10 * s));
        }
        assert_eq!(progress.line(mib(100), mib(400)), "25 % of 400 MiB, 10.0 MiB/s, 30.0 s left");
        for s in 11..=17 {
            progress.add(second(s), mib(100 + 40 * (s - 10)));
        }
        assert_eq!(progress.line(mib(380), mib(400)), "95 % of 400 MiB, 40.0 MiB/s, 1.00 s left");
        progress.add(second(18), mib(1));
        assert_eq!(progress.line(mib(1), mib(400)), "0 % of 400 MiB", "a second pass starts anew");
        assert_eq!(Progress::default().line(7, 0), "7");
        assert_eq!(Progress::default().line(u64::MAX, 1), "100 % of 1 B");
    }

    #[test]
    fn plain_lines_come_at_most_every_so_often() {
        let mut progress = Progress::default();
        let every = Duration::from_secs(5);
        let due: Vec<u64> = (0..20).filter(|s| progress.plain_due(Mono(s * 1_000_000_000), every)).collect();
        assert_eq!(due, [0, 5, 10, 15]);
    }
}
