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
    Console, Cursor, Deadline, Fault, InfraKind, Matcher, Rig, ShellError, Unreachable, WaitEnd,
};

use crate::console_login::typing::{Typist, send};

/// The answer to a key: the countdown ends at once, or it was over before.
const PROMPT: Duration = Duration::from_secs(10);
/// No receive buffer of a UART is smaller, and a boot loader polls it.
const PIECE: usize = 8;
/// Words that the echo of the line that makes them does not hold whole.
const DONE: &str = "did:yes";
const NOT_DONE: &str = "did:no";

/// How a boot loader is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// A byte regex of its countdown.
    pub countdown: String,
    /// The key that ends it.
    pub key: Vec<u8>,
    /// A byte regex of its prompt, at the end of what it has said.
    pub prompt: String,
}

impl Loader {
    /// U-Boot as its own configuration has it.
    pub fn u_boot() -> Self {
        Self {
            countdown: "Hit any key to stop autoboot".to_owned(),
            key: b" ".to_vec(),
            prompt: "=> $".to_owned(),
        }
    }
}

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
        send(console, &loader.key, by).await.map_err(untyped)?;
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

    /// Has a command run that must say itself that it did what it should; returns what it said.
    pub async fn must(&mut self, command: &str, by: &Deadline) -> Rig<String> {
        // In the echo the words are torn by quotes.
        let line = format!("if {command}; then echo did:'yes'; else echo did:'no'; fi");
        let said = self.run(&line, by).await?;
        if let Some(said) = said.strip_suffix(DONE) {
            return Ok(said.trim_end().to_owned());
        }
        let said = said.strip_suffix(NOT_DONE).unwrap_or(&said).trim_end();
        Err(fault("run").expected(format!("`{command}` to succeed"), format!("`{said}`")))
    }

    /// Sets a variable, and reads it again.
    pub async fn set(&mut self, name: &str, value: &str, by: &Deadline) -> Rig<()> {
        let plain = |c: char| c.is_ascii_graphic() && c != '\'' || c == ' ';
        if value.is_empty() || !value.chars().all(plain) {
            return Err(Fault::new(InfraKind::Config, "boot loader", "set", name)
                .expected("printable ASCII without a quote", format!("{value:?}")));
        }
        self.run(&format!("setenv {name} '{value}'"), by).await?;
        let got = self.run(&format!("printenv {name}"), by).await?;
        let wanted = format!("{name}={value}");
        if got == wanted { Ok(()) } else { Err(fault("set a variable of").expected(wanted, got)) }
    }

    /// Types the line that leaves it: what the console says from the returned place on is another's.
    pub async fn leave(mut self, line: &str, by: &Deadline) -> Rig<Cursor> {
        let from = self.console.log.here();
        self.typist.line(&self.console, line, by).await.map_err(untyped)?;
        Ok(from)
    }
}
