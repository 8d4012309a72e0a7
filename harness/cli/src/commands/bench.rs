//! `shakedown bench`: one figure each, for `cargo xtask bench`. Not shown in the help.

mod consoles;
mod delta;

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_console::Finder;
use shakedown_core::{ConsoleLog, Cursor, Deadline, ExitCode, Pace, RealClock};
use shakedown_media::{FileMedium, ImageSource, identify, write_image};
use tokio_util::sync::CancellationToken;

use crate::compose::image::refused;
use crate::say::out;
use crate::{CliError, CliResult};

/// `shakedown bench`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// CPU seconds of one expect over a terminal, through the console log.
    Expect { terminal: PathBuf, pattern: String },
    /// The median round trip in ms of commands on a bash on a PTY.
    Shell { count: usize },
    /// Identifies an image, then writes it to a file and proves it, as a run does; prints the seconds of identifying.
    Write { image: PathBuf, out: PathBuf },
    /// Writes an image of so many MiB to a file, changes 1 % of it in pieces all over, and writes it again, whole
    /// and as a delta; prints the seconds of both. `--slow`: the medium reads 90 and writes 20 MB/s.
    Delta {
        folder: PathBuf,
        mib: u64,
        #[arg(long)]
        slow: bool,
    },
    /// Logs in on these terminals at once and runs so many commands on each; prints the peak of our memory in MiB.
    Sessions { count: usize, terminals: Vec<PathBuf> },
    /// Records these serial ports until each has said so many bytes, or nothing more comes; prints our
    /// seconds of CPU, the seconds that it took, and the peak of our memory in MiB.
    Consoles { folder: PathBuf, bytes: u64, ports: Vec<PathBuf> },
}

pub(super) fn run(args: &Args) -> CliResult {
    match &args.what {
        What::Expect { terminal, pattern } => {
            let before = cpu()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(expect(terminal, pattern))?;
            out!("{:.3}", cpu()? - before);
        }
        What::Shell { count } => {
            let mut spans = two_workers()?.block_on(shakedown_host::bench::shell_round_trip(*count))?;
            spans.sort();
            out!("{:.3}", spans[spans.len() / 2].as_secs_f64() * 1000.0);
        }
        What::Write { image, out } => {
            let quiet = &mut |_: &_| ControlFlow::Continue(());
            let began = Instant::now();
            let identity = identify(image, quiet).map_err(refused)?;
            let identified = began.elapsed();
            let mut source =
                ImageSource::open_identified(&identity).map_err(|error| refused(error.into()))?;
            let mut medium = FileMedium::create(out, identity.image().size)?;
            write_image(&mut source, &mut medium, quiet).map_err(refused)?;
            out!("{:.3}", identified.as_secs_f64());
        }
        What::Delta { folder, mib, slow } => {
            let [whole, delta] = delta::seconds(folder, *mib, *slow)?;
            out!("{whole:.3} {delta:.3}");
        }
        What::Sessions { count, terminals } => {
            let open = |path| std::fs::File::options().read(true).write(true).open(path).map(OwnedFd::from);
            let terminals = terminals.iter().map(open).collect::<Result<_, _>>()?;
            two_workers()?.block_on(shakedown_host::bench::console_sessions(terminals, *count))?;
            out!("{:.1}", peak()?);
        }
        What::Consoles { folder, bytes, ports } => {
            let [cpu, took] = two_workers()?.block_on(consoles::record(folder, *bytes, ports))?;
            out!("{cpu:.2} {took:.2} {:.1}", peak()?);
        }
    }
    Ok(ExitCode::Ok)
}

fn two_workers() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

async fn expect(terminal: &Path, pattern: &str) -> Result<(), CliError> {
    let clock = RealClock::start();
    let log = Arc::new(ConsoleLog::new(clock.clone()));
    let file = std::fs::File::options().read(true).write(true).open(terminal)?;
    let pump = shakedown_host::pump::fd(file.into(), "terminal", log.clone())?;
    let span = Duration::from_secs(600);
    let by = Deadline::new("the end of the feed", span, Pace::Rig, clock, CancellationToken::new());
    let mut finder = Finder::of(pattern).map_err(CliError::refused)?;
    let hit = log.expect(&mut Cursor(0), &mut finder, &by).await;
    drop(pump);
    hit.map(drop).map_err(|end| CliError::infra(format!("{end:?}")))
}

/// The most memory that this process ever had in use (`VmHWM`), in MiB.
fn peak() -> Result<f64, CliError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    kib.map(|kib: f64| kib / 1024.0).ok_or_else(|| CliError::infra("the kernel does not tell VmHWM"))
}

/// User and system seconds of this process.
fn cpu() -> Result<f64, CliError> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    // Linux counts these in USER_HZ, which is 100 on every architecture that we build for.
    Ok(ticks / 100.0)
}
