//! The plan that would supply what is missing, as `shakedown nightly` takes it.

use std::collections::BTreeMap;
use std::path::Path;

use shakedown_core::ledger::BOOT;
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
        quoted(&format!("gate {}", answer.policy))
    );
    for ((board, suite), repeats) in work {
        let (boards, suites) = (quoted(&board), quoted(&suite));
        let line =
            format!("{{ boards: [{boards}], images: [candidate], suites: [{suites}], repeats: {repeats} }}");
        text = format!("{text}  - {line}\n");
    }
    Some(text)
}

/// As YAML reads it back, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
