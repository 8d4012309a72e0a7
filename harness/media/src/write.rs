//! The proven writer: write, flush, read back, compare.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shakedown_core::{Fault, InfraKind, Medium, MediumId, Sha, Source as _};

use crate::delta::Delta;
use crate::digest::ChunkMap;
use crate::error::WriteError;
use crate::kept::{Hashes, Kept};
use crate::pipeline::{AHEAD, Drained, Fed, Part, chunk_map, drain};
use crate::progress::{Meter, OnProgress, Phase, Stopped};
use crate::source::ImageSource;

/// Bytes of one read while reading back.
const PIECE: usize = 1 << 20;

/// Proof that a medium holds an image: what was read from the medium is what the image says.
///
/// Only [`write_image`], [`write_delta`], [`prove_holds`] and [`crate::prove_kept`] make one; the last proves the
/// parts that [`Written::kept`] names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    image: PathBuf,
    source: Sha,
    payload: Sha,
    expected: Sha,
    read_back: Sha,
    bytes: u64,
    data_bytes: u64,
    hole_bytes: u64,
    same_bytes: u64,
    wrote: bool,
    #[serde(with = "shakedown_core::time::millis")]
    write_time: Duration,
    #[serde(with = "shakedown_core::time::millis")]
    flush_time: Duration,
    #[serde(with = "shakedown_core::time::millis")]
    verify_time: Duration,
    medium: MediumId,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

impl Written {
    /// Of a medium that was not written, and of which only a part was compared.
    pub(crate) fn kept_as(
        image: &Path,
        [source, payload, compared]: Hashes,
        bytes: u64,
        verify_time: Duration,
        medium: &MediumId,
        kept: Kept,
    ) -> Self {
        Self {
            image: image.to_owned(),
            source,
            payload,
            expected: compared,
            read_back: compared,
            bytes,
            data_bytes: bytes,
            hole_bytes: 0,
            same_bytes: 0,
            wrote: false,
            write_time: Duration::ZERO,
            flush_time: Duration::ZERO,
            verify_time,
            medium: medium.clone(),
            kept: Some(kept),
        }
    }

    /// What was compared, where that is not the whole image.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// How much it is, for people: `312 MiB (200 MiB of data, the rest zeros)`.
    pub fn amount(&self) -> String {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let there = match self.same_bytes {
            0 => String::new(),
            same => format!("; {} MiB were there before", same >> 20),
        };
        format!("{} MiB ({} MiB of data, the rest zeros{there})", mib(self.bytes), mib(self.data_bytes))
    }

    /// Where the image lay.
    pub fn image(&self) -> &PathBuf {
        &self.image
    }

    /// SHA-256 of the image's file.
    pub fn source(&self) -> Sha {
        self.source
    }

    /// SHA-256 of the payload. As the read-back equals it chunk for chunk, it is also the medium's.
    pub fn payload(&self) -> Sha {
        self.payload
    }

    /// Root of the chunk hashes ([`ChunkMap::root`]), computed from what was read off the medium.
    pub fn read_back(&self) -> Sha {
        self.read_back
    }

    /// Bytes of the payload, all of them compared.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that came as data.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Bytes that came as holes; verified to read as zeros.
    pub fn hole_bytes(&self) -> u64 {
        self.hole_bytes
    }

    /// Bytes that the medium was found to hold before anything was written, and that were left alone;
    /// only [`write_delta`] looks.
    pub fn same_bytes(&self) -> u64 {
        self.same_bytes
    }

    /// Whether it was written now; `false`: it was only proven to be there.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// How long writing, flushing and reading back took.
    pub fn times(&self) -> [(Phase, Duration); 3] {
        [(Phase::Write, self.write_time), (Phase::Flush, self.flush_time), (Phase::Verify, self.verify_time)]
    }

    /// The medium.
    pub fn medium(&self) -> &MediumId {
        &self.medium
    }
}

/// Writes an image and proves that the medium holds it.
///
/// Data is written, holes are made to read as zeros, [`Medium::barrier`] flushes,
/// and the whole range is read back and compared. What lies behind the image's
/// end on a larger medium is left as it is. A source is read once; use a fresh one each time.
pub fn write_image(
    source: &mut ImageSource,
    medium: &mut dyn Medium,
    progress: &mut OnProgress<'_>,
) -> Result<Written, WriteError> {
    transfer(source, medium, progress, Does::Write)
}

