//! Documents that were made to hurt: refused quickly, with a clear error, in bounded memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;
use shakedown_conf::{Document, limits, load};

/// Swallows any nesting of mappings and texts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form counts")]
struct Any {
    #[serde(default)]
    texts: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    numbers: Vec<f64>,
    #[serde(default)]
    nested: Option<Box<Any>>,
}

fn refused(name: &str, bytes: &[u8]) -> String {
    let began = Instant::now();
    let error = Document::from_bytes(name, bytes).and_then(|doc| load::<Any>(&doc)).map(drop).unwrap_err();
    let text = format!("{error:#}");
    assert!(began.elapsed() < Duration::from_secs(1), "{name} took {:?}", began.elapsed());
    assert!(text.len() < 2000, "{name}: an error of {} bytes", text.len());
    error.to_string()
}

/// `  k0: …`, `  k1: …` and so on.
fn numbered(count: usize, value: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "  k{number}: {value}").unwrap();
    }
    text
}

fn garbage(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state as u8
    };
    (0..len).map(|_| step(&mut state)).collect()
}

#[test]
fn size_is_checked_before_content() {
    let ten = garbage(10 << 20);
    assert!(
        refused("g", &ten).starts_with("g: larger than 1024 KiB (10485760 bytes)"),
        "{}",
        refused("g", &ten)
    );
    assert!(refused("g", &ten[..limits::BYTES]).contains("is not UTF-8"));
    let printable: Vec<u8> = ten[..limits::BYTES].iter().map(|byte| b' ' + byte % 95).collect();
    assert!(refused("p", &printable).starts_with("p:1:"));
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip("abcdefgh".chars()) {
        let aliases = format!("*{before},").repeat(9);
        writeln!(bomb, "{name}: &{name} [{aliases}]").unwrap();
    }
    assert_eq!(refused("bomb", bomb.as_bytes()), "bomb:1:4: a: an anchor (`&name`) is not used in documents");
    for (name, text, want) in [
        ("flow", "[".repeat(limits::BYTES), "more than 64 levels of nesting"),
        ("maps", "{a: ".repeat(limits::BYTES / 4), "more than 64 levels of nesting"),
        ("block", "- ".repeat(limits::BYTES / 2), "more than 64 levels of nesting"),
        ("keys", "? ".repeat(limits::BYTES / 2), "a key that is no text"),
        ("many", "- a\n".repeat(limits::BYTES / 4), "more than 50000 keys and values"),
        ("fields", numbered(60_000, "v"), "more than 50000 keys and values"),
        ("scalar", format!("texts: {}", "x".repeat(900 << 10)), "more than 65536 bytes in one value"),
        ("quoted", format!("texts: \"{}\"", "\\x41".repeat(100 << 10)), "more than 65536 bytes in one value"),
        ("key", format!("{}: 1", "k".repeat(900)), "more than 256 bytes in a key"),
        ("nul", "texts: {}\n\0".to_owned(), "a NUL byte: this is not a text file"),
        ("empty", String::new(), "the document is empty"),
        ("comments", "# nothing\n".repeat(100), "the document is empty"),
        ("spaces", " ".repeat(limits::BYTES), "the document is empty"),
        ("lines", "\n".repeat(limits::BYTES), "the document is empty"),
    ] {
        let got = refused(name, text.as_bytes());
        assert!(got.contains(want), "{name}: {got}");
    }
    // Long keys over many children must not multiply.
    let wide = format!("{}: {{{}}}", "k".repeat(256), "a: 1, ".repeat(100_000));
    assert!(refused("wide", wide.as_bytes()).contains("stands here twice"));
}

#[test]
fn the_largest_document_within_the_limits_is_quick() {
    let lists = numbered(240, &format!("[{}]", "ab, ".repeat(200)));
    let doc = Document::new("large", &format!("texts:\n{lists}"));
    let began = Instant::now();
    let loaded = load::<Any>(&doc).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(loaded.spots().leaves().count(), 48_000);
    assert_eq!(loaded.at("texts.k239[199]").line, 241);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = Document::from_bytes("x", &bytes).and_then(|doc| load::<Any>(&doc)) {
            let _ = format!("{error:#} {:?}", error.range());
        }
    }

    /// Pieces of YAML in any order reach far deeper than random bytes do.
    #[test]
    fn arbitrary_yaml_never_panics(pieces in proptest::collection::vec(prop_oneof![
        Just("texts"), Just("nested"), Just("numbers"), Just(": "), Just(":"), Just("\n"), Just("  "), Just("\t"),
        Just("- "), Just("["), Just("]"), Just("{"), Just("}"), Just(", "), Just("|"), Just(">-"), Just("\""),
        Just("'"), Just("#"), Just("&a"), Just("*a"), Just("!!int"), Just("%YAML"), Just("---\n"), Just("...\n"),
        Just("? "), Just("1e9"), Just(".nan"), Just("~"), Just("ü"), Just("\u{2028}"), Just("\r"), Just("\\"),
    ], 0..40)) {
        let doc = Document::new("x", &pieces.concat());
        if let Err(error) = load::<Any>(&doc) {
            let shown = format!("{error:#}");
            prop_assert!(shown.starts_with("x:"), "{}", shown);
            prop_assert!(doc.text().get(error.range()).is_some());
        }
    }

    #[test]
    fn places_of_what_was_written_are_found(keys in proptest::collection::vec("[a-z.]{1,6}", 1..6)) {
        let mut text = String::new();
        for (depth, key) in keys.iter().enumerate() {
            writeln!(text, "{}{key}:", "  ".repeat(depth)).unwrap();
        }
        let doc = Document::new("x", &text);
        let loaded = load::<Sink>(&doc).unwrap();
        let path = keys.join(".");
        let place = loaded.at(&path);
        prop_assert_eq!((place.line, place.column), (keys.len(), 2 * keys.len() - 1));
    }
}

/// Takes anything.
#[derive(Debug)]
struct Sink;

impl<'de> Deserialize<'de> for Sink {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(input).map(|_| Self)
    }
}
