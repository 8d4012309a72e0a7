//! History's answers on a terminal.

use shakedown_core::CaseId;
use shakedown_history::diff::{ALPHA, CaseChange, Diff, Shift};
use shakedown_history::flakes::{Ask, Flake, Tally};
use shakedown_history::trend::Trend;
use shakedown_history::{AttemptRow, RunRow};
use shakedown_reports::text;

use crate::say::out;

fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.1 {
        format!("{:.2} %", share * 100.0)
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

/// How likely chance is, for people.
fn chance(p: f64) -> String {
    if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.4}") }
}

/// Rates of nothing are unknown, and not 0.
fn rate(flake: &Flake) -> String {
    if flake.tally.all == 0 { "none".to_owned() } else { percent(flake.interval.rate) }
}

pub(super) fn runs(runs: &[RunRow]) {
    if runs.is_empty() {
        out!("no such run");
    }
    for run in runs {
        let counts: Vec<_> =
            run.counts.iter().map(|(word, many)| format!("{many} {}", word.text())).collect();
        out!(
            "{}  {}  {}  {}",
            clock(run.started),
            run.run,
            text::line(&run.slot),
            text::line(&run.image.label()) + if run.simulated { "  (simulated)" } else { "" }
        );
        out!("                  {} · {}", text::line(&run.selection), counts.join(", "));
    }
}

pub(super) fn attempts(attempts: &[AttemptRow]) {
    if attempts.is_empty() {
        out!("no such attempt");
    }
    for row in attempts {
        let id = CaseId(row.case.clone());
        let note = row.note.as_ref().map(|note| format!("  {}", text::cut(&text::line(note), 100)));
        let version = row.version.clone().unwrap_or_else(|| row.image.chars().take(12).collect());
        out!(
            "{}  {:<12} {}  {} {}  {}{}",
            clock(row.at),
            row.outcome.text(),
            text::line(&id.0),
            text::line(&row.slot),
            text::line(&version),
            row.run,
            note.unwrap_or_default()
        );
    }
}

pub(super) fn flakes(flakes: &[Flake], ask: &Ask, all: bool, most: usize) {
    let found: Vec<_> = flakes.iter().filter(|flake| all || flake.tally.bad > 0).collect();
    let shown = &found[..most.min(found.len())];
    let of = |tally: Tally| format!("{}/{}", tally.bad, tally.all);
    let confidence = ask.confidence * 100.0;
    if found.is_empty() {
        out!("nothing ended as {}", ask.bad.text());
    } else if shown.is_empty() {
        out!("{} found, none shown (--most 0)", text::count(found.len(), ask.by.text()));
    } else {
        out!("{:>9}  {:>8}  {confidence:.0} % interval      {}", ask.bad.text(), "rate", ask.by.text());
    }
    for flake in shown.iter().copied() {
        let bounds = format!("{} to {}", percent(flake.interval.low), percent(flake.interval.high));
        let silent =
            if flake.silent > 0 { format!("  ({} more say nothing)", flake.silent) } else { String::new() };
        out!("{:>9}  {:>8}  {bounds:<18}  {}{silent}", of(flake.tally), rate(flake), text::line(&flake.name));
        match &flake.explained {
            Some(why) => out!(
                "           {} {}: {} there, {} elsewhere (Fisher p = {})",
                why.by.text(),
                text::line(&why.value),
                of(why.here),
                of(why.elsewhere),
                chance(why.p)
            ),
            None if flake.tally.bad > 0 => {
                if let Some(images) = flake.images {
                    let both = images.mixed;
                    out!(
                        "           neither image, board nor slot explains it; both ways on {both} of {} images",
                        images.tried
                    );
                }
            }
            None => {}
        }
    }
}

pub(super) fn trend(trend: &Trend) {
    let images = trend.images();
    if images.is_empty() {
        out!("{}: no values", text::line(&trend.measure));
        return;
    }
    out!("{} ({}), {}", text::line(&trend.measure), text::line(&trend.context), text::line(&trend.unit));
    let most = images.iter().map(|image| image.median).fold(0.0, f64::max);
    for image in &images {
        let bar = if most > 0.0 { (image.median / most * 30.0).round() as usize } else { 0 };
        let version = image.version.clone().unwrap_or_default();
        out!(
            "{}  {:<10} {}  n {:>4}  median {:>9}  {} to {}  {}",
            clock(image.first),
            text::cut(&text::line(&version), 10),
            image.image.chars().take(8).collect::<String>(),
            image.count,
            text::number(image.median),
            text::number(image.least),
            text::number(image.most),
            "█".repeat(bar)
        );
    }
}

pub(super) fn diff(diff: &Diff) {
    out!("{} → {}", text::line(&diff.before.label()), text::line(&diff.after.label()));
    let cases = |title: &str, list: &[CaseChange]| {
        out!("\n{title}: {}", if list.is_empty() { "none" } else { "" });
        for change in list {
            let Tally { bad, all } = change.before;
            let now = change.after;
            out!(
                "  {} on {}: failed {bad} of {all}, now {} of {} (Fisher p = {})",
                text::line(&change.case),
                text::line(&change.board),
                now.bad,
                now.all,
                chance(change.p)
            );
        }
    };
    cases("New failures", &diff.new_failures);
    if !diff.worse.is_empty() {
        cases("Fail more often", &diff.worse);
    }
    cases("Fixed", &diff.fixed);
    let shifts = |title: &str, list: &[Shift]| {
        out!("\n{title}: {}", if list.is_empty() { "none" } else { "" });
        for shift in list {
            let ((n, was), (m, is)) = (shift.before, shift.after);
            out!(
                "  {} ({}) on {}: {} → {} {} (medians of {n} and {m}, p = {})",
                text::line(&shift.measure),
                text::line(&shift.context),
                text::line(&shift.board),
                text::number(was),
                text::number(is),
                text::line(&shift.unit),
                chance(shift.p)
            );
        }
    };
    shifts("Worse measures", &diff.slower);
    shifts("Better measures", &diff.faster);
    out!(
        "  {} measures were compared, those with values enough for p < {ALPHA} (Mann-Whitney, one-sided): {} of them would be told by chance",
        diff.compared,
        text::number(diff.compared as f64 * ALPHA * 2.0)
    );
    match &diff.complaints {
        None => out!("\nNew kernel warnings: not known, no kernel log of one of the images"),
        Some(list) => {
            out!("\nNew kernel warnings: {}", if list.is_empty() { "none" } else { "" });
            for complaint in list {
                out!("  in {} of {} runs: {}", complaint.runs, complaint.of, text::line(&complaint.sample));
            }
        }
    }
    if !diff.not_tried.is_empty() {
        out!("\nTried before and not now: {}", diff.not_tried.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use shakedown_history::stats::interval;

    use super::*;

    #[test]
    fn a_rate_of_nothing_is_none_and_a_chance_needs_no_exponent() {
        let flake = |bad, all| Flake {
            name: String::new(),
            tally: Tally { bad, all },
            interval: interval(bad, all, 0.95, shakedown_history::stats::Method::Exact),
            silent: 1,
            images: None,
            explained: None,
        };
        assert_eq!((rate(&flake(0, 0)).as_str(), rate(&flake(0, 2)).as_str()), ("none", "0.0 %"));
        assert_eq!((chance(1.0).as_str(), chance(0.0079).as_str()), ("1.0000", "0.0079"));
        assert_eq!(chance(0.000_012), "1.2e-5");
    }
}
