//! One pass over an image, to know which it is.

use std::path::Path;
use std::sync::Arc;

use shakedown_core::{ImageRef, Sha, Source as _};

use crate::digest::ChunkMap;
use crate::error::{Container, ImageProblem, WriteError};
use crate::pipeline::{Part, drain};
use crate::progress::{Meter, OnProgress, Phase, Stopped};
use crate::source::open_source;

/// An image whose hashes were computed in this process, with a hash for each of its chunks.
///
/// Cannot be made otherwise: [`crate::ImageSource::open_identified`] relies on it.
#[derive(Debug)]
pub struct Identity {
    image: ImageRef,
    container: Container,
    map: ChunkMap,
}

impl Identity {
    /// The image for journals and reports.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The form it lies in.
    pub fn container(&self) -> Container {
        self.container
    }

    /// The hashes of its chunks.
    pub fn map(&self) -> &ChunkMap {
        &self.map
    }

    pub(crate) fn compare(&self, file: Option<Sha>, map: &ChunkMap) -> Result<(), ImageProblem> {
        if self.map != *map {
            let what = match self.map.first_difference(map) {
                Some((off, ..)) if self.map.len() == map.len() => format!("the payload from byte {off}"),
                _ => format!("the payload, {} bytes then and {} now", self.map.len(), map.len()),
            };
            return Err(ImageProblem::changed(what, self.map.root(), map.root()));
        }
        match file {
            Some(file) if file != self.image.sha256 => {
                Err(ImageProblem::changed("the file's SHA-256", self.image.sha256, file))
            }
            _ => Ok(()),
        }
    }
}

/// Reads the whole image once: SHA-256 of the file and of the payload, size, chunk hashes.
///
/// The os-release fields are filled for raw images, from the image itself; for
/// compressed ones by [`crate::inspect_image`], which needs room for the payload.
/// Errors are only ever `Refused` or `Cancelled`, or a `Fault` of the host.
pub fn identify(path: &Path, progress: &mut OnProgress<'_>) -> Result<Arc<Identity>, WriteError> {
    let mut source = open_source(path)?;
    let mut meter = Meter::new(progress, Phase::Identify);
    let drained = drain(&mut source, |source, off, part| {
        let (read, file) = source.consumed();
        let here = match part {
            Part::Data(bytes) => off + bytes.len() as u64,
            Part::Hole(len) => off + len,
        };
        let (done, total) = source.len_hint().map_or((read, file), |len| (here, len));
        meter.at(done, total).map_err(|Stopped { phase, done }| WriteError::Cancelled { phase, done })
    })?;
    let container = source.container();
    let release = crate::inspect::release_of(path, container);
    let image = ImageRef {
        path: path.to_owned(),
        sha256: drained.file,
        payload: drained.payload,
        size: drained.map.len(),
        os: release.as_ref().and_then(|release| release.get("ID").cloned()),
        version: release.as_ref().and_then(|release| release.get("VERSION_ID").cloned()),
        companions: std::collections::BTreeMap::new(),
    };
    Ok(Arc::new(Identity { image, container, map: drained.map }))
}
