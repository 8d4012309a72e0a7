//! Containers that are whole, and every way in which they are not.

use std::fmt::Write as _;

use shakedown_core::{Extent, Sha, Source as _};
use shakedown_media::{Container, ImageError, ImageProblem, ImageSource, WriteError, identify, open_source};
use tempfile::TempDir;

use crate::support::{CONTAINERS, MIB, disk, file, mark_as_disk, pack, quiet, zip_of};

/// Reads all of a source into one payload.
fn payload(source: &mut ImageSource) -> Result<Vec<u8>, ImageError> {
    let mut out: Vec<u8> = Vec::new();
    while let Some(extent) = source.pull()? {
        match extent {
            Extent::Data { off, bytes } => {
                assert_eq!(off, out.len() as u64);
                assert!(!bytes.is_empty());
                out.extend(bytes);
            }
            Extent::Hole { off, len } => {
                assert_eq!(off, out.len() as u64);
                out.resize(out.len() + len as usize, 0);
            }
        }
    }
    Ok(out)
}

/// What is wrong with a file of these bytes.
fn problem(name: &str, bytes: &[u8]) -> ImageProblem {
    let dir = TempDir::new().unwrap();
    let path = file(dir.path(), name, bytes);
    let error = match open_source(&path) {
        Err(error) => error,
        Ok(_) => match identify(&path, &mut quiet) {
            Err(WriteError::Refused(error)) => error,
            other => panic!("expected a refusal, got {other:?}"),
        },
    };
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(name), "the message names the file: {error}");
    error.problem
}

#[test]
fn every_container_yields_the_payload_and_both_hashes() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(5 * MIB + 512, 1);
    for container in CONTAINERS {
        let packed = pack(container, &bytes);
        // The name says nothing: the form is told by the first bytes.
        let path = file(dir.path(), &format!("{container}.bin"), &packed);
        let mut source = open_source(&path).unwrap();
        assert_eq!(source.container(), container);
        assert!(payload(&mut source).unwrap() == bytes, "{container}");
        let identity = identify(&path, &mut quiet).unwrap();
        assert_eq!(identity.image().payload, Sha::of(&bytes), "{container}");
        assert_eq!(identity.image().sha256, Sha::of(&packed), "{container}");
        assert_eq!(identity.image().size, bytes.len() as u64);
    }
}

#[test]
fn zeros_become_holes_in_every_container() {
    let dir = TempDir::new().unwrap();
    let mut bytes = vec![0; 4 * MIB as usize];
    crate::support::mark_as_disk(&mut bytes);
    bytes[3 * MIB as usize + 100] = 1;
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &bytes));
        let mut source = open_source(&path).unwrap();
        let mut data = 0;
        while let Some(extent) = source.next().unwrap() {
            if let Extent::Data { bytes, .. } = extent {
                data += bytes.len();
            }
        }
        assert!(data <= 128 << 10, "{container}: {data} bytes of data for two that are not zero");
    }
}

#[test]
fn concatenated_members_are_one_image() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(2 * MIB, 2);
    let (one, two) = bytes.split_at(MIB as usize + 77);
    for container in [Container::Gzip, Container::Xz, Container::Zstd] {
        let mut packed = pack(container, one);
        if container == Container::Xz {
            packed.extend([0; 8]);
        }
        packed.extend(pack(container, two));
        let path = file(dir.path(), &format!("{container}.bin"), &packed);
        let mut source = open_source(&path).unwrap();
        assert!(payload(&mut source).unwrap() == bytes, "{container}");
    }
}

