//! The shell over a console: for evidence when the network is what is broken.
//!
//! After the login a loop of shell runs on the DUT (see `script`) that reads one line a
//! command, checks its length and prints marks around what the command says. So there
//! is no prompt to be mistaken, no line editor that redraws, and a line that lost bytes
//! is never run.
//!
//! Limits, by the nature of the line: both outputs arrive as one ([`Ran::err`] is empty),
//! terminal codes are taken out, and a kernel message may stand in the middle of them.

mod frame;
mod login;
mod script;
pub(crate) mod typing;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shakedown_core::profile::LoginProfile;
use shakedown_core::shell::quote;
use shakedown_core::{
    Cmd, Console, Cursor, Deadline, Exit, Fault, Fut, InfraKind, Ran, Sha, Shell, ShellError, Unreachable,
};
use tokio::sync::Mutex;

use crate::files;
use frame::{Answer, Frame};
use script::Mode;

/// Base64 digits a line: well below the 4095 bytes that a terminal takes.
const PIECE: usize = 1500;
/// How often a line is typed anew when the DUT says that it came mutilated.
const TRIES: u32 = 4;

/// A login on a console.
#[derive(Debug)]
pub struct ConsoleShell {
    console: Console,
    login: LoginProfile,
    nonce: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    count: u64,
    /// A command was begun and its end was not seen.
    dirty: bool,
    typist: typing::Typist,
}

/// What a line of the loop came to.
struct Said {
    exit: Exit,
    out: Vec<u8>,
    truncated: bool,
}

fn fault(op: &str) -> Fault {
    Fault::new(InfraKind::Console, "console login", op, "the console")
}

impl ConsoleShell {
    /// Logs in, whatever the console shows now: a login prompt, a shell, or a command that hangs.
    pub async fn log_in(console: &Console, login: &LoginProfile, by: &Deadline) -> Result<Self, ShellError> {
        let nonce = files::nonce(3);
        let state = State { count: 0, dirty: true, typist: typing::Typist::default() };
        let shell = Self { console: console.clone(), login: login.clone(), nonce, state: Mutex::new(state) };
        shell.ready(&mut *shell.state.lock().await, by).await?;
        Ok(shell)
    }

    /// Brings the loop up where it is not surely waiting for a line.
    async fn ready(&self, state: &mut State, by: &Deadline) -> Result<(), ShellError> {
        while state.dirty {
            // Once the loop was up, only a command that did not end leaves it dirty.
            let reached = login::reach_prompt(&self.console, &self.login, state.count > 0, by).await?;
            let hello = by.child("the console's shell to take commands", Duration::from_secs(20));
            let came = async {
                if reached == login::Reached::Prompt {
                    login::start_loop(&self.console, &mut state.typist, &hello).await?;
                }
                state.dirty = false;
                self.line(state, Mode::Plain, "printf hello", 64, &hello).await
            };
            match came.await {
                Ok(said) if said.exit.is_ok() && said.out == b"hello" => return Ok(()),
                Err(error @ ShellError::Rig(_)) => return Err(error),
                Err(error @ ShellError::Dut(Unreachable::Closed(_))) => return Err(error),
                // What looked like a prompt was none, or it is not a POSIX shell.
                Ok(_) | Err(ShellError::Dut(_)) => state.dirty = true,
            }
            if by.is_over() {
                return Err(ShellError::Dut(Unreachable::Mute(by.stop(self.console.log.last_line()))));
            }
        }
        Ok(())
    }

    /// Has one line of the loop run, and reads what it says.
    async fn line(
        &self,
        state: &mut State,
        mode: Mode,
        text: &str,
        limit: usize,
        by: &Deadline,
    ) -> Result<Said, ShellError> {
        for _ in 0..TRIES {
            state.count += 1;
            let id = format!("{}{}", self.nonce, state.count);
            let mut cursor = self.console.log.here();
            state.dirty = true;
            state.typist.line(&self.console, &script::line(&id, mode, text), by).await?;
            let mut frame = Frame::new(&id, limit);
            let answer = self.answer(&mut cursor, &mut frame, by).await?;
            state.dirty = false;
            match answer {
                Answer::Ended(code) => {
                    let (out, truncated) = frame.output();
                    return Ok(Said { exit: exit(code), out, truncated });
                }
                Answer::Mutilated => state.typist.slow_down(),
            }
        }
        let what = format!("a typed line came mutilated {TRIES} times");
        Err(ShellError::Dut(Unreachable::Mangled(what)))
    }

    async fn answer(
        &self,
        cursor: &mut Cursor,
        frame: &mut Frame,
        by: &Deadline,
    ) -> Result<Answer, ShellError> {
        let log = &self.console.log;
        let work = async {
            loop {
                let expected = cursor.0;
                let chunk = log.next(cursor).await.map_err(|closed| Unreachable::Closed(closed.why))?;
                if chunk.off != expected {
                    frame.gap();
                }
                if let Some(answer) = frame.feed(&chunk.bytes) {
                    return Ok(answer);
                }
            }
        };
        match by.run(|| log.last_line(), work).await {
            Ok(done) => done.map_err(ShellError::Dut),
            Err(stop) => Err(ShellError::Dut(Unreachable::Hung(stop))),
        }
    }

