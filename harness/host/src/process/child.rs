//! Long-lived programs: QEMU, ser2net, an SSH server in a test.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::{Deadline, Rig};
use tokio::sync::watch;

use super::capture::{Capture, Keep, last_lines};
use super::leader::{Leader, Shared};
use super::{Tool, describe};
use crate::group;

/// Bytes of a started program's output that are kept for errors.
const TAIL: usize = 64 << 10;

/// How long the last words of a program that has ended may be on their way to us: they are in the
/// pipe already. Longer only where a process that it left behind holds the other end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A program that was started. Dropped, its whole process group is killed.
#[derive(Debug)]
pub struct Child {
    leader: Shared,
    tool: Tool,
    said: Arc<Capture>,
    /// Closed when all that it said is in `said`.
    heard: watch::Receiver<()>,
    window: Mutex<CpuTime>,
}

/// A started program whose input and output are ours.
#[derive(Debug)]
pub struct Piped {
    /// The program.
    pub child: Child,
    /// What we write, it reads.
    pub stdin: std::process::ChildStdin,
    /// What it writes to standard output, we read.
    pub stdout: std::process::ChildStdout,
}

/// Time on a core and time spent waiting for one, of all threads, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTime {
    ran: u64,
    waited: u64,
}

impl CpuTime {
    fn of(pid: u32) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
        texts.fold(Self::default(), |sum, text| {
            let mut fields = text.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0));
            Self {
                ran: sum.ran + fields.next().unwrap_or(0),
                waited: sum.waited + fields.next().unwrap_or(0),
            }
        })
    }

    /// How much longer things took since `before` for want of a core: 1.0 is not at all.
    fn stretch_since(self, before: Self) -> f64 {
        // Threads that ended take their times with them; then there is nothing to tell.
        let ran = self.ran.saturating_sub(before.ran);
        let waited = self.waited.saturating_sub(before.waited);
        // Below 10 ms on a core the ratio is noise.
        if ran < 10_000_000 { 1.0 } else { (ran + waited) as f64 / ran as f64 }
    }
}

impl Tool {
    /// Starts it and comes back at once. Its outputs go to [`Tool::log_to`], or their last
    /// 64 KiB are kept for [`Child::tail`].
    pub fn start(&self) -> Rig<Child> {
        let said = Arc::new(Capture::new(Keep::Last, TAIL));
        if let Some(file) = &self.log {
            let opened = OpenOptions::new().create(true).append(true).open(file);
            let both = opened.and_then(|out| Ok((out.try_clone()?, out)));
            let (out, err) = both.map_err(|error| self.fault("open the log of").because(&error))?;
            let (leader, _) = self.spawn(Stdio::null(), out.into(), err.into())?;
            return Ok(Child::new(leader, self, said, watch::channel(()).1));
        }
        let (reader, writer) = self.output_pipe()?;
        let second = writer.try_clone().map_err(|error| self.fault("start").because(&error))?;
        let (leader, _) = self.spawn(Stdio::null(), writer.into(), second.into())?;
        let heard = self.listen(reader, &said)?;
        Ok(Child::new(leader, self, said, heard))
    }

    /// Starts it with our hands on its input and output; the last 64 KiB of its standard
    /// error are kept for [`Child::tail`].
    pub fn start_piped(&self) -> Rig<Piped> {
        let said = Arc::new(Capture::new(Keep::Last, TAIL));
        let (reader, writer) = self.output_pipe()?;
        let (leader, mut child) = self.spawn(Stdio::piped(), Stdio::piped(), writer.into())?;
        let heard = self.listen(reader, &said)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.fault("start").expected("its input and output as pipes", "none"));
        };
        Ok(Piped { child: Child::new(leader, self, said, heard), stdin, stdout })
    }

    /// Starts it in front: it shares our input, output, errors and terminal, so it stays in our own
    /// process group, for which the terminal's Ctrl-C is.
    pub fn start_in_front(&self) -> Rig<Child> {
        let mut tool = self.clone();
        tool.in_front = true;
        let (leader, _) = tool.spawn(Stdio::inherit(), Stdio::inherit(), Stdio::inherit())?;
        Ok(Child::new(leader, self, Arc::new(Capture::new(Keep::Last, TAIL)), watch::channel(()).1))
    }

    /// Starts it on these three descriptors: a terminal.
    pub(crate) fn start_on(&self, fd: &OwnedFd) -> Rig<Child> {
        let copy = || fd.try_clone().map(Stdio::from).map_err(|error| self.fault("start").because(&error));
        let (leader, _) = self.spawn(copy()?, copy()?, copy()?)?;
        Ok(Child::new(leader, self, Arc::new(Capture::new(Keep::Last, TAIL)), watch::channel(()).1))
    }

    fn output_pipe(&self) -> Rig<(io::PipeReader, io::PipeWriter)> {
        io::pipe().map_err(|error| self.fault("start").because(&error))
    }

    fn listen(&self, mut reader: io::PipeReader, said: &Arc<Capture>) -> Rig<watch::Receiver<()>> {
        let said = said.clone();
        let (listening, heard) = watch::channel(());
        let thread = std::thread::Builder::new().name(format!("out of {}", self.name()));
        let work = move || {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                said.push(&buffer[..count]);
            }
            drop(listening);
        };
        thread.spawn(work).map(|_| heard).map_err(|error| self.fault("listen to").because(&error))
    }
}

