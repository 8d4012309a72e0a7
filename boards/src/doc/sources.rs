//! Where imported facts come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A set of outside sources, and which of them usually knows which field.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourcesDoc {
    /// Its name; also the file's name.
    pub sources: String,
    /// Each source by its short name: what it is, and in which version it was read.
    pub kinds: BTreeMap<String, String>,
    /// The usual source of each field; a document's own `sources` says what differs.
    pub fields: BTreeMap<String, String>,
}
