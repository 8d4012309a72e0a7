//! The writer's proof, and the media that must not get one.

use std::ops::ControlFlow;

use shakedown_core::{InfraKind, Medium as _, Sha};
use shakedown_media::{
    Container, FileMedium, ImageSource, Phase, Progress, WriteError, identify, open_source, prove_holds,
    prove_kept, write_delta, write_image,
};
use tempfile::TempDir;

use crate::support::{CONTAINERS, Faulty, Lie, MIB, disk, file, pack, quiet};

#[test]
fn a_file_holds_what_every_container_held() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(6 * MIB, 20);
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &bytes));
        let out = dir.path().join("disk");
        // Old data, longer than the image: holes must be zeroed, the rest left alone.
        std::fs::write(&out, vec![0x77; 7 * MIB as usize]).unwrap();
        let mut medium = FileMedium::open(&out).unwrap();
        let written = write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
        let got = std::fs::read(&out).unwrap();
        assert!(got[..bytes.len()] == bytes, "{container}");
        assert!(got[bytes.len()..].iter().all(|byte| *byte == 0x77));
        assert_eq!(written.payload(), Sha::of(&bytes));
        assert_eq!(written.source(), Sha::of(&std::fs::read(&path).unwrap()));
        assert_eq!(written.data_bytes() + written.hole_bytes(), bytes.len() as u64);
        assert_eq!(written.medium(), medium.identity());
        let held = prove_holds(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
        assert_eq!((held.read_back(), held.wrote()), (written.read_back(), false));
        let json = serde_json::to_string(&written).unwrap();
        assert!(json.contains(&written.payload().to_string()), "{json}");
    }
}

#[test]
fn holes_of_an_image_stay_holes_of_the_file() {
    let dir = TempDir::new().unwrap();
    let mut bytes = vec![0; 32 * MIB as usize];
    crate::support::mark_as_disk(&mut bytes);
    let path = file(dir.path(), "sparse.img", &bytes);
    let mut medium = FileMedium::create(&dir.path().join("disk"), 32 * MIB).unwrap();
    write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
    assert!(medium.allocated().unwrap() < MIB, "{} bytes", medium.allocated().unwrap());
}

#[test]
fn an_identified_image_is_written_with_the_same_proof() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(4 * MIB, 21);
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &bytes));
        let identity = identify(&path, &mut quiet).unwrap();
        let mut medium = Faulty::new(4 * MIB, Lie::None);
        let mut source = ImageSource::open_identified(&identity).unwrap();
        let written = write_image(&mut source, &mut medium, &mut quiet).unwrap();
        assert!(medium.bytes == bytes);
        assert_eq!(written.payload(), Sha::of(&bytes));
        assert_eq!(written.read_back(), identity.map().root());
    }
}

/// What the writer says of a medium that lies.
fn verdict(lie: Lie) -> shakedown_core::Fault {
    let dir = TempDir::new().unwrap();
    let bytes = disk(4 * MIB, 22);
    let path = file(dir.path(), "a.img", &bytes);
    let fault = |result| match result {
        Err(WriteError::Fault(fault)) => fault,
        other => panic!("{lie:?}: expected a fault, got {other:?}"),
    };
    let mut medium = Faulty::new(4 * MIB, lie);
    let whole = fault(write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet));
    // Who writes only what differs is lied to as well.
    let mut medium = Faulty::new(4 * MIB, lie);
    let delta = fault(write_delta(&mut open_source(&path).unwrap(), &mut medium, &mut quiet));
    assert_eq!(delta.kind, whole.kind, "{lie:?}: {delta}");
    whole
}

#[test]
fn only_what_differs_is_written_and_everything_is_read_back() {
    let dir = TempDir::new().unwrap();
    let old = disk(8 * MIB, 30);
    let mut new = old.clone();
    // Two pieces of 64 KiB, one of them across their border, and a hole that had data before.
    new[3 * MIB as usize + 5] ^= 1;
    new[5 * MIB as usize - 1] ^= 1;
    new[5 * MIB as usize] ^= 1;
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &new));
        let mut medium = Faulty::new(8 * MIB, Lie::None);
        medium.bytes.copy_from_slice(&old);
        let written = write_delta(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
        assert!(medium.bytes == new, "{container}");
        assert!(written.wrote() && (3..=3 << 16).contains(&medium.wrote), "{container}: {}", medium.wrote);
        assert_eq!(written.same_bytes() + medium.wrote, 8 * MIB, "{container}");
        // What it holds now is found, and nothing is written.
        medium.wrote = 0;
        let again = write_delta(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
        assert_eq!((again.same_bytes(), medium.wrote), (8 * MIB, 0), "{container}");
        assert_eq!(again.read_back(), written.read_back());
        assert_eq!(medium.barriers, 4, "{container}: before it compares, and before it reads back");
    }
}

#[test]
fn what_cannot_be_read_is_not_compared_but_told() {
    let dir = TempDir::new().unwrap();
    let path = file(dir.path(), "a.img", &disk(2 * MIB, 31));
    let mut medium = Faulty::new(2 * MIB, Lie::UnreadableAt(MIB));
    let error = write_delta(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap_err();
    let WriteError::Fault(fault) = error else { panic!("{error}") };
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Medium, "compare and write"));
}

