//! Images and disks to test on, the distribution's tools, and a medium that lies.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use shakedown_core::{Medium, MediumId};
use shakedown_media::{Container, Progress};

pub(crate) const MIB: u64 = 1 << 20;

/// Runs a tool of the distribution and returns what it printed; anything but success fails the test.
pub(crate) fn tool(program: &str, args: &[&str]) -> String {
    let (ok, text) = try_tool(program, args);
    assert!(ok, "{program} {args:?} failed:\n{text}");
    text
}

/// The same, with its exit status to judge.
#[expect(clippy::disallowed_methods, reason = "fixtures are made and judged by the distribution's own tools")]
pub(crate) fn try_tool(program: &str, args: &[&str]) -> (bool, String) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let ran = std::process::Command::new(program).args(args).env("PATH", path).output();
    let out = ran.unwrap_or_else(|error| {
        panic!("{program}: {error}; run: apt-get install dosfstools mtools e2fsprogs fdisk util-linux")
    });
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn quiet(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A payload with an MBR, one partition to its end, noise and long zeros.
pub(crate) fn disk(len: u64, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len as usize];
    for block in bytes.chunks_mut(256 << 10).skip(1) {
        if random.u8(..) < 100 {
            let len = block.len();
            random.fill(&mut block[len / 4..]);
        }
    }
    mark_as_disk(&mut bytes);
    bytes
}

/// Gives a payload a partition table with one partition from sector 1 to the end.
pub(crate) fn mark_as_disk(bytes: &mut [u8]) {
    let sectors = u32::try_from(bytes.len() / 512 - 1).unwrap();
    bytes[446..510].fill(0);
    bytes[446 + 4] = 0x83;
    bytes[454..458].copy_from_slice(&1u32.to_le_bytes());
    bytes[458..462].copy_from_slice(&sectors.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
}

pub(crate) const CONTAINERS: [Container; 5] =
    [Container::Raw, Container::Gzip, Container::Xz, Container::Zstd, Container::Zip];

pub(crate) fn pack(container: Container, payload: &[u8]) -> Vec<u8> {
    match container {
        Container::Raw => payload.to_vec(),
        Container::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(payload).unwrap();
            out.finish().unwrap()
        }
        Container::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 0);
            out.write_all(payload).unwrap();
            out.finish().unwrap()
        }
        Container::Zstd => {
            let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
            out.include_checksum(true).unwrap();
            out.write_all(payload).unwrap();
            out.finish().unwrap()
        }
        Container::Zip => zip_of(&[("disk.img", payload)]),
    }
}

pub(crate) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(1));
    for (name, bytes) in members {
        out.start_file(*name, options).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// A file of these bytes; long zeros become holes.
pub(crate) fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let file = File::create(&path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (index, block) in bytes.chunks(4096).enumerate() {
        if block != &[0; 4096][..block.len()] {
            file.write_all_at(block, index as u64 * 4096).unwrap();
        }
    }
    path
}

/// How a medium lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// The write that covers this byte is acknowledged and lost.
    DropsWriteAt(u64),
    /// A bit of this byte is the other way round when it is read.
    FlipsBitAt(u64),
    /// Zeroing is acknowledged and not done.
    KeepsOldData,
    /// The flush reports an error, once; the next would succeed.
    BarrierFails,
    /// Writing beyond this byte meets a full disk.
    FullAt(u64),
    /// Reading this byte fails.
    UnreadableAt(u64),
    /// All beyond this byte wraps around to the start, as on a forged card.
    WrapsAt(u64),
}

/// A medium in memory, at first full of old data.
pub(crate) struct Faulty {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lie: Lie,
    pub(crate) barriers: u32,
    /// Bytes that were written, zeros too.
    pub(crate) wrote: u64,
    id: MediumId,
}

impl Faulty {
    pub(crate) fn new(size: u64, lie: Lie) -> Self {
        let id = MediumId { path: "memory".to_owned(), serial: None, size };
        Self { bytes: vec![0xa5; size as usize], lie, barriers: 0, wrote: 0, id }
    }

    /// Where a range begins in memory, and how much of it lies there in one piece.
    fn place(&self, off: u64, len: usize) -> io::Result<(usize, usize)> {
        let size = match self.lie {
            Lie::WrapsAt(size) => size,
            _ if off.saturating_add(len as u64) > self.id.size => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            _ => self.id.size,
        };
        let from = off % size;
        Ok((from as usize, len.min((size - from) as usize)))
    }
}

fn holds(off: u64, len: usize, at: u64) -> bool {
    (off..off + len as u64).contains(&at)
}

