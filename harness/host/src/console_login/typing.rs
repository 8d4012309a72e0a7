//! Typing so that a slow line loses nothing: in pieces, each awaited as an echo.

use std::time::Duration;

use shakedown_core::{Console, ConsoleTx, Cursor, Deadline, ShellError, Unreachable};

use super::fault;

/// The longest wait for the echo of one piece, at the DUT's pace.
const ECHO: Duration = Duration::from_secs(2);
/// How long a line editor may take to show anything of what was typed.
const STIR: Duration = Duration::from_millis(200);
/// Kills the line that is being typed, in a terminal's cooked mode.
const KILL_LINE: &[u8] = b"\x15";
const TRIES: u32 = 4;
/// What the smallest UART buffers.
const SMALLEST: usize = 8;

/// How large the pieces are on this line.
#[derive(Debug)]
pub(crate) struct Typist {
    piece: usize,
}

impl Default for Typist {
    fn default() -> Self {
        Self { piece: 512 }
    }
}

pub(super) fn tx(console: &Console) -> Result<&dyn ConsoleTx, ShellError> {
    let missing = || fault("type on").expected("a console that can be typed on", "one that is only read");
    console.tx.as_deref().ok_or_else(|| ShellError::Rig(missing()))
}

pub(crate) async fn send(console: &Console, bytes: &[u8], by: &Deadline) -> Result<(), ShellError> {
    tx(console)?.send(bytes, by).await.map_err(ShellError::Rig)
}

/// Types a short line where a line editor echoes in any shape: byte by byte, the next one
/// when the console stirred. Whether it arrived, its effect must show.
pub(super) async fn gently(console: &Console, text: &str, by: &Deadline) -> Result<(), ShellError> {
    for piece in text.as_bytes().chunks(1) {
        let mut cursor = console.log.here();
        send(console, piece, by).await?;
        let limit = by.child("the console to stir", STIR);
        if limit.run(String::new, console.log.next(&mut cursor)).await.is_err() && by.is_over() {
            return Err(ShellError::Dut(Unreachable::Mute(by.stop(console.log.last_line()))));
        }
    }
    send(console, b"\r", by).await
}

impl Typist {
    /// One that never types more at once.
    pub(crate) fn in_pieces(piece: usize) -> Self {
        Self { piece }
    }

    /// The line lost something: smaller pieces from now on.
    pub(super) fn slow_down(&mut self) {
        self.piece = (self.piece / 8).max(SMALLEST);
    }

    /// Types a line of printable ASCII and, when all of it was echoed, the end of the line.
    pub(crate) async fn line(
        &mut self,
        console: &Console,
        text: &str,
        by: &Deadline,
    ) -> Result<(), ShellError> {
        let mut last = None;
        for _ in 0..TRIES {
            match self.pieces(console, text, by).await? {
                Ok(()) => return send(console, b"\r", by).await,
                Err(stop) if by.is_over() => return Err(ShellError::Dut(Unreachable::Hung(stop))),
                Err(stop) => last = Some(stop),
            }
            self.slow_down();
            send(console, KILL_LINE, by).await?;
        }
        let stop = last.unwrap_or_else(|| by.stop(console.log.last_line()));
        Err(ShellError::Dut(Unreachable::Mute(stop)))
    }

    async fn pieces(
        &self,
        console: &Console,
        text: &str,
        by: &Deadline,
    ) -> Result<Result<(), shakedown_core::Stop>, ShellError> {
        let mut cursor = console.log.here();
        for piece in text.as_bytes().chunks(self.piece) {
            send(console, piece, by).await?;
            let limit = by.child("the echo of what was typed", ECHO);
            let echo = echoed(console, &mut cursor, piece);
            match limit.run(|| console.log.last_line(), echo).await {
                Ok(Ok(())) => {}
                Ok(Err(closed)) => return Err(ShellError::Dut(Unreachable::Closed(closed))),
                Err(stop) => return Ok(Err(stop)),
            }
        }
        Ok(Ok(()))
    }
}

/// Waits until the bytes came back in their order. Others may stand between them: a kernel
/// message does not stop the echo.
async fn echoed(console: &Console, cursor: &mut Cursor, typed: &[u8]) -> Result<(), String> {
    let mut rest = typed;
    loop {
        let chunk = console.log.next(cursor).await.map_err(|closed| closed.why)?;
        for (index, byte) in chunk.bytes.iter().enumerate() {
            if rest.first() == Some(byte) {
                rest = &rest[1..];
            }
            if rest.is_empty() {
                cursor.0 = chunk.off + index as u64 + 1;
                return Ok(());
            }
        }
    }
}