#[test]
fn a_medium_that_lies_gets_no_proof() {
    let bytes = disk(4 * MIB, 22);
    let data = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let hole = bytes.chunks(256 << 10).rposition(|chunk| chunk.iter().all(|byte| *byte == 0)).unwrap();
    let hole = hole as u64 * (256 << 10) + 5;
    for lie in [
        Lie::DropsWriteAt(data),
        Lie::DropsWriteAt(0),
        Lie::FlipsBitAt(data),
        Lie::FlipsBitAt(hole),
        Lie::KeepsOldData,
    ] {
        let fault = verdict(lie);
        assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Medium, "read back"), "{lie:?}: {fault}");
        assert!(fault.expected.contains("chunk at byte"), "{lie:?}: {fault}");
    }
    let fault = verdict(Lie::WrapsAt(2 * MIB));
    assert_eq!(fault.op, "read back");
    let fault = verdict(Lie::UnreadableAt(data));
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Medium, "read back"));
    assert!(fault.to_string().contains("os error 5"), "{fault}");
}

#[test]
fn a_flush_that_fails_is_not_tried_again() {
    let dir = TempDir::new().unwrap();
    let path = file(dir.path(), "a.img", &disk(2 * MIB, 23));
    let mut medium = Faulty::new(2 * MIB, Lie::BarrierFails);
    let error = write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap_err();
    let WriteError::Fault(fault) = error else { panic!("{error}") };
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Medium, "flush"));
    assert_eq!(medium.barriers, 1);
}

#[test]
fn a_full_disk_is_the_hosts_fault() {
    let fault = verdict(Lie::FullAt(MIB));
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Host, "write"));
    assert!(fault.got.contains("full disk"), "{fault}");
    assert!(fault.hint.is_some());
}

#[test]
fn an_image_that_does_not_fit_is_refused_before_or_while_it_is_written() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(3 * MIB, 24);
    for container in CONTAINERS {
        let path = file(dir.path(), &format!("{container}.bin"), &pack(container, &bytes));
        let mut medium = Faulty::new(2 * MIB, Lie::None);
        let error = write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap_err();
        let WriteError::TooSmall { image, medium: got, .. } = error else { panic!("{error}") };
        assert!(image > 2 * MIB && got == 2 * MIB, "{container}");
        // Where the container says its size, nothing was written.
        if matches!(container, Container::Raw | Container::Zip) {
            assert!(medium.bytes.iter().all(|byte| *byte == 0xa5), "{container}");
        }
    }
}

#[test]
fn an_image_is_not_written_over_its_own_file() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(3 * MIB, 27);
    let path = file(dir.path(), "a.img", &bytes);
    let [link, hard] = ["link", "hard"].map(|name| dir.path().join(name));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    for medium in [&path, &link, &hard] {
        let mut medium = FileMedium::open(medium).unwrap();
        let source = || open_source(&path).unwrap();
        let mutable = shakedown_media::Mutable::default();
        for refused in [
            write_image(&mut source(), &mut medium, &mut quiet),
            write_delta(&mut source(), &mut medium, &mut quiet),
            prove_holds(&mut source(), &mut medium, &mut quiet),
            prove_kept(&mut source(), &mut medium, &mutable, &mut quiet),
        ] {
            assert!(matches!(refused, Err(WriteError::Itself { .. })), "{refused:?}");
        }
    }
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn proving_finds_the_first_difference_and_writes_nothing() {
    let dir = TempDir::new().unwrap();
    let bytes = disk(4 * MIB, 25);
    let path = file(dir.path(), "a.img", &bytes);
    let out = dir.path().join("disk");
    let mut other = bytes.clone();
    other[3 * MIB as usize] ^= 1;
    std::fs::write(&out, &other).unwrap();
    let mut medium = FileMedium::open(&out).unwrap();
    let error = prove_holds(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap_err();
    let WriteError::Differs { what, .. } = error else { panic!("{error}") };
    assert!(what.contains(&format!("in the chunk at byte {}, got SHA-256", 3 * MIB)), "{what}");
    assert!(std::fs::read(&out).unwrap() == other);
}

#[test]
fn progress_rises_to_the_total_in_each_phase_and_can_stop_it() {
    let dir = TempDir::new().unwrap();
    let path = file(dir.path(), "a.img", &disk(4 * MIB, 26));
    let mut seen: Vec<Progress> = Vec::new();
    let mut medium = Faulty::new(4 * MIB, Lie::None);
    let mut source = open_source(&path).unwrap();
    write_image(&mut source, &mut medium, &mut |progress| {
        seen.push(*progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    for phase in [Phase::Write, Phase::Verify] {
        let of: Vec<u64> = seen.iter().filter(|one| one.phase == phase).map(|one| one.done).collect();
        assert!(of.is_sorted(), "{of:?}");
        assert_eq!(of.last(), Some(&(4 * MIB)), "{phase}");
    }
    for stop in [Phase::Write, Phase::Flush, Phase::Verify] {
        let mut source = open_source(&path).unwrap();
        let error = write_image(&mut source, &mut medium, &mut |progress| {
            if progress.phase == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match error {
            Err(WriteError::Cancelled { phase, .. }) => assert_eq!(phase, stop),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_medium_has_one_holder_and_is_a_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("disk");
    let held = FileMedium::create(&path, MIB).unwrap();
    let fault = FileMedium::open(&path).unwrap_err();
    assert_eq!(fault.op, "lock");
    assert!(FileMedium::open_read_only(&path).is_err());
    drop(held);
    let _one = FileMedium::open_read_only(&path).unwrap();
    let mut two = FileMedium::open_read_only(&path).unwrap();
    assert!(two.write_at(0, &[1]).is_err());
    for (what, named) in [(dir.path(), "directory"), (std::path::Path::new("/dev/null"), "character")] {
        let fault = FileMedium::open_read_only(what).unwrap_err();
        assert!(fault.got.contains(named), "{fault}");
    }
    assert!(FileMedium::open(&dir.path().join("none")).is_err());
    let mut medium = FileMedium::create(&dir.path().join("small"), 1000).unwrap();
    assert!(medium.write_at(999, &[1, 2]).is_err(), "nothing is written beyond the size");
    assert!(medium.write_at(u64::MAX, &[1]).is_err());
}
