//! Recordings, written and read back.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use shakedown_console::{Health, Recorder, Recording, RecordingHead};
use shakedown_core::{Chunk, Mark, Mono, Tap};

/// A file in memory that takes only so many bytes: a disk that fills up.
#[derive(Clone)]
struct Disk(Arc<Mutex<Vec<u8>>>, usize);

impl Disk {
    fn new(room: usize) -> Self {
        Self(Arc::default(), room)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.lock().unwrap();
        let room = self.1.saturating_sub(held.len()).min(bytes.len());
        held.extend_from_slice(&bytes[..room]);
        if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record(events: &[(u64, Event)], disks: &[Disk; 3]) -> Health {
    let head = RecordingHead {
        wall: "2026-11-22T12:00:00Z".parse().unwrap(),
        title: "a \"test\"".into(),
        width: 80,
        height: 24,
    };
    let [raw, jsonl, cast] = disks.clone();
    let (mut recorder, health) = Recorder::new(&head, raw, jsonl, cast);
    let mut off = 0;
    for (at, event) in events {
        match event {
            Event::Said(bytes) => {
                recorder.chunk(&Chunk { at: Mono(*at), off, bytes: bytes.as_slice().into() });
                off += bytes.len() as u64;
            }
            Event::Mark(mark) => recorder.mark(Mono(*at), off, mark),
        }
    }
    health
}

#[derive(Clone, Debug)]
enum Event {
    Said(Vec<u8>),
    Mark(Mark),
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        Just(Mark::PowerOn),
        Just(Mark::PowerOff),
        Just(Mark::Reset),
        "[a-z]{1,9}".prop_map(Mark::Gap),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(Mark::Sent),
        "[A-Z]{1,9}".prop_map(Mark::Note),
    ]
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..12),
        "[a-zé€\u{ef80}\u{efff}𝄞\"\\\\\r\n]{1,9}".prop_map(String::into_bytes),
        prop::sample::select(vec![&b"\xe2"[..], b"\x82", b"\xac", b"\xf0\x9d", b"\x84\x9e"])
            .prop_map(<[u8]>::to_vec),
    ];
    let event = prop_oneof![4 => bytes.prop_map(Event::Said), 1 => mark().prop_map(Event::Mark)];
    prop::collection::vec((0..3_000_000_000u64, event), 0..20).prop_map(|mut list| {
        list.sort_by_key(|(at, _)| *at);
        list
    })
}

fn said(recording: &Recording) -> Vec<u8> {
    recording.chunks.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_recorded_is_read_back(events in events()) {
        let disks = [(); 3].map(|()| Disk::new(usize::MAX));
        let health = record(&events, &disks);
        prop_assert_eq!(health.troubles(), []);
        let raw = disks[0].bytes();

        let exact = Recording::from_jsonl(&disks[1].bytes()[..]).unwrap();
        let mut chunks = exact.chunks.iter();
        let mut marks = exact.marks.iter();
        for (at, event) in &events {
            match event {
                Event::Said(bytes) => {
                    let chunk = chunks.next().unwrap();
                    prop_assert_eq!((chunk.at, &*chunk.bytes), (Mono(*at), bytes.as_slice()));
                }
                Event::Mark(mark) => prop_assert_eq!(&marks.next().unwrap().2, mark),
            }
        }
        prop_assert_eq!(said(&exact), raw.clone());
        prop_assert!(!exact.cut_off && exact.wall.is_some());

        let cast = Recording::from_cast(&disks[2].bytes()[..]).unwrap();
        prop_assert_eq!(said(&cast), raw);
        prop_assert_eq!(cast.marks.len(), exact.marks.len());
        for (got, wanted) in cast.marks.iter().zip(&exact.marks) {
            prop_assert_eq!(&got.2, &wanted.2);
            prop_assert_eq!(got.0.0, wanted.0.0 / 1000 * 1000);
        }
    }

    #[test]
    fn a_recording_that_was_cut_anywhere_is_read_up_to_there(events in events(), part in 0.0..1.0f64) {
        let disks = [(); 3].map(|()| Disk::new(usize::MAX));
        record(&events, &disks);
        let raw = disks[0].bytes();
        for (which, disk) in disks[1..].iter().enumerate() {
            let all = disk.bytes();
            let head = all.iter().position(|&b| b == b'\n').unwrap() + 1;
            let cut = head + ((all.len() - head) as f64 * part) as usize;
            // A cut inside a character is a cut inside a line too.
            let whole = all[..cut].iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
            let read = |bytes: &[u8]| if which == 0 { Recording::from_jsonl(bytes) } else { Recording::from_cast(bytes) };
            let got = read(&all[..cut]).unwrap();
            prop_assert!(raw.starts_with(&said(&got)));
            prop_assert!(said(&got).len() >= said(&read(&all[..whole]).unwrap()).len());
        }
    }
}

#[test]
fn a_full_disk_ends_a_file_and_not_the_log() {
    let disks = [Disk::new(10), Disk::new(usize::MAX), Disk::new(0)];
    let events: Vec<(u64, Event)> = (0..5).map(|n| (n, Event::Said(b"12345678".to_vec()))).collect();
    let troubles = record(&events, &disks).troubles();
    assert_eq!(said(&Recording::from_jsonl(&disks[1].bytes()[..]).unwrap()).len(), 40);
    let brief: Vec<_> = troubles.iter().map(|t| (t.file, t.off, t.lost)).collect();
    assert_eq!(brief, [("console.cast", 0, 40), ("console.log", 8, 32)]);
    assert!(troubles[0].why.contains("no storage space"), "{}", troubles[0].why);
}

#[test]
fn broken_recordings_are_refused_with_the_line() {
    let cast = |text: &str| Recording::from_cast(text.as_bytes()).unwrap_err().to_string();
    assert!(cast("").starts_with("line 1: expected the head of an asciicast v2"), "{}", cast(""));
    assert!(cast("{\"version\":3}\n").contains("version 3; `asciinema convert`"));
    let head = "{\"version\":2,\"width\":80,\"height\":24,\"env\":{\"TERM\":\"xterm\"}}\n";
    assert!(cast(&format!("{head}[1,\"o\"]\n[2,\"o\",\"x\"]\n")).starts_with("line 2: expected an event"));
    assert!(cast(&format!("{head}[2,\"o\",\"x\"]\n[1,\"o\",\"x\"]\n")).starts_with("line 3: expected times"));
    assert!(cast(&format!("{head}[-1,\"o\",\"x\"]\n")).contains("-1 seconds"));
    let jsonl = |text: &str| Recording::from_jsonl(text.as_bytes()).unwrap_err().to_string();
    let head = "{\"shakedown-console\":1,\"wall\":\"2026-11-22T12:00:00Z\"}\n";
    assert!(
        jsonl(&format!("{head}{{\"ns\":1,\"off\":5,\"text\":\"x\"}}\n")).contains("offset 5 after 0 bytes")
    );
    assert!(jsonl(&format!("{head}{{\"ns\":1,\"off\":0,\"txt\":\"x\"}}\n")).contains("line 2: "));
}
