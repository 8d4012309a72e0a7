//! Guests that are decided by the image: a boot sector that plays a script on the serial port.
//!
//! A micro guest's kernel is loaded by QEMU and boots whatever the image holds. These start
//! from the image in a second, so that an image can be good, silent, in a loop or off.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

/// Where the first partition begins, and how long it is.
const FIRST: u64 = 1 << 20;
const FAT: u64 = 4 << 20;
/// The disk that an image is for.
pub(crate) const DISK: u64 = 8 << 20;

/// Real-mode code: plays the bytes behind it. Above 8 they are printed on COM1; below they act.
///
/// ```text
/// start:  cli; cld; xor ax,ax; mov ds,ax; mov ss,ax; mov sp,7c00h; sti
/// again:  mov si,script
/// next:   lodsb; cmp al,8; ja print
///         1 → halt: hlt; jmp halt
///         2 → mov dx,0cf9h; mov al,6; out dx,al; jmp halt       (reset)
///         3 → mov dx,604h; mov ax,2000h; out dx,ax; jmp halt    (ACPI power off of a q35)
///         4 → jmp again
///         5 → lodsb; wait that many timer ticks of 55 ms; jmp next
///         6 → wait until a byte comes in on COM1, take it; jmp next
/// print:  wait for the transmitter; out 3f8h,al; jmp next
/// ```
const PLAYER: [u8; 118] = [
    0xfa, 0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xbe, 0x76, 0x7c, 0xac, 0x3c,
    0x08, 0x77, 0x1a, 0x3c, 0x01, 0x74, 0x28, 0x3c, 0x02, 0x74, 0x27, 0x3c, 0x03, 0x74, 0x2b, 0x3c, 0x04,
    0x74, 0xe8, 0x3c, 0x05, 0x74, 0x2c, 0x3c, 0x06, 0x74, 0x3c, 0xeb, 0x12, 0x88, 0xc4, 0xba, 0xfd, 0x03,
    0xec, 0xa8, 0x20, 0x74, 0xfb, 0x88, 0xe0, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xcf, 0xf4, 0xeb, 0xfd, 0xba,
    0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xf5, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xeb, 0xec, 0xac,
    0x88, 0xc1, 0x8a, 0x1e, 0x6c, 0x04, 0xf4, 0x3a, 0x1e, 0x6c, 0x04, 0x74, 0xf9, 0xfe, 0xc9, 0x75, 0xf1,
    0xeb, 0xa7, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xeb, 0x99,
];

/// What a script does when it does not print.
pub(crate) const HALT: &str = "\x01";
pub(crate) const OFF: &str = "\x03";
pub(crate) const AGAIN: &str = "\x04";
/// Two seconds.
pub(crate) const PAUSE: &str = "\x05\x24";
/// Takes a byte from the console.
pub(crate) const TAKE: &str = "\x06";

/// A disk image whose boot sector plays this script, with a FAT boot partition `micro-boot`
/// that holds an empty config.json.
pub(crate) fn image(script: &str) -> Vec<u8> {
    with_files(script, &[("config.json", "{}\n")])
}

/// One that shows a version.
pub(crate) fn versioned(script: &str) -> Vec<u8> {
    with_files(script, &[("config.json", "{}\n"), ("os-release", "ID=micro\nVERSION_ID=1.0.0\n")])
}

/// The same image of another version, whose text is as long.
pub(crate) fn other_version(mut image: Vec<u8>, version: &str) -> Vec<u8> {
    let at = image.windows(16).position(|part| part == b"VERSION_ID=1.0.0").expect("its os-release");
    image[at + 11..at + 16].copy_from_slice(version.as_bytes());
    image
}

fn with_files(script: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let mut disk = holding(FAT, &files);
    let code = [&PLAYER[..], script.as_bytes(), HALT.as_bytes()].concat();
    assert!(code.len() <= 440, "the script is {} bytes too long", code.len() - 440);
    disk[..code.len()].copy_from_slice(&code);
    disk
}

/// A disk image with nothing but a boot partition `micro-boot` of this size, which holds these files.
pub(crate) fn holding(fat: u64, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; (FIRST + fat) as usize];
    // One active FAT partition.
    disk[446] = 0x80;
    disk[450] = 0x0c;
    disk[454..458].copy_from_slice(&((FIRST / 512) as u32).to_le_bytes());
    disk[458..462].copy_from_slice(&((fat / 512) as u32).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut label = [b' '; 11];
    label[..10].copy_from_slice(b"MICRO-BOOT");
    let mut part = Cursor::new(&mut disk[FIRST as usize..]);
    fatfs::format_volume(&mut part, fatfs::FormatVolumeOptions::new().volume_label(label)).unwrap();
    part.seek(SeekFrom::Start(0)).unwrap();
    let fs = fatfs::FileSystem::new(part, fatfs::FsOptions::new()).unwrap();
    for (name, bytes) in files {
        fs.root_dir().create_file(name).unwrap().write_all(bytes).unwrap();
    }
    fs.unmount().unwrap();
    disk
}

/// What lies in config.json of a disk's boot partition.
pub(crate) fn config(disk: &[u8]) -> String {
    let mut part = Cursor::new(disk[FIRST as usize..(FIRST + FAT) as usize].to_vec());
    part.seek(SeekFrom::Start(0)).unwrap();
    let fs = fatfs::FileSystem::new(part, fatfs::FsOptions::new()).unwrap();
    let mut text = String::new();
    fs.root_dir().open_file("config.json").unwrap().read_to_string(&mut text).unwrap();
    text
}

/// A kernel's first line, as far as a boot machine is concerned.
pub(crate) const KERNEL: &str = "Linux version 6.0.0-script\r\n";

/// Up, with a login that answers line breaks.
pub(crate) fn good() -> String {
    // Not from the start again: the kernel's line would be a reboot.
    let asks = format!("micro login: {TAKE}\r\nLogin incorrect\r\n").repeat(8);
    format!("{KERNEL}micro: ready\r\n{asks}{HALT}")
}
