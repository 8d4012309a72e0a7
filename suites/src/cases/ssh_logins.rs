//! Nobody gets in without a key that was authorized.

use std::time::Duration;

use shakedown_core::case::LoginTry;
use shakedown_core::{Cut, Deadline, Dut, Failure};

use super::Plot;
use super::host::Host;

pub(super) const PASSWORDS: Plot = Plot {
    name: "ssh-refuses-passwords",
    facts: &[],
    config_keys: &[],
    run: |dut, by| Box::pin(passwords(dut, by)),
};
pub(super) const UNKNOWN_KEYS: Plot = Plot {
    name: "ssh-refuses-unknown-keys",
    facts: &[],
    config_keys: &[],
    run: |dut, by| Box::pin(unknown_keys(dut, by)),
};

/// A password that is refused proves little: it may just be wrong. So the server is also asked
/// which methods it offers at all.
async fn passwords(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, &[], by).await?;
    let settings = host
        .must(
            "the SSH server does not tell its settings",
            "sshd -T | grep -E '^(passwordauthentication|kbdinteractiveauthentication|permitemptypasswords) ' | sort",
            by,
        )
        .await?;
    let wanted = "kbdinteractiveauthentication no\npasswordauthentication no\npermitemptypasswords no";
    if settings != wanted {
        let what = "the SSH server accepts passwords";
        return Err(Failure::new(what, wanted, settings).into());
    }
    refused(dut, LoginTry::Password, "with a password", by).await
}

async fn unknown_keys(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    refused(dut, LoginTry::UnknownKey, "with a key that nobody authorized", by).await
}

async fn refused(dut: &dyn Dut, how: LoginTry, with: &str, by: &Deadline) -> Result<(), Cut> {
    let by = by.child(format!("a login {with}"), Duration::from_secs(30));
    if dut.try_login(how, &by).await? {
        let what = format!("SSH let in somebody {with}");
        return Err(Failure::new(what, "the login to be refused", "let in").into());
    }
    Ok(())
}
