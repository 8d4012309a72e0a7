//! Partition tables and file systems, as the distribution's tools make and judge them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use shakedown_core::Medium as _;
use shakedown_media::{
    Container, FileMedium, FsKind, Layout, Select, Table, TableError, inspect, inspect_image, read_layout,
};
use tempfile::TempDir;

use crate::support::{MIB, file, os_disk, pack, quiet, sfdisk, text, tool};

fn layout(path: &Path) -> Result<Layout, TableError> {
    read_layout(&mut FileMedium::open(path).unwrap())
}

/// What blkid says of a range of a file.
fn blkid(path: &Path, field: &str) -> String {
    tool("blkid", &["-p", "-o", "value", "-s", field, text(path)]).trim().to_owned()
}

#[test]
fn a_gpt_disk_is_read_as_blkid_reads_it() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let layout = layout(&path).unwrap();
    assert_eq!(layout.table, Table::Gpt { disk: "11111111-2222-3333-4444-555555555555".to_owned() });
    assert!(layout.warnings.is_empty(), "{:?}", layout.warnings);
    let names: Vec<_> = layout.partitions.iter().map(|one| one.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["boot", "rootA", "state", "swap"]);
    let boot = &layout.partitions[0];
    assert_eq!((boot.index, boot.start, boot.size), (1, 2048 * 512, 32768 * 512));
    assert!(boot.is_esp());
    assert_eq!(boot.uuid.as_deref(), Some("aaaaaaaa-0000-0000-0000-000000000001"));
    let parts = ["boot.fat", "root.ext4", "state.ext4", "swap"];
    for (partition, part) in layout.partitions.iter().zip(parts) {
        let fs = partition.fs.as_ref().unwrap();
        let part = dir.path().join(part);
        assert_eq!(fs.label.as_deref().unwrap_or(""), blkid(&part, "LABEL"));
        assert_eq!(fs.uuid.as_deref().unwrap_or(""), blkid(&part, "UUID"));
    }
    let kinds: Vec<_> = layout.partitions.iter().map(|one| one.fs.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [FsKind::Fat16, FsKind::Ext4, FsKind::Ext4, FsKind::Swap]);

    assert_eq!(layout.select(&Select::from("rootA")).unwrap().index, 2);
    assert_eq!(layout.select(&Select::from("rootfs")).unwrap().index, 2, "by file system label");
    assert_eq!(layout.select(&Select::from(4)).unwrap().name.as_deref(), Some("swap"));
    let error = layout.select(&Select::from("rootB")).unwrap_err().to_string();
    assert!(error.contains("`rootB`") && error.contains("2 rootA"), "{error}");
}

#[test]
fn every_fat_is_told_apart() {
    let dir = TempDir::new().unwrap();
    for (bits, size, kind) in [("12", 2, FsKind::Fat12), ("16", 16, FsKind::Fat16), ("32", 64, FsKind::Fat32)]
    {
        let part = dir.path().join("part");
        File::create(&part).unwrap().set_len(size * MIB).unwrap();
        tool("mkfs.vfat", &["-F", bits, "-s", "1", "-n", "FIRST", text(&part)]);
        tool("mlabel", &["-i", text(&part), "::SECOND"]);
        let disk = dir.path().join("disk");
        let table =
            file(dir.path(), "table", b"label: dos\nlabel-id: 0xdeadbeef\nstart=2048, type=c, bootable\n");
        File::create(&disk).unwrap().set_len((size + 1) * MIB).unwrap();
        sfdisk(&disk, &table);
        let out = File::options().write(true).open(&disk).unwrap();
        out.write_all_at(&std::fs::read(&part).unwrap(), MIB).unwrap();
        let layout = layout(&disk).unwrap();
        assert_eq!(layout.table, Table::Mbr { disk: "deadbeef".to_owned() });
        let partition = &layout.partitions[0];
        assert!(partition.bootable && partition.kind == "0c");
        let fs = partition.fs.as_ref().unwrap();
        assert_eq!((fs.kind, fs.label.as_deref()), (kind, Some("SECOND")), "the root's label counts");
        assert_eq!(fs.uuid.as_deref().unwrap(), blkid(&part, "UUID"));
    }
}

#[test]
fn logical_partitions_are_followed_and_a_loop_of_them_ends() {
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("disk");
    File::create(&disk).unwrap().set_len(32 * MIB).unwrap();
    let table =
        b"label: dos\nstart=2048, size=2048, type=83\nstart=4096, type=5\nstart=6144, size=2048, type=83\n\
        start=10240, size=4096, type=82\n";
    sfdisk(&disk, &file(dir.path(), "table", table));
    let found = layout(&disk).unwrap();
    let places: Vec<_> = found.partitions.iter().map(|one| (one.index, one.start / 512)).collect();
    assert_eq!(places, [(1, 2048), (2, 4096), (5, 6144), (6, 10240)]);
    // The first extended record names itself as the next.
    let out = File::options().write(true).open(&disk).unwrap();
    let mut next = [0; 16];
    next[4] = 5;
    next[12] = 1;
    out.write_all_at(&next, 4096 * 512 + 462).unwrap();
    assert!(layout(&disk).unwrap_err().to_string().contains("without end"));
}

