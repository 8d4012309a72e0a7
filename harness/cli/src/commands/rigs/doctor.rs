//! `shakedown rigs doctor`: is it wired as the rig file says?

use std::path::{Path, PathBuf};
use std::time::Duration;

use shakedown_conf::Span;
use shakedown_core::ExitCode;
use shakedown_runner::doctor::{Doctor, Finding};

use crate::compose::rig::Rig;
use crate::compose::signals::cancelled_by_signals;
use crate::compose::slot::taken;
use crate::keeper::client::Caller;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// A slot that waits for a free machine.
const OPEN: Duration = Duration::from_secs(120);

/// `shakedown rigs doctor`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The rig file, `desk` for `desk.yaml`. Else as --rig says.
    #[arg(value_name = "RIG")]
    file: Option<PathBuf>,
    /// Only this slot (repeatable). What is crossed with another slot shows only when both are looked at.
    #[arg(long = "slot", value_name = "NAME")]
    slots: Vec<String>,
    /// Only look; switch nothing.
    #[arg(long)]
    no_toggle: bool,
    /// How long a DUT may be silent after power-on.
    #[arg(long, value_name = "TIME", default_value = "45s")]
    awake: Span,
}

pub(super) fn run(paths: &[PathBuf], rig: Option<&Path>, args: &Args) -> CliResult {
    let rig = Rig::find(args.file.as_deref().or(rig))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(examine(paths, &rig, args))
}

async fn examine(paths: &[PathBuf], rig: &Rig, args: &Args) -> CliResult {
    let cancel = cancelled_by_signals("making the slots safe");
    let caller = Caller::new(rig, paths, cancel.clone());
    let (mut slots, mut rights, mut wrong) = (Vec::new(), Vec::new(), 0);
    for name in wanted(rig, args)? {
        match taken(&caller, &name, &caller.wait("the slot to be free", OPEN)).await {
            Ok((slot, right)) => {
                slots.push(slot);
                rights.push(right);
            }
            // Somebody works with it, or the person asked to stop: no finding about the wiring.
            Err(error) if error.exit == ExitCode::Interrupted => return Err(error),
            Err(error) => {
                out!("{}/{name} cannot be opened: {}", rig.doc.value.rig, error.what);
                wrong += 1;
            }
        }
    }
    let tell = |finding: &Finding| out!("{finding}");
    let doctor = Doctor {
        clock: caller.clock().clone(),
        cancel: cancel.clone(),
        awake: args.awake.get(),
        tell: &tell,
    };
    let mut found = doctor.look(&slots).await;
    if !args.no_toggle && !cancel.is_cancelled() {
        found.extend(doctor.toggle(&slots).await);
    }
    drop(slots);
    let mut back = ExitCode::Ok;
    for right in rights {
        back = back.and(right.give_back(false).await);
    }
    if cancel.is_cancelled() {
        return Ok(ExitCode::Interrupted);
    }
    wrong += found.iter().filter(|finding| finding.diagnosis.is_wrong()).count();
    if found.is_empty() && wrong == 0 {
        let error = CliError::refused(format!("{} has no wiring to look at", rig.from));
        let error = CliError { exit: ExitCode::NothingRan, ..error };
        return Err(error.hint("its slots are simulated, or there is none"));
    }
    err!("{}: {} part(s) looked at, {wrong} wrong", rig.from, found.len());
    Ok(if wrong == 0 { back } else { ExitCode::Infra.and(back) })
}

/// The names of the slots; a simulated one has no wiring.
fn wanted(rig: &Rig, args: &Args) -> Result<Vec<String>, CliError> {
    if args.slots.is_empty() {
        let slots = rig.doc.value.slots.iter().filter(|(_, slot)| slot.simulated.is_none());
        return Ok(slots.map(|(name, _)| name.clone()).collect());
    }
    args.slots.iter().map(|name| Ok(rig.slot(Some(name), None)?.0.to_owned())).collect()
}
