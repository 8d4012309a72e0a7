//! The PC's partition table, with logical partitions.

use super::{Depth, Layout, Partition, ReadAt, Table, TableError, bad, fs};

const SECTOR: u64 = 512;
/// A chain of logical partitions that is longer is a loop.
const MAX_LOGICAL: u32 = 128;

pub(super) struct Record {
    pub(super) active: bool,
    pub(super) kind: u8,
    first: u32,
    count: u32,
}

/// The four records of a sector with a boot signature.
pub(super) fn records(sector: &[u8]) -> Option<[Record; 4]> {
    if sector.get(510..512) != Some(&[0x55, 0xaa]) {
        return None;
    }
    let le = |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
    Some([446, 462, 478, 494].map(|at| Record {
        active: sector[at] == 0x80,
        kind: sector[at + 4],
        first: le(at + 8),
        count: le(at + 12),
    }))
}

pub(super) fn read(from: &mut dyn ReadAt, first: &[u8], depth: Depth) -> Result<Option<Layout>, TableError> {
    let Some(all) = records(first) else { return Ok(None) };
    // A file system's boot sector has the same signature, and code where the records would be.
    let flags_sound = [446, 462, 478, 494].iter().all(|at| matches!(first[*at], 0 | 0x80));
    if !flags_sound || (fs::fat(first).is_some() && all.iter().all(|one| one.count == 0)) {
        return Ok(None);
    }
    let mut partitions = Vec::new();
    let mut next_logical = 5;
    for (index, record) in all.iter().enumerate() {
        let index = index as u32 + 1;
        if record.kind == 0 || record.count == 0 {
            continue;
        }
        if record.first == 0 {
            return Err(bad(format!(
                "MBR: partition {index}: expected a start behind the table, got sector 0"
            )));
        }
        partitions.push(partition(index, record, 0));
        if is_extended(record.kind) && depth == Depth::Whole {
            logical(from, u64::from(record.first), &mut next_logical, &mut partitions)?;
        }
    }
    let disk = format!("{:08x}", u32::from_le_bytes([first[440], first[441], first[442], first[443]]));
    Ok(Some(Layout { table: Table::Mbr { disk }, sector: SECTOR as u32, partitions, warnings: Vec::new() }))
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

fn partition(index: u32, record: &Record, base: u64) -> Partition {
    Partition {
        index,
        name: None,
        kind: format!("{:02x}", record.kind),
        uuid: None,
        bootable: record.active,
        start: (base + u64::from(record.first)) * SECTOR,
        size: u64::from(record.count) * SECTOR,
        fs: None,
    }
}

/// Each extended boot record holds one partition and the place of the next record.
fn logical(
    from: &mut dyn ReadAt,
    extended: u64,
    index: &mut u32,
    partitions: &mut Vec<Partition>,
) -> Result<(), TableError> {
    let mut at = extended;
    for _ in 0..MAX_LOGICAL {
        let sector = from.bytes(at * SECTOR, SECTOR as usize)?;
        let Some([own, next, ..]) = records(&sector) else {
            return Err(bad(format!(
                "MBR: expected a boot record of a logical partition at sector {at}, got none"
            )));
        };
        if own.kind != 0 && own.count != 0 {
            partitions.push(partition(*index, &own, at));
            *index += 1;
        }
        if !is_extended(next.kind) || next.count == 0 {
            return Ok(());
        }
        at = extended + u64::from(next.first);
    }
    Err(bad(format!("MBR: expected at most {MAX_LOGICAL} logical partitions, got a chain without end")))
}
