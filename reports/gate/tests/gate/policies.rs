//! Policies that contradict themselves are refused, at their place.

use super::bench::{Bench, THREE};

#[test]
fn contradictions_are_refused_with_line_and_column() {
    let bench = Bench::new();
    let quarantine =
        |rest: &str| format!("{THREE}quarantine:\n  - {{owner: ana, issue: '#1', reason: r, {rest}}}\n");
    let limit = |rest: &str| format!("{THREE}limits:\n  - {{name: k, measure: boot.kernel, {rest}}}\n");
    for (policy, says) in [
        ("require: []\n".to_owned(), "would let everything ship"),
        (THREE.replace("repeats: 3", "repeats: 0"), "no repeats are no evidence"),
        (THREE.replace("[os]", "[oss]"), "unknown suite `oss`; did you mean `os`?"),
        (THREE.replace("board-a", "board-c"), "unknown board `board-c`"),
        (
            format!("{THREE}  - {{boards: [board-a], suites: [os], repeats: 5}}\n"),
            "suite `os` on board-a is required twice",
        ),
        (format!("{THREE}    may-skip: [os::a::tow]\n"), "did you mean `os::a::two`?"),
        (format!("{THREE}    may-slip: []\n"), "unknown field `may-slip`"),
        (quarantine("case: os::a::two, until: 2031-01-01"), "later than the policy itself"),
        (quarantine("case: os::a::two, boards: [board-b], until: 2027-01-01"), "required board"),
        (quarantine("case: os::a::two, until: 2027-13-01"), "quarantine[0].until"),
        (
            quarantine("case: os::a::two, until: 2027-01-01")
                + "waivers:\n  - {name: w, case: os::a::two, by: b, reason: r, until: 2027-01-01}\n",
            "is in quarantine too",
        ),
        (
            format!("{THREE}waivers:\n  - {{name: w, by: b, reason: r, until: 2027-01-01}}\n"),
            "exactly one of",
        ),
        (
            format!("{THREE}waivers:\n  - {{name: w, limit: x, by: b, reason: r, until: 2027-01-01}}\n"),
            "unknown limit `x`",
        ),
        (
            format!("{THREE}manual:\n  - {{test: t, boards: [board-a], signed-by: [lob]}}\n"),
            "did you mean `lab`?",
        ),
        (limit("boards: [board-a], repeats: 5"), "one of `at-most`"),
        (limit("boards: [board-b], repeats: 5, at-most: 1"), "required board"),
        (limit("boards: [board-a], repeats: 5, at-most: -5"), "no time is below 0 s"),
        (limit("boards: [board-a], repeats: 5, never-above: -0.1"), "no time is below 0 s"),
        (
            limit("boards: [board-a], repeats: 5, at-most: 1, at-least: 2"),
            "no value is at most 1 and at least 2",
        ),
        (
            limit("boards: [board-a], repeats: 5, baseline: {image: xyz, worse-by-at-most: 5}"),
            "12 to 64 hex digits",
        ),
        (
            limit("boards: [board-a], repeats: 2, baseline: {image: '0123456789ab', worse-by-at-most: 5}"),
            "with fewer than 3 values of each image no test reaches a level of 0.05",
        ),
    ] {
        let error = bench.policy(&policy).unwrap_err();
        assert!(error.contains(says), "{policy}\n{error}");
        let place = error.strip_prefix("policy.yaml:").unwrap_or_else(|| panic!("{error}"));
        let mut numbers = place.split(':').take(2).map(str::parse::<usize>);
        assert!(numbers.all(|number| number.is_ok_and(|number| number > 0)), "{error}");
    }
    let untrusting = bench.policy_text(THREE).replace("trust:\n", "trust: []\nx:\n");
    let document = shakedown_conf::Document::new("policy.yaml", &untrusting);
    assert!(shakedown_gate::Policy::of(&document, &bench.known).is_err());
    assert!(bench.policy(THREE).is_ok());
}
