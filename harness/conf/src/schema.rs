//! JSON Schema for editors.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// The JSON Schema (2020-12) of a document type, as it is committed: two spaces,
/// one line feed at the end, keys in the order of the fields.
pub fn schema_text<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    // A schema is JSON by construction.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
