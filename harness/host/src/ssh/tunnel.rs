//! One connection through a session: the channel beyond it, and what goes back and forth.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use shakedown_core::{Deadline, NetPath};
use ssh2::{BlockDirections, Channel};

use super::wire::{Halt, KEEPALIVE, Wire, code, wait_fds};

/// `LIBSSH2_ERROR_CHANNEL_FAILURE`: the server says that it opens no such channel.
const NOT_OPENED: i32 = -21;
/// libssh2's words for the one reason of those (RFC 4254, 5.1) that is not the server's own.
const CONNECT_FAILED: &str = "connect failed";
/// A machine that refuses a port says so at once; that a neighbour does not answer Linux tells after
/// three questions, a second apart.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A jump host that has not answered for this long is gone.
const DEAD: Duration = Duration::from_secs(30);
const BUFFER: usize = 32 << 10;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Untaken {
    /// The jump host does not do its part.
    Jump(String),
    /// Whoever is there refuses the port.
    Refused,
    /// No answer came to the jump host.
    NobodyThere,
}

/// A channel to a port behind the jump host.
pub(super) struct Tunnel<'a> {
    wire: &'a Wire,
    channel: Channel,
}

impl<'a> Tunnel<'a> {
    pub(super) fn open(wire: &'a Wire, host: &str, port: u16, by: &Deadline) -> Result<Self, Untaken> {
        let began = Instant::now();
        match wire.drive(by, |session| session.channel_direct_tcpip(host, port, None)) {
            Ok(channel) => Ok(Self { wire, channel }),
            Err(Halt::Over) => Err(Untaken::NobodyThere),
            Err(Halt::Failed(error)) if code(&error) == NOT_OPENED => {
                Err(match error.message().contains(CONNECT_FAILED) {
                    true if began.elapsed() < AT_ONCE => Untaken::Refused,
                    true => Untaken::NobodyThere,
                    false => Untaken::Jump(format!("it does not connect on: {}", error.message())),
                })
            }
            Err(halt) => Err(Untaken::Jump(format!("it ended the session: {halt}"))),
        }
    }

    /// Whether who is there speaks; an error is the jump host's.
    pub(super) fn first_byte(&mut self, by: &Deadline) -> Result<NetPath, String> {
        loop {
            match self.read(&mut [0; 1])? {
                Some(0) => return Ok(NetPath::Refused),
                Some(_) => return Ok(NetPath::Speaks),
                None => match self.wire.wait(by) {
                    Ok(()) => {}
                    Err(Halt::Over) => return Ok(NetPath::Mute),
                    Err(halt) => return Err(halt.to_string()),
                },
            }
        }
    }

