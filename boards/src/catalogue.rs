//! All boards and OS profiles that can be had.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_conf::{Document, load};
use shakedown_core::{Board, OsProfile};

use crate::doc::{BoardDoc, OsDoc, SourcesDoc};
use crate::error::BoardsError;
use crate::facts::Facts;
use crate::files::{Families, Files, Shelf};
use crate::origin::Origin;
use crate::sources::Sources;
use crate::{board, layers, profile};

/// All boards and OS profiles that can be had. A document is parsed when it is asked for,
/// so that one that is broken stands in nobody else's way.
#[derive(Clone, Debug)]
pub struct Catalogue {
    files: Files,
}

/// A line of the list of boards.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its slug.
    pub slug: String,
    /// The document: a path, or its name in the binary.
    pub from: String,
    /// The board, or what is wrong with it.
    pub resolved: Result<Resolved, BoardsError>,
}

/// A board with the origin of each value.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Complete.
    pub board: Arc<Board>,
    /// What is known besides.
    pub facts: Facts,
    /// In the order in which they are shown.
    pub origins: Vec<Origin>,
}

impl Catalogue {
    /// The boards and profiles of the binary.
    pub fn embedded() -> Self {
        Self { files: Files::embedded() }
    }

    /// Those of the binary and of these folders (`catalogue/`, `families/`, `os/`, each optional).
    /// Where a name stands twice, the later folder wins.
    pub fn with_paths(folders: &[PathBuf]) -> Result<Self, BoardsError> {
        let mut catalogue = Self::embedded();
        for folder in folders {
            catalogue.files.add(folder)?;
        }
        Ok(catalogue)
    }

    /// A board by its slug.
    pub fn board(&self, slug: &str) -> Result<Arc<Board>, BoardsError> {
        self.resolved(slug).map(|resolved| resolved.board)
    }

    /// A board by its slug or another name of it, with the origin of each value.
    pub fn resolved(&self, slug: &str) -> Result<Resolved, BoardsError> {
        let slug = if self.files.boards.contains_key(slug) { slug } else { self.alias(slug).unwrap_or(slug) };
        let doc = find(&self.files.boards, "board", slug)?;
        let own = load::<BoardDoc>(doc)?;
        layers::same_name(&own, "board", &own.value.board, slug)?;
        let families = layers::families(&self.files.families, &own, &own.value.extends)?;
        let (board, facts, origins) = board::resolve(&own, &families)?;
        let mut origins = origins.into_vec();
        let mut sources = Sources::new(&self.files.sources);
        for family in &families {
            sources.layer(family.as_ref(), &family.value.sources)?;
        }
        sources.layer(&own, &own.value.sources)?;
        sources.note(&mut origins);
        Ok(Resolved { board: Arc::new(board), facts, origins })
    }

    /// The slug of the board that is also known as this. Only documents that hold the word are parsed.
    fn alias(&self, name: &str) -> Option<&str> {
        let holds = |(_, doc): &(&String, &Document)| doc.text().contains(name);
        let known = |(slug, doc): (&'_ String, &Document)| {
            let aliases = load::<BoardDoc>(doc).ok()?.value.aliases;
            aliases.iter().any(|alias| alias == name).then_some(slug.clone())
        };
        let slug = self.files.boards.iter().filter(holds).find_map(known)?;
        self.files.boards.get_key_value(&slug).map(|(slug, _)| slug.as_str())
    }

    /// An OS profile by its id.
    pub fn profile(&self, id: &str) -> Result<Arc<OsProfile>, BoardsError> {
        let doc = find(&self.files.os, "OS profile", id)?;
        let own = load::<OsDoc>(doc)?;
        layers::same_name(&own, "os", &own.value.os, id)?;
        let families = layers::families(&self.files.families, &own, &own.value.extends)?;
        Ok(Arc::new(profile::resolve(&own, &families)?))
    }

    /// The profile whose `os-release-ids` hold this `ID=`; `None` when there is none.
    pub fn profile_of(&self, os_release_id: &str) -> Result<Option<Arc<OsProfile>>, BoardsError> {
        for id in self.files.os.keys() {
            let profile = self.profile(id)?;
            if profile.os_release_ids.iter().any(|known| known == os_release_id) {
                return Ok(Some(profile));
            }
        }
        Ok(None)
    }

    /// The families, for imports.
    pub(crate) fn families(&self) -> &Families {
        &self.files.families
    }

    /// All sets of sources.
    pub(crate) fn source_sets(&self) -> Result<BTreeMap<String, SourcesDoc>, BoardsError> {
        let load = |(name, doc): (&String, &Document)| Ok((name.clone(), load::<SourcesDoc>(doc)?.value));
        self.files.sources.iter().map(load).collect()
    }

    /// All slugs.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.files.boards.keys().map(String::as_str)
    }

    /// All ids of OS profiles.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.files.os.keys().map(String::as_str)
    }

    /// All boards, sorted by slug, the broken ones with what is wrong.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |(slug, doc): (&String, &Document)| Listed {
            slug: slug.clone(),
            from: doc.name().to_string(),
            resolved: self.resolved(slug),
        };
        self.files.boards.iter().map(listed).collect()
    }

    /// Everything that is wrong with any document; empty when nothing is.
    pub fn check(&self) -> Vec<BoardsError> {
        let mut wrong = Vec::new();
        wrong.extend(self.slugs().filter_map(|slug| self.board(slug).err()));
        wrong.extend(self.profiles().filter_map(|id| self.profile(id).err()));
        // Families that nothing extends would otherwise never be looked at.
        for (name, family) in &self.files.families {
            let checked = family.load().map_err(BoardsError::from).and_then(|family| {
                layers::same_name(family.as_ref(), "family", &family.value.family, name)?;
                layers::families(&self.files.families, family.as_ref(), &family.value.extends)
            });
            wrong.extend(checked.err());
        }
        let mut once = Vec::new();
        for error in wrong {
            if !once.contains(&error) {
                once.push(error);
            }
        }
        once
    }
}

fn find<'a>(shelf: &'a Shelf, kind: &'static str, name: &str) -> Result<&'a Document, BoardsError> {
    shelf.get(name).ok_or_else(|| BoardsError::Unknown {
        kind,
        got: name.to_owned(),
        known: shelf.keys().cloned().collect(),
    })
}
