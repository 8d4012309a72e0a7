//! File systems by their superblocks.

use std::fmt;
use std::io;

use serde::Serialize;

use super::ReadAt;

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsKind {
    /// FAT with 12-bit entries.
    Fat12,
    /// FAT with 16-bit entries.
    Fat16,
    /// FAT with 32-bit entries.
    Fat32,
    /// ext2, without a journal.
    Ext2,
    /// ext3, or ext4 without extents.
    Ext3,
    /// ext4.
    Ext4,
    /// Swap space.
    Swap,
    /// squashfs, version 4.
    Squashfs,
    /// ISO 9660.
    Iso9660,
}

impl FsKind {
    /// Whether it is one of the FATs.
    pub fn is_fat(self) -> bool {
        matches!(self, Self::Fat12 | Self::Fat16 | Self::Fat32)
    }

    /// Whether it is one of the exts.
    pub fn is_ext(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4)
    }
}

impl fmt::Display for FsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat12 => "fat12",
            Self::Fat16 => "fat16",
            Self::Fat32 => "fat32",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Swap => "swap",
            Self::Squashfs => "squashfs",
            Self::Iso9660 => "iso9660",
        })
    }
}

/// A file system that was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fs {
    /// Which.
    pub kind: FsKind,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// As blkid prints it: `1234-ABCD` for FAT, a UUID for ext and swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// ext: it was not unmounted, its journal holds writes that are not yet in place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub needs_recovery: bool,
}

impl Fs {
    fn new(kind: FsKind, label: &[u8], uuid: Option<String>) -> Self {
        let end = label.iter().position(|byte| *byte == 0).unwrap_or(label.len());
        let label = String::from_utf8_lossy(&label[..end]).trim_end().to_owned();
        let label = (!label.is_empty() && label != "NO NAME").then_some(label);
        Self { kind, label, uuid, needs_recovery: false }
    }
}

/// What is in a range of the disk; `None` when nothing known is.
pub(super) fn probe(from: &mut dyn ReadAt, start: u64, size: u64) -> io::Result<Option<Fs>> {
    // A partition may be smaller than what is looked for, or lie beyond a truncated disk.
    let room = size.min(from.len().saturating_sub(start));
    let head = from.bytes(start, room.min(4096) as usize)?;
    if let Some(fs) = ext(&head).or_else(|| swap(&head)).or_else(|| squashfs(&head)) {
        return Ok(Some(fs));
    }
    if let Some(mut found) = fat(&head) {
        if let Some(label) = fat_root_label(from, start, room, &head)? {
            found.label = Some(label);
        }
        return Ok(Some(found));
    }
    if room >= 34 << 10 && is_iso(from, start)? {
        let volume = from.bytes(start + (32 << 10), 2048)?;
        return Ok(Some(Fs::new(FsKind::Iso9660, &volume[40..72], None)));
    }
    Ok(None)
}

pub(super) fn is_iso(from: &mut dyn ReadAt, start: u64) -> io::Result<bool> {
    let at = start + (32 << 10);
    Ok(from.len() >= at + 2048 && from.bytes(at, 6)? == b"\x01CD001")
}

fn le16(raw: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([raw[at], raw[at + 1]]))
}

fn le32(raw: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}

/// What a FAT boot sector says, checked as the specification has it.
struct Bpb {
    kind: FsKind,
    sector: u64,
    cluster: u64,
    /// Sector of the root directory (FAT12 and 16) and its entries; FAT32: sector of the data and the root's cluster.
    root: (u64, u64),
}

