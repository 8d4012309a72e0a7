//! `shakedown console`: follow a console and type on it.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use shakedown_core::ExitCode;
use tokio::sync::mpsc;

use super::{WORK, Which, on_runtime, unexpected};
use crate::keeper::client::Caller;
use crate::keeper::wire::{self, Ask, Frame, Reply};
use crate::say::err;
use crate::{CliError, CliResult};

/// Ctrl-], as telnet has it: no program on a DUT needs it.
const LEAVE: u8 = 0x1d;

/// `shakedown console`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// Which console, by its name in the rig file.
    #[arg(default_value = "main")]
    console: String,
    /// Bytes of what was said before that are shown first.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    tail: u64,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let (console, tail) = (args.console.clone(), args.tail);
    on_runtime(paths, &rig, "leaving the console", async |caller| follow(caller, slot, console, tail).await)
}

async fn follow(caller: Caller<'_>, slot: String, console: String, tail: u64) -> CliResult {
    let id = format!("{}/{slot}", caller.rig.doc.value.rig);
    let mut link = caller.ask(Ask::Console { slot, console: console.clone(), tail }).await?;
    let keeper = link.keeper;
    let by = caller.wait("the keeper's answer", WORK);
    let Reply::Console { writer, can_type } = &link.reply(&by).await? else {
        return Err(CliError::infra("the keeper answered something else than a console"));
    };
    let terminal = io::stdin().is_terminal();
    let leave = if terminal { "Ctrl-] leaves" } else { "Ctrl-C leaves" };
    match (writer, can_type) {
        (Some(writer), _) => err!("{id} {console}: you read only, {writer} types; {leave}"),
        (None, true) => err!("{id} {console}: {leave}"),
        (None, false) => err!("{id} {console}: this line only listens; {leave}"),
    }
    let _raw = terminal.then(Raw::enter).transpose()?;
    let mut typed = read_input(terminal)?;
    let (mut from, mut to) = link.split();
    let (frames, mut heard) = mpsc::channel(16);
    // A task of its own: waiting for a frame cannot be given up in its middle.
    let reader = tokio::spawn(async move {
        while let Ok(Some(frame)) = wire::read(&mut from).await {
            if frames.send(frame).await.is_err() {
                break;
            }
        }
    });
    let mut typing = true;
    let end = loop {
        tokio::select! {
            () = caller.cancel.cancelled() => break Ok(ExitCode::Interrupted),
            input = typed.recv(), if typing => match input {
                Some(Typed::Bytes(bytes)) => {
                    if wire::write(&mut to, &Frame::Bytes(bytes)).await.is_err() {
                        break Err(gone(keeper));
                    }
                }
                Some(Typed::Leave) => break Ok(ExitCode::Ok),
                // The end of a file that was typed: what is said goes on.
                None => typing = false,
            },
            frame = heard.recv() => match frame {
                Some(Frame::Bytes(bytes)) => {
                    let mut out = io::stdout().lock();
                    if let Err(error) = out.write_all(&bytes).and_then(|()| out.flush()) {
                        // Whoever read it has seen enough.
                        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
                        break if quiet { Ok(ExitCode::Ok) } else { Err(error.into()) };
                    }
                }
                Some(frame) => match frame.parse::<Reply>() {
                    Ok(Reply::Note(note)) => err!("\r\n[{note}]\r"),
                    Ok(reply) => break Err(unexpected(&reply)),
                    Err(error) => break Err(error.into()),
                },
                None => break Err(gone(keeper)),
            }
        }
    };
    reader.abort();
    end
}

fn gone(keeper: u32) -> CliError {
    CliError::infra(format!("the keeper (process {keeper}) is gone, and the console with it"))
}

enum Typed {
    Bytes(Vec<u8>),
    Leave,
}

/// Reads what is typed, on a thread: nothing else can wait for a terminal or a file alike. The
/// thread ends with the process.
fn read_input(terminal: bool) -> io::Result<mpsc::UnboundedReceiver<Typed>> {
    let (to, typed) = mpsc::unbounded_channel();
    let work = move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
            let bytes = &buffer[..count];
            let leave = bytes.iter().position(|byte| terminal && *byte == LEAVE);
            let bytes = &bytes[..leave.unwrap_or(count)];
            let sent = bytes.is_empty() || to.send(Typed::Bytes(bytes.to_vec())).is_ok();
            if leave.is_some() {
                let _ = to.send(Typed::Leave);
            }
            if leave.is_some() || !sent {
                break;
            }
        }
        // Who leaves is not heard any more; an end of input is no end of the console.
    };
    std::thread::Builder::new().name("typed".into()).spawn(work)?;
    Ok(typed)
}

/// The terminal in raw mode, until it is dropped: each key goes to the DUT, Ctrl-C too.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self, CliError> {
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        err!("");
    }
}
