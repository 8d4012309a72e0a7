//! A descriptor read by a thread and written by tasks, without blocking either.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The writing side.
#[derive(Debug)]
pub(super) struct Port {
    fd: OwnedFd,
}

/// The reading side, for a thread: waits in `poll` for bytes or the end.
#[derive(Debug)]
pub(super) struct PortReader {
    fd: OwnedFd,
    stop: Arc<Asked>,
}

/// Ends the reading side when it is dropped.
#[derive(Debug)]
pub(super) struct Stop(Arc<Asked>);

/// The flag is for a reader that never has to wait, the descriptor for one that waits.
#[derive(Debug)]
struct Asked {
    flag: AtomicBool,
    wake: OwnedFd,
}

impl Drop for Stop {
    fn drop(&mut self) {
        // Adding 1 to a counter at 0 cannot block.
        self.0.flag.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.0.wake, &1u64.to_ne_bytes());
    }
}

impl Port {
    pub(super) fn new(fd: OwnedFd) -> io::Result<(Self, PortReader, Stop)> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stop = Arc::new(Asked { flag: AtomicBool::new(false), wake });
        let reader = PortReader { fd: fd.try_clone()?, stop: stop.clone() };
        Ok((Self { fd }, reader, Stop(stop)))
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut watched = None;
        while !bytes.is_empty() {
            match rustix::io::write(&self.fd, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if watched.is_none() {
                        #[expect(
                            deprecated,
                            reason = "an OwnedFd keeps what the new, unsafe name asks of its caller"
                        )]
                        let made = AsyncFd::with_interest(self.fd.try_clone()?, Interest::WRITABLE)?;
                        watched = Some(made);
                    }
                    if let Some(watched) = &watched {
                        watched.writable().await?.clear_ready();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Read for PortReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.flag.load(Ordering::Relaxed) {
                return Err(io::Error::other("nobody wants to read on"));
            }
            match rustix::io::read(&self.fd, &mut *buffer) {
                Err(Errno::AGAIN) => {
                    let mut both =
                        [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(&self.stop.wake, PollFlags::IN)];
                    match poll(&mut both, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                other => return other.map_err(io::Error::from),
            }
        }
    }
}
