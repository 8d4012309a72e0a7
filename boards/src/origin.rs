//! Where each value of a resolved document came from.

use shakedown_conf::Place;
use shakedown_core::Sha;

/// One value of a resolved document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `boot.stages[kernel].within`.
    pub field: String,
    /// As text.
    pub value: String,
    /// Where it was written; `None` for a default.
    pub place: Option<Place>,
    /// The outside source that it was imported from; `None`: whoever wrote the document.
    pub source: Option<String>,
}

impl Origin {
    /// `boards/families/linux.yaml:12`, or `default`.
    pub fn from(&self) -> String {
        self.place.as_ref().map_or_else(|| "default".to_owned(), Place::file_line)
    }
}

/// Collects origins in the order in which the fields are shown.
#[derive(Debug, Default)]
pub(crate) struct Origins(Vec<Origin>);

impl Origins {
    pub(crate) fn note(&mut self, field: impl Into<String>, value: impl Into<String>, place: Option<Place>) {
        self.0.push(Origin { field: field.into(), value: value.into(), place, source: None });
    }

    /// The hash of what was resolved, wherever it was written.
    pub(crate) fn hash(&self) -> Sha {
        let mut text = String::new();
        for origin in &self.0 {
            text.extend([origin.field.as_str(), "\0", origin.value.as_str(), "\0"]);
        }
        Sha::of(text.as_bytes())
    }

    pub(crate) fn into_vec(self) -> Vec<Origin> {
        self.0
    }
}
