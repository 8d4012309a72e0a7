//! Reading files of FAT and ext partitions, also of a file system that was cut off.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use shakedown_media::{
    EntryKind, FileMedium, FileRead, FsError, Replay, Select, TreeLimits, read_file, read_layout, read_tree,
};
use tempfile::TempDir;

use crate::support::{CONFIG, Faulty, Lie, RELEASE, file, os_disk, text, tool, try_tool};

const ROOT_AT: u64 = 34816 * 512;

fn open(path: &Path) -> FileMedium {
    FileMedium::open_read_only(path).unwrap()
}

#[test]
fn files_are_read_from_both_kinds() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let mut medium = open(&path);
    let config = read_file(&mut medium, &Select::from("boot"), "/config.json", 1000).unwrap();
    assert_eq!((config.bytes.as_slice(), config.size), (CONFIG.as_bytes(), CONFIG.len() as u64));
    let release = read_file(&mut medium, &Select::from("rootA"), "etc//os-release", 1000).unwrap();
    assert_eq!(release.bytes, RELEASE.as_bytes(), "through a symbolic link");
    assert_eq!(release.replay, Replay::Clean);
    let long = read_file(&mut medium, &Select::from(2), "/var/log/long", 100).unwrap();
    assert_eq!((long.bytes.len(), long.size), (100, 200_000));
}

#[test]
fn what_is_not_there_is_named() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let mut medium = open(&path);
    let mut failure =
        |which: u32, path: &str| read_file(&mut medium, &Select::from(which), path, 10).unwrap_err();
    for which in [1, 2] {
        assert!(
            matches!(failure(which, "/no/such"), FsError::NotFound { partition, .. } if partition == which)
        );
    }
    assert!(matches!(failure(2, "/etc"), FsError::WrongKind { expected: "a file", .. }));
    assert!(matches!(
        failure(1, "/EFI"),
        FsError::WrongKind { expected: "a file", .. } | FsError::NotFound { .. }
    ));
    assert!(failure(4, "/x").to_string().contains("expected FAT or ext, got swap"));
    assert!(matches!(failure(9, "/x"), FsError::NoPartition(_)));
}

#[test]
fn a_tree_is_read_with_its_limits() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let mut medium = open(&path);
    let limits = TreeLimits { file: 1000, ..TreeLimits::default() };
    let tree = read_tree(&mut medium, &Select::from("rootA"), "/var", limits).unwrap();
    let of = |name: &str| tree.entries.iter().find(|entry| entry.path == name).unwrap();
    assert_eq!(of("/var/log").kind, EntryKind::Directory);
    assert_eq!(of("/var/log/short").bytes, Some(Ok(b"the last words\n".to_vec())));
    assert_eq!((of("/var/log/long").size, &of("/var/log/long").bytes), (200_000, &None));
    assert!(tree.cut);
    let tree = read_tree(&mut medium, &Select::from("boot"), "/EFI", TreeLimits::default()).unwrap();
    let paths: Vec<_> = tree.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["/EFI/BOOT", "/EFI/BOOT/BOOTX64.EFI"]);
    assert!(!tree.cut);
    let limits = TreeLimits { entries: 1, ..TreeLimits::default() };
    let tree = read_tree(&mut medium, &Select::from("rootA"), "/", limits).unwrap();
    assert_eq!((tree.entries.len(), tree.cut), (1, true));
}

/// Makes the root file system one that lost power: the journal, written by debugfs, holds a block that is not in place yet.
///
/// `open` is debugfs's command to open the journal. Once replayed, `short` has other words.
fn cut_off(dir: &Path, disk: &Path, open: &str) {
    let root = dir.join("root.ext4");
    let blocks = tool("debugfs", &["-R", "blocks /var/log/short", text(&root)]);
    let block = blocks.split_whitespace().next().unwrap();
    let mut bytes = b"after the cut\n\n".to_vec();
    bytes.resize(1024, 0);
    let dump = file(dir, "block", &bytes);
    let commands = format!("{open}\njw -b {block} {}\njc\n", text(&dump));
    let script = file(dir, "commands", commands.as_bytes());
    tool("debugfs", &["-w", "-f", text(&script), text(&root)]);
    let out = File::options().write(true).open(disk).unwrap();
    out.write_all_at(&std::fs::read(&root).unwrap(), ROOT_AT).unwrap();
}

fn short(disk: &Path) -> FileRead {
    read_file(&mut open(disk), &Select::from("rootA"), "/var/log/short", 14).unwrap()
}

#[test]
fn a_journal_is_replayed_in_memory_only() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    cut_off(dir.path(), &path, "jo -c -v 3");
    let before = std::fs::read(&path).unwrap();
    let layout = read_layout(&mut open(&path)).unwrap();
    assert!(layout.partitions[1].fs.as_ref().unwrap().needs_recovery);
    let read = short(&path);
    assert_eq!(read.bytes, b"after the cut\n");
    assert_eq!(read.replay, Replay::Replayed);
    assert!(std::fs::read(&path).unwrap() == before);
    // The judge: e2fsck replays the same. It says with its status that it did something.
    let root = dir.path().join("root.ext4");
    let (_, said) = try_tool("e2fsck", &["-fy", text(&root)]);
    assert!(said.contains("recovering journal"), "{said}");
    assert!(tool("debugfs", &["-R", "cat /var/log/short", text(&root)]).contains("after the cut"));
}

#[test]
fn a_journal_that_cannot_be_replayed_is_left_out_and_said_so() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    // Without the checksums that kernels write since 2012: nothing can tell whole from torn.
    cut_off(dir.path(), &path, "jo");
    let read = short(&path);
    assert_eq!(read.bytes, b"the last words", "as it was before the journal");
    assert!(matches!(&read.replay, Replay::Skipped { why } if why.contains("journal")), "{:?}", read.replay);

    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    cut_off(dir.path(), &path, "jo -c -v 3");
    let root = dir.path().join("root.ext4");
    let place = tool("debugfs", &["-R", "bmap <8> 0", text(&root)]);
    let block: u64 = place.split_whitespace().next().unwrap().parse().unwrap();
    let out = File::options().write(true).open(&path).unwrap();
    out.write_all_at(&[0; 12], ROOT_AT + block * 1024).unwrap();
    let read = short(&path);
    assert_eq!(read.bytes, b"the last words");
    assert!(matches!(&read.replay, Replay::Skipped { why } if why.contains("journal")), "{:?}", read.replay);
}

#[test]
fn damaged_file_systems_are_errors_and_not_panics() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let good = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let limits = TreeLimits { entries: 500, ..TreeLimits::default() };
    let mut medium = Faulty::new(good.len() as u64, Lie::None);
    for round in 0..40 {
        medium.bytes.copy_from_slice(&good);
        let start = if round % 2 == 0 { 2048 * 512 } else { ROOT_AT as usize };
        for _ in 0..30 {
            // Superblocks, FATs, group descriptors, inodes and directories lie at the beginning.
            let place = start + random.usize(0..600 << 10);
            medium.bytes[place] = random.u8(..);
        }
        let which = Select::from(1 + (round % 2) as u32);
        let _ = read_tree(&mut medium, &which, "/", limits);
        let _ = read_file(&mut medium, &which, "/config.json", 1000);
    }
}
