//! The console's socket: a thread that reads it into the log, and the way to type.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{ConsoleLog, Deadline, Fault, InfraKind, Rig, Stop};
use tokio::sync::watch;

/// How long a write may take before the deadline is looked at again.
const WRITE_SLICE: Duration = Duration::from_millis(50);

/// A connected console.
#[derive(Debug)]
pub(crate) struct ConsoleLine {
    stream: Arc<UnixStream>,
    ended: watch::Receiver<bool>,
    name: String,
}

impl ConsoleLine {
    /// Reads the socket on a thread of its own until QEMU closes it: QEMU's other work waits
    /// while nobody takes its console's bytes, so this never waits for anything but the log.
    pub(crate) fn open(stream: UnixStream, name: &str, log: Arc<ConsoleLog>) -> Rig<Self> {
        let fault = |error: &std::io::Error| {
            Fault::new(InfraKind::Console, "qemu", "open the console of", name).because(error)
        };
        stream.set_write_timeout(Some(WRITE_SLICE)).map_err(|error| fault(&error))?;
        let mut reader = stream.try_clone().map_err(|error| fault(&error))?;
        let (end, ended) = watch::channel(false);
        let work = move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => log.append(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Why it ended is told by how QEMU ended.
                    Err(_) => break,
                }
            }
            end.send_replace(true);
        };
        let thread = std::thread::Builder::new().name(format!("console {name}"));
        thread.spawn(work).map_err(|error| fault(&error))?;
        Ok(Self { stream: Arc::new(stream), ended, name: name.to_owned() })
    }

    /// Waits until all that QEMU had said is in the log.
    pub(crate) async fn drained(&self, by: &Deadline) -> Result<(), Stop> {
        let mut ended = self.ended.clone();
        // A thread that died without a word has read all that it ever will.
        by.run(String::new, async { drop(ended.wait_for(|ended| *ended).await) }).await
    }

    /// Types these bytes; a guest that does not read holds them up.
    pub(crate) async fn send(&self, bytes: &[u8], by: &Deadline) -> Rig<()> {
        let (stream, rest, limit) = (self.stream.clone(), bytes.to_vec(), by.clone());
        let work = tokio::task::spawn_blocking(move || write_all(&stream, &rest, &limit));
        let fault = || Fault::new(InfraKind::Console, "qemu", "type on the console of", &self.name);
        match work.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Unsent::Late(stop))) => Err(fault().stopped(stop)),
            Ok(Err(Unsent::Io(error))) => Err(fault().because(&error)),
            Err(error) => Err(fault().because(&error)),
        }
    }
}

enum Unsent {
    Late(Stop),
    Io(std::io::Error),
}

fn write_all(mut stream: &UnixStream, bytes: &[u8], by: &Deadline) -> Result<(), Unsent> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if by.is_over() {
                    let seen = format!("{sent} of {} bytes taken", bytes.len());
                    return Err(Unsent::Late(by.stop(seen)));
                }
            }
            Err(error) => return Err(Unsent::Io(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use shakedown_core::{Pace, RealClock};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn by(span: Duration) -> Deadline {
        Deadline::new("typing", span, Pace::Rig, RealClock::start(), CancellationToken::new())
    }

    #[tokio::test]
    async fn all_bytes_before_the_end_are_in_the_log_and_the_end_is_seen() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let log = Arc::new(ConsoleLog::new(RealClock::start()));
        let line = ConsoleLine::open(ours, "test", log.clone()).unwrap();
        line.send(b"root\n", &by(Duration::from_secs(5))).await.unwrap();
        let mut typed = [0; 5];
        theirs.read_exact(&mut typed).unwrap();
        theirs.write_all(&typed).unwrap();
        drop(theirs);
        line.drained(&by(Duration::from_secs(5))).await.unwrap();
        assert_eq!(log.tail(100), b"root\n");
    }

    #[tokio::test]
    async fn a_flood_of_100_mb_is_all_taken_and_memory_stays_bounded() {
        const BLOCKS: usize = 1600;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let log = Arc::new(ConsoleLog::new(RealClock::start()));
        let line = ConsoleLine::open(ours, "test", log.clone()).unwrap();
        let writer = std::thread::spawn(move || {
            let block = vec![b'x'; 64 << 10];
            (0..BLOCKS).try_for_each(|_| theirs.write_all(&block))
        });
        line.drained(&by(Duration::from_secs(60))).await.unwrap();
        writer.join().unwrap().unwrap();
        let end = log.here();
        assert_eq!(end.0, (BLOCKS * (64 << 10)) as u64);
        let kept = log.bytes(shakedown_core::Cursor::default(), end).len();
        assert!(kept <= ConsoleLog::KEEP, "{kept} bytes kept");
    }

    #[tokio::test]
    async fn a_guest_that_does_not_read_is_not_waited_for_beyond_the_deadline() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let log = Arc::new(ConsoleLog::new(RealClock::start()));
        let line = ConsoleLine::open(ours, "test", log).unwrap();
        let fault = line.send(&vec![b'x'; 8 << 20], &by(Duration::from_millis(80))).await.unwrap_err();
        assert!(fault.to_string().contains("of 8388608 bytes taken"), "{fault}");
    }
}
