//! Running a program to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use shakedown_core::{Deadline, Rig};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::capture::{Capture, Keep, last_lines};
use super::{Output, Stream, Tool, describe};

/// How long the pipes of a program that has ended may stay open: only a process
/// that left its group can hold them.
const LINGER: Duration = Duration::from_secs(1);

impl Tool {
    /// Runs it to its end, whatever it returns. On a deadline, on cancellation and when the
    /// future is dropped, its whole process group is killed.
    pub async fn run(&self, by: &Deadline) -> Rig<Output> {
        let started = Instant::now();
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let (leader, mut child) = self.spawn(stdin, Stdio::piped(), Stdio::piped())?;
        let (out, err) = (Capture::new(Keep::First, self.limit), Capture::new(Keep::Last, self.limit));
        let (out_pipe, err_pipe) =
            (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
        let stdin_pipe = child.stdin.take().map(OwnedFd::from);
        let io = async {
            tokio::try_join!(
                async {
                    if let Some(pipe) = out_pipe { out.read(pipe, Stream::Out, self).await } else { Ok(()) }
                },
                async {
                    if let Some(pipe) = err_pipe { err.read(pipe, Stream::Err, self).await } else { Ok(()) }
                },
                feed(stdin_pipe, self.stdin.as_deref().unwrap_or_default()),
            )
        };
        let last_seen = || {
            let both = [err.copy(), out.copy()];
            let last = both.iter().map(|bytes| last_lines(bytes, 1)).find(|line| !line.is_empty());
            self.redact(&last.unwrap_or_default())
        };
        let mut io = std::pin::pin!(io);
        let work = async {
            let mut read = None;
            let status = loop {
                tokio::select! {
                    done = &mut io, if read.is_none() => read = Some(done),
                    status = leader.exited() => break status?,
                }
            };
            if read.is_none() {
                let rest =
                    by.child(format!("the end of the output of {}", self.name()), LINGER).at_rig_pace();
                // What lingers is not ours to wait for; what was read is kept.
                read = rest.run(String::new, &mut io).await.ok();
            }
            read.unwrap_or(Ok(((), (), ()))).map(|_| status)
        };
        let status = match by.run(last_seen, work).await {
            Ok(done) => done.map_err(|error: io::Error| self.fault("run").because(&error))?,
            Err(stop) => {
                leader.kill();
                return Err(self.fault("run").stopped(stop));
            }
        };
        let ((out, more_out), (err, more_err)) = (out.take(), err.take());
        Ok(Output { status, out, err, truncated: more_out || more_err, took: started.elapsed() })
    }

    /// Runs it to its end; anything but exit code 0 is a fault with the last lines that it printed.
    pub async fn run_ok(&self, by: &Deadline) -> Rig<Output> {
        let output = self.run(by).await?;
        if output.status.success() {
            return Ok(output);
        }
        let said = [&output.err, &output.out].map(|bytes| last_lines(bytes, 12));
        let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let got = match self.redact(&said) {
            said if said.is_empty() => format!("{}, and nothing printed", describe(output.status)),
            said => format!("{}: {said}", describe(output.status)),
        };
        Err(self.fault("run").expected("exit code 0", got))
    }
}

async fn feed(pipe: Option<OwnedFd>, bytes: &[u8]) -> io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    match pipe::Sender::from_owned_fd(pipe)?.write_all(bytes).await {
        // A program may stop reading when it has what it needs.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
