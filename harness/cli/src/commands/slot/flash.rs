//! `shakedown flash`: the proven writer on a slot's medium.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_core::{Deadline, ExitCode, Fault, Medium, Side, Slot, Storage};
use shakedown_media::{ImageSource, Progress, Written};
use tokio_util::sync::CancellationToken;

use super::{WORK, Which, on_runtime};
use crate::compose::image;
use crate::compose::slot::taken;
use crate::keeper::client::Caller;
use crate::say::{err, out, to_err};
use crate::{CliError, CliResult};

/// 20 MB/s is a slow card; 64 GiB at that speed is an hour.
const WRITE: Duration = Duration::from_secs(3600);
/// Where nobody watches, a line so often.
const QUIET: Duration = Duration::from_secs(10);

/// `shakedown flash`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// raw, .gz, .xz, .zst or .zip.
    image: PathBuf,
    /// Which medium, by its name in the rig file.
    #[arg(long, value_name = "NAME", default_value = "main")]
    medium: String,
    /// Write only what differs from what the medium holds: all of it is read and compared first, and read
    /// back afterwards. Pays where reading is quicker than writing.
    #[arg(long)]
    delta: bool,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    on_runtime(paths, &rig, "stopping the writer", async |caller| flash(&caller, &slot, args).await)
}

async fn flash(caller: &Caller<'_>, name: &str, args: &Args) -> CliResult {
    let by = caller.wait("the slot to be free", WORK);
    let (slot, right) = taken(caller, name, &by).await?;
    let done = write_on(caller, &slot, args, &by).await;
    drop(slot);
    let back = right.give_back(false).await;
    done.map(|exit| exit.and(back))
}

async fn write_on(caller: &Caller<'_>, slot: &Slot, args: &Args, by: &Deadline) -> CliResult {
    let (id, medium) = (slot.id.clone(), &args.medium);
    let identity = {
        let file = args.image.clone();
        let mut meter = Meter::new(caller.cancel.clone());
        thread(move || shakedown_media::identify(&file, &mut |progress| meter.show(progress))).await?
    };
    let identity = identity.map_err(image::refused)?;
    let storage = medium_of(slot, medium)?;
    power_off(slot, by).await?;
    to_side(storage.as_ref(), Side::Host, by).await?;
    let writing = caller.wait("the image to be written", WRITE);
    let target = storage.open(&writing).await?;
    let written = write(caller, identity, target, args.delta).await?;
    out!("{id}: {}", proof(&written));
    to_side(storage.as_ref(), Side::Dut, by).await?;
    out!("{id}: {medium} is on the DUT's side: read back from {} {}", storage.driver(), storage.endpoint());
    Ok(ExitCode::Ok)
}

fn medium_of(slot: &Slot, name: &str) -> Result<Arc<dyn Storage>, CliError> {
    slot.media.get(name).cloned().ok_or_else(|| {
        let known: Vec<_> = slot.media.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        CliError::refused(format!("{} has no medium `{name}`", slot.id)).hint(format!("there are: {known}"))
    })
}

/// A DUT that runs writes on its medium too.
async fn power_off(slot: &Slot, by: &Deadline) -> CliResult<()> {
    match &slot.power {
        Some(power) => out!("{}: {}", slot.id, power.set(false, by).await?),
        None => err!("{}: nothing here switches its power: see to it that the DUT is off", slot.id),
    }
    Ok(())
}

async fn to_side(storage: &dyn Storage, side: Side, by: &Deadline) -> CliResult<()> {
    if storage.side(by).await? == side {
        return Ok(());
    }
    let got = storage.switch(side, by).await?;
    if got == side {
        return Ok(());
    }
    let fault =
        Fault::new(shakedown_core::InfraKind::Storage, storage.driver(), "switch", storage.endpoint());
    Err(fault.expected(format!("{side:?}"), format!("{got:?}")).into())
}

async fn write(
    caller: &Caller<'_>,
    identity: Arc<shakedown_media::Identity>,
    mut medium: Box<dyn Medium>,
    delta: bool,
) -> CliResult<Written> {
    let mut meter = Meter::new(caller.cancel.clone());
    let work = move || {
        let mut source = ImageSource::open_identified(&identity)?;
        let write = if delta { shakedown_media::write_delta } else { shakedown_media::write_image };
        write(&mut source, medium.as_mut(), &mut |progress| meter.show(progress))
    };
    thread(work).await?.map_err(image::refused)
}

/// Blocking work beside the runtime; it looks at the interrupt by itself.
async fn thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> CliResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(CliError::infra)
}

fn proof(written: &Written) -> String {
    let times: Vec<_> =
        written.times().iter().map(|(phase, took)| format!("{phase} {:.1} s", took.as_secs_f64())).collect();
    format!(
        "wrote and read back {} on {}, equal to payload SHA-256 {} ({})",
        written.amount(),
        written.medium().path,
        written.payload(),
        times.join(", ")
    )
}

/// Shows how far the work is: one line that is drawn anew, or a line now and then where nobody watches.
struct Meter {
    cancel: CancellationToken,
    watched: bool,
    last: Option<(shakedown_media::Phase, Instant)>,
}

impl Meter {
    fn new(cancel: CancellationToken) -> Self {
        Self { cancel, watched: std::io::stderr().is_terminal(), last: None }
    }

    fn show(&mut self, progress: &Progress) -> ControlFlow<()> {
        let Progress { phase, done, total, rate, eta } = *progress;
        let ended = done == total;
        let due = match self.last {
            Some((last, at)) => last != phase || ended || at.elapsed() >= QUIET,
            None => true,
        };
        let left = eta.map(|eta| format!(", {} s left", eta.as_secs())).unwrap_or_default();
        let line = format!(
            "{phase} {} of {} MiB, {:.0} MB/s{left}",
            done >> 20,
            total.div_ceil(1 << 20),
            rate / 1e6
        );
        if self.watched {
            let end = if ended { "\n" } else { "" };
            to_err(format_args!("\r\x1b[K   {line}{end}"));
        } else if due {
            err!("   {line}");
            self.last = Some((phase, Instant::now()));
        }
        if self.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
