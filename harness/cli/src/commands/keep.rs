//! `shakedown keep`: the keeper of a rig, and what can be asked of it.

use std::path::PathBuf;
use std::time::Duration;

use shakedown_boards::Catalogue;
use shakedown_core::ExitCode;
use tokio_util::sync::CancellationToken;

use crate::compose::rig::Rig;
use crate::compose::signals::cancelled_by_signals;
use crate::keeper::client::{Caller, sockets};
use crate::keeper::serve;
use crate::keeper::wire::{Ask, Reply};
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// Every output of every slot has to be made safe.
const STOP: Duration = Duration::from_secs(300);

/// `shakedown keep`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(value_name = "RIG")]
    rig: Option<PathBuf>,
    /// Show who uses which slot, and end.
    #[arg(long, conflicts_with = "stop")]
    status: bool,
    /// Make all slots safe, and end the keeper.
    #[arg(long)]
    stop: bool,
    /// Where to listen. Else in SHAKEDOWN_RUNTIME, in the user's runtime folder.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["status", "stop"])]
    socket: Option<PathBuf>,
    /// Who may use the socket: its file mode.
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = mode, conflicts_with_all = ["status", "stop"])]
    mode: u32,
    /// End when no slot is open any more: for commands that start a keeper.
    #[arg(long, hide = true)]
    on_demand: bool,
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| mode & !0o666 == 0)
        .ok_or_else(|| "expected read and write bits in octal, such as 600 or 660".to_owned())
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let rig = Rig::find(args.rig.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if args.status || args.stop {
            let cancel = cancelled_by_signals("waiting for the keeper");
            let caller = Caller::new(&rig, paths, cancel);
            return if args.stop { stop(&caller).await } else { status(&caller).await };
        }
        let own = sockets(&rig.doc.value.rig)?.pop();
        let socket = args.socket.clone().or(own);
        let socket = socket.ok_or_else(|| CliError::infra("there is no place for a socket"))?;
        let catalogue = Catalogue::with_paths(paths)?;
        serve::run(serve::Settings { rig, catalogue, socket, mode: args.mode, on_demand: args.on_demand })
            .await
    })
}

async fn status(caller: &Caller<'_>) -> CliResult {
    let Some(mut link) = caller.ask_if_there(Ask::Status).await? else {
        out!("{} has no keeper", caller.rig.doc.value.rig);
        return Ok(ExitCode::NothingRan);
    };
    let by = caller.wait("the keeper's answer", Duration::from_secs(10));
    let Reply::Seats(seats) = link.reply(&by).await? else {
        return Err(CliError::infra("the keeper answered something else than its slots"));
    };
    out!("{}: its keeper is process {}", caller.rig.doc.value.rig, link.keeper);
    for seat in seats {
        out!("{}", seat.slot);
        for used in seat.uses {
            out!("  {used}");
        }
    }
    Ok(ExitCode::Ok)
}

async fn stop(caller: &Caller<'_>) -> CliResult {
    let Some(mut link) = caller.ask_if_there(Ask::Stop).await? else {
        err!("{} has no keeper", caller.rig.doc.value.rig);
        return Ok(ExitCode::Ok);
    };
    // Once asked for, it is seen to its end.
    let caller = Caller::new(caller.rig, caller.paths, CancellationToken::new());
    let by = caller.wait("the rig to be safe", STOP);
    let told = link.reply(&by).await;
    let keeper = link.keeper;
    // Where it asks somebody who is not there, it hears so.
    drop(link);
    if let Ok(Reply::Proofs(proofs)) = &told {
        for proof in proofs {
            out!("{proof}");
        }
    }
    let start = shakedown_host::group::ProcStat::of(keeper).map(|stat| stat.start);
    while start.is_some_and(|start| shakedown_host::group::lives(keeper, start)) {
        let lives = || format!("process {keeper} lives");
        by.pause(Duration::from_millis(10), lives).await.map_err(|stop| CliError::infra(stop.to_string()))?;
    }
    out!("{}: its keeper (process {keeper}) has ended", caller.rig.doc.value.rig);
    told.map(|_| ExitCode::Ok)
}
