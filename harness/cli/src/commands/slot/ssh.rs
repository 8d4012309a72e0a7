//! `shakedown ssh`: into the DUT, with the system's own client.

use std::path::PathBuf;

use shakedown_boards::Catalogue;
use shakedown_core::ExitCode;
use shakedown_host::Tool;

use super::hold::{exit, in_front};
use super::{WORK, Which, on_runtime, shown, unexpected};
use crate::CliResult;
use crate::compose::keep::host_of;
use crate::keeper::wire::{Ask, Reply};
use crate::say::err;

/// What ssh itself returns when it could not get in.
const NOT_IN: i32 = 255;

/// `shakedown ssh`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// The OS profile that names the port and the user.
    #[arg(long, value_name = "ID")]
    os: Option<String>,
    /// The DUT's port. Else the OS profile's, else 22.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The user. Else the OS profile's, else root.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The private key: a run that is kept on leaves `ssh-key` in its folder. Else what ssh finds.
    #[arg(short = 'i', long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What is run on the DUT. Without it, a shell.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let profile = args.os.as_deref().map(|os| Catalogue::with_paths(paths)?.profile(os)).transpose()?;
    let ssh = profile.as_ref().map(|profile| &profile.ssh);
    let port = args.port.or(ssh.map(|ssh| ssh.port)).unwrap_or(22);
    let user = args.user.clone().or(ssh.map(|ssh| ssh.user.clone())).unwrap_or_else(|| "root".to_owned());
    on_runtime(paths, &rig, "ending the session", async |caller| {
        let by = caller.wait("the keeper's answer", WORK);
        // Kept until the end: the keeper holds the way open as long as we are there.
        let mut link = caller.ask(Ask::Address { slot: slot.clone(), port }).await?;
        let addr = match link.reply(&by).await? {
            Reply::Address(addr) => addr,
            reply => return Err(unexpected(&reply)),
        };
        // A DUT has another host key after each flash, and many share one address: nothing is remembered.
        let mut tool = Tool::new("ssh").package("openssh-client").args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "ConnectTimeout=20",
        ]);
        if let Some(key) = &args.key {
            tool = tool.args(["-o", "IdentitiesOnly=yes", "-i", &shown(key)]);
        }
        tool = tool.args(["-p", &addr.port().to_string(), "-l", &user, &host_of(addr)]);
        if !args.command.is_empty() {
            tool = tool.arg("--").args(&args.command);
        }
        let status = in_front(&caller, &tool).await?;
        drop(link);
        if status.code() == Some(NOT_IN) {
            err!("{slot}: no way in at {addr}");
            return Ok(ExitCode::Infra);
        }
        Ok(exit(&caller, &tool, status))
    })
}
