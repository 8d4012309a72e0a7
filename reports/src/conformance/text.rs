//! The ladder for a terminal.

use super::{Conformance, SIMULATED, Standing};

/// A line a rung, with what is open below it, and what is missing at the end.
pub fn text(conformance: &Conformance) -> String {
    let mut out = String::new();
    if conformance.is_simulated() {
        out += &format!("{SIMULATED}\n\n");
    }
    for rung in &conformance.rungs {
        out += &format!(
            "{:>9}  {}: {}{}\n",
            rung.standing.word().to_uppercase(),
            rung.name,
            rung.title,
            rung.in_part()
        );
        for part in rung.parts.iter().filter(|part| part.standing != Standing::Pass) {
            out += &format!("           {} {}: {}\n", part.standing.word(), part.name, part.says);
        }
        for figure in &rung.figures {
            out += &format!("           {} {}\n", figure.name, figure.text());
        }
    }
    if !conformance.patch.is_empty() {
        out += "\nfor the descriptor:\n";
        for line in &conformance.patch {
            out += &format!("  {line}\n");
        }
    }
    let missing = conformance.missing();
    let total = conformance.rungs.len();
    out += &format!("\n{} of {total} rungs passed", total - missing.len());
    out += if missing.is_empty() { "\n" } else { "; to claim support:\n" };
    for line in missing {
        out += &format!("  {line}\n");
    }
    out
}
