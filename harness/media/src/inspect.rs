//! What an image or a medium holds, without mounting it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;
use shakedown_core::{Fault, ImageRef, InfraKind, Medium, MediumId, Source as _};

use crate::error::{Container, WriteError};
use crate::files::{EntryKind, TreeLimits, read_in};
use crate::layout::{Layout, Partition, Table, TableError, read_layout};
use crate::pipeline::{Part, drain};
use crate::progress::{Meter, OnProgress, Phase, Stopped};
use crate::source::open_source;

/// More than any os-release or config.json has.
const TEXT_MAX: u64 = 1 << 20;

/// The fields of an os-release file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OsRelease {
    /// The partition it was found on.
    pub partition: u32,
    /// Its path there.
    pub path: String,
    /// Its fields, unquoted: `ID`, `VERSION_ID` …
    pub fields: BTreeMap<String, String>,
}

/// A text found on a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The partition it was found on.
    pub partition: u32,
    /// Its path there.
    pub path: String,
    /// As it is; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// By which ways a machine could start from the disk: what is there, not that it works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootHints {
    /// The first sector holds code for a PC's BIOS.
    pub bios: bool,
    /// EFI programs at removable-media paths, and on which partition: `1:/EFI/BOOT/BOOTX64.EFI`.
    pub efi: Vec<String>,
    /// Partitions marked bootable or as EFI system partition.
    pub marked: Vec<u32>,
}

/// What a disk holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskInfo {
    /// Partitions and file systems.
    pub layout: Layout,
    /// The os-release of each root, in order of the partitions; an update leaves several.
    pub os_release: Vec<OsRelease>,
    /// The `config.json` of a boot partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Text>,
    /// How it could boot.
    pub boot: BootHints,
}

/// What an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageInfo {
    /// Its hashes and size.
    pub image: ImageRef,
    /// The form it lies in.
    pub container: Container,
    /// What it holds.
    pub disk: DiskInfo,
}

/// Looks at a disk: partitions, file systems, os-release, config.json.
///
/// A file system that cannot be read is named in the layout's warnings.
pub fn inspect(medium: &mut dyn Medium) -> Result<DiskInfo, TableError> {
    let mut layout = read_layout(medium)?;
    let mut first = [0; 446];
    medium.read_at(0, &mut first)?;
    let bios = first[..440].iter().any(|byte| *byte != 0) && layout.table != Table::Iso;
    let mut boot = BootHints { bios, ..BootHints::default() };
    let mut os_release = Vec::new();
    let mut config = None;
    let mut warnings = Vec::new();
    for partition in &layout.partitions {
        if partition.bootable || partition.is_esp() {
            boot.marked.push(partition.index);
        }
        let Some(fs) = &partition.fs else { continue };
        if fs.kind.is_ext() || fs.kind.is_fat() {
            os_release.extend(release_on(medium, partition, &mut warnings));
        }
        if fs.kind.is_fat() {
            boot.efi.extend(efi_programs(medium, partition));
            let found = read_in(medium, partition, "/config.json", TEXT_MAX);
            if let (None, Ok(file)) = (&config, found) {
                let text = String::from_utf8_lossy(&file.bytes).into_owned();
                config = Some(Text { partition: partition.index, path: "/config.json".to_owned(), text });
            }
        }
    }
    layout.warnings.extend(warnings);
    Ok(DiskInfo { layout, os_release, config, boot })
}

fn release_on(
    medium: &mut dyn Medium,
    partition: &Partition,
    warnings: &mut Vec<String>,
) -> Option<OsRelease> {
    for path in ["/etc/os-release", "/usr/lib/os-release", "/os-release"] {
        match read_in(medium, partition, path, TEXT_MAX) {
            Ok(file) => {
                let fields = parse_release(&String::from_utf8_lossy(&file.bytes));
                return Some(OsRelease { partition: partition.index, path: path.to_owned(), fields });
            }
            Err(crate::FsError::NotFound { .. } | crate::FsError::WrongKind { .. }) => {}
            Err(error) => {
                warnings.push(error.to_string());
                return None;
            }
        }
    }
    None
}

