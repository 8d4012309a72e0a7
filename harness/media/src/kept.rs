//! Proof that a medium still holds an image on which its OS has run since it was written.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use shakedown_core::{Fault, InfraKind, Medium, MediumId, Sha, Source as _};

use crate::digest::{Chunker, is_zero};
use crate::error::WriteError;
use crate::files::{EntryKind, Tree, TreeLimits, read_tree};
use crate::layout::{Layout, Partition, Select, Table, read_layout};
use crate::pipeline::{Drained, Part, drain};
use crate::progress::{Meter, OnProgress, Phase};
use crate::source::ImageSource;
use crate::write::{Written, broken, cancelled, not_itself, prove_holds};

/// What an OS writes on its own medium.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutable {
    /// Labels of the partitions that it writes. They are not compared.
    pub partitions: Vec<String>,
    /// Label of the boot partition, which is mounted for writing: it is compared by its files.
    pub boot: String,
    /// Files on it that are not compared.
    pub files: Vec<String>,
}

/// What was compared, and what was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What is equal byte for byte, the partition table aside, which is equal too.
    pub equal: Vec<String>,
    /// How many files of the boot partition are equal.
    pub files: usize,
    /// Partitions and files that were not compared.
    pub left_out: Vec<String>,
}

/// What is done about a range of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Care {
    /// Each byte must be the same; its name for people.
    Same(String),
    /// It is kept and looked at: the partition table, the boot partition.
    Look,
    /// The OS's own.
    Leave,
}

/// A range, in ascending order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    end: u64,
    care: Care,
}

/// The largest boot partition that is compared: all of it is held in memory.
const MOST: u64 = 1 << 30;
/// Behind the boot code of the first sector: the disk's id and the old partition table.
const BOOT_CODE: u64 = 440;

/// Proves without writing that partition table, boot code, all partitions but those that the OS
/// writes, and the boot partition's files are as in the image. A medium without a partition table
/// must hold the whole image.
pub fn prove_kept(
    source: &mut ImageSource,
    medium: &mut dyn Medium,
    mutable: &Mutable,
    progress: &mut OnProgress<'_>,
) -> Result<Written, WriteError> {
    not_itself(source, &medium.identity().path)?;
    let Ok(layout) = read_layout(medium) else { return prove_holds(source, medium, progress) };
    // What is compared must come from the medium.
    medium.barrier().map_err(|error| broken(medium, "flush", 0, &error))?;
    let (image, endpoint, room) = (source.path().to_owned(), medium.identity().path.clone(), medium.len());
    let differs =
        |what: String| WriteError::Differs { path: image.clone(), endpoint: endpoint.clone(), what };
    let ranges = ranges(&layout, mutable);
    let mut meter = Meter::new(progress, Phase::Verify);
    let mut looked = Looked::new(medium.identity());
    let (mut same, mut compared) = (Chunker::default(), 0);
    let mut piece = Vec::new();
    let Drained { file, payload, .. } = drain(source, |source, start, part| {
        let len = match part {
            Part::Data(bytes) => bytes.len() as u64,
            Part::Hole(len) => *len,
        };
        let end = start + len;
        if end > room {
            return Err(WriteError::TooSmall {
                path: image.clone(),
                endpoint: endpoint.clone(),
                image: end,
                medium: room,
            });
        }
        let mut at = start;
        for range in ranges.iter().skip_while(|range| range.end <= start) {
            let stop = range.end.min(end);
            match (&range.care, part) {
                (Care::Leave, _) | (Care::Look, Part::Hole(_)) => {}
                (Care::Look, Part::Data(bytes)) => {
                    looked.keep(at, &bytes[(at - start) as usize..(stop - start) as usize])?;
                }
                (Care::Same(name), part) => {
                    let mut off = at;
                    while off < stop {
                        piece.resize((stop - off).min(1 << 20) as usize, 0);
                        medium
                            .read_at(off, &mut piece)
                            .map_err(|error| broken(medium, "read", off, &error))?;
                        let expected = match part {
                            Part::Data(bytes) => Some(&bytes[(off - start) as usize..][..piece.len()]),
                            Part::Hole(_) => None,
                        };
                        if let Some(at) = first_difference(&piece, expected) {
                            return Err(differs(format!(
                                "{name} differs from the image at byte {}",
                                off + at
                            )));
                        }
                        same.data(&piece);
                        off += piece.len() as u64;
                    }
                    compared += stop - at;
                }
            }
            at = stop;
            if at == end {
                break;
            }
        }
        let (read, size) = source.consumed();
        let (done, total) = source.len_hint().map_or((read, size), |total| (end, total));
        meter.at(done, total).map_err(cancelled)
    })?;
    if let Some(what) = table_difference(&layout, &mut looked, &ranges_of_os(&layout, mutable)) {
        return Err(differs(what));
    }
    let files = match boot_difference(&mut looked, medium, mutable) {
        Ok(files) => files,
        Err(what) => return Err(differs(what)),
    };
    let mut equal: Vec<String> = ranges
        .into_iter()
        .filter_map(|range| match range.care {
            Care::Same(name) => Some(name),
            Care::Look | Care::Leave => None,
        })
        .collect();
    // Before and behind the table.
    equal.dedup();
    let kept =
        Kept { equal, files, left_out: mutable.partitions.iter().chain(&mutable.files).cloned().collect() };
    let hash = same.finish().root();
    Ok(Written::kept_as(
        source.path(),
        [file, payload, hash],
        compared,
        meter.elapsed(),
        medium.identity(),
        kept,
    ))
}