    /// A line of ours that must return 0.
    async fn must(
        &self,
        state: &mut State,
        text: &str,
        what: &str,
        by: &Deadline,
    ) -> Result<Vec<u8>, ShellError> {
        let said = self.line(state, Mode::Subshell, text, Cmd::LIMIT, by).await?;
        if said.exit.is_ok() {
            return Ok(said.out);
        }
        Err(files::refused(format!(
            "cannot {what}: {}: {}",
            said.exit,
            String::from_utf8_lossy(&said.out).trim()
        )))
    }

    /// Writes bytes into a file on the DUT: base64, line by line, decoded there.
    async fn upload(
        &self,
        state: &mut State,
        to: &str,
        data: &[u8],
        by: &Deadline,
    ) -> Result<(), ShellError> {
        let (to, text) = (quote(to), quote(&format!("{to}.b64")));
        self.must(state, &format!("umask 077; : > {text}"), &format!("write {to}"), by).await?;
        let digits = STANDARD.encode(data);
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(PIECE.min(rest.len()));
            let said =
                self.line(state, Mode::Plain, &format!("printf %s {piece} >>{text}"), 4096, by).await?;
            if !said.exit.is_ok() {
                let why = String::from_utf8_lossy(&said.out).trim().to_owned();
                return Err(files::refused(format!("cannot write {to}: {}: {why}", said.exit)));
            }
            rest = more;
        }
        let decode = format!("umask 077; base64 -d < {text} > {to} && rm -f {text}");
        self.must(state, &decode, &format!("decode base64 into {to}"), by).await.map(drop)
    }

    async fn execute(&self, cmd: &Cmd, by: &Deadline) -> Result<Ran, ShellError> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        self.ready(state, by).await?;
        let started = Instant::now();
        let temp = |state: &State| format!("/tmp/.shakedown-{}-{}", self.nonce, state.count);
        let mut used = Vec::new();
        let mut text = cmd.line.clone();
        if !script::can_be_typed(&text) {
            let file = temp(state);
            self.upload(state, &file, text.as_bytes(), by).await?;
            text = format!(". {file}");
            used.push(file);
        }
        if !cmd.stdin.is_empty() {
            let file = temp(state);
            self.upload(state, &file, &cmd.stdin, by).await?;
            text = format!("eval {} < {file}", quote(&text));
            used.push(file);
        }
        let mode = if script::leaves_shell_as_it_is(&text) { Mode::Plain } else { Mode::Subshell };
        let said = self.line(state, mode, &text, cmd.limit, by).await?;
        if !used.is_empty() {
            self.must(state, &format!("rm -f {}", used.join(" ")), "tidy up in /tmp", by).await?;
        }
        let Said { exit, out, truncated } = said;
        Ok(Ran { exit, out, err: Vec::new(), took: started.elapsed(), truncated })
    }
}

/// A shell reports the end by signal N as 128 + N.
fn exit(code: i32) -> Exit {
    let name = match code - 128 {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        6 => "ABRT",
        7 => "BUS",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        15 => "TERM",
        _ => return Exit::Code(code),
    };
    Exit::Signal(name.to_owned())
}

impl Shell for ConsoleShell {
    fn kind(&self) -> &'static str {
        "console"
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        Box::pin(self.execute(cmd, by))
    }

    fn put<'a>(
        &'a self,
        to: &'a str,
        data: &'a [u8],
        mode: u32,
        by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>> {
        Box::pin(async move {
            let temp = files::temp_beside(to);
            {
                let mut state = self.state.lock().await;
                self.ready(&mut state, by).await?;
                self.upload(&mut state, &temp, data, by).await?;
            }
            files::finish(self, &temp, to, data, mode, by).await
        })
    }

    fn get<'a>(&'a self, from: &'a str, most: u64, by: &'a Deadline) -> Fut<'a, Result<Vec<u8>, ShellError>> {
        Box::pin(async move {
            let name = quote(from);
            let size = self.run(&Cmd::sh(format!("wc -c < {name}")), by).await?;
            files::must(&size, "read", from)?;
            let size: u64 = size.text().trim().parse().unwrap_or(u64::MAX);
            if size > most {
                return Err(files::refused(format!("{from} is larger than {most} bytes")));
            }
            let line = format!("base64 < {name} && echo && sha256sum < {name}");
            let limit = usize::try_from(size).unwrap_or(0).saturating_mul(2) + 4096;
            let ran = self.run(&Cmd { limit, ..Cmd::sh(line) }, by).await?;
            files::must(&ran, "read", from)?;
            decode(&ran.text()).ok_or_else(|| {
                let what = format!("{from} came mutilated over the console: its SHA-256 does not fit");
                ShellError::Dut(Unreachable::Mangled(what))
            })
        })
    }
}

/// Base64 lines and, in the last line, the hash of what they stand for.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (digits, hash) = text.trim_end().rsplit_once('\n').unwrap_or(("", text));
    let hash = Sha::from_hex(hash.split_ascii_whitespace().next()?)?;
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let data = STANDARD.decode(digits).ok()?;
    (Sha::of(&data) == hash).then_some(data)
}