impl Medium for Faulty {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let (from, part) = self.place(off + done as u64, buf.len() - done)?;
            buf[done..done + part].copy_from_slice(&self.bytes[from..from + part]);
            done += part;
        }
        match self.lie {
            Lie::UnreadableAt(at) if holds(off, buf.len(), at) => Err(io::Error::from_raw_os_error(5)),
            Lie::FlipsBitAt(at) if holds(off, buf.len(), at) => {
                buf[(at - off) as usize] ^= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        self.wrote += buf.len() as u64;
        match self.lie {
            Lie::DropsWriteAt(at) if holds(off, buf.len(), at) => return Ok(()),
            Lie::FullAt(at) if off + buf.len() as u64 > at => {
                return Err(io::Error::from_raw_os_error(28));
            }
            _ => {}
        }
        let mut done = 0;
        while done < buf.len() {
            let (to, part) = self.place(off + done as u64, buf.len() - done)?;
            self.bytes[to..to + part].copy_from_slice(&buf[done..done + part]);
            done += part;
        }
        Ok(())
    }

    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        self.wrote += len;
        if self.lie != Lie::KeepsOldData {
            self.bytes[off as usize..(off + len) as usize].fill(0);
        }
        Ok(())
    }

    fn barrier(&mut self) -> io::Result<()> {
        self.barriers += 1;
        match self.lie {
            Lie::BarrierFails if self.barriers == 1 => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }
}

/// The partitions of [`os_disk`]: file name, offset and size in sectors.
const PARTS: [(&str, u64, u64); 4] = [
    ("boot.fat", 2048, 32768),
    ("root.ext4", 34816, 32768),
    ("state.ext4", 67584, 16384),
    ("swap", 83968, 8192),
];

/// A GPT disk with the file systems of a container OS, made by the distribution's tools.
///
/// 1 `boot` (FAT, config.json), 2 `rootA` (ext4 with os-release), 3 `state` (ext4), 4 `swap`;
/// each also as a file of its own beside it. Made once a process.
pub(crate) fn os_disk(dir: &Path) -> PathBuf {
    static DISK: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = DISK.get_or_init(make_os_disk);
    for (name, start, size) in PARTS {
        file(dir, name, &bytes[start as usize * 512..(start + size) as usize * 512]);
    }
    file(dir, "os.img", bytes)
}

fn make_os_disk() -> Vec<u8> {
    let made = tempfile::TempDir::new().unwrap();
    let dir = made.path();
    let disk = dir.join("os.img");
    File::create(&disk).unwrap().set_len(48 * MIB).unwrap();
    let script = file(
        dir,
        "table",
        b"label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
          start=2048, size=32768, type=U, name=boot, uuid=AAAAAAAA-0000-0000-0000-000000000001\n\
          start=34816, size=32768, type=L, name=rootA\n\
          start=67584, size=16384, type=L, name=state\n\
          start=83968, size=8192, type=S, name=swap\n",
    );
    sfdisk(&disk, &script);
    for (name, _, size) in PARTS {
        File::create(dir.join(name)).unwrap().set_len(size * 512).unwrap();
    }
    let [boot, root, state, swap] = PARTS.map(|(name, ..)| dir.join(name));

    tool("mkfs.vfat", &["-n", "BOOTFS", "-i", "1234abcd", text(&boot)]);
    let config = file(dir, "config.json", CONFIG.as_bytes());
    tool("mcopy", &["-i", text(&boot), text(&config), "::/config.json"]);
    tool("mmd", &["-i", text(&boot), "::/EFI", "::/EFI/BOOT"]);
    tool("mcopy", &["-i", text(&boot), text(&config), "::/EFI/BOOT/BOOTX64.EFI"]);

    let tree = dir.join("root");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::create_dir_all(tree.join("usr/lib")).unwrap();
    std::fs::create_dir_all(tree.join("var/log")).unwrap();
    std::fs::write(tree.join("usr/lib/os-release"), RELEASE).unwrap();
    std::fs::write(tree.join("var/log/long"), "line\n".repeat(40_000)).unwrap();
    std::fs::write(tree.join("var/log/short"), "the last words\n").unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    tool("mkfs.ext4", &["-q", "-F", "-L", "rootfs", "-b", "1024", "-d", text(&tree), text(&root)]);
    tool("mkfs.ext4", &["-q", "-F", "-L", "state-label", text(&state)]);
    tool("mkswap", &["-q", "-L", "swapspace", text(&swap)]);

    let mut bytes = std::fs::read(&disk).unwrap();
    for (name, start, size) in PARTS {
        let part = std::fs::read(dir.join(name)).unwrap();
        bytes[start as usize * 512..(start + size) as usize * 512].copy_from_slice(&part);
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "sfdisk reads its script from standard input")]
pub(crate) fn sfdisk(disk: &Path, script: &Path) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = std::process::Command::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel", text(disk)])
        .env("PATH", path)
        .stdin(File::open(script).unwrap())
        .output()
        .expect("sfdisk is missing; run: apt-get install fdisk");
    assert!(out.status.success(), "sfdisk: {}", String::from_utf8_lossy(&out.stderr));
}

pub(crate) const CONFIG: &str = "{\n  \"deviceType\": \"generic-amd64\",\n  \"big\": 12345678901234567890.10,\n  \
     \"os\": {\"network\": {\"wifi\": true}},\n  \"hostname\": \"old\"\n}\n";

pub(crate) const RELEASE: &str = "ID=shakedown-reference\n# a comment\nNAME=\"Reference \\\"OS\\\"\"\n\
     VERSION_ID='1.2.3'\nPRETTY_NAME=plain\n";
