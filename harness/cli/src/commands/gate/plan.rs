//! The plan that would supply what is missing, as `shakedown nightly` takes it.

use std::collections::BTreeMap;
use std::path::Path;

use shakedown_core::ledger::BOOT;
use shakedown_core::names::is_plain_char;
use shakedown_gate::Answer;

/// `None` when nothing is missing that a run could supply.
pub(super) fn plan(answer: &Answer, image: Option<&Path>) -> Option<String> {
    let mut work: BTreeMap<(String, String), u32> = BTreeMap::new();
    for missing in answer.missing.iter().filter(|missing| missing.repeats > 0) {
        // A limit needs boots, not a suite: those come with the smallest selection.
        let is_cell =
            answer.cells.iter().any(|cell| cell.board == missing.board && cell.name == missing.name);
        let suite = if is_cell { missing.name.clone() } else { "quick".to_owned() };
        let repeats = work.entry((missing.board.clone(), suite)).or_default();
        *repeats = (*repeats).max(missing.repeats);
    }
    if work.is_empty() {
        return None;
    }
    let from = match image {
        Some(path) => format!("file: {}", quoted(&std::path::absolute(path).ok()?.display().to_string())),
        None => format!("sha256: {}", answer.image_names.get("file").unwrap_or(&answer.image)),
    };
    let mut text = format!(
        "# What the gate missed by the policy {} at {}. Each run boots: {BOOT} comes with it.\nplan: {}\nimages:\n  candidate:\n    from: {{ {from} }}\nwork:\n",
        answer.policy.replace('\n', " "),
        answer.at,
        quoted(&name(&answer.policy))
    );
    for ((board, suite), repeats) in work {
        let (boards, suites) = (quoted(&board), quoted(&suite));
        let line =
            format!("{{ boards: [{boards}], images: [candidate], suites: [{suites}], repeats: {repeats} }}");
        text = format!("{text}  - {line}\n");
    }
    Some(text)
}

/// Of the policy's name, what a plan's name may have.
fn name(policy: &str) -> String {
    let legal = |c: char| if is_plain_char(c) { c } else { '-' };
    format!("gate-{}", policy.chars().map(legal).collect::<String>())
}

/// As YAML reads it back, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shakedown_conf::Document;
    use shakedown_core::Sha;
    use shakedown_gate::Ruling;
    use shakedown_gate::judge::{Answer, Cell, Missing};

    use super::*;

    fn answer(policy: &str) -> Answer {
        let missing = |name: &str, repeats| Missing {
            board: "generic-amd64".into(),
            name: name.into(),
            what: String::new(),
            cases: Vec::new(),
            command: None,
            repeats,
        };
        let cell = Cell {
            board: "generic-amd64".into(),
            name: "os".into(),
            cases: 1,
            wanted: 3,
            passes: 1,
            seen_above: 0.95,
            runs: Vec::new(),
        };
        Answer {
            format: 1,
            ruling: Ruling::NotEnoughEvidence,
            policy: policy.into(),
            policy_sha256: Sha::of(b"policy"),
            expires: jiff::civil::date(2030, 1, 1),
            image: Sha::of(b"image"),
            image_names: BTreeMap::new(),
            os: String::new(),
            suites: Sha::of(b"suites"),
            at: jiff::Timestamp::UNIX_EPOCH,
            reasons: Vec::new(),
            missing: vec![missing("os", 2), missing("kernel-by", 5), missing("hdmi", 0)],
            cells: vec![cell],
            limits: Vec::new(),
            exceptions: Vec::new(),
            manual: Vec::new(),
            used: Vec::new(),
            ignored: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_a_plan_that_nightly_takes() {
        for policy in ["release-amd64", "Release 1.0: the \"last\"\n# word 'ü'"] {
            for image in [None, Some(Path::new("it's an image.img"))] {
                let text = plan(&answer(policy), image).unwrap();
                let plan = shakedown_campaign::plan::Plan::load(&Document::new("plan.yaml", &text));
                let plan = plan.unwrap_or_else(|error| panic!("{error:#}\n{text}")).doc.value;
                assert!(plan.plan.starts_with("gate-"), "{}", plan.plan);
                let work: Vec<_> =
                    plan.work.iter().map(|work| (work.suites[0].as_str(), work.repeats)).collect();
                assert_eq!(work, [("os", 2), ("quick", 5)]);
            }
        }
        assert_eq!(name("release-amd64"), "gate-release-amd64");
    }

    #[test]
    fn nothing_that_a_run_could_supply_is_no_plan() {
        let mut answer = answer("release");
        answer.missing.retain(|missing| missing.repeats == 0);
        assert_eq!(plan(&answer, None), None);
    }
}
