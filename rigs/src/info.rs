//! What is known of a driver without opening it.

use schemars::JsonSchema;

/// What is known of a driver without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverInfo {
    /// Which kind of block it stands in: `power and outputs`, `consoles`, `media`, `network`.
    pub family: &'static str,
    /// The key of its block.
    pub name: &'static str,
    /// The doc comment of its settings.
    pub doc: String,
    /// The feature that it is behind, if any.
    pub feature: Option<&'static str>,
    /// Whether this binary has it.
    pub built: bool,
}

/// The doc comment of a type, as its schema carries it.
pub(crate) fn doc_of<T: JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    schema.get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}