impl Child {
    fn new(leader: Leader, tool: &Tool, said: Arc<Capture>, heard: watch::Receiver<()>) -> Self {
        let window = Mutex::new(CpuTime::of(leader.pid()));
        Self { leader: Arc::new(leader), tool: tool.clone(), said, heard, window }
    }

    /// Its process id, which is also its group's.
    pub fn pid(&self) -> u32 {
        self.leader.pid()
    }

    /// How it ended; `None` while it runs.
    pub fn try_status(&self) -> Rig<Option<ExitStatus>> {
        self.leader.try_status().map_err(|error| self.tool.fault("look at").because(&error))
    }

    /// Waits until it has ended by itself.
    pub async fn wait(&self, by: &Deadline) -> Rig<ExitStatus> {
        let status = match by.run(|| self.last_line(), self.leader.exited()).await {
            Ok(status) => status.map_err(|error| self.tool.fault("wait for").because(&error))?,
            Err(stop) => return Err(self.tool.fault("wait for").stopped(stop)),
        };
        let mut heard = self.heard.clone();
        let words = by.child("its last words", LAST_WORDS);
        // Either way what is there is what there is: its end is known.
        drop(words.run(|| self.last_line(), heard.changed()).await);
        Ok(status)
    }

    /// Sends SIGTERM to its whole group: a request, not a proof.
    pub fn terminate(&self) {
        if matches!(self.leader.try_status(), Ok(None)) {
            group::signal(self.pid(), rustix::process::Signal::TERM);
        }
    }

    /// Kills its whole group and looks that nobody of it is left.
    pub async fn kill_group(&self, by: &Deadline) -> Rig<ExitStatus> {
        self.leader.kill();
        let status = self.wait(by).await?;
        loop {
            let left = group::members(self.pid());
            if left.is_empty() {
                return Ok(status);
            }
            let seen = || format!("still running: {left:?}");
            let tick = std::time::Duration::from_millis(5);
            by.pause(tick, seen).await.map_err(|stop| self.tool.fault("kill the group of").stopped(stop))?;
        }
    }

    /// The last 64 KiB that it printed, when they went nowhere else. Secrets are hidden.
    pub fn tail(&self) -> String {
        self.tool.redact(&String::from_utf8_lossy(&self.said.copy()))
    }

    /// How it ended and what it said last, for an error: `exit code 1: no such disk`.
    pub fn epitaph(&self) -> Option<String> {
        let status = self.leader.try_status().ok()??;
        let said = last_lines(self.tail().as_bytes(), 3);
        Some(if said.is_empty() { describe(status) } else { format!("{}: {said}", describe(status)) })
    }

    /// How much longer things took since the last call for want of a core: 1.0 is not at
    /// all, 2.0 is twice as long. From the scheduler's own books, over all its threads.
    pub fn starved(&self) -> f64 {
        let now = CpuTime::of(self.pid());
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        now.stretch_since(std::mem::replace(&mut *window, now))
    }

    fn last_line(&self) -> String {
        last_lines(self.tail().as_bytes(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starvation_is_the_share_of_waiting() {
        let before = CpuTime { ran: 1_000_000_000, waited: 0 };
        let after = CpuTime { ran: 2_000_000_000, waited: 500_000_000 };
        assert!((after.stretch_since(before) - 1.5).abs() < 1e-9);
        assert!((before.stretch_since(after) - 1.0).abs() < 1e-9, "ended threads tell nothing");
    }
}
