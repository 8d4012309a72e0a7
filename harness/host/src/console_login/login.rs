//! From whatever the console shows to a shell that takes commands.

use std::time::Duration;

use shakedown_console::{Finder, PatternError, Patterns};
use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Chunk, Closed, Console, Deadline, Fault, InfraKind, Matcher, Mono, ShellError, Unreachable, WaitEnd,
};

use super::script;
use super::typing::{Typist, gently, send};

/// How long a prompt may take after a key was pressed, at the DUT's pace.
const PROMPT: Duration = Duration::from_secs(4);
/// How long a login prompt must stay the last word before it is answered, at the DUT's pace.
const SETTLE: Duration = Duration::from_millis(250);
/// After so many refused logins there is no point in more.
const REFUSALS: u32 = 3;

/// Ctrl-C, and a line end that asks for the prompt.
const INTERRUPT: &[u8] = b"\x03\r";

/// Which prompt was seen.
const LOGIN: usize = 0;
const SHELL: usize = 1;

/// What takes commands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// A shell, at its prompt.
    Prompt,
    /// Our loop: the interrupt ended what ran in it, and not the loop itself.
    Loop,
}

/// Logs in as far as needed; comes back when the shell's prompt shows. `hung`: a command of
/// ours is known to run there still.
pub(super) async fn reach_prompt(
    console: &Console,
    login: &LoginProfile,
    hung: bool,
    by: &Deadline,
) -> Result<Reached, ShellError> {
    let prompts = prompts(login, hung).map_err(|error| ShellError::Rig(config(&error)))?;
    let the_loop = 2 + usize::from(login.password.is_some());
    let (mut logins, mut quiet) = (0, 0u32);
    let mut pattern = shown(console, &prompts);
    let mut key = if hung { INTERRUPT.to_vec() } else { b"\r".to_vec() };
    loop {
        match pattern.take() {
            Some(SHELL) => return Ok(Reached::Prompt),
            Some(prompt) if prompt == the_loop => return Ok(Reached::Loop),
            Some(LOGIN) if logins == REFUSALS => {
                let what = format!("user {} was asked to log in again {REFUSALS} times", login.user);
                return Err(ShellError::Dut(Unreachable::Denied(what)));
            }
            // Where a prompt shows already, another line end would answer it.
            Some(prompt) => {
                logins += u32::from(prompt == LOGIN);
                key = reply(login, prompt);
            }
            None => {}
        }
        let mut cursor = console.log.here();
        send(console, &key, by).await?;
        let limit = by.child("a prompt on the console", PROMPT);
        match console.log.expect(&mut cursor, &mut Finder::new(&prompts), &limit).await {
            Ok(hit) if hit.pattern == LOGIN => {
                // A line end that was typed before it may yet be read, and be answered by one more.
                let _ = by.child("the login prompt to stay", SETTLE).pause(SETTLE, String::new).await;
                pattern = shown(console, &prompts);
                key.clear();
            }
            Ok(hit) => pattern = Some(hit.pattern),
            Err(WaitEnd::Closed(closed)) => return Err(ShellError::Dut(Unreachable::Closed(closed.why))),
            Err(WaitEnd::Stopped(_)) if by.is_over() => {
                let stop = by.stop(console.log.last_line());
                return Err(ShellError::Dut(Unreachable::Mute(stop)));
            }
            Err(WaitEnd::Stopped(_)) => {
                // Something else may be running there: in turn interrupt it and ask again. What
                // ignores SIGINT may yet heed SIGQUIT; an interactive shell ignores that.
                quiet += 1;
                key = match quiet % 4 {
                    1 => INTERRUPT.to_vec(),
                    3 => b"\x1c\x03\r".to_vec(),
                    _ => b"\r".to_vec(),
                };
            }
        }
    }
}

/// What a prompt is answered with.
fn reply(login: &LoginProfile, pattern: usize) -> Vec<u8> {
    let word = match &login.password {
        Some((_, password)) if pattern > SHELL => password,
        _ => &login.user,
    };
    format!("{word}\r").into_bytes()
}

/// The prompt at the very end of what the console has said, if there is one.
fn shown(console: &Console, prompts: &Patterns) -> Option<usize> {
    let tail = console.log.tail(512);
    let line = tail.rsplit(|byte| *byte == b'\n').next().filter(|line| !line.is_empty())?;
    let chunk = Chunk { at: Mono::default(), off: 0, bytes: line.into() };
    let mut finder = Finder::new(prompts);
    let hit = finder.feed(&chunk).or_else(|| finder.idle())?;
    Some(hit.pattern)
}

/// In the order of [`LOGIN`] and [`SHELL`], then the password's, then, where it was up, the loop's.
fn prompts(login: &LoginProfile, hung: bool) -> Result<Patterns, PatternError> {
    let mut patterns = vec![login.prompt.as_str(), login.shell.as_str()];
    patterns.extend(login.password.as_ref().map(|(prompt, _)| prompt.as_str()));
    patterns.extend(hung.then_some(script::NO_LINE));
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
    let mut cursor = console.log.here();
    // Its mark proves that it arrived.
    gently(console, script::OPEN, by).await?;
    let opened = async {
        while !console.log.next(&mut cursor).await?.bytes.contains(&script::OPENED) {}
        Ok::<_, Closed>(())
    };
    match by.run(|| console.log.last_line(), opened).await {
        Ok(Ok(())) => typist.line(console, script::LOOP, by).await,
        Ok(Err(closed)) => Err(ShellError::Dut(Unreachable::Closed(closed.why))),
        Err(stop) => Err(ShellError::Dut(Unreachable::Mute(stop))),
    }
}
