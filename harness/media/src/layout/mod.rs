//! Partition tables and the file systems in them, read from any bytes.

mod fs;
mod gpt;
mod mbr;

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use shakedown_core::Medium;

pub use fs::{Fs, FsKind};

/// How a disk is divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The kind of table, with the disk's id.
    pub table: Table,
    /// Bytes of a logical sector.
    pub sector: u32,
    /// In the order of their index.
    pub partitions: Vec<Partition>,
    /// What is not as it should be though it can be read: a backup header that is gone, say.
    pub warnings: Vec<String>,
}

/// A kind of partition table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// GUID partition table.
    Gpt {
        /// The disk's GUID, lower case.
        disk: String,
    },
    /// The PC's old table.
    Mbr {
        /// The disk signature, eight hex digits.
        disk: String,
    },
    /// An ISO 9660 volume without a partition table.
    Iso,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// As the kernel numbers it, from 1.
    pub index: u32,
    /// The GPT name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// GPT: the type's GUID, lower case. MBR: two hex digits.
    #[serde(rename = "type")]
    pub kind: String,
    /// GPT: the partition's GUID, lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// MBR: active. GPT: the legacy BIOS bootable attribute.
    pub bootable: bool,
    /// Offset of the first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What is in it, where that was looked for and recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs: Option<Fs>,
}

impl Partition {
    /// Offset of the first byte behind it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Whether it is an EFI system partition.
    pub fn is_esp(&self) -> bool {
        self.kind == gpt::ESP || self.kind == "ef"
    }
}

/// Which partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// By number, from 1.
    Index(u32),
    /// By GPT name, or else by the label of its file system.
    Label(String),
}

impl std::fmt::Display for Select {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "partition {index}"),
            Self::Label(label) => write!(f, "partition `{label}`"),
        }
    }
}

impl From<u32> for Select {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for Select {
    fn from(label: &str) -> Self {
        Self::Label(label.to_owned())
    }
}

impl Layout {
    /// The one partition that is meant; GPT names come before file system labels.
    pub fn select(&self, which: &Select) -> Result<&Partition, NoPartition> {
        let all = |test: &dyn Fn(&Partition) -> bool| -> Vec<&Partition> {
            self.partitions.iter().filter(|partition| test(partition)).collect()
        };
        let label_of = |partition: &Partition| partition.fs.as_ref().and_then(|fs| fs.label.clone());
        let found = match which {
            Select::Index(index) => all(&|partition| partition.index == *index),
            Select::Label(label) => {
                let named = all(&|partition| partition.name.as_deref() == Some(label));
                let labelled = || all(&|partition| label_of(partition).as_deref() == Some(label));
                if named.is_empty() { labelled() } else { named }
            }
        };
        if let [one] = found.as_slice() {
            return Ok(one);
        }
        let describe = |partition: &Partition| {
            let name = partition.name.clone().or_else(|| label_of(partition));
            format!("{} {}", partition.index, name.as_deref().unwrap_or("(no label)"))
        };
        Err(NoPartition {
            wanted: which.clone(),
            matches: found.len(),
            got: self.partitions.iter().map(describe).collect(),
        })
    }
}

/// No partition, or several, are as was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one {wanted}, {matches} match; the disk has: {}", got.join(", "))]
pub struct NoPartition {
    /// What was asked for.
    pub wanted: Select,
    /// How many fit.
    pub matches: usize,
    /// Index and label of each.
    pub got: Vec<String>,
}

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// No table at all.
    #[error("expected a partition table, got {got}")]
    None {
        /// What is there instead.
        got: String,
    },
    /// A table that is broken.
    #[error("{why}")]
    Bad {
        /// Expected and got.
        why: String,
    },
    /// The medium cannot be read.
    #[error("cannot read the partition table: {why}")]
    Io {
        /// The system's words.
        why: String,
    },
}

impl From<io::Error> for TableError {
    fn from(error: io::Error) -> Self {
        Self::Io { why: error.to_string() }
    }
}

fn bad(why: impl Into<String>) -> TableError {
    TableError::Bad { why: why.into() }
}

/// Sixteen bytes as a GUID is printed.
fn dashed(bytes: impl Iterator<Item = u8>) -> String {
    let mut out = String::with_capacity(36);
    for (at, byte) in bytes.enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(out, "{dash}{byte:02x}");
    }
    out
}

