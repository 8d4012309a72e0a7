//! A raw image: holes of the file are known without reading them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{Advice, SeekFrom};
use rustix::io::Errno;

use super::out::{Out, PIECE, Stop};
use super::stream::thread;
use crate::ahead::Ahead;
use crate::error::{Container, ImageProblem};

type Opened = Result<(JoinHandle<()>, Option<u64>), ImageProblem>;

pub(super) fn spawn(file: File, len: u64, consumed: Arc<AtomicU64>, mut out: Out) -> Opened {
    // Only a hint to the kernel: without it reading is as right, and slower.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    let reader = thread(move || {
        let end = read(&file, len, &consumed, &mut out).map(|()| None);
        out.end(end);
    })?;
    Ok((reader, Some(len)))
}

fn read(file: &File, len: u64, consumed: &AtomicU64, out: &mut Out) -> Result<(), Stop> {
    let mut ahead = Ahead::default();
    while out.at() < len {
        let data = next(file, SeekFrom::Data(out.at()), len, len)?;
        out.hole(data - out.at())?;
        let end = if data < len { next(file, SeekFrom::Hole(data), len, len)? } else { len };
        while out.at() < end {
            let at = out.at();
            ahead.reading(file, at, end);
            let room = PIECE - at as usize % PIECE;
            let want = room.min((end - at) as usize);
            let bytes = read_exactly(file, at, want, len, out)?;
            out.data(bytes)?;
            consumed.store(out.at(), Ordering::Relaxed);
        }
        consumed.store(out.at(), Ordering::Relaxed);
    }
    Ok(())
}

fn next(file: &File, seek: SeekFrom, none: u64, len: u64) -> Result<u64, ImageProblem> {
    match rustix::fs::seek(file, seek) {
        Ok(at) => Ok(at.min(len)),
        Err(Errno::NXIO) => Ok(none),
        // A file system that knows no holes: all is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(match seek {
            SeekFrom::Data(at) => at,
            _ => len,
        }),
        Err(errno) => Err(ImageProblem::io("seek", &errno.into())),
    }
}

fn read_exactly(file: &File, at: u64, want: usize, len: u64, out: &Out) -> Result<Vec<u8>, ImageProblem> {
    let mut bytes = out.buffer();
    bytes.resize(want, 0);
    let mut filled = 0;
    while filled < want {
        let here = at + filled as u64;
        match file.read_at(&mut bytes[filled..], here) {
            Ok(0) => {
                return Err(ImageProblem::Truncated {
                    container: Container::Raw,
                    expected: format!("{len} bytes, its size when it was opened"),
                    got: here,
                });
            }
            Ok(got) => filled += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ImageProblem::io("read", &error)),
        }
    }
    Ok(bytes)
}
