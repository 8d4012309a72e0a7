//! Where suite files come from: the binary, and folders that were given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use shakedown_conf::{ConfError, Document};

use crate::error::SuiteError;

/// Folders of suites in the binary; each holds module files.
static SUITES: [(&str, Dir<'_>); 6] = [
    ("os", include_dir!("$CARGO_MANIFEST_DIR/os")),
    ("container", include_dir!("$CARGO_MANIFEST_DIR/container")),
    ("update", include_dir!("$CARGO_MANIFEST_DIR/update")),
    ("console", include_dir!("$CARGO_MANIFEST_DIR/console")),
    ("power", include_dir!("$CARGO_MANIFEST_DIR/power")),
    ("hardware", include_dir!("$CARGO_MANIFEST_DIR/hardware")),
];
static SELECTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/selections");
static PROGRAMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/programs");

/// All files of the suites, by their kind. Later folders replace programs and selections
/// of the same name; modules add up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// Module files, in the order in which their cases are listed.
    pub(crate) modules: Vec<Document>,
    /// Selection files by name.
    pub(crate) selections: BTreeMap<String, Document>,
    programs: BTreeMap<String, Arc<[u8]>>,
}

impl Files {
    /// Those in the binary.
    pub(crate) fn embedded() -> Result<Self, SuiteError> {
        let mut files = Self::default();
        for (suite, dir) in &SUITES {
            for (name, bytes) in listing(dir) {
                files.modules.push(Document::from_bytes(format!("suites/{suite}/{name}"), bytes)?);
            }
        }
        for (name, bytes) in listing(&SELECTIONS) {
            let document = Document::from_bytes(format!("suites/selections/{name}"), bytes)?;
            files.selections.insert(name.trim_end_matches(".yaml").to_owned(), document);
        }
        for (name, bytes) in listing(&PROGRAMS) {
            files.programs.insert(name, bytes.into());
        }
        Ok(files)
    }

    /// Adds what lies in `folder/suites`: module files in its folders, `selections/`, `programs/`.
    pub(crate) fn add(&mut self, folder: &Path) -> Result<(), SuiteError> {
        let suites = folder.join("suites");
        if !suites.is_dir() {
            // A private folder may hold boards alone; one that is not there is a slip.
            return if folder.is_dir() { Ok(()) } else { Err(unusable(folder, "is no folder")) };
        }
        for entry in read_dir(&suites)? {
            let kind = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if !entry.is_dir() {
                continue;
            }
            for file in read_dir(&entry)? {
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
                let ending = Path::new(&name).extension().and_then(|ending| ending.to_str());
                let yaml = ending == Some("yaml");
                match kind.as_str() {
                    "programs" => {
                        let bytes =
                            std::fs::read(&file).map_err(|error| unusable(&file, &error.to_string()))?;
                        self.programs.insert(name, bytes.into());
                    }
                    "selections" if yaml => {
                        let document = Document::read(&file)?;
                        self.selections.insert(name.trim_end_matches(".yaml").to_owned(), document);
                    }
                    _ if yaml => self.modules.push(Document::read(&file)?),
                    _ if ending == Some("yml") => {
                        return Err(ConfError::file(&file, "must end in `.yaml` to be found").into());
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The bytes of a program.
    pub(crate) fn program(&self, name: &str) -> Option<Arc<[u8]>> {
        self.programs.get(name).cloned()
    }

    /// The programs' names.
    pub(crate) fn programs(&self) -> Vec<String> {
        self.programs.keys().cloned().collect()
    }

    /// Everything that decides what the suites do, in a fixed order: name and content.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let documents = self.modules.iter().chain(self.selections.values());
        documents
            .map(|document| (&**document.name(), document.text().as_bytes()))
            .chain(self.programs.iter().map(|(name, bytes)| (name.as_str(), &**bytes)))
    }
}

/// Files of an embedded folder by name, in order.
fn listing<'a>(dir: &'a Dir<'_>) -> Vec<(String, &'a [u8])> {
    let mut files: Vec<_> = dir
        .files()
        .filter_map(|file| Some((file.path().file_name()?.to_str()?.to_owned(), file.contents())))
        .collect();
    files.sort();
    files
}

fn read_dir(folder: &Path) -> Result<Vec<PathBuf>, SuiteError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unusable(folder, &error.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| unusable(folder, &error.to_string()))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn unusable(path: &Path, what: &str) -> SuiteError {
    SuiteError::Folder { path: path.display().to_string(), what: what.to_owned() }
}
