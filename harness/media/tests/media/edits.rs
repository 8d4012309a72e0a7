//! Edits of the boot partition, judged by fsck and read by mtools.

use std::path::{Path, PathBuf};

use shakedown_core::Sha;
use shakedown_media::{EditError, FileMedium, FsError, JsonError, Select, edit_config, put_boot_file};
use tempfile::TempDir;

use crate::support::{CONFIG, Faulty, Lie, os_disk, text, tool};

fn boot() -> Select {
    Select::from("boot")
}

/// The boot partition as mtools names it: the image with an offset.
fn at(disk: &Path) -> String {
    format!("{}@@1M", text(disk))
}

/// Nothing that fsck would mend.
fn assert_clean(disk: &Path) {
    let part = disk.with_extension("part");
    let bytes = std::fs::read(disk).unwrap();
    std::fs::write(&part, &bytes[1 << 20..17 << 20]).unwrap();
    tool("fsck.vfat", &["-n", text(&part)]);
}

fn read(disk: &Path, path: &str) -> String {
    tool("mtype", &["-i", &at(disk), path])
}

fn fresh() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let disk = os_disk(dir.path());
    (dir, disk)
}

#[test]
fn keys_are_set_and_all_else_stays_as_it_was() {
    let (_dir, disk) = fresh();
    let mut medium = FileMedium::open(&disk).unwrap();
    let keys = [
        ("hostname", "\"dut-1\""),
        ("os.network.connectivity", "{\"interval\": 5}"),
        ("os.sshKeys", "[\"ssh-ed25519 AAAA test\"]"),
        ("developmentMode", "true"),
    ];
    let placed = edit_config(&mut medium, &boot(), "/config.json", &keys).unwrap();
    drop(medium);
    let got = read(&disk, "::/config.json");
    assert_eq!(
        got,
        "{\n  \"deviceType\": \"generic-amd64\",\n  \"big\": 12345678901234567890.10,\n  \"os\": {\n    \"network\": {\n      \
         \"wifi\": true,\n      \"connectivity\": {\"interval\": 5}\n    },\n    \"sshKeys\": [\"ssh-ed25519 AAAA test\"]\n  },\n  \
         \"hostname\": \"dut-1\",\n  \"developmentMode\": true\n}\n"
    );
    assert_eq!(placed.before(), Some(Sha::of(CONFIG.as_bytes())));
    assert_eq!(placed.read_back(), Sha::of(got.as_bytes()));
    assert_eq!((placed.partition(), placed.bytes()), (1, got.len() as u64));
    assert_eq!(placed.changes()[0].old.as_deref(), Some("\"old\""));
    assert_eq!(placed.changes()[3].old, None);
    assert_clean(&disk);
}

#[test]
fn a_missing_document_is_made_and_files_are_put() {
    let (_dir, disk) = fresh();
    let mut medium = FileMedium::open(&disk).unwrap();
    edit_config(&mut medium, &boot(), "/EFI/other.json", &[("a.b", "1")]).unwrap();
    let noise: Vec<u8> = (0..300_000u32).map(|byte| (byte * 7) as u8).collect();
    for bytes in [&noise[..], &noise[..5], &[], &noise[..70_000]] {
        let placed = put_boot_file(&mut medium, &boot(), "/EFI/A long name.dtbo", bytes).unwrap();
        assert_eq!((placed.bytes(), placed.read_back()), (bytes.len() as u64, Sha::of(bytes)));
    }
    let error = put_boot_file(&mut medium, &boot(), "/new/file", b"x").unwrap_err();
    assert!(matches!(error, EditError::Fs(FsError::NotFound { .. })), "no directory is made: {error}");
    drop(medium);
    assert_eq!(read(&disk, "::/EFI/other.json"), "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
    let out = disk.with_extension("copy");
    tool("mcopy", &["-n", "-i", &at(&disk), "::/EFI/A long name.dtbo", text(&out)]);
    assert!(std::fs::read(out).unwrap() == noise[..70_000]);
    assert_eq!(read(&disk, "::/config.json"), CONFIG);
    assert_clean(&disk);
}

#[test]
fn a_document_that_cannot_take_the_keys_is_refused_and_left_alone() {
    let (_dir, disk) = fresh();
    let mut medium = FileMedium::open(&disk).unwrap();
    let mut fails = |content: &str, key: &str, value: &str| -> JsonError {
        put_boot_file(&mut medium, &boot(), "/x.json", content.as_bytes()).unwrap();
        match edit_config(&mut medium, &boot(), "/x.json", &[(key, value)]).unwrap_err() {
            EditError::Json { error, .. } => error,
            other => panic!("{other}"),
        }
    };
    match fails("{\n  \"a\": 1,\n  oops\n}\n", "a", "2") {
        JsonError::Syntax { line: 3, column: 3, .. } => {}
        other => panic!("{other}"),
    }
    assert!(matches!(fails("[1]", "a", "2"), JsonError::Syntax { line: 1, .. }));
    assert!(matches!(fails("{\"a\": 1} x", "a", "2"), JsonError::Syntax { column: 10, .. }));
    let text = fails("{\"a\": [1]}", "a.b", "2").to_string();
    assert!(text.contains("expected an object at `a`, got [1]"), "{text}");
    assert!(matches!(fails("{}", "a", "not json"), JsonError::Value { .. }));
    assert!(matches!(fails("{}", "a..b", "1"), JsonError::Key { .. }));
    put_boot_file(&mut medium, &boot(), "/x.json", b"{\"\xff\": 1}").unwrap();
    let error = edit_config(&mut medium, &boot(), "/x.json", &[("a", "1")]).unwrap_err();
    assert!(error.to_string().contains("no UTF-8 from byte 2"), "{error}");
    drop(medium);
    assert_clean(&disk);
}

#[test]
fn a_full_partition_is_refused_before_the_old_file_is_lost() {
    let (_dir, disk) = fresh();
    let mut medium = FileMedium::open(&disk).unwrap();
    let much = vec![1; 17 << 20];
    let error = put_boot_file(&mut medium, &boot(), "/config.json", &much).unwrap_err();
    assert!(matches!(error, EditError::NoRoom { .. }), "{error}");
    drop(medium);
    assert_eq!(read(&disk, "::/config.json"), CONFIG);
    assert_clean(&disk);
}

#[test]
fn only_fat_is_edited() {
    let (_dir, disk) = fresh();
    let mut medium = FileMedium::open(&disk).unwrap();
    let error = edit_config(&mut medium, &Select::from("rootA"), "/x", &[]).unwrap_err();
    assert_eq!(error.to_string(), "partition 2: expected a FAT file system, got ext4");
    let error = edit_config(&mut medium, &Select::from("nothing"), "/x", &[]).unwrap_err();
    assert!(matches!(error, EditError::Fs(FsError::NoPartition(_))));
}

#[test]
fn a_medium_that_lies_gets_no_proof_of_an_edit() {
    let (_dir, disk) = fresh();
    let bytes = std::fs::read(&disk).unwrap();
    // Where the document's text lies.
    let place = bytes.windows(12).position(|window| window == b"\"deviceType\"").unwrap() as u64;
    for lie in [Lie::DropsWriteAt(place), Lie::BarrierFails] {
        let mut medium = Faulty::new(bytes.len() as u64, lie);
        medium.bytes.copy_from_slice(&bytes);
        let new = CONFIG.replace("generic-amd64", "generic-arm64");
        let error = put_boot_file(&mut medium, &boot(), "/config.json", new.as_bytes());
        assert!(error.is_err(), "{lie:?}");
    }
}
