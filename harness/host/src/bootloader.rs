//! A dialogue with a boot loader on a console: interrupt its countdown, set variables, boot.
//!
//! Nothing is taken for granted: what is typed is typed in small pieces, each awaited as an echo; a
//! variable is read again; a command's own word decides whether it did something. What does not come is
//! a typed [`Fault`] of the console with the last line that was seen, never a guess.
//!
//! The defaults are U-Boot's: `Hit any key to stop autoboot:` (common/autoboot.c), the prompt `=> ` and
//! its shell `hush` with `if … then … fi`. Proven on U-Boot for arm64 under QEMU.

use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::{
    Console, Cursor, Deadline, Fault, Fut, InfraKind, Loader, Matcher, Prompt, Rig, ShellError, Unreachable,
    WaitEnd,
};

use crate::console_login::typing::{Typist, send};

/// The answer to a key: the countdown ends at once, or it was over before.
const PROMPT: Duration = Duration::from_secs(10);
/// No receive buffer of a UART is smaller, and a boot loader polls it.
const PIECE: usize = 8;
/// Words that the echo of the line that makes them does not hold whole.
const DONE: &str = "did:yes";
const NOT_DONE: &str = "did:no";

/// A boot loader that waits for a line.
#[derive(Debug)]
pub struct Dialogue {
    console: Console,
    prompt: Patterns,
    typist: Typist,
}

fn fault(op: &str) -> Fault {
    Fault::new(InfraKind::Console, "boot loader", op, "the console")
}

fn ended(op: &str, expected: &str, end: WaitEnd) -> Fault {
    match end {
        WaitEnd::Closed(closed) => fault(op).expected(expected, format!("the console ended: {}", closed.why)),
        WaitEnd::Stopped(stop) => fault(op).expected(expected, "none").stopped(stop),
    }
}

/// What is typed on a shell fails in the words of shells; here it is the console that did not carry it.
fn untyped(error: ShellError) -> Fault {
    let expected = "the echo of what was typed";
    match error {
        ShellError::Rig(fault) => fault,
        ShellError::Dut(Unreachable::Mute(stop) | Unreachable::Hung(stop)) => {
            fault("type to").expected(expected, "none").stopped(stop)
        }
        ShellError::Dut(other) => fault("type to").expected(expected, format!("{other:?}")),
    }
}

impl Dialogue {
    /// Waits for the countdown in what comes after `since`, ends it, and sees the prompt.
    pub async fn interrupt(console: &Console, loader: &Loader, since: Cursor, by: &Deadline) -> Rig<Self> {
        let compile = |pattern: &str| {
            Patterns::compile(&[pattern])
                .map_err(|error| Fault::new(InfraKind::Config, "boot loader", "use", pattern).because(&error))
        };
        let (countdown, prompt) = (compile(&loader.countdown)?, compile(&loader.prompt)?);
        let mut cursor = since;
        let mut finder = Finder::new(&countdown);
        let seen = console.log.expect(&mut cursor, &mut finder as &mut dyn Matcher, by).await;
        seen.map_err(|end| ended("interrupt", "its countdown", end))?;
        let dialogue = Self { console: console.clone(), prompt, typist: Typist::in_pieces(PIECE) };
        let mut from = console.log.here();
        send(console, loader.key.as_bytes(), by).await.map_err(untyped)?;
        let answer = by.child("the boot loader's prompt", PROMPT);
        dialogue.prompted("interrupt", &mut from, &answer).await?;
        Ok(dialogue)
    }

    /// Waits for the prompt; returns where it begins.
    async fn prompted(&self, op: &str, cursor: &mut Cursor, by: &Deadline) -> Rig<Cursor> {
        let mut finder = Finder::new(&self.prompt);
        let hit = self.console.log.expect(cursor, &mut finder as &mut dyn Matcher, by).await;
        Ok(Cursor(hit.map_err(|end| ended(op, "its prompt", end))?.start))
    }

    /// Types a line and returns what it answered, without its echo.
    pub async fn run(&mut self, line: &str, by: &Deadline) -> Rig<String> {
        let log = self.console.log.clone();
        let begin = log.here();
        self.typist.line(&self.console, line, by).await.map_err(untyped)?;
        let mut cursor = begin;
        let end = self.prompted("wait for", &mut cursor, by).await?;
        let said = shakedown_console::clean(&log.bytes(begin, end));
        let said = String::from_utf8_lossy(&said).into_owned();
        // Its first line is the echo.
        Ok(said.split_once('\n').map_or("", |(_, answer)| answer).trim().to_owned())
    }
}

impl Prompt for Dialogue {
    fn must<'a>(&'a mut self, command: &'a str, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            // In the echo the words are torn by quotes.
            let line = format!("if {command}; then echo did:'yes'; else echo did:'no'; fi");
            let said = self.run(&line, by).await?;
            if let Some(said) = said.strip_suffix(DONE) {
                return Ok(said.trim_end().to_owned());
            }
            let said = said.strip_suffix(NOT_DONE).unwrap_or(&said).trim_end();
            Err(fault("run").expected(format!("`{command}` to succeed"), format!("`{said}`")))
        })
    }

    fn set<'a>(&'a mut self, name: &'a str, value: &'a str, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let plain = |c: char| c.is_ascii_graphic() && c != '\'' || c == ' ';
            if value.is_empty() || !value.chars().all(plain) {
                return Err(Fault::new(InfraKind::Config, "boot loader", "set", name)
                    .expected("printable ASCII without a quote", format!("{value:?}")));
            }
            self.run(&format!("setenv {name} '{value}'"), by).await?;
            let got = self.get(name, by).await?;
            if got == value {
                return Ok(());
            }
            Err(fault("set a variable of").expected(format!("{name}={value}"), format!("{name}={got}")))
        })
    }

    fn get<'a>(&'a mut self, name: &'a str, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            let said = self.run(&format!("printenv {name}"), by).await?;
            let value = said.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
            Ok(value.unwrap_or_default().to_owned())
        })
    }

    fn leave<'a>(mut self: Box<Self>, line: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Cursor>> {
        Box::pin(async move {
            let from = self.console.log.here();
            self.typist.line(&self.console, line, by).await.map_err(untyped)?;
            Ok(from)
        })
    }
}
