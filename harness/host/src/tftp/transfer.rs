//! One file on its way to one client, on a port of its own.
//!
//! Only silence makes anything be sent again: an acknowledgement that comes twice is dropped, or every
//! block after it would go out twice (RFC 1123, 4.2.3.1).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::packet::{self, Code, Options, Said, USUAL_BLOCK};

/// When the client names no other.
const AGAIN: Duration = Duration::from_secs(1);
/// So often the same is sent without an answer. A boot loader gives up after ten intervals of its own.
const TRIES: u32 = 6;
/// How soon an end of the server is seen.
const SLICE: Duration = Duration::from_millis(50);
/// What a client says is short; an error's text may be longer.
const LONGEST: usize = 1024;

/// A transfer that begins.
pub(super) struct Transfer<'a> {
    pub(super) socket: UdpSocket,
    pub(super) client: SocketAddr,
    pub(super) bytes: &'a [u8],
    pub(super) options: Options,
}

/// How it ended before the last block was acknowledged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client ended it: {0}")]
    ByClient(String),
    #[error("the client fell silent: no answer to {TRIES} times block {block} of {blocks}")]
    Silent { block: u64, blocks: u64 },
    #[error("the server was shut down at block {block} of {blocks}")]
    Over { block: u64, blocks: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Transfer<'_> {
    fn block_size(&self) -> usize {
        usize::from(self.options.block.unwrap_or(USUAL_BLOCK))
    }

    /// The last one is shorter than the others, and may be empty.
    pub(super) fn blocks(&self) -> u64 {
        (self.bytes.len() / self.block_size()) as u64 + 1
    }

    /// Sends it all; tells after each acknowledgement how many blocks have arrived.
    pub(super) fn run(&self, over: impl Fn() -> bool, mut told: impl FnMut(u64)) -> Result<(), Ended> {
        let (blocks, window) = (self.blocks(), u64::from(self.options.window.unwrap_or(1)));
        let options = self.options.answer(self.bytes.len() as u64);
        // Blocks that arrived. The answer to options is acknowledged as if it were block 0.
        let mut acked = 0;
        let mut answered = options.is_none();
        while acked < blocks {
            let last = if answered { (acked + window).min(blocks) } else { 0 };
            let send = || -> io::Result<()> {
                if let (false, Some(options)) = (answered, &options) {
                    return self.send(options);
                }
                (acked + 1..=last).try_for_each(|block| self.send(&self.data(block)))
            };
            let first = if answered { acked + 1 } else { 0 };
            match self.await_ack(first, last, &over, send)? {
                0 => answered = true,
                block => acked = block,
            }
            told(acked);
        }
        Ok(())
    }

    /// Sends, and again after each silence, until one of the blocks that are out is acknowledged: which.
    fn await_ack(
        &self,
        first: u64,
        last: u64,
        over: impl Fn() -> bool,
        send: impl Fn() -> io::Result<()>,
    ) -> Result<u64, Ended> {
        let again = self.options.timeout.map_or(AGAIN, |seconds| Duration::from_secs(seconds.into()));
        let blocks = self.blocks();
        let mut packet = [0; LONGEST];
        self.socket.set_read_timeout(Some(SLICE))?;
        for _ in 0..TRIES {
            send()?;
            let until = Instant::now() + again;
            while Instant::now() < until {
                if over() {
                    drop(self.send(&packet::error(Code::Other, "the server is shut down")));
                    return Err(Ended::Over { block: first, blocks });
                }
                let (length, from) = match self.socket.recv_from(&mut packet) {
                    Ok(came) => came,
                    Err(error) if is_silence(&error) => continue,
                    Err(error) => return Err(error.into()),
                };
                if from != self.client {
                    // RFC 1350: the transfer that is under way is not disturbed.
                    let text = "no transfer of yours is here";
                    drop(self.socket.send_to(&packet::error(Code::UnknownTransfer, text), from));
                    continue;
                }
                match Said::parse(&packet[..length]) {
                    Some(Said::Ack(block)) => {
                        // Numbers wrap after 65535.
                        let block = first + u64::from(block.wrapping_sub(first as u16));
                        if block <= last {
                            return Ok(block);
                        }
                    }
                    Some(Said::Error(text)) => return Err(Ended::ByClient(text)),
                    None => {}
                }
            }
        }
        drop(self.send(&packet::error(Code::Other, "no answer")));
        Err(Ended::Silent { block: first, blocks })
    }

    fn data(&self, block: u64) -> Vec<u8> {
        let size = self.block_size();
        let begin = (block - 1) as usize * size;
        packet::data(block as u16, &self.bytes[begin..(begin + size).min(self.bytes.len())])
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self.socket.send_to(packet, self.client) {
            // What the client's host said to an earlier packet: whether it is gone shows by its silence.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            sent => sent.map(drop),
        }
    }
}

/// Nothing came in the time; or the client's host says that nobody listens there any more.
fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted | ConnectionRefused)
}
