//! The YAML crate's errors, in our words and at their place.
//!
//! serde hands errors on as text. Its sentences (`unknown field`, `missing field`,
//! `invalid type` …) have been stable for years; tests pin each one. A sentence
//! that is not known here is shown as it is.

use crate::document::Document;
use crate::error::{ConfError, Problem};
use crate::place::Mark;
use crate::spots::Spots;

pub(crate) fn error(doc: &Document, spots: &Spots, error: &serde_yaml::Error) -> ConfError {
    let whole = error.to_string();
    let at = error.location().map(|at| (at.line(), at.column()));
    let text = at
        .and_then(|(line, column)| whole.strip_suffix(&format!(" at line {line} column {column}")))
        .unwrap_or(&whole);
    let (field, text) = split_path(spots, text);
    let problem = problem(text);
    let mark = match &problem {
        // The whole mapping is at fault: point at the key that it belongs to.
        Problem::MissingField { .. } => spots.mark(&field),
        Problem::UnknownField { got, .. } => {
            let inner = join(&field, got);
            let known = if spots.has(&inner) { inner } else { field.clone() };
            spots.mark(&known)
        }
        _ => choose(spots, &field, at),
    };
    let field = match &problem {
        Problem::UnknownField { got, .. } if spots.has(&join(&field, got)) => join(&field, got),
        // The YAML crate leaves out the path of a document's own items.
        _ if field.is_empty() => at.and_then(|(line, col)| spots.field_at(line, col)).unwrap_or(field),
        _ => field,
    };
    ConfError::new(doc, mark, problem).field(field)
}

/// The value of the field, or what stands where the parser stopped.
fn choose(spots: &Spots, field: &str, at: Option<(usize, usize)>) -> Mark {
    match at {
        Some((line, column)) => {
            spots.key_at(line, column).unwrap_or_else(|| match spots.field_at(line, column) {
                Some(field) => spots.value_mark(&field),
                None if spots.has(field) => spots.value_mark(field),
                None => Mark { line, column, len: 1 },
            })
        }
        None => spots.value_mark(field),
    }
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// Takes the path off the front of `path: sentence`.
fn split_path<'a>(spots: &Spots, text: &'a str) -> (String, &'a str) {
    for (at, _) in text.match_indices(": ") {
        let path = text[..at].trim_end_matches(".?");
        if spots.has(path) {
            return (path.to_owned(), &text[at + 2..]);
        }
    }
    (String::new(), text)
}

fn problem(text: &str) -> Problem {
    if text.ends_with(crate::values::NOT_HERE) {
        return Problem::Secret;
    }
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let (got, allowed) = names(rest);
        return Problem::UnknownField { got, allowed };
    }
    if let Some(rest) = text.strip_prefix("unknown variant `") {
        let (got, allowed) = names(rest);
        return Problem::UnknownVariant { got, allowed };
    }
    if let Some(rest) = text.strip_prefix("missing field `") {
        return Problem::MissingField { field: rest.trim_end_matches('`').to_owned() };
    }
    if text.ends_with("unit variant, expected newtype variant") {
        let expected = "a mapping with its settings below it (`name: {}` when there are none)".into();
        return Problem::WrongType { expected, got: "the name alone".into() };
    }
    let wrong = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .and_then(|rest| rest.rsplit_once(", expected "));
    if let Some((got, expected)) = wrong {
        let got = match (expected, found(got)) {
            ("map with a single key", got) if got == "a mapping" => "one with none or several".into(),
            (_, got) => got,
        };
        return Problem::WrongType { expected: wanted(expected), got };
    }
    match text {
        "EOF while parsing a value" => Problem::Empty,
        _ => Problem::Invalid { what: text.to_owned() },
    }
}

/// `lnie`, expected one of `a`, `b`` to the name and the names.
fn names(rest: &str) -> (String, Vec<String>) {
    let (got, rest) = rest.split_once("`, ").unwrap_or((rest.trim_end_matches('`'), ""));
    let allowed = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    (got.to_owned(), allowed)
}

/// What the type wants, for people who do not read Rust.
fn wanted(expected: &str) -> String {
    let whole = |min: i128, max: i128| format!("a whole number from {min} to {max}");
    match expected {
        "u8" => whole(0, u8::MAX.into()),
        "u16" => whole(0, u16::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        "i32" => whole(i32::MIN.into(), i32::MAX.into()),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "`true` or `false`".into(),
        "a string" => "text".into(),
        "a sequence" => "a list".into(),
        "a map" => "a mapping".into(),
        "map with a single key" => "a mapping with exactly one key".into(),
        "unit" => "nothing".into(),
        _ if expected.starts_with("struct ") => "a mapping".into(),
        _ if expected.starts_with("enum ") => "one choice: its name, or a mapping with one key".into(),
        _ => expected.to_owned(),
    }
}

/// What was found, for people who do not read Rust.
fn found(got: &str) -> String {
    let translated = [
        ("string \"", "the text \""),
        ("integer `", "the number `"),
        ("floating point `", "the number `"),
        ("boolean `", "`"),
    ]
    .iter()
    .find_map(|(from, to)| got.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    match (translated, got) {
        (Some(text), _) => text,
        (None, "map") => "a mapping".into(),
        (None, "sequence") => "a list".into(),
        (None, "unit value") => "nothing".into(),
        (None, got) => got.to_owned(),
    }
}
