//! Images as streams of extents, whatever container they lie in.

mod head;
mod out;
mod raw;
mod stream;
mod zipped;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use shakedown_core::{Extent, Sha, Source};

use crate::bmap::Bmap;
use crate::error::{Container, ImageError, ImageProblem};
use crate::identify::Identity;
use crate::layout::Layout;
use out::{Out, Piece};

/// Payload that the head check looks at: partition table, boot signature, ISO 9660 descriptor.
const HEAD: u64 = 64 << 10;

/// An image that was opened and looks like a disk; the rest is read as it is asked for.
///
/// A thread of its own (`image-read`) reads and decompresses ahead, by at most eight MiB.
pub struct ImageSource {
    path: PathBuf,
    container: Container,
    file_len: u64,
    consumed: Arc<AtomicU64>,
    len_hint: Option<u64>,
    ahead: VecDeque<Extent>,
    pieces: Option<Receiver<Result<Piece, ImageProblem>>>,
    spare: Sender<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    end: Option<End>,
    bmap: Option<Bmap>,
    known: Option<Arc<Identity>>,
    layout: Option<Layout>,
}

/// What is known when all was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The hash of the file; `None` when the payload is the file.
    pub(crate) file: Option<Sha>,
}

/// Opens an image: raw, gzip, xz, zstd or zip, told apart by their first bytes.
///
/// The bmap beside it (`IMAGE.bmap`, or for `IMAGE.zst` also `IMAGE` + `.bmap`) is read
/// if there is one, and its checksums are verified as the image is read.
/// Refuses what is unreadable, empty, no regular file, or no disk image.
///
/// gzip, xz and zip carry checksums, zstd does unless it was made with `--no-check`;
/// without one a flipped bit may decode to a different payload, which only a bmap,
/// an [`Identity`] or a hash known from elsewhere can show.
pub fn open_source(path: &Path) -> Result<ImageSource, ImageError> {
    ImageSource::open(path, None)
}

impl ImageSource {
    /// Opens an image that was identified before. What is read is compared with
    /// what was identified, chunk for chunk, so it need not be hashed as a whole again.
    pub fn open_identified(identity: &Arc<Identity>) -> Result<Self, ImageError> {
        Self::open(&identity.image().path, Some(identity.clone()))
    }

    fn open(path: &Path, known: Option<Arc<Identity>>) -> Result<Self, ImageError> {
        let refuse = |problem| ImageError::new(path, problem);
        let (file, file_len) = open_file(path).map_err(refuse)?;
        let container = detect(&file).map_err(refuse)?;
        let bmap = Bmap::beside(path, container)?;
        let consumed = Arc::new(AtomicU64::new(0));
        let (tx, pieces) = sync_channel(8);
        let (spare, spares) = channel();
        let out = Out::new(tx, spares);
        let opened = match container {
            Container::Raw => raw::spawn(file, file_len, consumed.clone(), out),
            Container::Zip => zipped::spawn(file, file_len, &consumed, out),
            Container::Gzip | Container::Xz | Container::Zstd => {
                stream::spawn(container, file, file_len, consumed.clone(), out)
            }
        };
        let (reader, own_len) = opened.map_err(refuse)?;
        let len_hint = own_len
            .or(known.as_ref().map(|identity| identity.image().size))
            .or(bmap.as_ref().map(|bmap| bmap.image_size));
        let mut source = Self {
            path: path.to_owned(),
            container,
            file_len,
            consumed,
            len_hint,
            ahead: VecDeque::new(),
            pieces: Some(pieces),
            spare,
            reader: Some(reader),
            end: None,
            bmap,
            known,
            layout: None,
        };
        source.check_head(own_len)?;
        Ok(source)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The form it lies in.
    pub fn container(&self) -> Container {
        self.container
    }

    /// The bmap that was found beside it.
    pub fn bmap(&self) -> Option<&Path> {
        self.bmap.as_ref().map(|bmap| bmap.path.as_path())
    }

    pub(crate) fn take_bmap(&mut self) -> Option<Bmap> {
        self.bmap.take()
    }

    pub(crate) fn known(&self) -> Option<&Arc<Identity>> {
        self.known.as_ref()
    }

    /// Gives a buffer back to the reading thread.
    pub(crate) fn reuse(&self, buffer: Vec<u8>) {
        // At its end the reader needs no more.
        let _ = self.spare.send(buffer);
    }

    /// The file, once all was read.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn refuse(&self, problem: ImageProblem) -> ImageError {
        ImageError::new(&self.path, problem)
    }

