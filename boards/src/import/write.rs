//! A descriptor's text: one line a field, each in a fixed place.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Stated;
use super::record::Record;
use crate::text::{list, scalar};

/// The blocks that are written on one line, in the order of a descriptor.
const BLOCKS: [&str; 6] = ["media", "image", "layout", "recovery", "lifecycle", "ci"];

/// What the board states itself, above the families.
pub(super) fn descriptor(record: &Record, families: &[&Stated]) -> String {
    let covered = |field: &str| families.iter().any(|family| family.facts.contains_key(field));
    let fields: BTreeMap<String, String> =
        record.fields().into_iter().filter(|(field, _)| !covered(field)).collect();
    let mut text = String::from("# yaml-language-server: $schema=../schema/board.json\n");
    let mut line = |field: &str, value: &str| {
        // A `String` takes everything.
        let _ = writeln!(text, "{field}: {value}");
    };
    line("board", &record.slug);
    match families {
        [] => {}
        [one] => line("extends", &one.name),
        many => line("extends", &list(many.iter().map(|family| &family.name))),
    }
    line("name", &scalar(&record.name));
    for field in ["aliases", "group", "arch", "soc", "cpu"] {
        fields.get(field).inspect(|value| line(field, value));
    }
    for (field, has) in [("capabilities", true), ("without", false)] {
        let given = |word: &str| families.iter().any(|family| family.capabilities.contains_key(word));
        let own = record.capabilities.iter().filter(|(word, said)| **said == has && !given(word));
        let own: Vec<_> = own.map(|(word, _)| *word).collect();
        if !own.is_empty() {
            line(field, &list(own));
        }
    }
    for field in ["provision", "bootloader", "baud", "tty", "led-file"] {
        fields.get(field).inspect(|value| line(field, value));
    }
    for block in BLOCKS {
        let own = fields.iter().filter_map(|(field, value)| {
            let leaf = field.strip_prefix(block)?.strip_prefix('.')?;
            Some(format!("{leaf}: {value}"))
        });
        let own: Vec<_> = own.collect();
        if !own.is_empty() {
            line(block, &format!("{{ {} }}", own.join(", ")));
        }
    }
    let sources: Vec<_> = record
        .sources
        .iter()
        .filter(|(field, _)| !covered(field))
        .map(|(field, source)| format!("{field}: {source}"))
        .collect();
    line("sources", &format!("{{ {} }}", sources.join(", ")));
    if !record.facts.disputed.is_empty() {
        text.push_str("disputed:\n");
        for (field, sides) in &record.facts.disputed {
            let sides: Vec<_> =
                sides.iter().map(|(source, value)| format!("{source}: {}", scalar(value))).collect();
            let _ = writeln!(text, "  {field}: {{ {} }}", sides.join(", "));
        }
    }
    text
}
