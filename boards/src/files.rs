//! Finds documents: those in the binary, and those in folders that were added.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};
use shakedown_conf::{ConfError, Document};

static CATALOGUE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/catalogue");
static FAMILIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/families");
static OS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/os");

/// What a folder of private documents is made of; the suites' own crate reads the last.
const PARTS: [&str; 4] = ["catalogue", "families", "os", "suites"];

/// Documents of one kind by name; the name is the file's, without `.yaml`.
pub(crate) type Shelf = BTreeMap<String, Document>;

/// All documents. Nothing is parsed before it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) boards: Shelf,
    pub(crate) families: Shelf,
    pub(crate) os: Shelf,
}

impl Files {
    pub(crate) fn embedded() -> Self {
        Self {
            boards: shelf(&CATALOGUE, "catalogue"),
            families: shelf(&FAMILIES, "families"),
            os: shelf(&OS, "os"),
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
        for (part, shelf) in
            [("catalogue", &mut self.boards), ("families", &mut self.families), ("os", &mut self.os)]
        {
            let part = folder.join(part);
            if !part.is_dir() {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&part) else {
                return Err(ConfError::file(&part, "cannot be listed"));
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                match (path.extension().and_then(|ext| ext.to_str()), stem) {
                    (Some("yaml"), Some(stem)) => drop(shelf.insert(stem, Document::read(&path)?)),
                    (Some("yml"), _) => {
                        return Err(ConfError::file(&path, "must end in `.yaml` to be found"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
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
