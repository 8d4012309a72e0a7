//! How fast journals come into a history, and how fast it answers:
//! `cargo run --release -p shakedown-history --example million -- FOLDER [ATTEMPTS]`

#![expect(clippy::print_stdout, reason = "an example is there to print")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use shakedown_core::boot::StageTime;
use shakedown_core::event::{Better, Measure, RunHead};
use shakedown_core::{
    Blame, BootReport, CaseId, Event, ExitCode, Failure, ImageRef, JournalWriter, Ledger, Mono, Outcome, Sha,
    journal,
};
use shakedown_history::flakes::{Ask, By};
use shakedown_history::{Filter, History, HistoryError, Origin};

/// Attempts of one run.
const RUN: usize = 250;
const CASES: usize = 100;
const SLOTS: usize = 50;
/// Runs that are added in one transaction, as `shakedown history add` does.
const TOGETHER: usize = 40;
/// Runs of one image: a night.
const NIGHT: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let folder = PathBuf::from(args.next().ok_or("expected a folder")?);
    let attempts: usize = match args.next() {
        Some(many) => many.to_str().ok_or("expected a number")?.parse()?,
        None => 1_000_000,
    };
    let file = folder.join("bench.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        let old = folder.join(format!("bench.sqlite{suffix}"));
        if old.exists() {
            std::fs::remove_file(old)?;
        }
    }
    let mut history = History::open(&file)?;
    let runs = attempts.div_ceil(RUN);
    let (mut spent, mut cpu) = (Duration::ZERO, 0.0);
    let mut bytes = 0;
    for first in (0..runs).step_by(TOGETHER) {
        let texts: Result<Vec<_>, _> = (first..runs.min(first + TOGETHER)).map(text).collect();
        let texts = texts?;
        bytes += texts.iter().map(Vec::len).sum::<usize>();
        let (start, used) = (Instant::now(), on_cpu()?);
        let read: Vec<_> = texts.iter().map(|text| journal::read(text)).collect();
        let ledgers: Vec<_> = read.iter().map(Ledger::of).collect();
        let origin = |head| Origin { head, ..Origin::default() };
        let runs = ledgers.iter().zip(&read).map(|(ledger, read)| (ledger, origin(read.head)));
        history.add_together(&runs.collect::<Vec<_>>())?;
        spent += start.elapsed();
        cpu += on_cpu()? - used;
    }
    let all = history.len()?;
    println!(
        "import   {all} attempts of {runs} journals ({} MiB) in {:.1} s: {:.0} attempts/s, {:.0} in a second of CPU",
        bytes >> 20,
        spent.as_secs_f64(),
        all as f64 / spent.as_secs_f64(),
        all as f64 / cpu
    );
    println!("file     {} MiB", std::fs::metadata(&file)?.len() >> 20);
    // As a person meets it: the file is opened anew for each question.
    let last = format!("1.{}", (runs - 1) / NIGHT);
    let before = format!("1.{}", ((runs - 1) / NIGHT).saturating_sub(1));
    let case = Filter { case: Some("suite::module-3::case-33".into()), ..Filter::default() };
    let image = Filter { image: Some(last.clone()), ..Filter::default() };
    let recent = Filter { since: Some(at(runs.saturating_sub(NIGHT * 30))), ..Filter::default() };
    let ask = |by, filter: &Filter| Ask { by, filter: filter.clone(), ..Ask::default() };
    let any = Filter::default();
    let questions: Vec<(&str, Question<'_>)> = vec![
        ("runs, the latest 20", Box::new(|h| h.runs(&any, 20).map(|rows| rows.len()))),
        ("attempts of a case, the latest 20", Box::new(|h| h.attempts(&case, 20).map(|rows| rows.len()))),
        ("attempts of an image, the latest 20", Box::new(|h| h.attempts(&image, 20).map(|rows| rows.len()))),
        ("flakes by case", Box::new(|h| h.flakes(&ask(By::Case, &any)).map(|rows| rows.len()))),
        ("flakes by slot", Box::new(|h| h.flakes(&ask(By::Slot, &any)).map(|rows| rows.len()))),
        ("flakes by board", Box::new(|h| h.flakes(&ask(By::Board, &any)).map(|rows| rows.len()))),
        ("flakes by image", Box::new(|h| h.flakes(&ask(By::Image, &any)).map(|rows| rows.len()))),
        ("flakes of a case", Box::new(|h| h.flakes(&ask(By::Case, &case)).map(|rows| rows.len()))),
        ("flakes of 30 nights", Box::new(|h| h.flakes(&ask(By::Case, &recent)).map(|rows| rows.len()))),
        (
            "trend boot.kernel, 200 values",
            Box::new(|h| h.trend("boot.kernel", None, &any, 200).map(|t| t.points.len())),
        ),
        ("diff of two images", Box::new(|h| h.diff(&before, &last, &any).map(|diff| diff.compared))),
        ("images", Box::new(|h| h.images(&any).map(|rows| rows.len()))),
    ];
    drop(history);
    for (name, question) in questions {
        let (start, used) = (Instant::now(), on_cpu()?);
        let history = History::open(&file)?;
        let rows = question(&history)?;
        let (wall, cpu) = (start.elapsed().as_secs_f64() * 1000.0, (on_cpu()? - used) * 1000.0);
        println!("{wall:>7.1} ms, {cpu:>7.1} ms of CPU  {name} ({rows} rows)");
    }
    Ok(())
}

