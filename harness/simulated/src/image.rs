//! Images for simulated DUTs: small, and real to everything that reads, hashes, writes or edits one.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use shakedown_core::OsProfile;

/// Where the boot partition begins, and how long it is.
const FIRST: u64 = 16 << 10;
const FAT: u64 = 112 << 10;

/// A disk with a boot partition as this OS has it: its label, its configuration document, and an
/// os-release that says this version. Another `mark` is another image of the same version.
pub fn image(profile: &OsProfile, version: &str, mark: &str) -> io::Result<Vec<u8>> {
    let mut disk = vec![0; (FIRST + FAT) as usize];
    disk[0] = 0xf4;
    disk[446] = 0x80;
    disk[450] = 0x0c;
    disk[454..458].copy_from_slice(&((FIRST / 512) as u32).to_le_bytes());
    disk[458..462].copy_from_slice(&((FAT / 512) as u32).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let label = profile.partitions.get("boot").map_or("boot", String::as_str);
    let mut name = [b' '; 11];
    // Labels of FAT are upper case by habit only; the OS's own is kept as it is.
    for (to, from) in name.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    let mut part = Cursor::new(&mut disk[FIRST as usize..]);
    fatfs::format_volume(&mut part, fatfs::FormatVolumeOptions::new().volume_label(name))?;
    part.seek(SeekFrom::Start(0))?;
    let files = fatfs::FileSystem::new(part, fatfs::FsOptions::new())?;
    {
        let root = files.root_dir();
        let id = profile.os_release_ids.first().map_or("simulated", String::as_str);
        let release =
            format!("ID={id}\nVERSION_ID={version}\nPRETTY_NAME=\"{} (simulated)\"\n", profile.name);
        let config = profile.config.as_ref().map(|config| (config.file.trim_start_matches('/'), "{}\n"));
        let files = config.into_iter().chain([("os-release", release.as_str()), ("simulated.txt", mark)]);
        for (path, text) in files {
            let mut file = root.create_file(path)?;
            file.truncate()?;
            file.write_all(text.as_bytes())?;
            file.flush()?;
            let mut back = String::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_string(&mut back)?;
            if back != text {
                return Err(io::Error::other(format!("{path} reads back as {back:?}")));
            }
        }
    }
    files.unmount()?;
    Ok(disk)
}