fn efi_programs(medium: &mut dyn Medium, partition: &Partition) -> Vec<String> {
    let limits = TreeLimits { entries: 100, file: 0, total: 0 };
    let which = crate::Select::Index(partition.index);
    let Ok(tree) = crate::read_tree(medium, &which, "/EFI/BOOT", limits) else { return Vec::new() };
    let programs = tree
        .entries
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.path.to_ascii_uppercase().ends_with(".EFI"));
    programs.map(|entry| format!("{}:{}", partition.index, entry.path)).collect()
}

/// `KEY=value` lines; quotes and backslashes as a shell would take them.
fn parse_release(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), unquote(value.trim())))
        .collect()
}

fn unquote(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
    if quote == Some('\'') {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(char) = rest.next() {
        out.push(if char == '\\' { rest.next().unwrap_or('\\') } else { char });
    }
    out
}

/// Looks at an image: its hashes and what it holds.
///
/// A compressed image is unpacked into a sparse file in `scratch`, which is gone
/// afterwards; a raw one is read where it lies. One pass, with progress.
pub fn inspect_image(
    path: &Path,
    scratch: &Path,
    progress: &mut OnProgress<'_>,
) -> Result<ImageInfo, WriteError> {
    let mut source = open_source(path)?;
    let container = source.container();
    let host = |op: &str, error: &io::Error| {
        let fault = Fault::new(InfraKind::Host, "media", op, scratch.display().to_string()).because(error);
        WriteError::from(fault.hint("the unpacked image needs room there"))
    };
    let unpacked = match container {
        Container::Raw => None,
        _ => Some(tempfile::tempfile_in(scratch).map_err(|error| host("make a file in", &error))?),
    };
    let mut meter = Meter::new(progress, Phase::Identify);
    let drained = drain(&mut source, |source, off, part| {
        let len = match part {
            Part::Data(bytes) => {
                if let Some(file) = &unpacked {
                    file.write_all_at(bytes, off).map_err(|error| host("unpack into", &error))?;
                }
                bytes.len() as u64
            }
            Part::Hole(len) => *len,
        };
        let (read, file) = source.consumed();
        let (done, total) = source.len_hint().map_or((read, file), |total| (off + len, total));
        meter.at(done, total).map_err(|Stopped { phase, done }| WriteError::Cancelled { phase, done })
    })?;
    let size = drained.map.len();
    let file = match unpacked {
        Some(file) => {
            file.set_len(size).map_err(|error| host("unpack into", &error))?;
            file
        }
        None => File::open(path).map_err(|error| source.refuse(crate::ImageProblem::io("open", &error)))?,
    };
    let mut medium = Reading::new(file, path, size);
    let disk = inspect(&mut medium)
        .map_err(|error| source.refuse(crate::ImageProblem::BadTable { why: error.to_string() }))?;
    let field = |key: &str| disk.os_release.first().and_then(|release| release.fields.get(key).cloned());
    let image = ImageRef {
        path: path.to_owned(),
        sha256: drained.file,
        payload: drained.payload,
        size,
        os: field("ID"),
        version: field("VERSION_ID"),
        companions: BTreeMap::new(),
    };
    Ok(ImageInfo { image, container, disk })
}

/// The os-release of a raw image; a missing or unreadable one only leaves the fields empty.
pub(crate) fn release_of(path: &Path, container: Container) -> Option<BTreeMap<String, String>> {
    if container != Container::Raw {
        return None;
    }
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let disk = inspect(&mut Reading::new(file, path, size)).ok()?;
    disk.os_release.into_iter().next().map(|release| release.fields)
}

/// A file that is only looked at: needs no lock, refuses writing.
struct Reading {
    file: File,
    id: MediumId,
}

impl Reading {
    fn new(file: File, path: &Path, size: u64) -> Self {
        Self { file, id: MediumId { path: path.display().to_string(), serial: None, size } }
    }
}

impl Medium for Reading {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, off)
    }

    fn write_at(&mut self, _off: u64, _buf: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn barrier(&mut self) -> io::Result<()> {
        Ok(())
    }
}
