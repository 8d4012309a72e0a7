//! Setting keys in a JSON text. All that is not set stays as it was written, in its order.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text could not be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not an object.
    #[error("line {line}, column {column}: {why}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's words.
        why: String,
    },
    /// The value for a key is not JSON.
    #[error("value for `{key}`: expected JSON text, got `{got}`")]
    Value {
        /// The dotted key.
        key: String,
        /// The text.
        got: String,
    },
    /// A part of a dotted key is there, and no object.
    #[error("key `{key}`: expected an object at `{at}`, got {got}")]
    NotAnObject {
        /// The dotted key.
        key: String,
        /// The part of it that is no object.
        at: String,
        /// The beginning of what is there.
        got: String,
    },
    /// A dotted key with an empty part.
    #[error("key `{key}`: expected names between the dots")]
    Key {
        /// The dotted key.
        key: String,
    },
}

/// An object of which only the top level is taken apart.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        input.deserialize_map(Pairs)
    }
}

impl Object {
    fn parse(text: &str) -> Result<Self, JsonError> {
        serde_json::from_str(text).map_err(|error| {
            let why = error.to_string();
            // The place is said by our own text already.
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
            JsonError::Syntax { line: error.line(), column: error.column(), why }
        })
    }

    fn get(&self, key: &str) -> Option<&RawValue> {
        // Of a repeated key the last one counts.
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    fn set(&mut self, key: &str, value: Box<RawValue>) {
        let place = self.0.iter().position(|(name, _)| name == key);
        match place {
            Some(place) => {
                self.0[place].1 = value;
                let mut index = 0;
                self.0.retain(|(name, _)| {
                    index += 1;
                    name != key || index == place + 1
                });
            }
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// One pair a line where the text it came from had lines.
    fn print(&self, lines: bool, depth: usize) -> String {
        let name = |name: &str| serde_json::to_string(name).unwrap_or_default();
        let pairs = self.0.iter().map(|(key, value)| format!("{}: {}", name(key), value.get()));
        if !lines || self.0.is_empty() {
            return format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "));
        }
        let indent = "  ".repeat(depth + 1);
        let pairs: Vec<String> = pairs.map(|pair| format!("{indent}{pair}")).collect();
        format!("{{\n{}\n{}}}", pairs.join(",\n"), "  ".repeat(depth))
    }
}

/// One key that was set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The dotted key.
    pub key: String,
    /// The JSON text that was there.
    pub old: Option<String>,
    /// The JSON text that is there now.
    pub new: String,
}

/// Sets dotted keys (`os.network.connectivity`) to JSON texts; missing objects are made.
pub(crate) fn set(text: &str, keys: &[(&str, &str)]) -> Result<(String, Vec<Change>), JsonError> {
    let mut text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    Object::parse(&text)?;
    let mut changes = Vec::new();
    for (key, value) in keys {
        let bad = || JsonError::Value { key: (*key).to_owned(), got: (*value).to_owned() };
        let value: Box<RawValue> = serde_json::from_str(value.trim()).map_err(|_| bad())?;
        let parts: Vec<&str> = key.split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(JsonError::Key { key: (*key).to_owned() });
        }
        let mut old = None;
        let new = value.get().to_owned();
        let lines = text.contains('\n');
        let printed = set_in(&text, key, &parts, 0, value, lines, &mut old)?;
        text = if lines { printed + "\n" } else { printed };
        changes.push(Change { key: (*key).to_owned(), old, new });
    }
    Ok((text, changes))
}

fn set_in(
    text: &str,
    key: &str,
    parts: &[&str],
    depth: usize,
    value: Box<RawValue>,
    lines: bool,
    old: &mut Option<String>,
) -> Result<String, JsonError> {
    let mut object = Object::parse(text)?;
    let name = parts[depth];
    let there = object.get(name).map(|value| value.get().to_owned());
    if depth + 1 == parts.len() {
        *old = there;
        object.set(name, value);
        return Ok(object.print(lines, depth));
    }
    let inner = there.unwrap_or_else(|| "{}".to_owned());
    if !inner.starts_with('{') {
        return Err(JsonError::NotAnObject {
            key: key.to_owned(),
            at: parts[..=depth].join("."),
            got: inner.chars().take(40).collect(),
        });
    }
    let inner = set_in(&inner, key, parts, depth + 1, value, lines, old)?;
    let bad = |_| JsonError::Value { key: key.to_owned(), got: inner.clone() };
    object.set(name, RawValue::from_string(inner.clone()).map_err(bad)?);
    Ok(object.print(lines, depth))
}

/// Whether each key holds its value; the first that does not.
pub(crate) fn missing(text: &str, changes: &[Change]) -> Option<String> {
    let holds = |change: &Change| {
        let mut text = text.to_owned();
        for part in change.key.split('.') {
            let object = Object::parse(&text).ok()?;
            object.get(part)?.get().clone_into(&mut text);
        }
        (text == change.new).then_some(())
    };
    // A later change may have replaced an earlier one.
    let last = |change: &&Change| changes.iter().rfind(|other| other.key == change.key) == Some(*change);
    changes.iter().filter(last).find(|change| holds(change).is_none()).map(|change| change.key.clone())
}
