//! Descriptors of the catalogue, damaged at random: each is taken or refused with its place, the
//! same way each time, and what is taken can be explained, planned and booted.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use shakedown_boards::plan::{Shape, plan};
use shakedown_boards::{Catalogue, boot_spec, explain};

/// What YAML makes of a word that looks harmless, and what a hand slips to.
const WORDS: &[&str] = &[
    "null",
    "~",
    "[]",
    "{}",
    "[",
    "}",
    "- ",
    "&a b",
    "*a",
    "!!binary x",
    "0x1F",
    "1e999",
    ".nan",
    "-0",
    "\t",
    "'",
    "\"",
    "#",
    "? ",
    "<<: *a",
    "---",
    "...",
    "|",
    ">-",
    "2026-01-01",
    "99999999999999999999999",
    "yes",
    "\u{feff}",
    "\u{202e}",
    "é",
    "a: b: c",
    ": ",
    "%TAG",
    "@",
    "`",
];

/// One thing that happens to a text.
#[derive(Clone, Debug)]
enum Damage {
    /// A line is gone.
    Without(usize),
    /// A line stands twice.
    Twice(usize),
    /// A line has another indentation.
    Indent(usize, usize),
    /// A line of another board stands here.
    Line(usize, usize, usize),
    /// What follows the colon is one of [`WORDS`].
    Value(usize, usize),
    /// One of [`WORDS`] stands at this byte.
    Insert(usize, usize),
    /// The text ends here.
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let any = || 0..10_000_usize;
    prop_oneof![
        any().prop_map(Damage::Without),
        any().prop_map(Damage::Twice),
        (any(), 0..9_usize).prop_map(|(line, by)| Damage::Indent(line, by)),
        (any(), any(), any()).prop_map(|(line, board, from)| Damage::Line(line, board, from)),
        (any(), any()).prop_map(|(line, word)| Damage::Value(line, word)),
        (any(), any()).prop_map(|(at, word)| Damage::Insert(at, word)),
        any().prop_map(Damage::Cut),
    ]
}

/// Slugs and texts of the catalogue.
static CORPUS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let slug = path.file_stem().unwrap().to_string_lossy().into_owned();
            (slug, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    assert_eq!(all.len(), 161);
    all
});

fn damaged(text: &str, damages: &[Damage], corpus: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for damage in damages {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let count = lines.len().max(1);
        match *damage {
            Damage::Insert(at, word) => {
                let mut at = at % (text.len() + 1);
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                text.insert_str(at, WORDS[word % WORDS.len()]);
                continue;
            }
            Damage::Cut(at) => {
                let mut at = at % (text.len() + 1);
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                text.truncate(at);
                continue;
            }
            _ if lines.is_empty() => continue,
            Damage::Without(line) => drop(lines.remove(line % count)),
            Damage::Twice(line) => lines.insert(line % count, lines[line % count].clone()),
            Damage::Indent(line, by) => {
                lines[line % count] = format!("{}{}", " ".repeat(by), lines[line % count].trim_start());
            }
            Damage::Line(line, board, from) => {
                let others: Vec<_> = corpus[board % corpus.len()].1.lines().collect();
                lines.insert(line % count, others[from % others.len()].to_owned());
            }
            Damage::Value(line, word) => {
                let line = &mut lines[line % count];
                let end = line.find(':').map_or(line.len(), |colon| colon + 1);
                line.truncate(end);
                line.push(' ');
                line.push_str(WORDS[word % WORDS.len()]);
            }
        }
        text = lines.join("\n") + "\n";
    }
    text
}

/// What comes of it, as text: an explanation and a boot, or the error.
fn loaded(slug: &str, text: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalogue").join(format!("{slug}.yaml"));
    std::fs::create_dir(folder.path().join("catalogue")).unwrap();
    std::fs::write(&file, text).unwrap();
    let shown = |error: &dyn std::fmt::Display| {
        format!("{error:#}").replace(&folder.path().display().to_string(), "FOLDER")
    };
    let catalogue = Catalogue::with_paths(&[folder.path().to_owned()]).map_err(|error| shown(&error))?;
    let found = catalogue.resolved(slug).map_err(|error| shown(&error))?;
    let spec = boot_spec(&found.board, &catalogue.profile("reference").unwrap());
    let steps = plan(&found.board, &Shape::default()).map(|planned| planned.procedure);
    Ok(format!("{}\n{spec:?}\n{steps:?}", explain(&found)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_descriptor_is_taken_or_refused_with_its_place(
        board in 0..161_usize,
        damages in prop::collection::vec(damage(), 1..5),
    ) {
        let (slug, text) = &CORPUS[board];
        let text = damaged(text, &damages, &CORPUS);
        let came = loaded(slug, &text);
        prop_assert_eq!(&came, &loaded(slug, &text), "not the same twice");
        if let Err(error) = came {
            let place = format!("FOLDER/catalogue/{slug}.yaml:");
            prop_assert!(error.starts_with(&place), "no place: {}\n{}", error, text);
            prop_assert!(error.len() < 4000, "{} bytes of error:\n{}", error.len(), text);
        }
    }
}

#[test]
fn each_is_taken_as_it_is() {
    for (slug, text) in CORPUS.iter() {
        loaded(slug, text).unwrap();
    }
}
