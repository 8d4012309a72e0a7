//! One command on a session.

use std::io::{self, Read, Write};
use std::time::Instant;

use shakedown_core::{Cmd, Deadline, Exit, Ran, ShellError, Unreachable};
use ssh2::Channel;

use super::wire::{Halt, Wire, code};

/// `LIBSSH2_ERROR_CHANNEL_FAILURE`, `_REQUEST_DENIED`: the server said no.
const SAID_NO: [i32; 2] = [-21, -22];

/// Output as far as it is kept.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    more: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, more: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.more |= bytes.len() > room;
    }

    fn last_line(&self) -> String {
        let tail = &self.bytes[self.bytes.len().saturating_sub(256)..];
        let text = String::from_utf8_lossy(tail);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}

/// Runs a command to its end. Any error means that the session is of no use any more.
pub(super) fn run(wire: &Wire, cmd: &Cmd, by: &Deadline) -> Result<Ran, ShellError> {
    let started = Instant::now();
    let before = |halt| refuse(halt, by, "the request to run a command", Unreachable::Mute);
    let mut channel = wire.drive(by, ssh2::Session::channel_session).map_err(before)?;
    wire.drive(by, |_| channel.exec(&cmd.line)).map_err(before)?;

    let (mut out, mut err) = (Kept::new(cmd.limit), Kept::new(cmd.limit));
    let ended = exchange(wire, &mut channel, cmd, &mut out, &mut err, by)
        .and_then(|()| wire.drive(by, |_| channel.wait_close()))
        .and_then(|()| wire.drive(by, |_| channel.close()));
    if let Err(halt) = ended {
        let last = [err.last_line(), out.last_line()].into_iter().find(|line| !line.is_empty());
        return Err(refuse(halt, by, &last.unwrap_or_default(), Unreachable::Hung));
    }
    let exit = exit_of(&channel).map_err(|halt| refuse(halt, by, "", Unreachable::Hung))?;
    let truncated = out.more || err.more;
    Ok(Ran { exit, out: out.bytes, err: err.bytes, took: started.elapsed(), truncated })
}

fn refuse(
    halt: Halt,
    by: &Deadline,
    last_seen: &str,
    over: impl FnOnce(shakedown_core::Stop) -> Unreachable,
) -> ShellError {
    ShellError::Dut(match halt {
        Halt::Over => over(by.stop(last_seen)),
        Halt::Failed(error) if SAID_NO.contains(&code(&error)) => {
            Unreachable::Refusal(format!("the server runs no command: {}", error.message()))
        }
        other if last_seen.is_empty() => Unreachable::Closed(other.to_string()),
        other => Unreachable::Closed(format!("{other}; last seen: {last_seen}")),
    })
}

/// Feeds the command and reads both its outputs until the server says that they ended.
fn exchange(
    wire: &Wire,
    channel: &mut Channel,
    cmd: &Cmd,
    out: &mut Kept,
    err: &mut Kept,
    by: &Deadline,
) -> Result<(), Halt> {
    let mut input = Some(cmd.stdin.as_slice());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut moved = feed(channel, &mut input)?;
        // Both: a full window of the one would stop the other.
        moved |= read(&mut channel.stream(0), &mut buffer, out)?;
        moved |= read(&mut channel.stderr(), &mut buffer, err)?;
        if channel.eof() {
            return Ok(());
        }
        if by.is_over() {
            return Err(Halt::Over);
        }
        // Reading the one output may have taken bytes of the other from the socket.
        if !moved && channel.read_window().available == 0 {
            wire.wait(by)?;
        }
    }
}

/// Gives the command some of its input, and then the end of it. `None`: that is done.
fn feed(channel: &mut Channel, input: &mut Option<&[u8]>) -> Result<bool, Halt> {
    let Some(rest) = input else { return Ok(false) };
    if rest.is_empty() {
        return match channel.send_eof() {
            Ok(()) => {
                *input = None;
                Ok(true)
            }
            Err(error) => again(&io::Error::from(error)),
        };
    }
    match channel.write(rest) {
        Ok(count) => {
            *rest = &rest[count..];
            Ok(count > 0)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // A command may end without having read everything. If it is the connection that
        // broke, reading says so.
        Err(_) => {
            *input = None;
            Ok(true)
        }
    }
}

fn read(stream: &mut ssh2::Stream, buffer: &mut [u8], kept: &mut Kept) -> Result<bool, Halt> {
    match stream.read(buffer) {
        Ok(count) => {
            kept.push(&buffer[..count]);
            Ok(count > 0)
        }
        Err(error) => again(&error),
    }
}

fn again(error: &io::Error) -> Result<bool, Halt> {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Ok(false);
    }
    Err(Halt::Failed(ssh2::Error::new(ssh2::ErrorCode::Session(-13), "the connection broke off")))
}

fn exit_of(channel: &Channel) -> Result<Exit, Halt> {
    let signal = channel.exit_signal().map_err(Halt::Failed)?.exit_signal;
    Ok(match signal {
        Some(name) => Exit::Signal(name),
        None => Exit::Code(channel.exit_status().map_err(Halt::Failed)?),
    })
}