/// Seconds that this thread had of a CPU: a busy machine makes everything longer, and not this.
fn on_cpu() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("an empty schedstat")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}

type Question<'a> = Box<dyn Fn(&History) -> Result<usize, HistoryError> + 'a>;

fn at(index: usize) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000 + index as i64 * 1700).unwrap_or_default()
}

/// A run as it is written: two lines an attempt, a boot, a measure each tenth attempt.
fn text(index: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = Vec::new();
    let mut writer = JournalWriter::new(&mut text, format!("bench-{index}"));
    let mut mono = 0;
    let mut write = |event| {
        mono += 100_000_000;
        writer.append(Mono(mono), at(index), event).map(drop)
    };
    write(Event::RunStarted(Box::new(head(index))))?;
    let stage = |name: &str, seconds: f64| {
        let after = Duration::from_secs_f64(seconds + chance(index) * 0.5);
        StageTime { name: name.to_owned(), after, at: Mono(0), saw: "seen".to_owned() }
    };
    let stages = vec![stage("bootloader", 1.0), stage("kernel", 7.0), stage("ready", 30.0)];
    write(Event::BootStarted { how: "power-on".to_owned() })?;
    for stage in &stages {
        write(Event::StageReached(stage.clone()))?;
    }
    write(Event::BootEnded(BootReport { stages, pace: 1.0, banners: 1 }))?;
    for number in 0..RUN {
        let case = CaseId(format!("suite::module-{}::case-{}", number % 10, number % CASES));
        let bad = chance(index * RUN + number) < 0.002 * ((number % CASES) % 7) as f64;
        write(Event::CaseStarted { case: case.clone(), attempt: 1 })?;
        if number % 10 == 0 {
            let value = 400.0 + chance(index + number) * 10.0;
            let measure =
                Measure { name: "memory.rest".into(), value, unit: "MiB".into(), better: Better::Lower };
            write(Event::Measured { case: Some(case.clone()), measure })?;
        }
        let failure = Failure::new("the service does not answer", "200 OK", "connection refused");
        write(Event::CaseEnded {
            case,
            attempt: 1,
            outcome: if bad { Outcome::Fail(failure) } else { Outcome::Pass },
            blame: bad.then_some(Blame::Os),
            because: bad.then(|| "answered-wrong".to_owned()),
            took: Duration::from_millis(200 + (chance(number) * 100.0) as u64),
            console: Vec::new(),
        })?;
    }
    let (verdict, took) = ("made for a bench".to_owned(), Duration::from_secs(1000));
    write(Event::RunEnded { exit: ExitCode::Ok, verdict, took, waited: took })?;
    Ok(text)
}

fn head(index: usize) -> RunHead {
    let slot = index % SLOTS;
    let image = format!("image {}", index / NIGHT);
    RunHead {
        board: format!("board-{}", slot % 5),
        slot: format!("lab/{slot}"),
        profile: "reference".to_owned(),
        image: ImageRef {
            path: image.clone().into(),
            sha256: Sha::of(format!("{image}.zst").as_bytes()),
            payload: Sha::of(image.as_bytes()),
            size: 1 << 30,
            os: Some("bench-os".to_owned()),
            version: Some(format!("1.{}", index / NIGHT)),
            companions: BTreeMap::new(),
        },
        selection: "all".to_owned(),
        command: "shakedown run".to_owned(),
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        hashes: BTreeMap::from([("suites".to_owned(), Sha::of(b"suites"))]),
        facts: BTreeMap::new(),
    }
}

/// A number from 0 to 1 that is the same each time.
fn chance(seed: usize) -> f64 {
    let hash = Sha::of(&seed.to_le_bytes()).0;
    f64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX)
}
