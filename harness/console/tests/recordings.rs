//! Every recording under `boards/recordings`: replayed whole, cut at random and byte by
//! byte, it comes to what its `.expect.json` says; without or with a displaced stage
//! line it does not.

use std::fs;
use std::path::{Path, PathBuf};

use shakedown_console::{BootOutcome, BootSpecFile, Expectation, Finder, Patterns, Recording, clean, replay};
use shakedown_core::{BootFailure, BootReport, BootSpec, Chunk, Mono, Seen};

struct Case {
    name: String,
    spec: BootSpec,
    expectation: Expectation,
    recording: Recording,
}

impl Case {
    fn replay(&self, chunks: &[Chunk]) -> BootOutcome {
        replay(&self.spec, &self.expectation.allowed(), self.recording.start(), chunks).expect("patterns")
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut list: Vec<PathBuf> = list.map(|entry| entry.unwrap().path()).collect();
    list.sort();
    list
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/recordings");
    let mut cases = Vec::new();
    for path in files(&root).iter().filter(|path| path.is_dir()).flat_map(|folder| files(folder)) {
        if path.extension().is_none_or(|end| end != "cast") {
            continue;
        }
        let expectation = Expectation::parse(&read(&path.with_extension("expect.json"))).unwrap();
        cases.push(Case {
            name: path.display().to_string(),
            spec: BootSpecFile::parse(&read(&path.with_file_name(&expectation.spec))).unwrap(),
            expectation,
            recording: Recording::from_cast(fs::File::open(&path).unwrap()).unwrap(),
        });
    }
    assert!(cases.len() >= 9, "recordings are missing");
    cases
}

fn cut(chunks: &[Chunk], mut length: impl FnMut() -> usize) -> Vec<Chunk> {
    let mut out = Vec::new();
    for chunk in chunks {
        let mut from = 0;
        while from < chunk.bytes.len() {
            let to = (from + length()).min(chunk.bytes.len());
            out.push(Chunk {
                at: chunk.at,
                off: chunk.off + from as u64,
                bytes: chunk.bytes[from..to].into(),
            });
            from = to;
        }
    }
    out
}

#[test]
fn each_comes_to_what_is_expected_however_it_is_cut() {
    let mut random = fastrand::Rng::with_seed(1);
    for case in cases() {
        let whole = case.replay(&case.recording.chunks);
        case.expectation.check(&whole).unwrap_or_else(|why| panic!("{}: {why}", case.name));
        for _ in 0..5 {
            let pieces = cut(&case.recording.chunks, || random.usize(1..50));
            assert_eq!(case.replay(&pieces), whole, "{}", case.name);
        }
        assert_eq!(case.replay(&cut(&case.recording.chunks, || 1)), whole, "{}", case.name);
    }
}

#[test]
fn the_finder_sees_the_same_however_each_is_cut() {
    for case in cases() {
        let console = case.spec.stages.iter().filter_map(|stage| match &stage.seen {
            Seen::Console(patterns) => Some(patterns.clone()),
            _ => None,
        });
        let patterns =
            Patterns::compile(&console.flatten().chain(["[0-9]+".into()]).collect::<Vec<_>>()).unwrap();
        let hits = |chunks: &[Chunk]| {
            let (mut finder, mut hits) = (Finder::new(&patterns), Vec::new());
            for chunk in chunks {
                finder.feed_all(chunk, &mut hits);
            }
            hits
        };
        let whole = hits(&case.recording.chunks);
        assert!(!whole.is_empty(), "{}", case.name);
        assert_eq!(whole, hits(&cut(&case.recording.chunks, || 1)), "{}", case.name);
    }
}

/// A line with its end; its time is that of its last byte.
#[derive(Clone)]
struct Line {
    at: Mono,
    bytes: Vec<u8>,
}

fn lines(recording: &Recording) -> Vec<Line> {
    let mut lines = vec![Line { at: Mono(0), bytes: Vec::new() }];
    for chunk in &recording.chunks {
        for &byte in &*chunk.bytes {
            let last = lines.last_mut().expect("never empty");
            last.at = chunk.at;
            last.bytes.push(byte);
            if byte == b'\n' {
                lines.push(Line { at: chunk.at, bytes: Vec::new() });
            }
        }
    }
    lines
}

fn chunks(lines: &[Line]) -> Vec<Chunk> {
    let mut off = 0;
    let mut out = Vec::new();
    for line in lines.iter().filter(|line| !line.bytes.is_empty()) {
        let chunk = Chunk { at: line.at, off, bytes: line.bytes.as_slice().into() };
        off = chunk.end();
        out.push(chunk);
    }
    out
}

/// The number of the line that showed each stage, and whether a later one shows it, too.
fn stage_lines(case: &Case, lines: &[Line], report: &BootReport) -> Vec<(usize, bool)> {
    let showing = |stage: &str| -> Vec<usize> {
        let spec = case.spec.stages.iter().find(|spec| spec.name == stage).expect("a stage of the spec");
        let Seen::Console(patterns) = &spec.seen else { panic!("{stage} is not seen on the console") };
        let set = Patterns::compile(patterns).unwrap();
        let shows = |line: &&Line| {
            let bytes = clean(&line.bytes);
            let mut hits = Vec::new();
            let chunk = Chunk { at: Mono(0), off: 0, bytes: [&bytes[..], b"\n\n"].concat().into() };
            Finder::new(&set).feed_all(&chunk, &mut hits);
            !hits.is_empty()
        };
        lines.iter().enumerate().filter(|(_, line)| shows(line)).map(|(index, _)| index).collect()
    };
    let mut out = Vec::new();
    for stage in &report.stages {
        let all = showing(&stage.name);
        out.push((*all.first().unwrap_or_else(|| panic!("no line shows {}", stage.name)), all.len() > 1));
    }
    out
}

fn named(outcome: &BootOutcome) -> String {
    match outcome {
        BootOutcome::Failed(BootFailure::OutOfOrder { expected, .. }) => expected.clone(),
        BootOutcome::Failed(BootFailure::Late { stage, .. } | BootFailure::Reset { stage, .. }) => {
            stage.clone()
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn without_a_stage_line_or_with_two_swapped_it_comes_to_something_else() {
    let mut ups = 0;
    for case in cases() {
        let lines = lines(&case.recording);
        let BootOutcome::Up(good) = case.replay(&chunks(&lines)) else { continue };
        ups += 1;
        let at = stage_lines(&case, &lines, &good);
        for (index, &(line, again)) in at.iter().enumerate() {
            let stage = &good.stages[index].name;
            let mut without = lines.clone();
            without.remove(line);
            let outcome = case.replay(&chunks(&without));
            assert_ne!(outcome, BootOutcome::Up(good.clone()), "{}: without {stage}", case.name);
            let optional = case.spec.stages.iter().any(|spec| spec.name == *stage && spec.optional);
            if again {
                continue;
            }
            match &outcome {
                BootOutcome::Up(report) => {
                    assert!(
                        optional && report.stages.iter().all(|seen| seen.name != *stage),
                        "{}: {stage}",
                        case.name
                    );
                }
                failed @ BootOutcome::Failed(_) => assert_eq!(named(failed), *stage, "{}", case.name),
            }
        }
        for (index, pair) in at.windows(2).enumerate() {
            let (a, b) = (pair[0].0, pair[1].0);
            let mut swapped = lines.clone();
            (swapped[a].bytes, swapped[b].bytes) = (lines[b].bytes.clone(), lines[a].bytes.clone());
            let outcome = case.replay(&chunks(&swapped));
            assert_ne!(
                outcome,
                BootOutcome::Up(good.clone()),
                "{}: {index} swapped with the next",
                case.name
            );
        }
    }
    assert!(ups >= 3);
}
