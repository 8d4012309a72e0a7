//! Which outside source each imported value came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use shakedown_conf::{Loaded, load};

use crate::doc::SourcesDoc;
use crate::error::BoardsError;
use crate::files::Shelf;
use crate::layers::same_name;
use crate::origin::Origin;

/// The `sources` of a board's layers.
pub(crate) struct Sources<'a> {
    shelf: &'a Shelf,
    sets: BTreeMap<String, Loaded<SourcesDoc>>,
    /// By the layer's document: its set, and what differs from the set.
    layers: BTreeMap<Arc<str>, (String, BTreeMap<String, String>)>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(shelf: &'a Shelf) -> Self {
        Self { shelf, sets: BTreeMap::new(), layers: BTreeMap::new() }
    }

    /// Takes the `sources` of one document.
    pub(crate) fn layer<T>(
        &mut self,
        from: &Loaded<T>,
        sources: &BTreeMap<String, String>,
    ) -> Result<(), BoardsError> {
        let Some(all) = sources.get("all") else {
            if let Some(field) = sources.keys().next() {
                return Err(from
                    .missing("sources", "all")
                    .hint(format!("`{field}` is one of which set?"))
                    .into());
            }
            return Ok(());
        };
        if !self.sets.contains_key(all) {
            let Some(doc) = self.shelf.get(all) else {
                let known = self.shelf.keys();
                return Err(from.unknown_name("sources.all", "set of sources", all, known).into());
            };
            let set = load::<SourcesDoc>(doc)?;
            same_name(&set, "sources", &set.value.sources, all)?;
            for (field, kind) in &set.value.fields {
                if !set.value.kinds.contains_key(kind) {
                    let known = set.value.kinds.keys();
                    return Err(set.unknown_name(&format!("fields.{field}"), "source", kind, known).into());
                }
            }
            self.sets.insert(all.clone(), set);
        }
        let kinds = self.sets.get(all).map(|set| &set.value.kinds);
        for (field, kind) in sources.iter().filter(|(field, _)| *field != "all") {
            if kinds.is_some_and(|kinds| !kinds.contains_key(kind)) {
                let known = kinds.into_iter().flat_map(BTreeMap::keys);
                return Err(from.unknown_name(&format!("sources.{field}"), "source", kind, known).into());
            }
            if !from.spots().has(field) && !has_item(from, field) {
                let what = format!("this document says nothing about `{field}`");
                return Err(from.invalid(&format!("sources.{field}"), what).into());
            }
        }
        self.layers.insert(from.document().name().clone(), (all.clone(), sources.clone()));
        Ok(())
    }

    /// Names the source of each value that was imported.
    pub(crate) fn note(&self, origins: &mut [Origin]) {
        for origin in origins {
            let Some((all, own)) = origin.place.as_ref().and_then(|place| self.layers.get(&place.name))
            else {
                continue;
            };
            let Some(set) = self.sets.get(all) else { continue };
            // A capability has its own name here: sources differ on one of them.
            let field = match origin.field.as_str() {
                "capabilities" | "without" => origin.value.as_str(),
                field => field,
            };
            let kind = own.get(field).or_else(|| set.value.fields.get(field));
            origin.source = kind.and_then(|kind| Some(format!("{kind}: {}", set.value.kinds.get(kind)?)));
        }
    }
}

/// A capability stands in a list.
fn has_item<T>(from: &Loaded<T>, word: &str) -> bool {
    let list = |field: &str| field.starts_with("capabilities[") || field.starts_with("without[");
    from.spots().leaves().any(|leaf| list(&leaf.field) && leaf.value == word)
}
