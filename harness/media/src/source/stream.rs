//! gzip, xz and zstd: read once, hashed as read, decompressed on the reading thread.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use shakedown_core::Sha;

use super::out::{Out, Pumped, Stop};
use crate::error::{Container, ImageProblem};

type Opened = Result<(JoinHandle<()>, Option<u64>), ImageProblem>;
type Input = BufReader<Hashed>;

/// The file, hashed and counted as it is read.
pub(super) struct Hashed {
    file: File,
    sha: Sha256,
    read: u64,
    consumed: Arc<AtomicU64>,
}

impl Read for Hashed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buf)?;
        self.sha.update(&buf[..got]);
        self.read += got as u64;
        self.consumed.store(self.read, Ordering::Relaxed);
        Ok(got)
    }
}

pub(super) fn thread(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ImageProblem> {
    std::thread::Builder::new()
        .name("image-read".to_owned())
        .spawn(work)
        .map_err(|error| ImageProblem::io("start a thread to read", &error))
}

pub(super) fn spawn(
    container: Container,
    file: File,
    len: u64,
    consumed: Arc<AtomicU64>,
    mut out: Out,
) -> Opened {
    let hashed = Hashed { file, sha: Sha256::new(), read: 0, consumed };
    let mut input = BufReader::with_capacity(1 << 18, hashed);
    let hint = match container {
        Container::Zstd => zstd_len(&mut input)?,
        _ => None,
    };
    let reader = thread(move || {
        let end = members(container, &mut input, len, &mut out)
            .map(|()| Some(Sha(input.into_inner().sha.finalize().into())));
        out.end(end);
    })?;
    Ok((reader, hint))
}

/// A zstd frame may say how much it holds; with several frames that is only the first's share.
fn zstd_len(input: &mut Input) -> Result<Option<u64>, ImageProblem> {
    let head = input.fill_buf().map_err(|error| ImageProblem::io("read", &error))?;
    let first = zstd::zstd_safe::get_frame_content_size(head).ok().flatten();
    let frame = zstd::zstd_safe::find_frame_compressed_size(head).is_ok();
    // A whole frame in the buffer may be followed by others: then say nothing.
    Ok(first.filter(|len| !frame && *len > 0))
}

/// Containers may be concatenated (pigz, pzstd, split uploads): each in turn, up to the end of the file.
fn members(container: Container, input: &mut Input, len: u64, out: &mut Out) -> Result<(), Stop> {
    loop {
        let done = match container {
            Container::Gzip => out.pump(&mut flate2::bufread::GzDecoder::new(&mut *input)),
            Container::Xz => out.pump(&mut liblzma::bufread::XzDecoder::new(&mut *input)),
            _ => match zstd::Decoder::with_buffer(&mut *input) {
                Ok(decoder) => out.pump(&mut decoder.single_frame()),
                Err(error) => Err(Pumped::Read(error)),
            },
        };
        match done {
            Ok(()) => {}
            Err(Pumped::Gone) => return Err(Stop::Gone),
            Err(Pumped::Read(error)) => return Err(broken(container, input, len, &error).into()),
        }
        if container == Container::Xz {
            skip_xz_padding(input)?;
        }
        let rest = input.fill_buf().map_err(|error| ImageProblem::io("read", &error))?;
        if rest.is_empty() {
            return Ok(());
        }
        if !starts_member(container, rest) {
            let at = position(input);
            return Err(ImageProblem::TrailingGarbage { container, at, left: len.saturating_sub(at) }.into());
        }
    }
}

fn position(input: &Input) -> u64 {
    input.get_ref().read - input.buffer().len() as u64
}

fn broken(container: Container, input: &Input, len: u64, error: &io::Error) -> ImageProblem {
    let at = position(input);
    if error.raw_os_error().is_some() {
        return ImageProblem::io("read", error);
    }
    if error.kind() == io::ErrorKind::UnexpectedEof || (at >= len && is_end(error)) {
        let expected = format!("a complete {container} stream");
        return ImageProblem::Truncated { container, expected, got: len };
    }
    ImageProblem::Corrupt { container, near: at, why: error.to_string() }
}

/// Decoders that report a missing end in other words.
fn is_end(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("premature") || text.contains("incomplete") || text.contains("Src size is incorrect")
}

fn starts_member(container: Container, rest: &[u8]) -> bool {
    // The buffer may end within the magic; the decoder judges the rest.
    let starts = |magic: &[u8]| rest.iter().zip(magic).all(|(got, want)| got == want);
    match container {
        Container::Gzip => starts(&[0x1f, 0x8b]),
        Container::Xz => starts(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
        _ => {
            let skippable = rest[0] & 0xf0 == 0x50 && rest.get(1).is_none_or(|byte| *byte == 0x2a);
            skippable || starts(&[0x28, 0xb5, 0x2f, 0xfd])
        }
    }
}

/// xz streams may be followed by zeros, in fours.
fn skip_xz_padding(input: &mut Input) -> Result<(), ImageProblem> {
    loop {
        let rest = input.fill_buf().map_err(|error| ImageProblem::io("read", &error))?;
        if !rest.starts_with(&[0, 0, 0, 0]) {
            return Ok(());
        }
        input.consume(4);
    }
}