/// The same, but only what the medium does not hold yet is written: everything is read and compared
/// first, and all of it is read back afterwards. Pays where reading is quicker than writing.
pub fn write_delta(
    source: &mut ImageSource,
    medium: &mut dyn Medium,
    progress: &mut OnProgress<'_>,
) -> Result<Written, WriteError> {
    // What is compared must come from the medium.
    medium.barrier().map_err(|error| broken(medium, "flush", 0, &error))?;
    transfer(source, medium, progress, Does::WriteDelta(Delta::default()))
}

/// Proves that the medium holds the whole image already, without writing; the error of a medium that
/// does not names the first difference.
pub fn prove_holds(
    source: &mut ImageSource,
    medium: &mut dyn Medium,
    progress: &mut OnProgress<'_>,
) -> Result<Written, WriteError> {
    transfer(source, medium, progress, Does::Nothing)
}

/// What is done to the medium before it is read back.
enum Does {
    Write,
    WriteDelta(Delta),
    Nothing,
}

impl Does {
    fn part(&mut self, medium: &mut dyn Medium, off: u64, part: &Part) -> Result<(), WriteError> {
        let done = match (&mut *self, part) {
            (Self::Nothing, _) => Ok(()),
            (Self::Write, Part::Data(bytes)) => medium.write_at(off, bytes),
            (Self::Write, Part::Hole(len)) => medium.zero(off, *len),
            (Self::WriteDelta(delta), Part::Data(bytes)) => delta.data(medium, off, bytes),
            (Self::WriteDelta(delta), Part::Hole(len)) => delta.hole(medium, off, *len),
        };
        let op = match (self, part) {
            (Self::WriteDelta(_), _) => "compare and write",
            (_, Part::Data(_)) => "write",
            (_, Part::Hole(_)) => "zero",
        };
        done.map_err(|error| broken(medium, op, off, &error))
    }
}

/// The run's configuration would be written into somebody's image.
pub(crate) fn not_itself(source: &ImageSource, endpoint: &str) -> Result<(), WriteError> {
    let file = |path: &Path| std::fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
    match file(source.path()) {
        Some(image) if file(Path::new(endpoint)) == Some(image) => {
            Err(WriteError::Itself { path: source.path().to_owned(), endpoint: endpoint.to_owned() })
        }
        _ => Ok(()),
    }
}

fn transfer(
    source: &mut ImageSource,
    medium: &mut dyn Medium,
    progress: &mut OnProgress<'_>,
    mut does: Does,
) -> Result<Written, WriteError> {
    let wrote = !matches!(does, Does::Nothing);
    let room = medium.len();
    let endpoint = medium.identity().path.clone();
    not_itself(source, &endpoint)?;
    let too_small = |source: &ImageSource, image: u64| WriteError::TooSmall {
        path: source.path().to_owned(),
        endpoint: endpoint.clone(),
        image,
        medium: room,
    };
    if let Some(len) = source.len_hint().filter(|len| *len > room) {
        return Err(too_small(source, len));
    }
    let mut meter = Meter::new(progress, if wrote { Phase::Write } else { Phase::Identify });
    let (mut data_bytes, mut hole_bytes) = (0, 0);
    let Drained { file, payload, map } = drain(source, |source, off, part| {
        let len = match part {
            Part::Data(bytes) => bytes.len() as u64,
            Part::Hole(len) => *len,
        };
        let end = off + len;
        if end > room {
            return Err(too_small(source, end));
        }
        match part {
            Part::Data(_) => data_bytes += len,
            Part::Hole(_) => hole_bytes += len,
        }
        does.part(medium, off, part)?;
        let (read, file) = source.consumed();
        let (done, total) = source.len_hint().map_or((read, file), |total| (end, total));
        meter.at(done, total).map_err(cancelled)
    })?;
    let write_time = meter.phase(Phase::Flush);
    // Also before proving without writing: what is compared must come from the medium.
    meter.at(0, map.len()).map_err(cancelled)?;
    medium.barrier().map_err(|error| broken(medium, "flush", 0, &error))?;
    let flush_time = meter.phase(Phase::Verify);
    let got = read_back(medium, &map, &mut meter)?;
    if let Some((off, expected, got)) = map.first_difference(&got) {
        return Err(differs(source, medium, off, (expected, got), wrote));
    }
    Ok(Written {
        image: source.path().to_owned(),
        source: file,
        payload,
        expected: map.root(),
        read_back: got.root(),
        bytes: map.len(),
        data_bytes,
        hole_bytes,
        same_bytes: if let Does::WriteDelta(delta) = does { delta.same } else { 0 },
        wrote,
        write_time: if wrote { write_time } else { Duration::ZERO },
        flush_time,
        verify_time: meter.elapsed(),
        medium: medium.identity().clone(),
        kept: None,
    })
}