    /// `None`: nothing yet. 0 bytes: the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, String> {
        match self.channel.read(buffer) {
            Ok(0) if !self.channel.eof() => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(format!("it broke a connection: {error}")),
        }
    }

    /// Carries both ways until one side is done; an error is the jump host's. `limit` begins a wait for
    /// the jump host to take more.
    pub(super) fn carry(mut self, mut local: &TcpStream, limit: impl Fn() -> Deadline) -> Result<(), String> {
        // What cannot be set up is lost with the stream: its user sees a closed connection.
        if local.set_nonblocking(true).and_then(|()| local.set_nodelay(true)).is_err() {
            return Ok(());
        }
        let (mut up, mut down) = (Flow::default(), Flow::default());
        let mut life = Life { heard: Instant::now(), asked: None };
        loop {
            let mut moved = false;
            if up.wants() {
                match local.read(up.room()) {
                    Ok(count) => moved |= up.took(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Ok(()),
                }
            }
            moved |= self.send(&mut up, &limit)?;
            // Last: what the session took from its socket while it sent waits in it, and no poll tells.
            if down.wants()
                && let Some(count) = self.settled(&limit, |tunnel| tunnel.read(down.room()))?
            {
                moved |= down.took(count);
                life = Life { heard: Instant::now(), asked: None };
            }
            match down.give(|bytes| local.write(bytes)) {
                Ok(gave) => moved |= gave,
                // Nobody reads any more.
                Err(_) => return Ok(()),
            }
            if down.ends() {
                // The last word of the other side, as far as the stream still takes it.
                drop(local.shutdown(Shutdown::Write));
                moved = true;
            }
            if up.ended && down.ended {
                return Ok(());
            }
            if !moved {
                self.rest(local, &up, &down, &mut life)?;
            }
        }
    }

    /// What was read of ours goes into the channel, and then the end of it. Whether any of it went.
    fn send(&mut self, up: &mut Flow, limit: &impl Fn() -> Deadline) -> Result<bool, String> {
        let mut sent = false;
        if !up.is_empty() {
            let gone = self.settled(limit, |tunnel| match up.give(|bytes| tunnel.channel.write(bytes)) {
                Ok(gave) => Ok(gave.then_some(true)),
                Err(_) => Ok(Some(false)),
            })?;
            // The other side takes no more; if it is the session that broke, reading says so.
            up.ended |= gone == Some(false);
            sent = gone.is_some();
        }
        if up.ends() {
            let _told = self.settled(limit, |tunnel| Ok(tunnel.channel.send_eof().ok()))?;
            sent = true;
        }
        Ok(sent)
    }

    /// libssh2 must finish the packet that it is sending before anything else is asked of the session.
    fn settled<T>(
        &mut self,
        limit: &impl Fn() -> Deadline,
        mut op: impl FnMut(&mut Self) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, String> {
        let mut by = None;
        loop {
            let came = op(self)?;
            let direction = self.wire.session.block_directions();
            let sending = matches!(direction, BlockDirections::Outbound | BlockDirections::Both);
            if came.is_some() || !sending {
                return Ok(came);
            }
            self.wire
                .wait(by.get_or_insert_with(limit))
                .map_err(|halt| format!("it takes nothing: {halt}"))?;
        }
    }

    /// Waits for either side, with signs of life to the jump host.
    fn rest(&self, local: &TcpStream, up: &Flow, down: &Flow, life: &mut Life) -> Result<(), String> {
        let [socket, wake] = self.wire.ends();
        let mut of_local = PollFlags::empty();
        of_local.set(PollFlags::IN, up.wants());
        of_local.set(PollFlags::OUT, !down.is_empty());
        // Who is asked for nothing still tells a hang-up, again and again.
        let local = if of_local.is_empty() { wake.as_fd() } else { local.as_fd() };
        // While nobody takes what is here, nothing more is read, except to learn that more may be sent.
        let reads = down.wants() || !up.is_empty();
        let socket = if reads { socket.as_fd() } else { wake.as_fd() };
        let mut fds = [
            PollFd::new(wake, PollFlags::IN),
            PollFd::from_borrowed_fd(socket, PollFlags::IN),
            PollFd::from_borrowed_fd(local, of_local),
        ];
        wait_fds(&mut fds, KEEPALIVE).map_err(|halt| halt.to_string())?;
        if !fds[0].revents().is_empty() {
            return Err("nobody wants it any more".into());
        }
        if !fds[1].revents().is_empty() {
            *life = Life { heard: Instant::now(), asked: None };
        }
        if life.asked.is_some_and(|asked| asked.elapsed() >= DEAD) {
            return Err(format!("it has said nothing for {} s", life.heard.elapsed().as_secs()));
        }
        if reads && life.heard.elapsed() >= KEEPALIVE {
            life.asked.get_or_insert_with(Instant::now);
            self.wire.session.keepalive_send().map_err(|error| error.message().to_owned())?;
        }
        Ok(())
    }
}

/// What is known of the jump host's life.
struct Life {
    heard: Instant,
    /// When it was asked for a sign of life that has not come.
    asked: Option<Instant>,
}

/// Bytes on their way in one direction.
struct Flow {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// No more will be read.
    last: bool,
    /// And the other side was told.
    ended: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Self { bytes: vec![0; BUFFER], from: 0, to: 0, last: false, ended: false }
    }
}

impl Flow {
    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether there is room, and somebody who may fill it.
    fn wants(&self) -> bool {
        self.is_empty() && !self.last && !self.ended
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// So many bytes are in it now; none is the end.
    fn took(&mut self, count: usize) -> bool {
        (self.from, self.to) = (0, count);
        self.last = count == 0;
        true
    }

    /// Gives some of them away; whether any went.
    fn give(&mut self, write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        match write(&self.bytes[self.from..self.to]) {
            Ok(count) => {
                self.from += count;
                Ok(count > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether this is the moment to tell the other side that no more comes.
    fn ends(&mut self) -> bool {
        let now = self.last && self.is_empty() && !self.ended;
        self.ended |= now;
        now
    }
}
