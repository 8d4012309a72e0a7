//! Pumps: a named thread that reads a line and appends to its [`ConsoleLog`], and the way to type.
//!
//! The thread never waits for a reader of the log, so a console is recorded whoever else is
//! busy. At the end of the line the log is closed with the reason. Connecting again is the
//! caller's business: `log.reopen()`, then another pump on the same log.

mod port;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use shakedown_core::{Console, ConsoleLog, ConsoleTx, Deadline, Fault, Fut, InfraKind, Mark, Rig};
use tokio::sync::{Mutex, oneshot};

use port::Port;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
const TICK: Duration = Duration::from_millis(20);

/// Sends a break on the line. Blocks for its short length.
pub type SendBreak = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A line that is being read. Dropped, it stops reading; the log stays.
pub struct Pump {
    tx: Option<Tx>,
    log: Arc<ConsoleLog>,
    // Its drop wakes the reading thread.
    _stop: Option<port::Stop>,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pump({:?})", self.log)
    }
}

impl Pump {
    /// The console: its log, and the way to type when there is one.
    pub fn console(&self) -> Console {
        let tx = self.tx.clone().map(|tx| Arc::new(tx) as Arc<dyn ConsoleTx>);
        Console { log: self.log.clone(), tx }
    }

    /// Says how a break is sent on this line; without this, [`ConsoleTx::sysrq`] is a fault.
    #[must_use]
    pub fn with_break(mut self, call: SendBreak) -> Self {
        if let Some(tx) = &mut self.tx {
            tx.send_break = Some(call);
        }
        self
    }
}

fn fault(op: &str, name: &str) -> Fault {
    Fault::new(InfraKind::Console, "console", op, name)
}

/// Pumps any source of bytes, and types into `writer` on a thread of its own. The reading
/// thread ends with the source only.
pub fn from(
    reader: impl Read + Send + 'static,
    writer: Option<Box<dyn Write + Send>>,
    name: &str,
    log: Arc<ConsoleLog>,
) -> Rig<Pump> {
    let tx = writer.map(|writer| write_thread(writer, name)).transpose()?;
    let tx = tx.map(|way| Tx::new(way, name, &log));
    read_thread(reader, name, log.clone())?;
    Ok(Pump { tx, log, _stop: None })
}

/// Pumps a terminal, a serial port or a socket, both ways.
pub fn fd(fd: OwnedFd, name: &str, log: Arc<ConsoleLog>) -> Rig<Pump> {
    let (port, reader, stop) = Port::new(fd).map_err(|error| fault("open", name).because(&error))?;
    read_thread(reader, name, log.clone())?;
    let tx = Tx::new(Way::Port(Arc::new(port)), name, &log);
    Ok(Pump { tx: Some(tx), log, _stop: Some(stop) })
}

/// Connects to a unix socket, as soon as somebody listens on it, and pumps it.
pub async fn unix_socket(path: &Path, log: Arc<ConsoleLog>, by: &Deadline) -> Rig<Pump> {
    let name = path.display().to_string();
    let connect = || std::os::unix::net::UnixStream::connect(path).map(OwnedFd::from);
    fd(until_open(connect, &name, by).await?, &name, log)
}

/// Connects to a TCP port that carries a console as it is, as soon as somebody listens on
/// it, and pumps it.
pub async fn tcp(addr: SocketAddr, log: Arc<ConsoleLog>, by: &Deadline) -> Rig<Pump> {
    let name = addr.to_string();
    loop {
        let last = match by.run(String::new, tokio::net::TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                let ready = stream.set_nodelay(true).and_then(|()| stream.into_std());
                return fd(ready.map_err(|error| fault("open", &name).because(&error))?.into(), &name, log);
            }
            Ok(Err(error)) => error.to_string(),
            Err(stop) => return Err(fault("connect to", &name).stopped(stop)),
        };
        by.pause(TICK, || last.clone()).await.map_err(|stop| fault("connect to", &name).stopped(stop))?;
    }
}

