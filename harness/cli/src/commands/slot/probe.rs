//! `shakedown probe`: a microcontroller behind a slot's debug probe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Deadline, ExitCode, Probe, Program};
use shakedown_rigs::ProbeDriver;
use tokio_util::sync::CancellationToken;

use super::{WORK, Which, on_runtime};
use crate::compose::rig::Rig;
use crate::keeper::client::Caller;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// A large program over a slow probe.
const FLASH: Duration = Duration::from_secs(900);
/// A line so often while a program is written, in percent.
const OFTEN: u64 = 25;

/// `shakedown probe`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Which probe of which slot.
#[derive(clap::Args, Debug)]
struct Of {
    #[command(flatten)]
    which: Which,
    /// Which probe, by its name in the rig file; may be left out where there is one.
    #[arg(long, value_name = "NAME")]
    probe: Option<String>,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// The debug probes that are plugged into this host.
    List,
    /// What the core does; it is not disturbed.
    Status(Of),
    /// Halt the core; it stays halted.
    Halt(Of),
    /// Let a halted core go on.
    Resume(Of),
    /// Reset the chip, and prove it at the core's first instruction.
    Reset {
        #[command(flatten)]
        of: Of,
        /// Leave the core halted there.
        #[arg(long)]
        halt: bool,
    },
    /// Write a program into the chip's flash, read it back and compare, and reset the chip into it. What else
    /// stands in the flash sectors that it touches is erased.
    Flash {
        #[command(flatten)]
        of: Of,
        /// ELF, Intel HEX, or bytes as they are.
        program: PathBuf,
        /// Where bytes as they are belong (default: the start of the flash).
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        at: Option<u64>,
    },
    /// Registers, fault status and stack of the core. One that runs is halted for it, and goes on.
    PostMortem(Of),
}

fn address(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16))
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let of = match &args.command {
        Command::List => return list(),
        Command::Status(of) | Command::Halt(of) | Command::Resume(of) | Command::PostMortem(of) => of,
        Command::Reset { of, .. } | Command::Flash { of, .. } => of,
    };
    let (rig, slot) = of.which.find()?;
    on_runtime(paths, &rig, "letting go of the probe", async |caller| {
        let (driver, _) = find(caller.rig, &slot, of.probe.as_deref())?;
        let by = caller.wait("the slot to be free", WORK);
        let right = caller.take(&slot, &by).await?;
        let done = work(&caller, driver, &slot, &args.command, &by).await;
        // What is on stays on: the core would not be where it is left.
        let back = right.give_back(true).await;
        done.map(|()| ExitCode::Ok.and(back))
    })
}

/// The slot's probe of this name, or its only one.
fn find<'a>(rig: &'a Rig, slot: &str, name: Option<&str>) -> CliResult<(&'a ProbeDriver, &'a str)> {
    let (_, doc) = rig.slot(Some(slot), None)?;
    let known: Vec<_> = doc.probes.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let refused = |what: String| Err(CliError::refused(what).hint(format!("there are: {known}")));
    let found = match name {
        Some(name) => doc.probes.get_key_value(name),
        None if doc.probes.len() == 1 => doc.probes.iter().next(),
        None => return refused(format!("say which probe of {slot}, with --probe")),
    };
    let Some((name, driver)) = found else {
        return refused(format!("{slot} has no probe `{}`", name.unwrap_or_default()));
    };
    if let Err(problem) = driver.check() {
        let field = format!("slots.{slot}.probes.{name}.{}", problem.field);
        return Err(rig.doc.invalid(&field, problem.what).into());
    }
    Ok((driver, name))
}

async fn work(
    caller: &Caller<'_>,
    driver: &ProbeDriver,
    slot: &str,
    command: &Command,
    by: &Deadline,
) -> CliResult<()> {
    let probe = driver.open((), by).await?;
    let of = format!("{}/{slot}: {}", caller.rig.doc.value.rig, probe.endpoint());
    match command {
        Command::List => {}
        Command::Status(_) => out!("{of}: {}", probe.state(by).await?),
        Command::Halt(_) => out!("{of}: {}", probe.halt(by).await?),
        Command::Resume(_) => out!("{of}: {}", probe.resume(by).await?),
        Command::Reset { halt, .. } => out!("{of}: {}", probe.reset(*halt, by).await?),
        Command::PostMortem(_) => out!("{}", probe.post_mortem(by).await?.to_string().trim_end()),
        Command::Flash { program, at, .. } => {
            let program = Program { file: program.clone(), at: *at };
            let by = caller.wait("the program to be written", FLASH);
            flash(probe.as_ref(), program, &of, &by).await?;
        }
    }
    Ok(())
}

async fn flash(probe: &dyn Probe, program: Program, of: &str, by: &Deadline) -> CliResult<()> {
    let said = std::sync::atomic::AtomicU64::new(0);
    let far = move |percent: u64| {
        let step = percent / OFTEN;
        if said.swap(step, std::sync::atomic::Ordering::Relaxed) != step {
            err!("   written {percent} %");
        }
    };
    let flashed = probe.flash(program, Arc::new(far), by).await?;
    out!("{of}: {flashed}");
    out!("{of}: {}", flashed.reset);
    Ok(())
}

fn list() -> CliResult {
    let cancel = CancellationToken::new();
    let clock = shakedown_core::RealClock::start();
    let by = Deadline::new("the probes of this host", WORK, shakedown_core::Pace::Rig, clock, cancel);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(shakedown_rigs::probes(&by))?;
    for probe in &found {
        let ours = if probe.ours { "" } else { "  (this user may not open it: see the udev rules)" };
        out!("{}  {}{ours}", probe.id, probe.name);
    }
    if found.is_empty() {
        err!("no debug probe is plugged into this host");
        return Ok(ExitCode::NothingRan);
    }
    Ok(ExitCode::Ok)
}