fn first_difference(got: &[u8], expected: Option<&[u8]>) -> Option<u64> {
    let same = expected.map_or_else(|| is_zero(got), |expected| expected == got);
    if same {
        return None;
    }
    let differs = |(at, byte): (usize, &u8)| *byte != expected.map_or(0, |expected| expected[at]);
    got.iter().enumerate().position(differs).map(|at| at as u64)
}

/// Name and label of a partition, for people.
fn named(partition: &Partition) -> String {
    let label = partition.name.as_deref().or_else(|| partition.fs.as_ref()?.label.as_deref());
    format!("partition {} ({})", partition.index, label.unwrap_or("no label"))
}

fn is(partition: &Partition, label: &str) -> bool {
    let of_fs = || partition.fs.as_ref().and_then(|fs| fs.label.as_deref());
    partition.name.as_deref() == Some(label) || of_fs() == Some(label)
}

/// The numbers of the partitions whose end may have moved: an OS grows the last of its own.
fn ranges_of_os(layout: &Layout, mutable: &Mutable) -> Vec<u32> {
    let own = |partition: &&Partition| mutable.partitions.iter().any(|label| is(partition, label));
    layout.partitions.iter().filter(own).map(|partition| partition.index).collect()
}

fn ranges(layout: &Layout, mutable: &Mutable) -> Vec<Range> {
    let table = match layout.table {
        Table::Gpt { .. } => 34 * u64::from(layout.sector),
        Table::Mbr { .. } | Table::Iso => 512,
    };
    let own = ranges_of_os(layout, mutable);
    // The frame of the logical partitions is no partition of its own.
    let mut partitions: Vec<_> =
        layout.partitions.iter().filter(|part| !matches!(part.kind.as_str(), "05" | "0f" | "85")).collect();
    partitions.sort_by_key(|partition| partition.start);
    let first = partitions.first().map_or(table, |partition| partition.start);
    let boot_code = || Care::Same("the boot code".to_owned());
    let mut ranges = vec![
        Range { end: BOOT_CODE.min(first), care: boot_code() },
        Range { end: table.min(first), care: Care::Look },
        Range { end: first, care: boot_code() },
    ];
    let mut at = first;
    for partition in partitions {
        if partition.start > at {
            ranges.push(Range { end: partition.start, care: Care::Look });
        }
        let care = if own.contains(&partition.index) {
            Care::Leave
        } else if is(partition, &mutable.boot) {
            Care::Look
        } else {
            Care::Same(named(partition))
        };
        at = at.max(partition.end());
        ranges.push(Range { end: at, care });
    }
    ranges.push(Range { end: u64::MAX, care: Care::Look });
    let mut last = 0;
    // Empty ones, as of a disk whose boot code ends where its table begins.
    ranges.retain(|range| {
        let more = range.end > last;
        last = last.max(range.end);
        more
    });
    ranges
}

