//! The Test Anything Protocol and the kernel's dialect of it, as far as outcomes go.
//!
//! Only the outermost tests count: a subtest's failure shows in its parent's result,
//! and its own line is kept as the reason.

/// What a report says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Tests that passed, without those skipped.
    pub(crate) passed: usize,
    /// Tests that did not, with what was said about them.
    pub(crate) failed: Vec<String>,
    /// Tests that were skipped, with the reason.
    pub(crate) skipped: Vec<String>,
    /// How many tests were promised.
    plan: Option<usize>,
    /// The reason behind `1..0`.
    skip_all: Option<String>,
    bail: Option<String>,
    numbers: Vec<usize>,
}

impl Report {
    /// Why nothing was tested, when the report says so or skipped each test.
    pub(crate) fn skipped_all(&self) -> Option<String> {
        if self.bail.is_some() || !self.failed.is_empty() || self.passed > 0 {
            return None;
        }
        match &self.skip_all {
            Some(why) => Some(why.clone()),
            None if self.skipped.is_empty() => None,
            None => Some(self.skipped.join(", ")),
        }
    }

    /// Everything that is not as it should be.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.failed.clone();
        problems.extend(self.bail.iter().map(|why| format!("bailed out: {why}")));
        let seen = self.numbers.len();
        match self.plan {
            Some(plan) if plan != seen => {
                problems.push(format!("{plan} tests were planned, {seen} reported"));
            }
            None if seen > 0 => problems.push("no plan: it may have ended early".to_owned()),
            _ => {}
        }
        if self.numbers.iter().enumerate().any(|(index, number)| *number != index + 1) {
            problems.push(format!("tests are not numbered in order: {:?}", self.numbers));
        }
        problems
    }
}

/// Reads a report. What is no TAP is a remark: a comment belongs to the failure before it,
/// everything else (a subtest, the kernel's own lines) to the result after it.
pub(crate) fn parse(out: &[u8]) -> Report {
    let mut report = Report::default();
    let mut remarks: Vec<String> = Vec::new();
    let mut just_failed = false;
    for line in out.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(why) = line.trim_start().strip_prefix("Bail out!") {
            report.bail.get_or_insert_with(|| why.trim().to_owned());
        } else if let Some((ok, rest)) = result(line) {
            let failures = report.failed.len();
            result_line(&mut report, ok, rest, &std::mem::take(&mut remarks));
            just_failed = report.failed.len() > failures;
        } else if let Some(plan) = line.strip_prefix("1..") {
            plan_line(&mut report, plan);
        } else if let (Some(comment), true, Some(failure)) =
            (line.strip_prefix('#'), just_failed, report.failed.last_mut())
        {
            failure.push_str(" / ");
            failure.push_str(comment.trim());
        } else if !line.trim().is_empty() && remarks.len() < 40 {
            remarks.push(line.trim().trim_start_matches("# ").to_owned());
        }
    }
    report
}

fn result(line: &str) -> Option<(bool, &str)> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    (rest.is_empty() || rest.starts_with(' ')).then_some((ok, rest.trim()))
}

fn result_line(report: &mut Report, ok: bool, rest: &str, said: &[String]) {
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..digits].parse().unwrap_or(report.numbers.len() + 1);
    let (name, directive) = rest[digits..].split_once('#').unwrap_or((&rest[digits..], ""));
    let name = name.trim().trim_start_matches("- ").to_owned();
    let directive = directive.trim();
    let is = |word: &str| directive.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    report.numbers.push(number);
    if is("skip") {
        report.skipped.push(format!("{name}: {}", directive[4..].trim()));
    } else if ok {
        report.passed += 1;
    } else if !is("todo") {
        let mut failure = format!("not ok {number} {name}");
        if !said.is_empty() {
            failure.push_str(" / ");
            failure.push_str(&said.join(" / "));
        }
        report.failed.push(failure);
    }
}

fn plan_line(report: &mut Report, rest: &str) {
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(count) = rest[..digits].parse() else { return };
    report.plan = Some(count);
    if count == 0 {
        let why = rest[digits..].trim_start_matches([' ', '#']).trim();
        report.skip_all = Some(if why.is_empty() { "1..0".to_owned() } else { why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text.as_bytes()).problems()
    }

    #[test]
    fn results_are_counted_and_reasons_kept() {
        let report = parse(
            b"TAP version 14\n1..3\nok 1 - overlay\nnot ok 2 - memory\n# no controller\nok 3 # SKIP no nf\n",
        );
        assert_eq!((report.passed, report.failed.len(), report.skipped.len()), (1, 1, 1));
        assert_eq!(report.failed, ["not ok 2 memory / no controller"]);
        assert_eq!(report.problems(), report.failed);
    }

    #[test]
    fn the_kernels_dialect_has_its_subtests_first() {
        let text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 first\n  # line 12\n  not ok 2 second\nnot ok 1 suite\n";
        let report = parse(text.as_bytes());
        assert_eq!(report.failed.len(), 1);
        assert!(report.failed[0].contains("not ok 2 second"), "{:?}", report.failed);
    }

    #[test]
    fn a_report_that_stops_early_is_no_pass() {
        assert_eq!(problems("1..2\nok 1\n"), ["2 tests were planned, 1 reported"]);
        assert_eq!(problems("ok 1\n"), ["no plan: it may have ended early"]);
        assert_eq!(problems("1..2\nok 1\nBail out! disk\n")[0], "bailed out: disk");
        assert_eq!(problems("1..2\nok 2\nok 1\n"), ["tests are not numbered in order: [2, 1]"]);
        assert!(problems("1..2\nok 1\nok 2\n").is_empty());
        assert!(problems("1..1\nnot ok 1 later # TODO not yet\n").is_empty());
    }

    #[test]
    fn skipping_everything_is_told_apart_from_passing() {
        assert_eq!(parse(b"1..0 # SKIP no hardware\n").skipped_all().as_deref(), Some("SKIP no hardware"));
        assert_eq!(parse(b"1..1\nok 1 led # SKIP none\n").skipped_all().as_deref(), Some("led: none"));
        assert_eq!(parse(b"1..2\nok 1\nok 2 # SKIP x\n").skipped_all(), None);
        assert_eq!(parse(b"1..1\nnot ok 1\n").skipped_all(), None);
    }
}
