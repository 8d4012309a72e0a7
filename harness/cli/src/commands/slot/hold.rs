//! `shakedown hold`: a slot for any program.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use shakedown_core::{Deadline, ExitCode};
use shakedown_host::{Child, Tool};
use tokio::signal::unix::{SignalKind, signal};

use super::{WORK, Which, on_runtime, show, shown, unexpected};
use crate::keeper::client::{Caller, HOLD, sockets};
use crate::keeper::wire::{Ask, Handles, Reply, Say};
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// A program that is asked to end may clean up so long.
const END: Duration = Duration::from_secs(10);
/// As long as it runs.
const RUN: Duration = Duration::from_secs(10 * 365 * 86_400);

/// `shakedown hold`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// The program with its arguments. Without one the slot is held until Ctrl-C.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    on_runtime(paths, &rig, "making the slot safe", async |caller| hold(caller, slot, &args.command).await)
}

async fn hold(caller: Caller<'_>, slot: String, command: &[String]) -> CliResult {
    let mut link = caller.ask(Ask::Hold { slot }).await?;
    let by = caller.wait("the keeper's answer", WORK);
    let handles = match link.reply(&by).await? {
        Reply::Held(handles) => handles,
        reply => return Err(unexpected(&reply)),
    };
    let env = environment(&caller, &handles)?;
    let ended = if let Some((program, args)) = command.split_first() {
        let tool =
            env.iter().fold(Tool::new(program).args(args), |tool, (name, value)| tool.env(name, value));
        in_front(&caller, &tool).await.map(|status| exit(&caller, &tool, status))
    } else {
        for (name, value) in &env {
            out!("{name}={value}");
        }
        err!("{}: held until Ctrl-C", handles.slot);
        caller.cancel.cancelled().await;
        Ok(ExitCode::Interrupted)
    };
    // Interrupted or not: the slot is given back in order.
    let by = Caller::new(caller.rig, caller.paths, tokio_util::sync::CancellationToken::new());
    let by = by.wait("the slot to be safe", WORK);
    link.say(Say::GiveBack).await?;
    match link.reply(&by).await? {
        Reply::Proofs(proofs) => show(&handles.slot, &proofs),
        reply => return Err(unexpected(&reply)),
    }
    ended
}

/// The slot's handles as variables.
fn environment(caller: &Caller<'_>, handles: &Handles) -> Result<Vec<(String, String)>, CliError> {
    let mut env = vec![
        ("SHAKEDOWN_SLOT".to_owned(), handles.slot.clone()),
        (HOLD.to_owned(), handles.hold.clone()),
        ("SHAKEDOWN_OUTPUTS".to_owned(), handles.outputs.join(" ")),
    ];
    if let Some(file) = &caller.rig.file {
        env.push(("SHAKEDOWN_RIG".to_owned(), shown(&std::path::absolute(file)?)));
    }
    let plain = |name: &str| -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        name.chars().map(letter).collect()
    };
    for (name, socket) in &handles.consoles {
        env.push((format!("SHAKEDOWN_CONSOLE_{}", plain(name)), shown(socket)));
    }
    for (name, place) in &handles.media {
        env.push((format!("SHAKEDOWN_MEDIUM_{}", plain(name)), place.clone()));
    }
    let sockets = sockets(&caller.rig.doc.value.rig)?;
    if let Some(socket) = sockets.iter().find(|socket| socket.exists()) {
        env.push(("SHAKEDOWN_KEEPER".to_owned(), shown(socket)));
    }
    Ok(env)
}

/// Runs a program on our terminal to its end. Ctrl-C is the program's own; who asks us to end
/// asks it.
pub(super) async fn in_front(caller: &Caller<'_>, tool: &Tool) -> CliResult<ExitStatus> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let child =
        tool.start_in_front().map_err(|fault| CliError { exit: ExitCode::Refused, ..fault.into() })?;
    // Not ended by the interrupt, which the program may take for something else.
    let quiet = Caller::new(caller.rig, caller.paths, tokio_util::sync::CancellationToken::new());
    let whole = quiet.wait("the program's end", RUN);
    let status = tokio::select! {
        status = child.wait(&whole) => status?,
        _ = terminate.recv() => ask_to_end(&child, &quiet.wait("the program to end", END)).await?,
        _ = hang_up.recv() => ask_to_end(&child, &quiet.wait("the program to end", END)).await?,
    };
    Ok(status)
}

/// By the table: what a program returned is told, and counts as the OS's failure.
pub(super) fn exit(caller: &Caller<'_>, tool: &Tool, status: ExitStatus) -> ExitCode {
    if caller.cancel.is_cancelled() {
        return ExitCode::Interrupted;
    }
    if status.success() {
        return ExitCode::Ok;
    }
    err!("{}: {}", tool.name(), shakedown_host::process::describe(status));
    ExitCode::Failed
}

async fn ask_to_end(child: &Child, by: &Deadline) -> CliResult<ExitStatus> {
    child.terminate();
    if let Ok(status) = child.wait(by).await {
        Ok(status)
    } else {
        let killed = Deadline::new(
            "the killed program's end",
            END,
            shakedown_core::Pace::Rig,
            by.clock().clone(),
            tokio_util::sync::CancellationToken::new(),
        );
        Ok(child.kill_group(&killed).await?)
    }
}
