//! `--keep`: a DUT that stays on after its run, and how to get into it.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use shakedown_core::Deadline;
use shakedown_core::shell::quote;
use shakedown_runner::Kept;
use tokio_util::sync::CancellationToken;

use crate::say::err;
use crate::{CliError, CliResult};

/// The run's private key in its folder, written only for a DUT that is kept.
const KEY: &str = "ssh-key";

/// A kept slot, and what somebody needs who wants to look at it.
pub struct Keep<'a> {
    /// The DUT.
    pub kept: Kept,
    /// The run's folder.
    pub folder: &'a Path,
    /// The run's private key, in OpenSSH's format.
    pub key: &'a str,
    /// The DUT is a process of ours: it lives as long as we do.
    pub ours: bool,
}

/// Tells how to get in. A DUT that is a process of ours is held, with its slot, until Ctrl-C, and
/// then switched off; hardware is left as it is.
pub async fn keep(this: Keep<'_>, cancel: &CancellationToken, by: &Deadline) -> CliResult<()> {
    let Keep { kept, folder, key, ours } = this;
    let file = write_key(folder, key).map_err(|error| {
        CliError::infra(format!("cannot keep the run's key in {}: {error}", folder.display()))
    })?;
    err!("kept: the DUT is on");
    match kept.ssh(by).await {
        Ok((addr, user)) => err!("   shell    {}", ssh_line(&file, addr, &user)),
        Err(fault) => err!("   shell    none: {fault}"),
    }
    err!("   console  {}", folder.join("console.log").display());
    if ours {
        err!("   It is held until Ctrl-C, and then switched off.");
        cancel.cancelled().await;
        kept.make_safe().await?;
    }
    Ok(())
}

/// The host key is not asked for: it is another one for each run.
fn ssh_line(key: &Path, addr: SocketAddr, user: &str) -> String {
    let quiet = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";
    let key = quote(&key.display().to_string());
    format!("ssh -i {key} -o IdentitiesOnly=yes {quiet} -p {} {}@{}", addr.port(), quote(user), host_of(addr))
}

/// As ssh takes it: an address that is valid on one interface has its number behind it.
pub(crate) fn host_of(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        addr => addr.ip().to_string(),
    }
}

fn write_key(folder: &Path, key: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(KEY);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(key.as_bytes())?;
    Ok(path)
}
