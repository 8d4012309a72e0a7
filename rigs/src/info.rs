//! What is known of a driver without opening it.

use schemars::JsonSchema;

/// What is known of a driver without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverInfo {
    /// Which kind of block it stands in: `power and outputs`, `consoles`, `media`, `debug probes`, `network`, `tftp`.
    pub family: &'static str,
    /// The key of its block.
    pub name: &'static str,
    /// The doc comment of its settings.
    pub doc: String,
    /// The fields of its settings.
    pub options: Vec<OptionInfo>,
    /// The feature that it is behind, if any.
    pub feature: Option<&'static str>,
    /// Whether this binary has it.
    pub built: bool,
}

/// A field of a driver's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionInfo {
    /// As it is written.
    pub name: String,
    /// Its doc comment.
    pub doc: String,
    /// Whether it must be there.
    pub needed: bool,
}

/// The fields of a type, as its schema carries them.
pub(crate) fn options_of<T: JsonSchema>() -> Vec<OptionInfo> {
    let schema = schemars::schema_for!(T);
    let needed = schema.get("required").and_then(|names| names.as_array());
    let is_needed =
        |name: &str| needed.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)));
    let fields = schema.get("properties").and_then(|fields| fields.as_object());
    let fields = fields.into_iter().flatten().map(|(name, field)| OptionInfo {
        name: name.clone(),
        doc: field.get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned(),
        needed: is_needed(name),
    });
    fields.collect()
}

/// The doc comment of a type, as its schema carries it.
pub(crate) fn doc_of<T: JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    schema.get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}