/// Hashes what the medium holds where the map is; holes that the medium knows of are not read byte by byte.
fn read_back(
    medium: &mut dyn Medium,
    map: &ChunkMap,
    meter: &mut Meter<'_, '_>,
) -> Result<ChunkMap, WriteError> {
    std::thread::scope(|scope| {
        let hash = Fed::spawn(scope, "medium-hash", chunk_map)?;
        let mut ring: VecDeque<Arc<Vec<u8>>> = VecDeque::new();
        for (data, start, len) in map.runs() {
            let fault = |medium: &dyn Medium, off, error: &io::Error| broken(medium, "read back", off, error);
            if !data && medium.known_zero(start, len).map_err(|error| fault(medium, start, &error))? {
                hash.feed(Part::Hole(len))?;
                meter.at(start + len, map.len()).map_err(cancelled)?;
                continue;
            }
            let mut off = start;
            while off < start + len {
                let want = (start + len - off).min(PIECE as u64);
                // A buffer that the hashing thread is done with need not be made and zeroed again.
                let old = if ring.len() > AHEAD + 2 { ring.pop_front() } else { None };
                let mut bytes = old.and_then(Arc::into_inner).unwrap_or_default();
                bytes.resize(want as usize, 0);
                medium.read_at(off, &mut bytes).map_err(|error| fault(medium, off, &error))?;
                let bytes = Arc::new(bytes);
                hash.feed(Part::Data(bytes.clone()))?;
                ring.push_back(bytes);
                off += want;
                meter.at(off, map.len()).map_err(cancelled)?;
            }
        }
        hash.finish()
    })
}

pub(crate) fn cancelled(Stopped { phase, done }: Stopped) -> WriteError {
    WriteError::Cancelled { phase, done }
}

pub(crate) fn broken(medium: &dyn Medium, op: &str, off: u64, error: &io::Error) -> WriteError {
    let endpoint = &medium.identity().path;
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let fault = if full {
        Fault::new(InfraKind::Host, "media", op, endpoint)
            .expected("room for the image on the rig host", format!("a full disk at byte {off}"))
            .hint("free some space where the medium's file lies, or name another place")
    } else {
        Fault::new(InfraKind::Medium, "media", op, endpoint)
            .expected("a medium that takes and gives all bytes", format!("an error at byte {off}"))
            .hint("an error that is reported once is not retried: after it nothing written is certain")
    };
    fault.because(error).into()
}

fn differs(
    source: &ImageSource,
    medium: &dyn Medium,
    off: u64,
    (expected, got): (Option<Sha>, Option<Sha>),
    wrote: bool,
) -> WriteError {
    let name = |sha: Option<Sha>| sha.map_or("zeros".to_owned(), |sha| format!("SHA-256 {sha}"));
    let (expected, got) = (format!("{} in the chunk at byte {off}", name(expected)), name(got));
    let endpoint = medium.identity().path.clone();
    if !wrote {
        let what = format!("expected {expected}, got {got}");
        return WriteError::Differs { path: source.path().to_owned(), endpoint, what };
    }
    Fault::new(InfraKind::Medium, "media", "read back", endpoint)
        .expected(expected, got)
        .hint("the medium does not keep what is written: replace it")
        .into()
}
