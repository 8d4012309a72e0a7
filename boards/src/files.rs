//! Finds documents: those in the binary, and those in folders that were added.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use shakedown_conf::{ConfError, Document, Loaded, load};

use crate::doc::FamilyDoc;

static CATALOGUE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/catalogue");
static FAMILIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/families");
static OS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/os");
static SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sources");

/// What a folder of private documents is made of; the suites' own crate reads the last.
const PARTS: [&str; 5] = ["catalogue", "families", "os", "sources", "suites"];

/// Documents of one kind by name; the name is the file's, without `.yaml`.
pub(crate) type Shelf = BTreeMap<String, Document>;

/// Families by name.
pub(crate) type Families = BTreeMap<String, Family>;

/// A family, read at most once: a hundred boards extend the same few.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    doc: Document,
    loaded: Arc<OnceLock<Result<Arc<Loaded<FamilyDoc>>, ConfError>>>,
}

impl Family {
    pub(crate) fn new(doc: Document) -> Self {
        Self { doc, loaded: Arc::default() }
    }

    /// The document, parsed.
    pub(crate) fn load(&self) -> Result<Arc<Loaded<FamilyDoc>>, ConfError> {
        self.loaded.get_or_init(|| load(&self.doc).map(Arc::new)).clone()
    }
}

/// All documents. Nothing is parsed before it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) boards: Shelf,
    pub(crate) families: Families,
    pub(crate) os: Shelf,
    pub(crate) sources: Shelf,
}

impl Files {
    pub(crate) fn embedded() -> Self {
        Self {
            boards: shelf(&CATALOGUE, "catalogue"),
            families: shelf(&FAMILIES, "families")
                .into_iter()
                .map(|(name, doc)| (name, Family::new(doc)))
                .collect(),
            os: shelf(&OS, "os"),
            sources: shelf(&SOURCES, "sources"),
        }
    }

    /// Adds a folder. It may lack some of its parts, but not all: a board that lies beside them
    /// would be overlooked without a word.
    pub(crate) fn add(&mut self, folder: &Path) -> Result<(), ConfError> {
        if !folder.is_dir() {
            // Says why, in the words for a document that cannot be read.
            Document::read(folder)?;
            return Err(ConfError::file(folder, "is no folder"));
        }
        if !PARTS.iter().any(|part| folder.join(part).is_dir()) {
            let why = format!("has none of the folders {}", PARTS.join(", "));
            return Err(ConfError::file(folder, why));
        }
        for (name, doc) in part(folder, "families")? {
            self.families.insert(name, Family::new(doc));
        }
        for (name, shelf) in
            [("catalogue", &mut self.boards), ("os", &mut self.os), ("sources", &mut self.sources)]
        {
            shelf.extend(part(folder, name)?);
        }
        Ok(())
    }
}

/// The documents of one part of a folder; none where it lacks that part.
fn part(folder: &Path, part: &str) -> Result<Shelf, ConfError> {
    let part = folder.join(part);
    let mut shelf = Shelf::new();
    if !part.is_dir() {
        return Ok(shelf);
    }
    let Ok(entries) = std::fs::read_dir(&part) else {
        return Err(ConfError::file(&part, "cannot be listed"));
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        match (path.extension().and_then(|ext| ext.to_str()), stem) {
            (Some("yaml"), Some(stem)) => drop(shelf.insert(stem, Document::read(&path)?)),
            (Some("yml"), _) => return Err(ConfError::file(&path, "must end in `.yaml` to be found")),
            _ => {}
        }
    }
    Ok(shelf)
}

fn shelf(dir: &Dir<'_>, part: &str) -> Shelf {
    dir.files()
        .filter_map(|file| {
            let stem = file.path().file_name()?.to_str()?.strip_suffix(".yaml")?;
            let name = format!("boards/{part}/{stem}.yaml");
            Some((stem.to_owned(), Document::new(name, file.contents_utf8()?)))
        })
        .collect()
}
