//! Logins that a careful DUT refuses.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Deadline, ShellError, SshTarget};
use ssh2::{KeyboardInteractivePrompt, Prompt};

use super::connect::{refuse, shake_hands};
use super::wire::{Halt, Wire};
use super::{Line, on_thread};
use crate::key::KeyPair;
use shakedown_core::Unreachable;

const LOGIN: Duration = Duration::from_secs(60);

/// What came of a login that should have been refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the server let us in.
    pub let_in: bool,
    /// The ways in that the server offers to this user: `publickey,password`.
    pub offered: String,
    /// The ways in that were tried: `password`, `keyboard-interactive`, `publickey`.
    pub tried: Vec<&'static str>,
}

#[derive(Clone)]
enum With {
    Password(String),
    Key(Arc<str>),
}

/// Tries to log in with a password, by every way that the server offers for one.
pub async fn try_password(target: &SshTarget, password: &str, by: &Deadline) -> Result<Attempt, ShellError> {
    attempt(target, With::Password(password.to_owned()), by).await
}

/// Tries to log in with a key that was made just now.
pub async fn try_unknown_key(target: &SshTarget, by: &Deadline) -> Result<Attempt, ShellError> {
    let key = KeyPair::generate().map_err(ShellError::Rig)?;
    try_key(target, &key.private, by).await
}

/// Tries to log in with this private key instead of the target's.
pub async fn try_key(target: &SshTarget, key: &Arc<str>, by: &Deadline) -> Result<Attempt, ShellError> {
    attempt(target, With::Key(key.clone()), by).await
}

async fn attempt(target: &SshTarget, with: With, by: &Deadline) -> Result<Attempt, ShellError> {
    let name = format!("ssh {}@{}, a login to be refused", target.user, target.addr);
    let (target, limit) = (target.clone(), by.clone());
    let work = move |line: &Arc<Line>| {
        let (wire, _) = shake_hands(target.addr, target.host_key.as_deref(), line, &limit)?;
        let came = log_in(&wire, &target.user, &with, &limit);
        wire.close();
        came
    };
    on_thread(Line::open(name)?, by, work).await
}

struct Answer<'a>(&'a str);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.to_owned()).collect()
    }
}

fn log_in(wire: &Wire, user: &str, with: &With, by: &Deadline) -> Result<Attempt, ShellError> {
    let limit = by.child("SSH login that should be refused", LOGIN);
    let offered = match wire.drive(&limit, |session| session.auth_methods(user).map(str::to_owned)) {
        Ok(offered) => offered,
        // The question itself is an attempt without any credential.
        Err(Halt::Failed(_)) if wire.session.authenticated() => {
            return Ok(Attempt { let_in: true, offered: "none".into(), tried: vec!["none"] });
        }
        Err(halt) => return Err(refuse(halt, &limit, user)),
    };
    let mut tried = Vec::new();
    let has = |name: &str| offered.split(',').any(|method| method == name);
    match with {
        With::Key(key) => {
            tried.push("publickey");
            let came = wire.drive(&limit, |session| session.userauth_pubkey_memory(user, None, key, None));
            settle(came, &limit, user)?;
        }
        With::Password(password) => {
            if has("password") {
                tried.push("password");
                settle(
                    wire.drive(&limit, |session| session.userauth_password(user, password)),
                    &limit,
                    user,
                )?;
            }
            if has("keyboard-interactive") && !wire.session.authenticated() {
                tried.push("keyboard-interactive");
                let came = wire.drive(&limit, |session| {
                    session.userauth_keyboard_interactive(user, &mut Answer(password))
                });
                settle(came, &limit, user)?;
            }
        }
    }
    Ok(Attempt { let_in: wire.session.authenticated(), offered, tried })
}

/// A refusal is an answer; anything else that went wrong is not.
fn settle(came: Result<(), Halt>, limit: &Deadline, user: &str) -> Result<(), ShellError> {
    match came.map_err(|halt| refuse(halt, limit, user)) {
        Err(ShellError::Dut(Unreachable::Denied(_))) | Ok(()) => Ok(()),
        Err(other) => Err(other),
    }
}