async fn until_open(connect: impl Fn() -> io::Result<OwnedFd>, name: &str, by: &Deadline) -> Rig<OwnedFd> {
    loop {
        match connect() {
            Ok(fd) => return Ok(fd),
            Err(error) => {
                let seen = || error.to_string();
                by.pause(TICK, seen).await.map_err(|stop| fault("connect to", name).stopped(stop))?;
            }
        }
    }
}

fn read_thread(mut reader: impl Read + Send + 'static, name: &str, log: Arc<ConsoleLog>) -> Rig<()> {
    let line = name.to_owned();
    let work = move || {
        let mut buffer = vec![0; CHUNK];
        let why = loop {
            match reader.read(&mut buffer) {
                Ok(0) => break format!("{line}: the end of the line"),
                Ok(count) => log.append(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a terminal says when its last user is gone.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    break format!("{line}: the other side of the terminal was closed");
                }
                Err(error) => break format!("{line}: {error}"),
            }
        };
        log.close(why);
    };
    let thread = std::thread::Builder::new().name(format!("read {name}"));
    thread.spawn(work).map(drop).map_err(|error| fault("read", name).because(&error))
}

type Typed = (Vec<u8>, oneshot::Sender<io::Result<()>>);

fn write_thread(mut writer: Box<dyn Write + Send>, name: &str) -> Rig<Way> {
    let (jobs, work) = mpsc::channel::<Typed>();
    let work = move || {
        for (bytes, done) in work {
            // Who dropped the future does not want to know.
            let _ = done.send(writer.write_all(&bytes).and_then(|()| writer.flush()));
        }
    };
    let thread = std::thread::Builder::new().name(format!("type {name}"));
    thread.spawn(work).map_err(|error| fault("type on", name).because(&error))?;
    Ok(Way::Thread(jobs))
}

#[derive(Clone)]
enum Way {
    Port(Arc<Port>),
    Thread(mpsc::Sender<Typed>),
}

/// The typing side of a pump.
#[derive(Clone)]
struct Tx {
    way: Way,
    turn: Arc<Mutex<()>>,
    name: String,
    log: Arc<ConsoleLog>,
    send_break: Option<SendBreak>,
}

impl Tx {
    fn new(way: Way, name: &str, log: &Arc<ConsoleLog>) -> Self {
        Self { way, turn: Arc::default(), name: name.to_owned(), log: log.clone(), send_break: None }
    }

    async fn write(&self, bytes: &[u8], by: &Deadline) -> Rig<()> {
        self.log.mark(&Mark::Sent(bytes.to_vec()));
        let work = async {
            match &self.way {
                Way::Port(port) => port.write_all(bytes).await,
                Way::Thread(jobs) => {
                    let (done, wait) = oneshot::channel();
                    let gone = || io::Error::other("the typing thread has ended");
                    jobs.send((bytes.to_vec(), done)).map_err(|_| gone())?;
                    wait.await.map_err(|_| gone())?
                }
            }
        };
        match by.run(|| "the line takes no more bytes".into(), work).await {
            Ok(done) => done.map_err(|error| fault("type on", &self.name).because(&error)),
            Err(stop) => Err(fault("type on", &self.name).stopped(stop)),
        }
    }
}

impl ConsoleTx for Tx {
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.write(bytes, by).await
        })
    }

    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let Some(call) = self.send_break.clone() else {
                return Err(
                    fault("send a break on", &self.name).expected("a line that can", "one that cannot")
                );
            };
            let _turn = self.turn.lock().await;
            let sent = tokio::task::spawn_blocking(move || call()).await;
            let sent = sent.map_err(io::Error::other).flatten();
            sent.map_err(|error| fault("send a break on", &self.name).because(&error))?;
            self.write(&[key], by).await
        })
    }
}
