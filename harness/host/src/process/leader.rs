//! The first process of a group: watched by pidfd, killed with its whole group.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::group;
use crate::warden::{Registration, Warden};

/// Owns a process group. Dropped, it kills the whole group.
#[derive(Debug)]
pub(super) struct Leader {
    pid: u32,
    pidfd: OwnedFd,
    state: Mutex<State>,
    _ward: Registration,
}

#[derive(Debug)]
enum State {
    /// Not reaped: its id cannot have gone to another process.
    Held,
    Reaped(ExitStatus),
}

impl Leader {
    pub(super) fn adopt(child: &mut Child, ward: &'static Warden) -> io::Result<Self> {
        let pid = child.id();
        let raw = Pid::from_child(child);
        let ward = ward.register(pid);
        let pidfd = pidfd_open(raw, PidfdFlags::empty())?;
        Ok(Self { pid, pidfd, state: Mutex::new(State::Held), _ward: ward })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs. Its group is killed before its id is given back.
    pub(super) fn try_status(&self) -> io::Result<Option<ExitStatus>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Reaped(status) = *state {
            return Ok(Some(status));
        }
        if !self.ended()? {
            return Ok(None);
        }
        group::kill(self.pid);
        let status = self.reap()?;
        if let Some(status) = status {
            *state = State::Reaped(status);
        }
        Ok(status)
    }

    /// Completes when the process has ended.
    pub(super) async fn exited(&self) -> io::Result<ExitStatus> {
        #[expect(deprecated, reason = "an OwnedFd keeps what the new, unsafe name asks of its caller")]
        let watched = AsyncFd::with_interest(self.pidfd.try_clone()?, Interest::READABLE)?;
        loop {
            if let Some(status) = self.try_status()? {
                return Ok(status);
            }
            watched.readable().await?.clear_ready();
        }
    }

    pub(super) fn kill(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Held) {
            group::kill(self.pid);
        }
    }

    fn ended(&self) -> io::Result<bool> {
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(rustix::event::poll(&mut fds, Some(&now))? > 0)
    }

    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        use rustix::process::{WaitOptions, waitpid};
        use std::os::unix::process::ExitStatusExt;
        let pid = Pid::from_raw(self.pid as i32);
        let waited = waitpid(pid, WaitOptions::NOHANG)?;
        Ok(waited.map(|(_, status)| ExitStatus::from_raw(status.as_raw())))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(state, State::Reaped(_)) {
            return;
        }
        group::kill(self.pid);
        // It dies in microseconds, unless it hangs in the kernel: nobody should wait for that here.
        let pid = Pid::from_raw(self.pid as i32);
        let reaper = std::thread::Builder::new().name(format!("reap {}", self.pid));
        let _ = reaper.spawn(move || rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()));
    }
}

/// A leader that several may hold.
pub(super) type Shared = Arc<Leader>;
