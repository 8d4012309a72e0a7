//! A plan's images: found, identified once, and known by their hash afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use shakedown_boards::Catalogue;
use shakedown_campaign::plan::{ImageFrom, Plan, UrlDoc, fill};
use shakedown_conf::Secret;
use shakedown_core::names;
use shakedown_core::{Deadline, ExitCode, Pace, Sha, Stop};
use shakedown_host::fetch::{self, FetchError, Fetched, Sum, Wanted};

use super::image::{self, Chosen};
use super::{reference, standin};
use crate::CliError;
use crate::say::err;

/// The longest time for one image.
const DOWNLOAD: Duration = Duration::from_secs(4 * 3600);
/// A server that sends nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(60);

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
        let mut proven = None;
        let (file, companions) = if self.simulated {
            (self.stand_in(label, board)?, BTreeMap::new())
        } else if let ImageFrom::Url(url) = &doc.from {
            let fetched = self.download(url, &field, doc.version.as_deref(), board, by).await?;
            proven = Some(fetched.sha256);
            (fetched.path, BTreeMap::new())
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
        {
            proven = Sha::from_hex(hex);
        }
        if proven.is_some_and(|sha| sha != chosen.image.sha256) {
            let mut what = format!("{} is another file now, SHA-256 {}", file.display(), chosen.image.sha256);
            if matches!(doc.from, ImageFrom::Url(_)) {
                // The next night fetches it again.
                std::fs::remove_file(&file)?;
                what.push_str("; it is removed from the cache");
            }
            return Err(self.plan.doc.invalid(&field, what).into());
        }
        if !self.simulated {
            remember(&chosen.image.sha256, &file)?;
        }
        Ok(Arc::new(chosen))
    }

    /// The image at an address, from the cache where it was fetched before.
    async fn download(
        &self,
        url: &UrlDoc,
        field: &str,
        version: Option<&str>,
        board: &str,
        by: &Deadline,
    ) -> Result<Fetched, CliError> {
        let wrong = |what: String| CliError::from(self.plan.doc.invalid(field, what));
        let filled = |template: &str| fill(template, board, version).map_err(&wrong);
        let at = filled(&url.at)?;
        let sum = match (url.sha256.as_deref().and_then(Sha::from_hex), &url.sums) {
            (Some(sha), _) => Sum::Known(sha),
            (None, Some(sums)) => Sum::Listed(filled(sums)?),
            (None, None) => {
                let (plain, query) = at.split_at(fetch::shown(&at).len());
                Sum::Listed(format!("{plain}.sha256{query}"))
            }
        };
        let reveal = |secret: &Secret| secret.reveal().map_err(|error| wrong(error.to_string()));
        let authorization = match (&url.login, &url.token) {
            (Some(login), _) => {
                let pair = format!("{}:{}", login.user, reveal(&login.password)?.expose());
                Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
            }
            (None, Some(token)) => Some(format!("Bearer {}", reveal(token)?.expose())),
            (None, None) => None,
        };
        let name = format!("download of {}", fetch::shown(&at));
        let by = Deadline::new(name.clone(), DOWNLOAD, Pace::Rig, by.clock().clone(), by.cancel().clone());
        let folder = shakedown_host::dirs::cache()?.join("downloads");
        let wanted = Wanted { url: at, sum, authorization, idle: IDLE };
        let fetched = fetch::fetch(&wanted, &folder, &by).await.map_err(|error| match error {
            FetchError::Stopped { stop: Stop::Cancelled(_), .. } => {
                CliError { exit: ExitCode::Interrupted, ..CliError::infra(error) }
            }
            passing if passing.is_passing() => CliError::infra(format!("{field}: {passing}")),
            refused => wrong(refused.to_string()),
        })?;
        if fetched.connections > 0 {
            err!("   {name}: {} in {} connection(s)", fetched.path.display(), fetched.connections);
        }
        Ok(fetched)
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
            ImageFrom::Reference | ImageFrom::Url(_) => Err(wrong("it is no file of this host".to_owned())),
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