fn bpb(head: &[u8]) -> Option<Bpb> {
    if head.len() < 512 || head[510..512] != [0x55, 0xaa] || !matches!(head[0], 0xeb | 0xe9) {
        return None;
    }
    let sector = le16(head, 11);
    let cluster = u32::from(head[13]);
    let (reserved, fats, root_entries) = (le16(head, 14), u32::from(head[16]), le16(head, 17));
    if !matches!(sector, 512 | 1024 | 2048 | 4096) || !cluster.is_power_of_two() {
        return None;
    }
    if reserved == 0 || fats == 0 || fats > 4 {
        return None;
    }
    let either = |small: u32, large: u32| u64::from(if small != 0 { small } else { large });
    let sectors = either(le16(head, 19), le32(head, 32));
    let fat_size = either(le16(head, 22), le32(head, 36));
    let root_sectors = u64::from((root_entries * 32).div_ceil(sector));
    let root_at = u64::from(reserved) + u64::from(fats) * fat_size;
    let clusters = sectors.checked_sub(root_at + root_sectors)? / u64::from(cluster);
    let kind = match clusters {
        0 => return None,
        _ if le16(head, 22) == 0 => FsKind::Fat32,
        1..4085 => FsKind::Fat12,
        4085..65525 => FsKind::Fat16,
        _ => FsKind::Fat32,
    };
    let root = match kind {
        FsKind::Fat32 => (root_at, u64::from(le32(head, 44))),
        _ => (root_at, u64::from(root_entries)),
    };
    Some(Bpb { kind, sector: u64::from(sector), cluster: u64::from(cluster), root })
}

pub(super) fn fat(head: &[u8]) -> Option<Fs> {
    let bpb = bpb(head)?;
    // Extended boot record: signature, serial, label.
    let at = if bpb.kind == FsKind::Fat32 { 66 } else { 38 };
    let serial = le32(head, at + 1);
    let uuid = (head[at] == 0x29).then(|| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    let label = if head[at] == 0x29 { &head[at + 5..at + 16] } else { &[][..] };
    Some(Fs::new(bpb.kind, label, uuid))
}

/// The label of record is an entry in the root directory; the boot sector's copy may be old.
fn fat_root_label(from: &mut dyn ReadAt, start: u64, room: u64, head: &[u8]) -> io::Result<Option<String>> {
    let Some(bpb) = bpb(head) else { return Ok(None) };
    let (off, len) = match bpb.kind {
        FsKind::Fat32 => {
            let skip = bpb.root.1.saturating_sub(2) * bpb.cluster;
            ((bpb.root.0 + skip) * bpb.sector, bpb.cluster * bpb.sector)
        }
        _ => (bpb.root.0 * bpb.sector, bpb.root.1 * 32),
    };
    if off.checked_add(len).is_none_or(|end| end > room) {
        return Ok(None);
    }
    let entries = from.bytes(start + off, len as usize)?;
    for entry in entries.chunks_exact(32).take_while(|entry| entry[0] != 0) {
        let attributes = entry[11] & 0x3f;
        if attributes & 0x08 != 0 && attributes != 0x0f && entry[0] != 0xe5 {
            let label = String::from_utf8_lossy(&entry[..11]).trim_end().to_owned();
            return Ok(Some(label));
        }
    }
    Ok(None)
}

fn uuid(raw: &[u8]) -> Option<String> {
    if raw.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(super::dashed(raw.iter().copied()))
}

fn ext(head: &[u8]) -> Option<Fs> {
    let sb = head.get(1024..2048)?;
    if le16(sb, 56) != 0xef53 {
        return None;
    }
    let (compat, incompat, ro_compat) = (le32(sb, 92), le32(sb, 96), le32(sb, 100));
    // Extents, 64 bit or flex groups; huge files, checksums of groups or of metadata.
    let kind = if incompat & 0x2c0 != 0 || ro_compat & 0x418 != 0 {
        FsKind::Ext4
    } else if compat & 4 != 0 {
        FsKind::Ext3
    } else {
        FsKind::Ext2
    };
    let mut fs = Fs::new(kind, &sb[120..136], uuid(&sb[104..120]));
    fs.needs_recovery = incompat & 4 != 0;
    Some(fs)
}

fn swap(head: &[u8]) -> Option<Fs> {
    if head.get(4086..4096)? != b"SWAPSPACE2" {
        return None;
    }
    Some(Fs::new(FsKind::Swap, &head[1052..1068], uuid(&head[1036..1052])))
}

fn squashfs(head: &[u8]) -> Option<Fs> {
    (head.get(..4)? == b"hsqs" && head.len() >= 96 && le16(head, 28) == 4)
        .then(|| Fs::new(FsKind::Squashfs, &[], None))
}