#[test]
fn a_broken_primary_is_read_from_the_backup_and_said_so() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let whole = layout(&path).unwrap();
    let out = File::options().write(true).open(&path).unwrap();
    out.write_all_at(&[0xff], 512 + 60).unwrap();
    let mended = layout(&path).unwrap();
    assert_eq!(mended.partitions, whole.partitions);
    assert!(mended.warnings[0].contains("header checksum: expected"), "{:?}", mended.warnings);
    // An image is refused where a disk is read on.
    let error = shakedown_media::open_source(&path).unwrap_err().to_string();
    assert!(error.contains("header checksum"), "{error}");
    out.write_all_at(&[0xff], 48 * MIB - 512 + 60).unwrap();
    assert!(layout(&path).unwrap_err().to_string().contains("no sound backup"));
}

#[test]
fn a_broken_backup_and_broken_entries_are_said() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let out = File::options().write(true).open(&path).unwrap();
    out.write_all_at(&[0xff; 16], 48 * MIB - 512).unwrap();
    let found = layout(&path).unwrap();
    assert!(found.warnings[0].contains("GPT backup"), "{:?}", found.warnings);
    out.write_all_at(&[0xff], 1024 + 60).unwrap();
    let error = layout(&path).unwrap_err().to_string();
    assert!(error.contains("checksum of the entries"), "{error}");
}

#[test]
fn a_truncated_raw_image_is_known_by_its_table() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    File::options().write(true).open(&path).unwrap().set_len(20 * MIB).unwrap();
    let error = shakedown_media::open_source(&path).unwrap_err().to_string();
    assert!(error.contains("truncated: expected at least") && error.contains("partition 2"), "{error}");
}

#[test]
fn hostile_tables_are_errors_and_not_panics() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let good = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let small = &good[..2 * MIB as usize];
    for _ in 0..400 {
        let mut bytes = small.to_vec();
        for _ in 0..random.usize(1..8) {
            let place = random.usize(440..1024 + 512);
            bytes[place] = random.u8(..);
        }
        if random.bool() {
            // With a right checksum the fields themselves are judged.
            bytes[528..532].fill(0);
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[512..604]);
            bytes[528..532].copy_from_slice(&crc.sum().to_le_bytes());
        }
        let mut medium = crate::support::Faulty::new(bytes.len() as u64, crate::support::Lie::None);
        medium.bytes = bytes;
        let _ = read_layout(&mut medium);
    }
}

#[test]
fn a_disk_is_inspected_without_mounting() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let disk = inspect(&mut FileMedium::open(&path).unwrap()).unwrap();
    let release = &disk.os_release[0];
    assert_eq!((release.partition, release.path.as_str()), (2, "/etc/os-release"));
    assert_eq!(release.fields["ID"], "shakedown-reference");
    assert_eq!(release.fields["VERSION_ID"], "1.2.3");
    assert_eq!(release.fields["NAME"], "Reference \"OS\"");
    assert_eq!(disk.config.as_ref().unwrap().text, crate::support::CONFIG);
    assert_eq!(disk.boot.efi, ["1:/EFI/BOOT/BOOTX64.EFI"]);
    assert!(!disk.boot.bios);
    assert_eq!(disk.boot.marked, [1]);
}

#[test]
fn an_image_is_inspected_raw_and_packed() {
    let dir = TempDir::new().unwrap();
    let path = os_disk(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    let raw = inspect_image(&path, dir.path(), &mut quiet).unwrap();
    assert_eq!(raw.image.os.as_deref(), Some("shakedown-reference"));
    assert_eq!(raw.image.version.as_deref(), Some("1.2.3"));
    for container in [Container::Raw, Container::Zstd] {
        let packed = file(dir.path(), "image", &pack(container, &bytes));
        let info = inspect_image(&packed, dir.path(), &mut quiet).unwrap();
        assert_eq!(info.container, container);
        assert_eq!(info.disk, raw.disk);
        assert_eq!(info.image.payload, raw.image.payload);
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{left:?}");
    let identity = shakedown_media::identify(&path, &mut quiet).unwrap();
    assert_eq!(identity.image(), &raw.image);
    assert_eq!(FileMedium::open(&path).unwrap().len(), identity.image().size);
}
