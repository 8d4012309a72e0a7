//! Text to a typed value that remembers where each field stands.

use serde::de::DeserializeOwned;

use crate::classify;
use crate::document::Document;
use crate::error::{ConfError, Problem};
use crate::place::Place;
use crate::spots::Spots;

/// A value with the places of its fields.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    doc: Document,
    spots: Spots,
}

/// Reads a document as a `T`. Stops at the first thing that is wrong.
pub fn load<T: DeserializeOwned>(doc: &Document) -> Result<Loaded<T>, ConfError> {
    doc.check()?;
    let spots = Spots::read(doc)?;
    match serde_yaml::from_str(doc.text()) {
        Ok(value) => Ok(Loaded { value, doc: doc.clone(), spots }),
        Err(error) => Err(classify::error(doc, &spots, &error)),
    }
}

impl<T> Loaded<T> {
    /// The document it came from.
    pub fn document(&self) -> &Document {
        &self.doc
    }

    /// Where each field stands.
    pub fn spots(&self) -> &Spots {
        &self.spots
    }

    /// Where a field stands.
    pub fn at(&self, field: &str) -> Place {
        self.spots.place(field)
    }

    /// The error of a check made after parsing, at the value of `field`.
    pub fn refuse(&self, field: &str, problem: Problem) -> ConfError {
        ConfError::new(&self.doc, self.spots.value_mark(field), problem).field(field)
    }

    /// The error for a value that has the right kind and cannot be used.
    pub fn invalid(&self, field: &str, what: impl Into<String>) -> ConfError {
        self.refuse(field, Problem::Invalid { what: what.into() })
    }

    /// The error for a name that should be one of `known`.
    pub fn unknown_name<S: Into<String>>(
        &self,
        field: &str,
        kind: &str,
        got: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> ConfError {
        let known = known.into_iter().map(Into::into).collect();
        self.refuse(field, Problem::UnknownName { kind: kind.to_owned(), got: got.into(), known })
    }

    /// The error for a field that `field` (empty: the document) must have.
    pub fn missing(&self, field: &str, name: &str) -> ConfError {
        let problem = Problem::MissingField { field: name.to_owned() };
        ConfError::new(&self.doc, self.spots.mark(field), problem).field(field)
    }

    /// The same document with its value changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Loaded<U> {
        Loaded { value: change(self.value), doc: self.doc, spots: self.spots }
    }
}
