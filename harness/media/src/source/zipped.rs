//! A zip archive with exactly one file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use shakedown_core::Sha;
use zip::ZipArchive;
use zip::result::ZipError;

use super::out::{Out, Pumped, Stop};
use super::stream::thread;
use crate::error::{Container, ImageProblem};

type Opened = Result<(JoinHandle<()>, Option<u64>), ImageProblem>;

/// Bytes of the end-of-central-directory record without its comment.
const EOCD: u64 = 22;

struct Counted {
    file: File,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buf)?;
        self.consumed.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

pub(super) fn spawn(file: File, len: u64, consumed: &Arc<AtomicU64>, mut out: Out) -> Opened {
    let whole = file.try_clone().map_err(|error| ImageProblem::io("open", &error))?;
    let counted = Counted { file, consumed: consumed.clone() };
    let mut archive = ZipArchive::new(io::BufReader::with_capacity(1 << 18, counted))
        .map_err(|error| broken(&error, len))?;
    let index = only_member(&archive)?;
    check_end(&whole, len, archive.comment().len() as u64)?;
    let size = {
        let member = archive.by_index_raw(index).map_err(|error| broken(&error, len))?;
        if member.encrypted() {
            return Err(ImageProblem::Unsupported {
                what: "an encrypted zip".to_owned(),
                hint: "unpack it first",
            });
        }
        member.size()
    };
    if size == 0 {
        return Err(ImageProblem::Empty { what: "file in the zip" });
    }
    consumed.store(0, Ordering::Relaxed);
    let reader = thread(move || {
        let end = read(&mut archive, index, &whole, len, &mut out);
        out.end(end.map(Some));
    })?;
    Ok((reader, Some(size)))
}

fn only_member<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<usize, ImageProblem> {
    let name = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
    let files: Vec<(usize, String)> = archive
        .file_names_raw()
        .enumerate()
        .filter(|(_, raw)| !raw.ends_with(b"/"))
        .map(|(index, raw)| (index, name(raw)))
        .collect();
    match files.as_slice() {
        [(index, _)] => Ok(*index),
        _ => Err(ImageProblem::Members { got: files.into_iter().take(10).map(|(_, name)| name).collect() }),
    }
}

/// The archive's last record must be the file's end.
fn check_end(file: &File, len: u64, comment: u64) -> Result<(), ImageProblem> {
    let mut tail = vec![0; len.min(EOCD + 0xffff) as usize];
    let start = len - tail.len() as u64;
    file.read_exact_at(&mut tail, start).map_err(|error| ImageProblem::io("read", &error))?;
    let found = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    let end = found.map_or(len, |at| start + at as u64 + EOCD + comment);
    if end < len {
        return Err(ImageProblem::TrailingGarbage { container: Container::Zip, at: end, left: len - end });
    }
    Ok(())
}

fn read(
    archive: &mut ZipArchive<io::BufReader<Counted>>,
    index: usize,
    whole: &File,
    len: u64,
    out: &mut Out,
) -> Result<Sha, Stop> {
    let sha = hash(whole, len)?;
    let mut member = archive.by_index(index).map_err(|error| broken(&error, len))?;
    match out.pump(&mut member) {
        Ok(()) => Ok(sha),
        Err(Pumped::Gone) => Err(Stop::Gone),
        Err(Pumped::Read(error)) => Err(broken(&ZipError::Io(error), len).into()),
    }
}

/// The archive is read out of order, so the file is hashed on its own.
fn hash(file: &File, len: u64) -> Result<Sha, ImageProblem> {
    let mut sha = Sha256::new();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let part = (len - at).min(buf.len() as u64) as usize;
        file.read_exact_at(&mut buf[..part], at).map_err(|error| ImageProblem::io("read", &error))?;
        sha.update(&buf[..part]);
        at += part as u64;
    }
    Ok(Sha(sha.finalize().into()))
}

fn broken(error: &ZipError, len: u64) -> ImageProblem {
    let container = Container::Zip;
    let corrupt = |why: String| ImageProblem::Corrupt { container, near: len, why };
    match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => ImageProblem::io("read", error),
        ZipError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ImageProblem::Truncated { container, expected: "the whole member".to_owned(), got: len }
        }
        ZipError::InvalidArchive(why)
            if ["EOCD", "end of central directory", "Unexpected end"].iter().any(|end| why.contains(end)) =>
        {
            ImageProblem::Truncated {
                container,
                expected: "the central directory at the end".to_owned(),
                got: len,
            }
        }
        ZipError::UnsupportedArchive(what) => ImageProblem::Unsupported {
            what: format!("this kind of zip ({what})"),
            hint: "pack it again with the deflate method, or use zstd",
        },
        ZipError::CompressionMethodNotSupported(method) => ImageProblem::Unsupported {
            what: format!("zip compression method {method}"),
            hint: "pack it again with the deflate method, or use zstd",
        },
        error => corrupt(error.to_string()),
    }
}
