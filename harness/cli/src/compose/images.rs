//! A plan's images: found, identified once, and known by their hash afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shakedown_boards::Catalogue;
use shakedown_campaign::plan::{ImageFrom, Plan, fill};
use shakedown_core::names;
use shakedown_core::{Deadline, Sha};

use super::image::{self, Chosen};
use super::{reference, standin};
use crate::CliError;

/// What images are taken from.
pub struct Images<'a> {
    /// Boards and OS profiles.
    pub catalogue: &'a Catalogue,
    /// The plan.
    pub plan: &'a Plan,
    /// Where the plan lies: relative paths begin there.
    pub folder: &'a Path,
    /// Small images are made instead: the slots are simulated.
    pub simulated: bool,
}

impl Images<'_> {
    /// The image of this label for this board.
    pub async fn choose(&self, label: &str, board: &str, by: &Deadline) -> Result<Arc<Chosen>, CliError> {
        let doc = &self.plan.doc.value.images[label];
        let field = format!("images.{label}.from");
        let (file, companions) = if self.simulated {
            (self.stand_in(label, board)?, BTreeMap::new())
        } else if doc.from == ImageFrom::Reference {
            reference::image(board, &reference::all_roles(), by).await?
        } else {
            let file = self.find(label, board)?;
            let companions = shakedown_runner::companions(&file).into_iter().collect();
            (file, companions)
        };
        let scratch = shakedown_host::dirs::cache()?;
        let os = doc.os.as_deref();
        let chosen = image::choose(self.catalogue, &file, os, companions, &scratch).map_err(|error| {
            CliError { what: format!("image `{label}` for {board}: {}", error.what), ..error }
        })?;
        if let ImageFrom::Sha256(hex) = &doc.from
            && !self.simulated
            && chosen.image.sha256.to_string() != *hex
        {
            let what = format!("{} is another file now, SHA-256 {}", file.display(), chosen.image.sha256);
            return Err(self.plan.doc.invalid(&field, what).into());
        }
        if !self.simulated {
            remember(&chosen.image.sha256, &file)?;
        }
        Ok(Arc::new(chosen))
    }

    /// The file behind a label.
    fn find(&self, label: &str, board: &str) -> Result<PathBuf, CliError> {
        let doc = &self.plan.doc.value.images[label];
        let field = format!("images.{label}.from");
        let wrong = |what: String| CliError::from(self.plan.doc.invalid(&field, what));
        let path = |template: &str| {
            let filled = fill(template, board, doc.version.as_deref()).map_err(&wrong)?;
            Ok::<_, CliError>(self.folder.join(filled))
        };
        match &doc.from {
            ImageFrom::File(template) => {
                let path = path(template)?;
                if path.is_file() {
                    Ok(path)
                } else {
                    Err(wrong(format!("there is no file {}", path.display())))
                }
            }
            ImageFrom::Folder(template) => {
                let folder = path(template)?;
                let version = doc.version.as_deref();
                let files = in_order(&folder).map_err(&wrong)?;
                let newest = files.into_iter().rfind(|file| version.is_none_or(|v| name(file).contains(v)));
                newest.ok_or_else(|| wrong(format!("there is no such image in {}", folder.display())))
            }
            ImageFrom::Sha256(hex) => recall(hex).ok_or_else(|| {
                wrong(
                    "no image with this SHA-256 was read on this host before: name its file once".to_owned(),
                )
            }),
            ImageFrom::Previous(previous) => {
                let of = self.find(&previous.of, board)?;
                let folder = of.parent().unwrap_or(Path::new("."));
                let files = in_order(folder).map_err(&wrong)?;
                let before = files.into_iter().rfind(|file| names::compare(&name(file), &name(&of)).is_lt());
                before.ok_or_else(|| wrong(format!("there is no image before {}", of.display())))
            }
            ImageFrom::Reference => Err(wrong("the reference OS is no file".to_owned())),
        }
    }

    /// An image that stands in for this one where DUTs are simulated: another one than the real.
    fn stand_in(&self, label: &str, board: &str) -> Result<PathBuf, CliError> {
        let doc = &self.plan.doc.value.images[label];
        let profile = self.catalogue.profile(doc.os.as_deref().unwrap_or(reference::PROFILE))?;
        let version = doc.version.clone().unwrap_or_else(|| label.to_owned());
        standin::image(&profile, &version, &format!("{label}@{board}"))
    }
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The images of a folder, by the versions in their names.
pub fn in_order(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_image =
            [".img", ".img.gz", ".img.xz", ".img.zst", ".img.zip", ".raw", ".zip", ".balenaos-img"]
                .iter()
                .any(|end| name(&path).ends_with(end));
        if is_image && path.is_file() {
            files.push(path);
        }
    }
    files.sort_by(|a, b| names::compare(&name(a), &name(b)));
    Ok(files)
}

/// Where images that were read once lie, by the SHA-256 of their file.
fn index() -> Result<PathBuf, CliError> {
    let folder = shakedown_host::dirs::cache()?.join("images");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn remember(sha: &Sha, file: &Path) -> Result<(), CliError> {
    let folder = index()?;
    let whole = std::fs::canonicalize(file)?;
    let new = folder.join(format!(".{sha}-{}", std::process::id()));
    std::fs::write(&new, whole.as_os_str().as_encoded_bytes())?;
    Ok(std::fs::rename(&new, folder.join(sha.to_string()))?)
}

fn recall(hex: &str) -> Option<PathBuf> {
    let path = std::fs::read(index().ok()?.join(hex)).ok()?;
    let path = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(path));
    path.is_file().then_some(path)
}
