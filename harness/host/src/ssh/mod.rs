//! The SSH shell: one session and one named thread each, one command at a time.
//!
//! - The session is never blocking: the thread waits in `poll` on the socket, so an answer is
//!   handled the moment it comes and every wait obeys its [`Deadline`].
//! - Dropping a future stops nothing: the thread goes on with the command until its end or
//!   its deadline; later commands wait for their turn.
//! - A command that does not end is abandoned by closing the socket. From then on every run
//!   is answered at once by [`Unreachable::NotSent`]: such a command was surely not run, and may
//!   be run again over a new connection.
//! - A DUT that only another machine sees is reached through a [`Jump`]: an address of this host
//!   behind which the other machine's SSH server connects on. Its failures are told apart.

mod attempt;
mod connect;
mod exec;
mod jump;
mod probe;
mod tunnel;
mod wire;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use shakedown_core::{Cmd, Deadline, Fault, Fut, InfraKind, Ran, Shell, ShellError, SshTarget, Unreachable};
use tokio::sync::oneshot;

use crate::files;
pub use attempt::{Attempt, try_key, try_password, try_unknown_key};
pub use jump::{Jump, JumpKey, JumpLogin};
pub use probe::path;
use wire::Wire;

/// How long the thread may take to notice that a deadline passed.
const GRACE: Duration = Duration::from_secs(2);

/// A logged-in SSH session.
#[derive(Debug)]
pub struct SshShell {
    jobs: mpsc::Sender<Job>,
    line: Arc<Line>,
    fingerprint: String,
}

/// What the front and the thread share.
#[derive(Debug)]
struct Line {
    /// Nobody holds the shell any more.
    abandoned: AtomicBool,
    wake: OwnedFd,
    /// Why the session ended.
    ended: Mutex<Option<String>>,
    name: String,
}

impl Line {
    fn open(name: String) -> Result<Arc<Self>, ShellError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| ShellError::Rig(fault("open", &name).because(&error)))?;
        Ok(Arc::new(Self { abandoned: AtomicBool::new(false), wake, ended: Mutex::new(None), name }))
    }

    fn wake(&self) {
        // A counter that is full wakes as well.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn end(&self, why: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn why_ended(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Job {
    cmd: Cmd,
    by: Deadline,
    reply: oneshot::Sender<Result<Ran, ShellError>>,
}

impl SshShell {
    /// Connects, checks the server's key and logs in, all within `by` (and each step within
    /// limits of its own: [`Unreachable`] tells them apart).
    pub async fn connect(target: &SshTarget, by: &Deadline) -> Result<Self, ShellError> {
        let line = Line::open(format!("ssh {}@{}", target.user, target.addr))?;
        // Should this future be dropped, the thread gives up connecting.
        let guard = Abandon(line.clone(), true);
        let (jobs, work) = mpsc::channel();
        let (reply, connected) = oneshot::channel();
        let (target, limit, of_thread) = (target.clone(), by.clone(), line.clone());
        let thread = move || match connect::connect(&target, &of_thread, &limit) {
            Ok((wire, fingerprint)) => {
                let _ = reply.send(Ok(fingerprint));
                serve(&wire, &work, &of_thread);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        };
        spawn(&line.name, thread)?;
        let fingerprint = wait(connected, &line, by, |stop| Unreachable::NoRoute(stop.to_string())).await?;
        guard.keep();
        Ok(Self { jobs, line, fingerprint })
    }

    /// The server's key: `SHA256:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Why the session is over; `None` while it can run commands.
    pub fn ended(&self) -> Option<String> {
        self.line.why_ended()
    }

    fn not_sent(&self) -> ShellError {
        let why = self.ended().unwrap_or_else(|| "the session has ended".into());
        ShellError::Dut(Unreachable::NotSent(why))
    }
}

fn fault(op: &str, name: &str) -> Fault {
    Fault::new(InfraKind::Network, "ssh", op, name)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ShellError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|error| ShellError::Rig(fault("start the thread of", name).because(&error)))
}

