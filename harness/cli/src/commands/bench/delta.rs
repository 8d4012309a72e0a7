//! Writing again what has changed a little: whole, and as a delta.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use shakedown_core::{Medium, MediumId};
use shakedown_media::{FileMedium, ImageSource, identify, write_delta, write_image};

use crate::CliResult;
use crate::compose::image::refused;

/// A card: bytes a second.
const READS: f64 = 90e6;
const WRITES: f64 = 20e6;
/// Each hundredth piece of this size is changed.
const PIECE: u64 = 64 << 10;

/// How long it takes whole, and as a delta.
pub(super) fn seconds(folder: &Path, mib: u64, slow: bool) -> CliResult<[f64; 2]> {
    let (image, out) = (folder.join("delta.img"), folder.join("delta.out"));
    let size = mib << 20;
    make(&image, size)?;
    let mut took = [0.0; 2];
    for (index, delta) in [false, true].into_iter().enumerate() {
        // Before each the medium holds the image as it was.
        write(&image, &out, size, false, false)?;
        change(&image, size)?;
        took[index] = write(&image, &out, size, slow, delta)?;
    }
    std::fs::remove_file(image)?;
    std::fs::remove_file(out)?;
    Ok(took)
}

/// Noise that no compression of a file system makes smaller, with a partition table.
fn make(image: &Path, size: u64) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let file = std::fs::File::create(image)?;
    for at in (0..size).step_by(1 << 20) {
        let bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(1 << 17).flatten().collect();
        file.write_all_at(&bytes, at)?;
    }
    // One partition (Linux, from 1 MiB on) in an MBR.
    let mut first = [0; 512];
    first[446 + 4] = 0x83;
    first[446 + 8..][..4].copy_from_slice(&2048_u32.to_le_bytes());
    first[446 + 12..][..4].copy_from_slice(&((size / 512) as u32 - 2048).to_le_bytes());
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all_at(&first, 0)
}

fn change(image: &Path, size: u64) -> io::Result<()> {
    let file = std::fs::File::options().read(true).write(true).open(image)?;
    let mut piece = vec![0; PIECE as usize];
    for at in (PIECE * 50..size).step_by(PIECE as usize * 100) {
        file.read_exact_at(&mut piece, at)?;
        for byte in &mut piece {
            *byte ^= 0xff;
        }
        file.write_all_at(&piece, at)?;
    }
    file.sync_all()
}

fn write(image: &Path, out: &Path, size: u64, slow: bool, delta: bool) -> CliResult<f64> {
    let quiet = &mut |_: &_| ControlFlow::Continue(());
    let identity = identify(image, quiet).map_err(refused)?;
    let mut source = ImageSource::open_identified(&identity).map_err(|error| refused(error.into()))?;
    let file = if out.exists() { FileMedium::open(out)? } else { FileMedium::create(out, size)? };
    let mut medium = Slow { medium: file, slow };
    let write = if delta { write_delta } else { write_image };
    let began = Instant::now();
    write(&mut source, &mut medium, quiet).map_err(refused)?;
    Ok(began.elapsed().as_secs_f64())
}

/// A medium that is no quicker than a card.
struct Slow {
    medium: FileMedium,
    slow: bool,
}

impl Slow {
    fn pass(&self, began: Instant, bytes: usize, a_second: f64) {
        if !self.slow {
            return;
        }
        let until = began + Duration::from_secs_f64(bytes as f64 / a_second);
        // Nobody wakes this thread; it may wake by itself.
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    }
}

impl Medium for Slow {
    fn identity(&self) -> &MediumId {
        self.medium.identity()
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        let began = Instant::now();
        self.medium.read_at(off, buf)?;
        self.pass(began, buf.len(), READS);
        Ok(())
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        self.medium.write_at(off, buf)?;
        self.pass(began, buf.len(), WRITES);
        Ok(())
    }

    fn barrier(&mut self) -> io::Result<()> {
        self.medium.barrier()
    }
}
