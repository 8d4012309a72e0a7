//! Follows `extends`: the documents that make up one board or profile, in the order of merging.

use std::sync::Arc;

use shakedown_conf::Loaded;

use crate::doc::{Extends, FamilyDoc};
use crate::error::BoardsError;
use crate::files::Families;

/// The families that a document extends, directly and by others, each once, the weakest first.
pub(crate) fn families<T>(
    shelf: &Families,
    from: &Loaded<T>,
    extends: &Extends,
) -> Result<Vec<Arc<Loaded<FamilyDoc>>>, BoardsError> {
    let mut walk = Walk { shelf, done: Vec::new(), way: Vec::new() };
    walk.follow(from, extends)?;
    Ok(walk.done)
}

struct Walk<'a> {
    shelf: &'a Families,
    done: Vec<Arc<Loaded<FamilyDoc>>>,
    /// The families between the document and here.
    way: Vec<String>,
}

impl Walk<'_> {
    fn follow<T>(&mut self, from: &Loaded<T>, extends: &Extends) -> Result<(), BoardsError> {
        for (index, name) in extends.names.iter().enumerate() {
            let field = extends.field(index);
            if let Some(start) = self.way.iter().position(|family| family == name) {
                let circle = self.way[start..].join(" → ");
                return Err(from.invalid(&field, format!("goes in a circle: {circle} → {name}")).into());
            }
            if self.done.iter().any(|family| family.value.family == *name) {
                continue;
            }
            let Some(family) = self.shelf.get(name) else {
                return Err(from.unknown_name(&field, "family", name, self.shelf.keys()).into());
            };
            let family = family.load()?;
            same_name(family.as_ref(), "family", &family.value.family, name)?;
            let extends = family.value.extends.clone();
            self.way.push(name.clone());
            self.follow(family.as_ref(), &extends)?;
            self.way.pop();
            self.done.push(family);
        }
        Ok(())
    }
}

/// A document is found by its file's name, so it must say the same name itself.
pub(crate) fn same_name<T>(from: &Loaded<T>, field: &str, says: &str, file: &str) -> Result<(), BoardsError> {
    if says == file {
        return Ok(());
    }
    Err(from.invalid(field, format!("`{says}` must be the file's name, which is `{file}.yaml`")).into())
}
