//! A socket and the session on it: every wait is a `poll` with a deadline.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::Shutdown;
use shakedown_core::Deadline;
use ssh2::{BlockDirections, ErrorCode, Session};

use super::Line;

/// `LIBSSH2_ERROR_EAGAIN`: not an error, the operation waits for the socket.
const AGAIN: i32 = -37;
/// How long a cancellation or a moved deadline may go unnoticed; data is noticed at once.
const SLICE: Duration = Duration::from_millis(100);
/// How often an idle session shows the server, and the firewalls between, that it lives.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);

/// A session on its socket.
pub(super) struct Wire {
    pub(super) session: Session,
    socket: Arc<OwnedFd>,
    line: Arc<Line>,
}

/// Why an operation on the session did not come to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The deadline passed or the run was cancelled.
    Over,
    /// Nobody holds the shell any more.
    Abandoned,
    /// The session failed.
    Failed(ssh2::Error),
    /// The socket failed.
    Socket(Errno),
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Over => f.write_str("no answer in time"),
            Self::Abandoned => f.write_str("nobody waits for it any more"),
            Self::Failed(error) => write!(f, "{}", error.message()),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

/// The number of a session's error.
pub(super) fn code(error: &ssh2::Error) -> i32 {
    match error.code() {
        ErrorCode::Session(code) | ErrorCode::SFTP(code) => code,
    }
}

/// Waits until the descriptor is ready for `events`, the deadline, or the end of interest.
pub(super) fn ready(socket: &OwnedFd, events: PollFlags, line: &Line, by: &Deadline) -> Result<(), Halt> {
    loop {
        if line.abandoned.load(Ordering::Relaxed) {
            return Err(Halt::Abandoned);
        }
        if by.is_over() {
            return Err(Halt::Over);
        }
        if wait_fds(&mut [PollFd::new(socket, events)], by.left().min(SLICE))? {
            return Ok(());
        }
    }
}

/// Waits until one of them is ready, or the span is over.
pub(super) fn wait_fds(fds: &mut [PollFd<'_>], span: Duration) -> Result<bool, Halt> {
    let span = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) };
    match poll(fds, Some(&span)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Halt::Socket(error)),
    }
}

impl Wire {
    pub(super) fn new(session: Session, socket: Arc<OwnedFd>, line: Arc<Line>) -> Self {
        Self { session, socket, line }
    }

    /// What its session speaks over, and what wakes who waits for it.
    pub(super) fn ends(&self) -> [&OwnedFd; 2] {
        [&self.socket, &self.line.wake]
    }

    /// Repeats an operation that is not blocking until it is done.
    pub(super) fn drive<T>(
        &self,
        by: &Deadline,
        mut op: impl FnMut(&Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, Halt> {
        loop {
            match op(&self.session) {
                Err(error) if code(&error) == AGAIN => self.wait(by)?,
                other => return other.map_err(Halt::Failed),
            }
        }
    }

    /// Waits for what the session's last operation waited for.
    pub(super) fn wait(&self, by: &Deadline) -> Result<(), Halt> {
        let events = match self.session.block_directions() {
            BlockDirections::Outbound | BlockDirections::Both => PollFlags::IN | PollFlags::OUT,
            BlockDirections::None | BlockDirections::Inbound => PollFlags::IN,
        };
        ready(&self.socket, events, &self.line, by)
    }

    /// Waits for work, with signs of life to the server. Fails when the session is over.
    pub(super) fn idle(&self) -> Result<(), String> {
        let until = Instant::now() + KEEPALIVE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // What the server says unasked stays in the socket: only its end counts here.
            let mut fds =
                [PollFd::new(&self.line.wake, PollFlags::IN), PollFd::new(&*self.socket, PollFlags::RDHUP)];
            wait_fds(&mut fds, left).map_err(|halt| halt.to_string())?;
            if !fds[1].revents().is_empty() {
                return Err("the server closed the connection while it was idle".into());
            }
            if self.line.abandoned.load(Ordering::Relaxed) {
                return Err("nobody uses it any more".into());
            }
            if fds[0].revents().contains(PollFlags::IN) {
                let mut count = [0; 8];
                // Read to zero the counter; who comes too late finds it at zero already.
                let _ = rustix::io::read(&self.line.wake, &mut count);
                return Ok(());
            }
            if left.is_zero() {
                return self.session.keepalive_send().map(drop).map_err(|error| error.message().to_owned());
            }
        }
    }

    /// Whether the server has closed the connection.
    pub(super) fn peer_closed(&self) -> bool {
        let mut fds = [PollFd::new(&*self.socket, PollFlags::RDHUP)];
        !matches!(wait_fds(&mut fds, Duration::ZERO), Ok(false))
    }

    /// Closes the socket under the session: nothing waits for the server.
    pub(super) fn close(&self) {
        let _ = rustix::net::shutdown(&*self.socket, Shutdown::Both);
    }
}