#[test]
fn a_truncated_image_is_refused_in_every_container() {
    let bytes = disk(3 * MIB, 3);
    for container in CONTAINERS {
        let packed = pack(container, &bytes);
        for keep in [packed.len() - 1, packed.len() / 2, packed.len() / 3] {
            let what = problem("cut.img", &packed[..keep]);
            let text = what.to_string();
            assert!(text.contains("truncated"), "{container} at {keep}: {text}");
            assert!(text.contains("expected") && text.contains("got"), "{text}");
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_in_every_container_with_checksums() {
    // Noise only: in a run of zeros a flipped distance may decode to the same bytes, and then nothing is wrong.
    let mut bytes = vec![0; 3 * MIB as usize];
    fastrand::Rng::with_seed(4).fill(&mut bytes);
    mark_as_disk(&mut bytes);
    for container in [Container::Gzip, Container::Xz, Container::Zstd, Container::Zip] {
        let packed = pack(container, &bytes);
        for place in [packed.len() / 4, packed.len() / 2, packed.len() * 3 / 4] {
            let mut flipped = packed.clone();
            flipped[place] ^= 0x10;
            match problem("flipped.img", &flipped) {
                ImageProblem::Corrupt { container: named, .. } => assert_eq!(named, container),
                other => panic!("{container} at {place}: {other}"),
            }
        }
    }
}

#[test]
fn bytes_behind_the_container_are_refused() {
    let bytes = disk(MIB, 5);
    for container in [Container::Gzip, Container::Xz, Container::Zstd, Container::Zip] {
        let mut packed = pack(container, &bytes);
        let end = packed.len() as u64;
        packed.extend(b"left behind");
        match problem("more.img", &packed) {
            ImageProblem::TrailingGarbage { container: named, at, left } => {
                assert_eq!((named, at, left), (container, end, 11));
            }
            other => panic!("{container}: {other}"),
        }
    }
}

#[test]
fn what_is_no_image_is_named() {
    assert_eq!(problem("empty.img", b""), ImageProblem::Empty { what: "file" });
    for container in [Container::Gzip, Container::Xz, Container::Zstd] {
        assert_eq!(problem("hollow.img", &pack(container, b"")), ImageProblem::Empty { what: "payload" });
    }
    let dir = TempDir::new().unwrap();
    let error = open_source(dir.path()).unwrap_err();
    assert_eq!(error.problem, ImageProblem::NotAFile { got: "a directory" });
    let error = open_source(&dir.path().join("none")).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Unreadable { kind: std::io::ErrorKind::NotFound, .. }));
    for (bytes, named) in [
        (&b"hello, this is a text\n".repeat(100)[..], "text that begins with \"hello"),
        (&[b"<!DOCTYPE html><html>".as_slice(), &[0; 4096]].concat()[..], "HTML"),
        (&[0; 8192][..], "zeros"),
        (&[b"\x7fELF".as_slice(), &[7; 8192]].concat()[..], "ELF"),
        (&[b"QFI\xfb".as_slice(), &[7; 8192]].concat()[..], "qcow2"),
        (
            &[[7u8; 510].as_slice(), &[0x55, 0xaa], &[7; 8192]].concat()[..],
            "without a valid partition record",
        ),
        (&[7; 100][..], "only 100 bytes"),
    ] {
        match problem("other.img", bytes) {
            ImageProblem::NotADisk { got, .. } => assert!(got.contains(named), "{got} names {named}"),
            other => panic!("{other}"),
        }
    }
    // The same inside a container.
    let packed = pack(Container::Zstd, &b"hello, this is a text\n".repeat(100));
    assert!(matches!(problem("text.zst", &packed), ImageProblem::NotADisk { .. }));
}

#[test]
fn an_unbootable_disk_is_refused() {
    let mut bytes = disk(MIB, 6);
    bytes[446..510].fill(0);
    let text = problem("blank.img", &bytes).to_string();
    assert!(text.contains("empty partition table"), "{text}");
    bytes[450] = 0xee;
    bytes[454..462].copy_from_slice(&[1, 0, 0, 0, 0xff, 7, 0, 0]);
    let text = problem("nogpt.img", &bytes).to_string();
    assert!(text.contains("expected a GPT header"), "{text}");
}

#[test]
fn a_zip_holds_exactly_one_file() {
    let bytes = disk(MIB, 7);
    match problem("two.zip", &zip_of(&[("a.img", &bytes), ("README", b"text")])) {
        ImageProblem::Members { got } => assert_eq!(got, ["a.img", "README"]),
        other => panic!("{other}"),
    }
    match problem("none.zip", &zip_of(&[])) {
        ImageProblem::Members { got } => assert!(got.is_empty()),
        other => panic!("{other}"),
    }
}

/// A bmap as bmaptool 3.6 writes it, for these ranges of 4096-byte blocks.
fn bmap(bytes: &[u8], ranges: &[(usize, usize)]) -> String {
    let mut lines = String::new();
    for (first, last) in ranges {
        let part = &bytes[first * 4096..((last + 1) * 4096).min(bytes.len())];
        writeln!(lines, "        <Range chksum=\"{}\"> {first}-{last} </Range>", Sha::of(part)).unwrap();
    }
    let zeros = "0".repeat(64);
    let text = format!(
        "<?xml version=\"1.0\" ?>\n<!-- a comment -->\n<bmap version=\"2.0\">\n    <ImageSize> {} </ImageSize>\n    \
         <BlockSize> 4096 </BlockSize>\n    <BlocksCount> {} </BlocksCount>\n    \
         <MappedBlocksCount> 1   </MappedBlocksCount>\n    <ChecksumType> sha256 </ChecksumType>\n    \
         <BmapFileChecksum> {zeros} </BmapFileChecksum>\n    <BlockMap>\n{lines}    </BlockMap>\n</bmap>\n",
        bytes.len(),
        bytes.len().div_ceil(4096),
    );
    let own = Sha::of(text.as_bytes()).to_string();
    text.replace(&zeros, &own)
}

#[test]
fn a_bmap_beside_the_image_is_verified() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(2 * MIB, 8);
    let good = bmap(&bytes, &[(0, 9), (100, 300), (500, 511)]);
    for (image, beside) in [("a.img", "a.img.bmap"), ("b.img.zst", "b.img.bmap"), ("c.img.gz", "c.bmap")] {
        let container = match image.rsplit_once('.') {
            Some((_, "zst")) => Container::Zstd,
            Some((_, "gz")) => Container::Gzip,
            _ => Container::Raw,
        };
        let path = file(dir.path(), image, &pack(container, &bytes));
        let beside = file(dir.path(), beside, good.as_bytes());
        assert_eq!(open_source(&path).unwrap().bmap(), Some(beside.as_path()));
        identify(&path, &mut quiet).unwrap();

        let refused = |text: &str| {
            std::fs::write(&beside, text).unwrap();
            let WriteError::Refused(error) = identify(&path, &mut quiet).unwrap_err() else { panic!() };
            assert!(matches!(error.problem, ImageProblem::Bmap { .. }), "{error}");
            error.to_string()
        };
        let mut other = bytes.clone();
        other[150 * 4096] ^= 1;
        let text = refused(&bmap(&other, &[(0, 9), (100, 300)]));
        assert!(text.contains("checksum of bytes 409600 to 1232896"), "{text}");
        assert!(refused(&good.replace("2.0\"", "2.1\"")).contains("its own checksum"));
        assert!(refused(&bmap(&bytes[..MIB as usize], &[(0, 9)])).contains("size"));
        assert!(refused(&bmap(&bytes, &[(100, 300), (0, 9)])).contains("ascending"));
        assert!(refused("<bmap").contains("form"));
        assert!(refused(&good.replace(" 0-9 ", " zero ")).contains("own checksum"));
    }
}

#[test]
fn a_file_that_changed_since_is_refused() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(2 * MIB, 9);
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &bytes));
        let identity = identify(&path, &mut quiet).unwrap();
        let mut other = bytes.clone();
        other[2 * MIB as usize - 1] ^= 0x80;
        file(dir.path(), &format!("{container}.bin"), &pack(container, &other));
        let mut source = ImageSource::open_identified(&identity).unwrap();
        let mut medium = crate::support::Faulty::new(2 * MIB, crate::support::Lie::None);
        let error = shakedown_media::write_image(&mut source, &mut medium, &mut quiet).unwrap_err();
        let WriteError::Refused(ImageError { problem: ImageProblem::Changed { .. }, .. }) = error else {
            panic!("{container}: {error}");
        };
    }
}
