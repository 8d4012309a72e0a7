//! Copies of disk files that cost what is in them, not what they could hold.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use rustix::fs::{SeekFrom, seek};

/// Copies a file with its holes; shares its blocks where the file system can.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
        return Ok(());
    }
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut end = 0;
    while end < size {
        let start = match seek(&from, SeekFrom::Data(end)) {
            Ok(start) => start,
            // No more data.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        end = seek(&from, SeekFrom::Hole(start))?;
        from.seek(io::SeekFrom::Start(start))?;
        to.seek(io::SeekFrom::Start(start))?;
        let length = end - start;
        let copied = io::copy(&mut io::Read::take(&from, length), &mut to)?;
        if copied != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank while it was copied"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn holes_stay_holes_and_bytes_stay_where_they_were() {
        let folder = std::env::temp_dir().join(format!("shakedown-sparse-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        let file = File::create(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[7; 5000], 20 << 20).unwrap();
        file.write_all_at(b"end", (64 << 20) - 3).unwrap();
        copy(&from, &to).unwrap();
        let copied = std::fs::metadata(&to).unwrap();
        assert_eq!(std::fs::read(&from).unwrap(), std::fs::read(&to).unwrap());
        assert!(copied.blocks() * 512 < 1 << 20, "{} blocks", copied.blocks());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