/// Bytes at offsets.
pub(crate) trait ReadAt {
    fn len(&self) -> u64;
    fn read(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()>;

    fn bytes(&mut self, off: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![0; len];
        self.read(off, &mut buf)?;
        Ok(buf)
    }
}

impl ReadAt for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(off).ok();
        let part = from.and_then(|from| self.get(from..from.checked_add(buf.len())?));
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for &mut (dyn Medium + '_) {
    fn len(&self) -> u64 {
        Medium::len(*self)
    }

    fn read(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(off, buf)
    }
}

/// Reads the table and recognises the file systems.
pub fn read_layout(medium: &mut dyn Medium) -> Result<Layout, TableError> {
    let mut from = medium;
    let mut layout = table(&mut from, Depth::Whole)?;
    for partition in &mut layout.partitions {
        partition.fs = fs::probe(&mut from, partition.start, partition.size)?;
    }
    Ok(layout)
}

/// How much of the disk is at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Only its beginning: the table's main copy must be right.
    Head,
    /// All: the backup is compared, logical partitions are followed.
    Whole,
}

/// The table in the first bytes of a payload. Strict: an image is refused where a disk would be mended.
pub(crate) fn layout_of_head(head: &[u8]) -> Result<Layout, TableError> {
    let mut from = head;
    let layout = table(&mut from, Depth::Head)?;
    if layout.partitions.is_empty() && layout.table != Table::Iso {
        return Err(bad("expected at least one partition, got an empty partition table"));
    }
    Ok(layout)
}

/// Whether all partitions lie within a disk of this size.
pub(crate) fn check_fits(layout: &Layout, len: u64) -> Result<(), TableError> {
    match layout.partitions.iter().find(|partition| partition.end() > len) {
        None => Ok(()),
        Some(partition) => Err(bad(format!(
            "truncated: expected at least {} bytes, where partition {} ends, got {len} bytes",
            partition.end(),
            partition.index
        ))),
    }
}

fn table(from: &mut dyn ReadAt, depth: Depth) -> Result<Layout, TableError> {
    if from.len() < 512 {
        return Err(TableError::None { got: format!("only {} bytes", from.len()) });
    }
    let first = from.bytes(0, 512)?;
    if let Some(layout) = gpt::read(from, &first, depth)? {
        return Ok(layout);
    }
    if let Some(layout) = mbr::read(from, &first, depth)? {
        return Ok(layout);
    }
    if fs::is_iso(from, 0)? {
        return Ok(Layout { table: Table::Iso, sector: 2048, partitions: Vec::new(), warnings: Vec::new() });
    }
    Err(TableError::None { got: describe(&first) })
}

/// What the first sector looks like, for a person who gave the wrong file.
fn describe(first: &[u8]) -> String {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let known: &[(&[u8], &str)] = &[
        (b"\x7fELF", "an ELF executable"),
        (b"%PDF", "a PDF document"),
        (b"BZh", "bzip2 data; give raw, gz, xz, zst or zip"),
        (b"7z\xbc\xaf", "a 7z archive; give raw, gz, xz, zst or zip"),
        (b"hsqs", "a squashfs file system"),
        (b"QFI\xfb", "a qcow2 image; convert it with: qemu-img convert -O raw"),
        (b"\x3a\xff\x26\xed", "an Android sparse image; convert it with: simg2img"),
        (b"<?xml", "XML text"),
        (b"<!DOCTYPE", "an HTML page, perhaps a failed download"),
        (b"<html", "an HTML page, perhaps a failed download"),
        (b"{", "JSON text"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| first.starts_with(magic)) {
        return (*what).to_owned();
    }
    if first.get(257..262) == Some(b"ustar") {
        return "a tar archive".to_owned();
    }
    if first.iter().all(|byte| *byte == 0) {
        return "a first sector of zeros".to_owned();
    }
    if first.iter().all(printable) {
        let text: String = first.iter().take(40).map(|byte| char::from(*byte)).collect();
        return format!("text that begins with {text:?}");
    }
    if fs::fat(first).is_some() {
        return "a FAT file system without a partition table".to_owned();
    }
    let end = first.get(510..512).unwrap_or_default();
    if end == [0x55, 0xaa] {
        return "a boot signature without a valid partition record before it".to_owned();
    }
    format!("no boot signature (bytes 510 and 511 are {end:02x?}, not [55, aa])")
}
