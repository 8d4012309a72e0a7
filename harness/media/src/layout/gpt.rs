//! GPT. Written here because the `gpt` crate panics on an entry size other than 128
//! and cannot say which of the two tables is broken.

use std::io;

use super::{Depth, Layout, Partition, ReadAt, Table, TableError, bad};

pub(super) const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

const HEADER: usize = 92;
/// No table of ours is larger; an evil one may claim gigabytes.
const MAX_ENTRIES: usize = 1 << 20;

struct Header {
    lba: u64,
    other: u64,
    disk: String,
    entries_lba: u64,
    count: u32,
    size: u32,
    entries_crc: u32,
}

pub(super) fn read(from: &mut dyn ReadAt, first: &[u8], depth: Depth) -> Result<Option<Layout>, TableError> {
    for sector in [512u64, 4096] {
        let Some(primary) = candidate(from, sector, 1)? else { continue };
        return match primary.and_then(|header| Ok((entries(from, sector, &header)?, header))) {
            Ok((partitions, header)) => {
                let mut layout = layout(sector, &header, partitions);
                if depth == Depth::Whole {
                    layout.warnings.extend(check_backup(from, sector, &header));
                }
                Ok(Some(layout))
            }
            Err(why) if depth == Depth::Whole => from_backup(from, sector, &why).map(Some),
            Err(why) => Err(bad(format!("GPT: {why}"))),
        };
    }
    let protective = super::mbr::records(first).is_some_and(|all| all.iter().any(|one| one.kind == 0xee));
    if !protective {
        return Ok(None);
    }
    let why = "expected a GPT header behind the protective MBR, got none".to_owned();
    if depth == Depth::Whole { from_backup(from, 512, &why).map(Some) } else { Err(bad(why)) }
}

/// A header with the right signature at this sector; inside, whether it is sound.
fn candidate(
    from: &mut dyn ReadAt,
    sector: u64,
    lba: u64,
) -> Result<Option<Result<Header, String>>, TableError> {
    let Some(off) = lba.checked_mul(sector) else { return Ok(None) };
    if off.checked_add(sector).is_none_or(|end| end > from.len()) {
        return Ok(None);
    }
    let raw = from.bytes(off, sector as usize)?;
    if !raw.starts_with(b"EFI PART") {
        return Ok(None);
    }
    Ok(Some(header(&raw, lba)))
}

fn header(raw: &[u8], lba: u64) -> Result<Header, String> {
    let size = le32(raw, 12) as usize;
    if size < HEADER || size > raw.len() {
        return Err(format!("header size: expected {HEADER} to {}, got {size}", raw.len()));
    }
    let mut unsigned = raw[..size].to_vec();
    unsigned[16..20].fill(0);
    let (expected, got) = (le32(raw, 16), crc32(&unsigned));
    if expected != got {
        return Err(format!("header checksum: expected {expected:08x}, got {got:08x}"));
    }
    let header = Header {
        lba: le64(raw, 24),
        other: le64(raw, 32),
        disk: guid(&raw[56..72]),
        entries_lba: le64(raw, 72),
        count: le32(raw, 80),
        size: le32(raw, 84),
        entries_crc: le32(raw, 88),
    };
    if header.lba != lba {
        return Err(format!("header's own place: expected sector {lba}, got {}", header.lba));
    }
    Ok(header)
}

fn entries(from: &mut dyn ReadAt, sector: u64, header: &Header) -> Result<Vec<Partition>, String> {
    let size = header.size as usize;
    let bytes = size.checked_mul(header.count as usize).filter(|bytes| *bytes <= MAX_ENTRIES);
    let Some(bytes) = bytes.filter(|_| size >= 128 && size.is_multiple_of(8)) else {
        return Err(format!("expected entries of 128 bytes or more, got {} of {size}", header.count));
    };
    let off = header.entries_lba.checked_mul(sector).ok_or("the entries lie beyond any disk")?;
    let raw =
        from.bytes(off, bytes).map_err(|error: io::Error| format!("cannot read the entries: {error}"))?;
    let got = crc32(&raw);
    if got != header.entries_crc {
        return Err(format!("checksum of the entries: expected {:08x}, got {got:08x}", header.entries_crc));
    }
    let mut partitions = Vec::new();
    for (index, entry) in raw.chunks_exact(size).enumerate() {
        if entry[..16].iter().all(|byte| *byte == 0) {
            continue;
        }
        let (first, last) = (le64(entry, 32), le64(entry, 40));
        let place = first.checked_mul(sector).zip(
            last.checked_sub(first)
                .and_then(|span| span.checked_add(1))
                .and_then(|span| span.checked_mul(sector)),
        );
        let Some((start, size)) = place else {
            return Err(format!("partition {}: sectors {first} to {last} are no range", index + 1));
        };
        let name: Vec<u16> = entry[56..128]
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        partitions.push(Partition {
            index: index as u32 + 1,
            name: (!name.is_empty()).then(|| String::from_utf16_lossy(&name)),
            kind: guid(&entry[..16]),
            uuid: Some(guid(&entry[16..32])),
            bootable: le64(entry, 48) & 4 != 0,
            start,
            size,
            fs: None,
        });
    }
    Ok(partitions)
}

fn layout(sector: u64, header: &Header, partitions: Vec<Partition>) -> Layout {
    let table = Table::Gpt { disk: header.disk.clone() };
    Layout { table, sector: sector as u32, partitions, warnings: Vec::new() }
}

/// What is wrong with the backup; a disk may be larger than its image, so it is looked for where the primary says.
fn check_backup(from: &mut dyn ReadAt, sector: u64, primary: &Header) -> Option<String> {
    let place = format!("GPT backup at sector {}", primary.other);
    match candidate(from, sector, primary.other) {
        Err(error) => Some(format!("{place}: {error}")),
        Ok(None) => Some(format!("{place}: expected a header, got none")),
        Ok(Some(Err(why))) => Some(format!("{place}: {why}")),
        Ok(Some(Ok(backup))) => {
            let same = backup.disk == primary.disk && backup.entries_crc == primary.entries_crc;
            let broken = entries(from, sector, &backup).err();
            let differs = (!same).then(|| "it differs from the primary".to_owned());
            broken.or(differs).map(|why| format!("{place}: {why}"))
        }
    }
}

/// The table from its copy in the last sector of the disk.
fn from_backup(from: &mut dyn ReadAt, sector: u64, why: &str) -> Result<Layout, TableError> {
    let last = (from.len() / sector).saturating_sub(1);
    let backup = candidate(from, sector, last)?;
    let Some(Ok(header)) = backup else {
        return Err(bad(format!("GPT: {why}; and no sound backup in the last sector")));
    };
    let partitions = entries(from, sector, &header)
        .map_err(|backup| bad(format!("GPT: {why}; and the backup: {backup}")))?;
    let mut layout = layout(sector, &header, partitions);
    layout.warnings.push(format!("GPT primary: {why}; read from the backup"));
    Ok(layout)
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn le32(raw: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&raw[at..at + 4]);
    u32::from_le_bytes(out)
}

fn le64(raw: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&raw[at..at + 8]);
    u64::from_le_bytes(out)
}

/// The mixed-endian GUID of the standard.
fn guid(raw: &[u8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    super::dashed(order.into_iter().map(|index| raw[index]))
}
