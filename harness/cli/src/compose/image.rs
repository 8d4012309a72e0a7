//! Which image is tested, which OS profile it runs under, and what belongs to it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shakedown_boards::Catalogue;
use shakedown_core::{ImageRef, OsProfile};
use shakedown_media::{Identity, WriteError};

use crate::CliError;

/// An image with all that a run needs to know about it.
pub struct Chosen {
    /// Identified in this process.
    pub identity: Arc<Identity>,
    /// For the journal, with os-release and companions.
    pub image: ImageRef,
    /// What its OS promises.
    pub profile: Arc<OsProfile>,
}

/// Reads the whole image once; refuses what is not one.
pub fn identified(file: &Path) -> Result<Arc<Identity>, CliError> {
    shakedown_media::identify(file, &mut |_| ControlFlow::Continue(())).map_err(refused)
}

/// What is wrong with an image refuses it; what is wrong with the host does not.
pub fn refused(error: WriteError) -> CliError {
    match error {
        WriteError::Fault(fault) => fault.into(),
        refused => CliError::refused(refused),
    }
}

/// Identifies the image and finds its profile: `--os`, else by the image's own os-release.
pub fn choose(
    catalogue: &Catalogue,
    file: &Path,
    os: Option<&str>,
    companions: BTreeMap<String, PathBuf>,
    scratch: &Path,
) -> Result<Chosen, CliError> {
    let identity = identified(file)?;
    let mut image = identity.image().clone();
    if image.os.is_none() {
        // Compressed: the payload has to be looked into.
        let info = shakedown_media::inspect_image(file, scratch, &mut |_| ControlFlow::Continue(()));
        let info = info.map_err(refused)?;
        let release =
            info.disk.os_release.into_iter().next().map(|release| release.fields).unwrap_or_default();
        image.os = release.get("ID").cloned();
        image.version = release.get("VERSION_ID").cloned();
    }
    image.companions = companions;
    let profile = match os {
        Some(os) => catalogue.profile(os)?,
        None => by_os_release(catalogue, &image)?,
    };
    Ok(Chosen { identity, image, profile })
}

fn by_os_release(catalogue: &Catalogue, image: &ImageRef) -> Result<Arc<OsProfile>, CliError> {
    let known = || format!("say which with --os: {}", catalogue.profiles().collect::<Vec<_>>().join(", "));
    let Some(os) = &image.os else {
        let what = format!("{} shows no os-release, so its OS is not known", image.path.display());
        return Err(CliError::refused(what).hint(known()));
    };
    catalogue.profile_of(os)?.ok_or_else(|| {
        CliError::refused(format!("no OS profile knows the image's os-release ID `{os}`")).hint(known())
    })
}