/// Does this on a thread of its own, which gives up when nobody waits for it any more.
async fn on_thread<T: Send + 'static>(
    line: Arc<Line>,
    by: &Deadline,
    work: impl FnOnce(&Arc<Line>) -> Result<T, ShellError> + Send + 'static,
) -> Result<T, ShellError> {
    let guard = Abandon(line.clone(), true);
    let (reply, done) = oneshot::channel();
    let of_thread = line.clone();
    // Who dropped the future does not want to know.
    spawn(&line.name, move || drop(reply.send(work(&of_thread))))?;
    let came = wait(done, &line, by, |stop| Unreachable::NoRoute(stop.to_string())).await?;
    guard.keep();
    Ok(came)
}

/// Sets the flag on drop, unless it is told to keep.
struct Abandon(Arc<Line>, bool);

impl Abandon {
    fn keep(mut self) {
        self.1 = false;
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if self.1 {
            self.0.abandoned.store(true, Ordering::Relaxed);
            self.0.wake();
        }
    }
}

/// Waits for the thread, which obeys the same deadline and knows better what it saw.
async fn wait<T>(
    mut reply: oneshot::Receiver<Result<T, ShellError>>,
    line: &Line,
    by: &Deadline,
    late: impl FnOnce(shakedown_core::Stop) -> Unreachable,
) -> Result<T, ShellError> {
    let gone = || {
        let why = line.why_ended().unwrap_or_else(|| format!("the thread of {} ended", line.name));
        ShellError::Dut(Unreachable::NotSent(why))
    };
    let stop = match by.run(|| format!("{} has not answered", line.name), &mut reply).await {
        Ok(done) => return done.unwrap_or_else(|_| Err(gone())),
        Err(stop) => stop,
    };
    let clock = by.clock().clone();
    let until = clock.now() + GRACE;
    tokio::select! {
        done = reply => done.unwrap_or_else(|_| Err(gone())),
        () = clock.sleep_until(until) => Err(ShellError::Dut(late(stop))),
    }
}

/// The thread's work once it is logged in.
fn serve(wire: &Wire, work: &mpsc::Receiver<Job>, line: &Line) {
    let why = loop {
        let job = match work.try_recv() {
            Ok(job) => job,
            Err(mpsc::TryRecvError::Disconnected) => break "nobody uses it any more".to_owned(),
            Err(mpsc::TryRecvError::Empty) => match wire.idle() {
                Ok(()) => continue,
                Err(why) => break why,
            },
        };
        if job.by.is_over() {
            let stop = job.by.stop("an earlier command still ran in this session; this one was not sent");
            let _ = job.reply.send(Err(ShellError::Dut(Unreachable::Hung(stop))));
            continue;
        }
        let done = exec::run(wire, &job.cmd, &job.by);
        let lost = match &done {
            Err(error) => Some(format!("the session was given up: {error}")),
            Ok(_) => None,
        };
        if let Some(why) = &lost {
            line.end(why.clone());
        }
        // Who dropped the future does not want to know.
        let _ = job.reply.send(done);
        if let Some(why) = lost {
            break why;
        }
    };
    line.end(why);
    wire.close();
}

impl Shell for SshShell {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        Box::pin(async move {
            let (reply, done) = oneshot::channel();
            let job = Job { cmd: cmd.clone(), by: by.clone(), reply };
            if self.ended().is_some() || self.jobs.send(job).is_err() {
                return Err(self.not_sent());
            }
            self.line.wake();
            wait(done, &self.line, by, Unreachable::Hung).await
        })
    }

    fn put<'a>(
        &'a self,
        to: &'a str,
        data: &'a [u8],
        mode: u32,
        by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>> {
        Box::pin(async move {
            let temp = files::temp_beside(to);
            let fill = files::fill(&temp);
            let ran = self.run(&Cmd::sh(fill).stdin(data), by).await?;
            files::must(&ran, "write", &temp)?;
            files::finish(self, &temp, to, data, mode, by).await
        })
    }

    fn get<'a>(&'a self, from: &'a str, most: u64, by: &'a Deadline) -> Fut<'a, Result<Vec<u8>, ShellError>> {
        Box::pin(async move {
            let limit = usize::try_from(most).unwrap_or(usize::MAX);
            let ran = self.run(&Cmd { limit, ..Cmd::argv(["cat", "--", from]) }, by).await?;
            files::must(&ran, "read", from)?;
            if ran.truncated {
                return Err(files::refused(format!("{from} is larger than {most} bytes")));
            }
            Ok(ran.out)
        })
    }
}

impl Drop for SshShell {
    fn drop(&mut self) {
        drop(Abandon(self.line.clone(), true));
    }
}
