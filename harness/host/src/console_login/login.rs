//! From whatever the console shows to a shell that takes commands.

use std::time::Duration;

use shakedown_console::{Finder, PatternError, Patterns};
use shakedown_core::profile::LoginProfile;
use shakedown_core::{Console, Deadline, Fault, InfraKind, ShellError, Unreachable, WaitEnd};

use super::script;
use super::typing::{Typist, send};

/// How long a prompt may take after a key was pressed, at the DUT's pace.
const PROMPT: Duration = Duration::from_secs(4);
/// After so many refused logins there is no point in more.
const REFUSALS: u32 = 3;

/// Which prompt was seen.
const LOGIN: usize = 0;
const SHELL: usize = 1;

/// Logs in as far as needed; comes back when the shell's prompt shows.
pub(super) async fn reach_prompt(
    console: &Console,
    login: &LoginProfile,
    by: &Deadline,
) -> Result<(), ShellError> {
    let prompts = prompts(login).map_err(|error| ShellError::Rig(config(&error)))?;
    let (mut logins, mut quiet) = (0, 0u32);
    let mut key: Vec<u8> = b"\r".to_vec();
    loop {
        let mut cursor = console.log.here();
        send(console, &key, by).await?;
        let limit = by.child("a prompt on the console", PROMPT);
        let hit = match console.log.expect(&mut cursor, &mut Finder::new(&prompts), &limit).await {
            Ok(hit) => hit,
            Err(WaitEnd::Closed(closed)) => return Err(ShellError::Dut(Unreachable::Closed(closed.why))),
            Err(WaitEnd::Stopped(_)) if by.is_over() => {
                let stop = by.stop(console.log.last_line());
                return Err(ShellError::Dut(Unreachable::Mute(stop)));
            }
            Err(WaitEnd::Stopped(_)) => {
                // Something else may be running there: in turn interrupt it and ask again.
                quiet += 1;
                key = if quiet % 2 == 1 { b"\x03\r".to_vec() } else { b"\r".to_vec() };
                continue;
            }
        };
        key = match hit.pattern {
            SHELL => return Ok(()),
            LOGIN if logins == REFUSALS => {
                let what = format!("user {} was asked to log in again {REFUSALS} times", login.user);
                return Err(ShellError::Dut(Unreachable::Denied(what)));
            }
            LOGIN => {
                logins += 1;
                format!("{}\r", login.user).into_bytes()
            }
            _ => format!("{}\r", login.password.as_ref().map_or("", |(_, word)| word)).into_bytes(),
        };
    }
}

fn prompts(login: &LoginProfile) -> Result<Patterns, PatternError> {
    let mut patterns = vec![login.prompt.as_str(), login.shell.as_str()];
    patterns.extend(login.password.as_ref().map(|(prompt, _)| prompt.as_str()));
    Patterns::compile(&patterns)
}

fn config(error: &PatternError) -> Fault {
    Fault::new(InfraKind::Config, "console login", "use", "the login's prompts").because(error)
}

/// Starts the loop in the shell whose prompt shows.
pub(super) async fn start_loop(
    console: &Console,
    typist: &mut Typist,
    by: &Deadline,
) -> Result<(), ShellError> {
    // Unchecked, for a line editor may echo it in any shape; the next line proves that it arrived.
    send(console, format!("{}\r", script::OPEN).as_bytes(), by).await?;
    typist.line(console, script::LOOP, by).await
}
