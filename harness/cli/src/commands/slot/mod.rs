//! Commands on one slot, through the rig's keeper.

pub(super) mod console;
pub(super) mod flash;
pub(super) mod hold;
pub(super) mod power;
pub(super) mod press;
pub(super) mod probe;
pub(super) mod record;
pub(super) mod screen;
pub(super) mod ssh;

use std::path::{Path, PathBuf};
use std::time::Duration;

use shakedown_core::Proof;

use crate::CliError;
use crate::compose::rig::Rig;
use crate::compose::signals::cancelled_by_signals;
use crate::keeper::client::Caller;
use crate::keeper::wire::Reply;
use crate::say::out;

/// What a command waits for the keeper's work: a little longer than the keeper's own limit.
const WORK: Duration = Duration::from_secs(150);

/// Which slot.
#[derive(clap::Args, Debug)]
pub(super) struct Which {
    /// The slot: its name in the rig file, or `rig/slot`.
    slot: String,
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, value_name = "FILE")]
    rig: Option<PathBuf>,
}

impl Which {
    /// The rig, and the slot's name in it.
    fn find(&self) -> Result<(Rig, String), CliError> {
        let rig = Rig::find(self.rig.as_deref())?;
        let (name, _) = rig.slot(Some(&self.slot), None)?;
        let name = name.to_owned();
        Ok((rig, name))
    }
}

/// Runs a command's work; an interrupt cancels it, which is told as `doing`.
fn on_runtime<T>(
    paths: &[PathBuf],
    rig: &Rig,
    doing: &'static str,
    work: impl AsyncFnOnce(Caller<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async { work(Caller::new(rig, paths, cancelled_by_signals(doing))).await });
    // A thread that waits for somebody to type would be waited for.
    runtime.shutdown_background();
    done
}

/// What was switched, and how it is known.
fn show(slot: &str, proofs: &[Proof]) {
    for proof in proofs {
        out!("{slot}: {proof}");
    }
}

/// The keeper answered, and not what was asked for.
fn unexpected(reply: &Reply) -> CliError {
    CliError::infra(format!("the keeper answered something else: {reply:?}"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
