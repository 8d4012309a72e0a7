//! `harness/docs/descriptor-reference.md`, generated from the schemas. `SHAKEDOWN_BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

/// As much of JSON Schema as ours use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Schema {
    description: Option<String>,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "$defs")]
    defs: BTreeMap<String, Schema>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    items: Option<Box<Schema>>,
    #[serde(rename = "oneOf")]
    one_of: Vec<Schema>,
    #[serde(rename = "anyOf")]
    any_of: Vec<Schema>,
    #[serde(rename = "const")]
    word: Option<String>,
    #[serde(rename = "enum")]
    words: Vec<String>,
    pattern: Option<String>,
}

/// `string`, or `[string, null]`.
#[derive(Clone, Debug)]
struct Kind(Vec<String>);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> serde::de::Visitor<'de> for OneOrMore {
            type Value = Kind;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a type or a list of types")
            }

            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
                let mut kinds = Vec::new();
                while let Some(kind) = items.next_element()? {
                    kinds.push(kind);
                }
                Ok(Kind(kinds))
            }
        }
        input.deserialize_any(OneOrMore)
    }
}

fn words(of: &Schema) -> String {
    if let Some(name) = of.reference.as_deref().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(some) = of.any_of.iter().find(|some| some.reference.is_some()) {
        return words(some);
    }
    if !of.one_of.is_empty() {
        return of.one_of.iter().map(words).collect::<Vec<_>>().join(" or ");
    }
    if let Some(items) = &of.items {
        return format!("list of {}", words(items));
    }
    let kinds: Vec<_> = of.kind.iter().flat_map(|kind| &kind.0).filter(|kind| *kind != "null").collect();
    let kind = match kinds.first().map(|kind| kind.as_str()) {
        Some("string") if of.pattern.is_some() => "text with a unit",
        Some("string") => "text",
        Some("integer") => "whole number",
        Some("boolean") => "`true` or `false`",
        Some("object") => "mapping",
        other => other.unwrap_or("anything"),
    };
    kind.to_owned()
}

fn cell(text: Option<&String>) -> String {
    text.map(|text| text.replace('\n', " ").replace('|', "\\|")).unwrap_or_default()
}

fn fields(page: &mut String, of: &Schema) {
    let _ = writeln!(page, "| field | value | meaning |\n|---|---|---|");
    for (name, field) in &of.properties {
        let must = if of.required.contains(name) { " (must be there)" } else { "" };
        let _ =
            writeln!(page, "| `{name}` | {}{must} | {} |", words(field), cell(field.description.as_ref()));
    }
}

fn choices(page: &mut String, of: &Schema) {
    let _ = writeln!(page, "| choice | settings | meaning |\n|---|---|---|");
    for choice in &of.one_of {
        let meaning = cell(choice.description.as_ref());
        for word in choice.word.iter().chain(&choice.words) {
            let _ = writeln!(page, "| `{word}` | | {meaning} |");
        }
        for (name, settings) in &choice.properties {
            let _ = writeln!(page, "| `{name}:` | {} | {meaning} |", words(settings));
        }
    }
    for word in &of.words {
        let _ = writeln!(page, "| `{word}` | | |");
    }
}

fn page() -> String {
    let mut page = String::from(
        "# The descriptors, field by field\n\nMade from the schemas by `cargo xtask generate`; do not edit it. \
         How they merge: `boards/src/lib.rs`; how a board is written: [adding-a-board.md](adding-a-board.md) and \
         [porting-a-board.md](porting-a-board.md).\n",
    );
    let mut defs = BTreeMap::new();
    for (file, text) in shakedown_boards::schemas() {
        let schema: Schema = serde_json::from_str(&text).unwrap();
        let name = file.trim_end_matches(".json");
        let _ =
            writeln!(page, "\n## A document: {name}\n\n{}\n", schema.description.clone().unwrap_or_default());
        fields(&mut page, &schema);
        defs.extend(schema.defs);
    }
    page.push_str("\n## Their parts\n");
    for (name, def) in &defs {
        let _ = writeln!(page, "\n### {name}\n\n{}\n", def.description.clone().unwrap_or_default());
        if def.properties.is_empty() { choices(&mut page, def) } else { fields(&mut page, def) }
    }
    page
}

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/docs/descriptor-reference.md");
    let page = page();
    if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, page, "{} is old: cargo xtask generate", path.display());
    for (_, text) in shakedown_boards::schemas() {
        let schema: Schema = serde_json::from_str(&text).unwrap();
        for (name, field) in &schema.properties {
            assert!(
                field.description.is_some() || field.reference.is_some() || !field.any_of.is_empty(),
                "{name}"
            );
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