/// What in the partition table is not as in the image.
fn table_difference(layout: &Layout, looked: &mut Looked, own: &[u32]) -> Option<String> {
    let image = match read_layout(looked) {
        Ok(image) => image,
        Err(error) => return Some(format!("the image has no such partition table: {error}")),
    };
    let expected: Vec<_> = image.partitions.iter().map(|partition| partition.index).collect();
    let got: Vec<_> = layout.partitions.iter().map(|partition| partition.index).collect();
    if expected != got {
        return Some(format!("expected partitions {expected:?}, got {got:?}"));
    }
    image.partitions.iter().zip(&layout.partitions).find_map(|(expected, got)| {
        let place = |partition: &Partition| {
            let size = if own.contains(&partition.index) { 0 } else { partition.size };
            (partition.start, size, partition.kind.clone(), partition.name.clone())
        };
        (place(expected) != place(got)).then(|| format!("the partition table differs: {}", named(got)))
    })
}

/// How many files of the boot partition are as in the image, or what is not.
fn boot_difference(looked: &mut Looked, medium: &mut dyn Medium, mutable: &Mutable) -> Result<usize, String> {
    let which = Select::Label(mutable.boot.clone());
    let limits = TreeLimits { entries: 100_000, file: MOST, total: MOST };
    let tree = |medium: &mut dyn Medium, of: &str| -> Result<Tree, String> {
        let tree = read_tree(medium, &which, "/", limits).map_err(|why| format!("{which} of {of}: {why}"))?;
        if tree.cut { Err(format!("{which} of {of} holds more than can be compared")) } else { Ok(tree) }
    };
    let (expected, got) = (tree(looked, "the image")?, tree(medium, "the medium")?);
    let got: BTreeMap<_, _> = got.entries.into_iter().map(|entry| (entry.path, entry.bytes)).collect();
    let left_out = |path: &str| {
        mutable.files.iter().any(|file| file.trim_matches('/').eq_ignore_ascii_case(path.trim_matches('/')))
    };
    let mut files = 0;
    for entry in expected.entries {
        if entry.kind != EntryKind::File || left_out(&entry.path) {
            continue;
        }
        let path = &entry.path;
        let Some(Ok(expected)) = entry.bytes else {
            return Err(format!("{path} of {which} cannot be read in the image"));
        };
        match got.get(path) {
            Some(Some(Ok(got))) if *got == expected => files += 1,
            Some(_) => return Err(format!("{path} of {which} differs from the image")),
            None => return Err(format!("{path} of {which} is gone")),
        }
    }
    Ok(files)
}

/// The parts of the image that were kept, as a medium; all else reads as zeros.
struct Looked {
    id: MediumId,
    parts: BTreeMap<u64, Vec<u8>>,
    held: u64,
}

impl Looked {
    fn new(like: &MediumId) -> Self {
        Self { id: like.clone(), parts: BTreeMap::new(), held: 0 }
    }

    fn keep(&mut self, off: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.held += bytes.len() as u64;
        if self.held > MOST {
            let fault = Fault::new(InfraKind::Host, "media", "compare", &self.id.path);
            let got = format!("more than {} MiB", MOST >> 20);
            return Err(fault.expected("a boot partition that fits into memory", got).into());
        }
        self.parts.insert(off, bytes.to_vec());
        Ok(())
    }
}

impl Medium for Looked {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let end = off + buf.len() as u64;
        for (start, bytes) in self.parts.range(..end).rev() {
            let stop = start + bytes.len() as u64;
            if stop <= off {
                break;
            }
            let (from, to) = (off.max(*start), end.min(stop));
            buf[(from - off) as usize..(to - off) as usize]
                .copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    fn write_at(&mut self, _off: u64, _buf: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn barrier(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes in a proof, in this order: the file, the payload, what was compared.
pub(crate) type Hashes = [Sha; 3];