    /// The next extent; `None` at the end.
    pub fn pull(&mut self) -> Result<Option<Extent>, ImageError> {
        match self.ahead.pop_front() {
            Some(extent) => Ok(Some(extent)),
            None => self.receive(),
        }
    }

    fn receive(&mut self) -> Result<Option<Extent>, ImageError> {
        let Some(pieces) = &self.pieces else { return Ok(None) };
        match pieces.recv() {
            Ok(Ok(Piece::Extent(extent))) => Ok(Some(extent)),
            Ok(Ok(Piece::End { file })) => {
                self.end = Some(End { file });
                self.pieces = None;
                Ok(None)
            }
            Ok(Err(problem)) => Err(self.refuse(problem)),
            Err(_) => Err(self.refuse(ImageProblem::Unreadable {
                op: "read",
                why: "the reading thread ended without a word".to_owned(),
                kind: io::ErrorKind::Other,
            })),
        }
    }

    fn check_head(&mut self, own_len: Option<u64>) -> Result<(), ImageError> {
        let mut head = Vec::new();
        let mut ahead = VecDeque::new();
        while (head.len() as u64) < HEAD {
            let Some(extent) = self.receive()? else { break };
            match &extent {
                Extent::Data { bytes, .. } => head.extend_from_slice(bytes),
                Extent::Hole { len, .. } => head.resize(head.len() + (*len).min(HEAD) as usize, 0),
            }
            ahead.push_back(extent);
        }
        self.ahead = ahead;
        if head.is_empty() {
            return Err(self.refuse(ImageProblem::Empty { what: "payload" }));
        }
        let layout = head::check(&head).map_err(|problem| self.refuse(problem))?;
        if let Some(len) = own_len {
            head::check_len(&layout, len).map_err(|problem| self.refuse(problem))?;
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Whether the payload, now that its size is known, holds all its partitions.
    pub(crate) fn check_len(&self, len: u64) -> Result<(), ImageError> {
        match &self.layout {
            Some(layout) => head::check_len(layout, len).map_err(|problem| self.refuse(problem)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageSource({}, {})", self.path.display(), self.container)
    }
}

impl Source for ImageSource {
    fn len_hint(&self) -> Option<u64> {
        self.len_hint
    }

    fn consumed(&self) -> (u64, u64) {
        (self.consumed.load(Ordering::Relaxed), self.file_len)
    }

    fn next(&mut self) -> io::Result<Option<Extent>> {
        self.pull().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Drop for ImageSource {
    fn drop(&mut self) {
        // The reader ends at its next send.
        self.pieces = None;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn open_file(path: &Path) -> Result<(File, u64), ImageProblem> {
    let about = std::fs::metadata(path).map_err(|error| ImageProblem::io("open", &error))?;
    let kind = about.file_type();
    if !kind.is_file() {
        let got = match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_block_device() => "a block device",
            () if kind.is_char_device() => "a character device",
            () if kind.is_fifo() => "a fifo",
            () => "a socket",
        };
        return Err(ImageProblem::NotAFile { got });
    }
    if about.len() == 0 {
        return Err(ImageProblem::Empty { what: "file" });
    }
    let file = File::open(path).map_err(|error| ImageProblem::io("open", &error))?;
    Ok((file, about.len()))
}

fn detect(file: &File) -> Result<Container, ImageProblem> {
    let mut magic = Vec::with_capacity(6);
    file.take(6).read_to_end(&mut magic).map_err(|error| ImageProblem::io("read", &error))?;
    rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))
        .map_err(|errno| ImageProblem::io("seek", &errno.into()))?;
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Container::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Container::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Container::Zstd,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Container::Zip,
        _ => Container::Raw,
    })
}
