//! The shells that the runner is given: it knows no SSH library.

use std::net::SocketAddr;
use std::sync::Arc;

use shakedown_core::case::LoginTry;
use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Console, Cursor, Deadline, Fut, Loader, Prompt, Rig, Shell, ShellError, Shells, SshTarget,
};

use crate::bootloader::Dialogue;
use crate::{ConsoleShell, SshShell, ssh};

/// Nobody's password: whoever lets this in lets everybody in.
const PASSWORD: &str = "shakedown-wrong-password";

/// Shells of this host: libssh2 for the network, a login on the console for the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostShells;

impl Shells for HostShells {
    fn ssh<'a>(
        &'a self,
        target: &'a SshTarget,
        by: &'a Deadline,
    ) -> Fut<'a, Result<(Arc<dyn Shell>, String), ShellError>> {
        Box::pin(async move {
            let shell = SshShell::connect(target, by).await?;
            let fingerprint = shell.fingerprint().to_owned();
            Ok((Arc::new(shell) as Arc<dyn Shell>, fingerprint))
        })
    }

    fn try_login<'a>(
        &'a self,
        addr: SocketAddr,
        user: &'a str,
        how: LoginTry,
        by: &'a Deadline,
    ) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async move {
            let target = SshTarget { addr, user: user.to_owned(), key: "".into(), host_key: None };
            let came = match how {
                LoginTry::Password => ssh::try_password(&target, PASSWORD, by).await?,
                LoginTry::UnknownKey => ssh::try_unknown_key(&target, by).await?,
            };
            Ok(came.let_in)
        })
    }

    fn interrupt<'a>(
        &'a self,
        console: &'a Console,
        loader: &'a Loader,
        since: Cursor,
        by: &'a Deadline,
    ) -> Fut<'a, Rig<Box<dyn Prompt>>> {
        Box::pin(async move {
            let dialogue = Dialogue::interrupt(console, loader, since, by).await?;
            Ok(Box::new(dialogue) as Box<dyn Prompt>)
        })
    }

    fn login<'a>(
        &'a self,
        console: &'a Console,
        login: &'a LoginProfile,
        by: &'a Deadline,
    ) -> Fut<'a, Result<Arc<dyn Shell>, ShellError>> {
        Box::pin(async move {
            let shell = ConsoleShell::log_in(console, login, by).await?;
            Ok(Arc::new(shell) as Arc<dyn Shell>)
        })
    }
}
