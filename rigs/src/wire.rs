//! A line of bytes under a deadline, for threads: a TCP stream, a serial port.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serialport::{ErrorKind, SerialPort, TTYPort};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};

use crate::worker::left;

/// A line that can be told when to give up.
pub(crate) trait Wire: Read + Write + Send {
    /// The next reads and writes end with an error after what is left.
    fn limit(&mut self, by: &Deadline) -> io::Result<()>;
    /// How many bytes that were written have not left yet.
    fn unsent(&mut self) -> io::Result<u32>;
}

impl Wire for TcpStream {
    fn limit(&mut self, by: &Deadline) -> io::Result<()> {
        self.set_read_timeout(Some(left(by)))?;
        self.set_write_timeout(Some(left(by)))
    }

    fn unsent(&mut self) -> io::Result<u32> {
        // The network's answer tells more than the kernel's queue.
        Ok(0)
    }
}

impl Wire for TTYPort {
    fn limit(&mut self, by: &Deadline) -> io::Result<()> {
        Ok(self.set_timeout(left(by))?)
    }

    fn unsent(&mut self) -> io::Result<u32> {
        Ok(self.bytes_to_write()?)
    }
}

/// What was read before it ended, and how it ended.
#[derive(Debug)]
pub(crate) struct Short {
    pub(crate) got: Vec<u8>,
    error: io::Error,
}

impl Short {
    /// The fault of who wanted more.
    pub(crate) fn fault(self, fault: Fault, wanted: &str, by: &Deadline) -> Fault {
        let got = match self.got.len() {
            0 => "nothing".to_owned(),
            _ => show(&self.got),
        };
        if is_late(&self.error) || by.is_over() {
            return fault.expected(wanted, &got).stopped(by.stop(got));
        }
        fault.expected(wanted, format!("{got}, then: {}", self.error))
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Bytes for people: text as text, the rest in hex.
pub(crate) fn show(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(100)];
    if bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// Reads until `enough` says so, within the deadline. `most` bounds a line that never stops.
pub(crate) fn read_until(
    wire: &mut dyn Wire,
    most: usize,
    by: &Deadline,
    mut enough: impl FnMut(&[u8]) -> bool,
) -> Result<Vec<u8>, Short> {
    let mut got = Vec::new();
    let mut buffer = [0; 256];
    while !enough(&got) {
        let room = buffer.len().min(most - got.len());
        let read = match () {
            () if by.is_over() => Err(io::ErrorKind::TimedOut.into()),
            () if room == 0 => Err(io::Error::other("and no end of it")),
            () => wire.limit(by).and_then(|()| wire.read(&mut buffer[..room])),
        };
        match read {
            Ok(0) => return Err(Short { got, error: io::Error::other("the end of the line") }),
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Short { got, error }),
        }
    }
    Ok(got)
}

/// Writes all of it, and waits until it has left, within the deadline. Not by `flush`: on a serial port
/// that is `tcdrain`, which waits for ever on an adapter that takes nothing.
pub(crate) fn write(wire: &mut dyn Wire, bytes: &[u8], by: &Deadline) -> Result<(), Short> {
    let done = wire.limit(by).and_then(|()| wire.write_all(bytes)).and_then(|()| drained(wire, by));
    done.map_err(|error| Short { got: Vec::new(), error })
}

/// A byte takes a millisecond at 9600 baud.
const DRAIN_TICK: Duration = Duration::from_millis(1);

fn drained(wire: &mut dyn Wire, by: &Deadline) -> io::Result<()> {
    while wire.unsent()? > 0 {
        if by.is_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::park_timeout(DRAIN_TICK);
    }
    Ok(())
}

/// Connects to `host:port`.
pub(crate) fn connect(address: &str, fault: impl Fn() -> Fault, by: &Deadline) -> Rig<TcpStream> {
    let wrong = |error: &io::Error| {
        let fault = fault().expected("a connection", error.to_string());
        if is_late(error) { fault.stopped(by.stop("no connection")) } else { fault }
    };
    let mut last = io::Error::other("the name has no address");
    for addr in address.to_socket_addrs().map_err(|error| wrong(&error))? {
        match TcpStream::connect_timeout(&addr, left(by)) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| wrong(&error))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(wrong(&last))
}

/// A serial port as it is opened for an exchange.
pub(crate) enum Opened {
    /// It is ours.
    Port(TTYPort),
    /// Another process holds it.
    Held,
}

/// Opens a serial port for us alone, with 8 data bits and one stop bit; DTR and RTS stay as
/// the driver sets them.
pub(crate) fn serial(
    path: &Path,
    baud: u32,
    parity: serialport::Parity,
) -> Result<Opened, serialport::Error> {
    let open = serialport::new(path.to_string_lossy(), baud).parity(parity).exclusive(true).open_native();
    match open {
        Ok(port) => Ok(Opened::Port(port)),
        // The words of the lock, which root meets, and of TIOCEXCL, which everybody else does; a port
        // that is not there has other ones.
        Err(error)
            if error.kind == ErrorKind::NoDevice
                && ["lock", "busy"].iter().any(|word| error.description.contains(word)) =>
        {
            Ok(Opened::Held)
        }
        Err(error) => Err(error),
    }
}

/// The fault of a port that cannot be opened, with the ports that there are.
pub(crate) fn not_opened(driver: &'static str, path: &Path, error: &serialport::Error) -> Fault {
    let there = ports("/dev/serial/by-id".as_ref());
    let fault = Fault::new(InfraKind::Usb, driver, "open", path.display().to_string());
    let fault = fault.expected("a serial port", error.to_string());
    if there.is_empty() {
        return fault.hint("no USB serial adapter is plugged in");
    }
    let names: Vec<_> = there.iter().map(|path| path.display().to_string()).collect();
    fault.hint(format!("plugged in are: {}", names.join(", ")))
}

fn ports(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_core::{Pace, RealClock};
    use tokio_util::sync::CancellationToken;

    /// A port as the kernel shows one whose adapter takes `sends` bytes a look.
    struct Port {
        queued: u32,
        sends: u32,
    }

    impl Read for Port {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    impl Write for Port {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.queued += bytes.len() as u32;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("it would wait for ever"))
        }
    }

    impl Wire for Port {
        fn limit(&mut self, _: &Deadline) -> io::Result<()> {
            Ok(())
        }
        fn unsent(&mut self) -> io::Result<u32> {
            self.queued = self.queued.saturating_sub(self.sends);
            Ok(self.queued)
        }
    }

    fn write_to(sends: u32, span: Duration) -> Result<(), Short> {
        let by = Deadline::new("test", span, Pace::Rig, RealClock::start(), CancellationToken::new());
        write(&mut Port { queued: 0, sends }, b"\xA0\x01\x01\xA2", &by)
    }

    #[test]
    fn an_adapter_that_takes_nothing_is_waited_for_no_longer_than_its_deadline() {
        assert!(write_to(1, Duration::from_secs(60)).is_ok(), "a slow one is waited for");
        let short = write_to(0, Duration::from_millis(20)).unwrap_err();
        assert_eq!(short.error.kind(), io::ErrorKind::TimedOut);
    }
}
