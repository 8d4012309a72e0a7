//! A console's line: one thread that reads it, dials again when it is lost, and marks the gap.

use std::io::{self, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::{
    Clock, Console, ConsoleLog, ConsoleTx, Deadline, Fault, Fut, InfraKind, Mark, Pace, Rig,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ConsoleCx;
use crate::worker::Worker;

/// A read waits no longer, to see whether anybody still wants to know.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Between two tries to get a lost line back.
const RETRY: Duration = Duration::from_millis(250);
/// One try.
const DIAL: Duration = Duration::from_secs(5);
/// A USB adapter that is enumerated anew and a server that starts anew are back by then; a line
/// that is gone for longer is told as closed.
const GRACE: Duration = Duration::from_secs(5);
/// Linux's serial drivers take a break for SysRq when it lasts at least a character.
const BREAK: Duration = Duration::from_millis(300);

/// The ends of a line that is open.
pub(super) struct Ends {
    /// Gives `TimedOut` or `WouldBlock` when nothing comes for [`TICK`], and 0 at the end.
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) writer: Box<dyn Typing>,
}

/// The writing end.
pub(super) trait Typing: Send {
    /// All of the bytes, within the deadline.
    fn write(&mut self, bytes: &[u8], by: &Deadline) -> io::Result<()>;
    /// Begins or ends a break.
    fn set_break(&mut self, on: bool, by: &Deadline) -> io::Result<()>;
}

/// How a line is opened; on the console's own thread, again after each loss.
pub(super) trait Dial: Send + 'static {
    fn dial(&self, by: &Deadline) -> Rig<Ends>;
}

type Writer = Arc<Mutex<Result<Box<dyn Typing>, String>>>;

/// Opens the line; the first dial must succeed.
pub(super) async fn open(
    driver: &'static str,
    endpoint: &str,
    cx: &ConsoleCx<'_>,
    dial: impl Dial,
    by: &Deadline,
) -> Rig<Console> {
    let fault = |op: &str| Fault::new(InfraKind::Console, driver, op, endpoint);
    let log = Arc::new(ConsoleLog::new(cx.clock.clone()));
    let writer: Writer = Arc::new(Mutex::new(Err("it is not open yet".into())));
    let (opened, first) = oneshot::channel();
    let (stop, stopped) = mpsc::channel();
    let reading = Reading { name: endpoint.to_owned(), log: log.clone(), writer: writer.clone(), stopped };
    let own = by.child(by.name(), by.left().min(DIAL).mul_f64(0.95));
    let thread = std::thread::Builder::new().name(format!("read {}", cx.name));
    let work = move || match dial.dial(&own) {
        Ok(ends) => {
            let reader = reading.take(ends);
            // Who dropped the future has dropped the console's other end too.
            if opened.send(Ok(())).is_ok() {
                reading.run(reader, &dial);
            }
        }
        Err(fault) => drop(opened.send(Err(fault))),
    };
    thread.spawn(work).map_err(|error| fault("read").because(&error))?;
    match by.run(String::new, first).await {
        Ok(done) => {
            done.map_err(|_| fault("open").expected("a thread that answers", "one that has ended"))??;
        }
        Err(stop) => return Err(fault("open").expected("an open line", stop.to_string()).stopped(stop)),
    }
    let worker = Worker::for_console(driver, endpoint)?;
    let tx = Tx {
        driver,
        name: endpoint.to_owned(),
        log: log.clone(),
        writer,
        worker,
        turn: tokio::sync::Mutex::default(),
        _stop: stop,
    };
    Ok(Console { log, tx: Some(Arc::new(tx)) })
}

struct Reading {
    name: String,
    log: Arc<ConsoleLog>,
    writer: Writer,
    /// Hung up when the console's holder is gone.
    stopped: mpsc::Receiver<()>,
}

impl Reading {
    /// Puts the writing end where it is typed on; gives the reading one.
    fn take(&self, ends: Ends) -> Box<dyn Read + Send> {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Ok(ends.writer);
        ends.reader
    }

    fn is_stopped(&self) -> bool {
        matches!(self.stopped.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    }

    fn run(&self, mut reader: Box<dyn Read + Send>, dial: &impl Dial) {
        while let Some(why) = self.read(&mut reader) {
            let why = format!("{}: {why}", self.name);
            *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Err(why.clone());
            drop(reader);
            self.log.mark(&Mark::Note(format!("the line is gone: {why}")));
            let Some(back) = self.dial_again(dial, &why) else { return };
            reader = back;
        }
    }

    /// Reads until the line ends, and why; `None` when nobody wants to know any more.
    fn read(&self, reader: &mut dyn Read) -> Option<String> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Some("the end of the line".into()),
                Ok(count) => self.log.append(&buffer[..count]),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Some(error.to_string()),
            }
            if self.is_stopped() {
                return None;
            }
        }
    }

    fn dial_again(&self, dial: &impl Dial, why: &str) -> Option<Box<dyn Read + Send>> {
        let clock: &Arc<dyn Clock> = self.log.clock();
        let lost = clock.now();
        let mut closed = false;
        loop {
            if let Err(RecvTimeoutError::Disconnected) = self.stopped.recv_timeout(RETRY) {
                return None;
            }
            let by = Deadline::new(
                "the line to be back",
                DIAL,
                Pace::Rig,
                clock.clone(),
                CancellationToken::new(),
            );
            match dial.dial(&by) {
                Ok(ends) => {
                    let reader = self.take(ends);
                    if closed {
                        self.log.reopen();
                    }
                    let gone = clock.now().since(lost).as_secs_f64();
                    self.log.mark(&Mark::Gap(format!("{why}; back after {gone:.1} s")));
                    return Some(reader);
                }
                Err(_) if !closed && clock.now().since(lost) > GRACE => {
                    closed = true;
                    self.log.close(why);
                }
                Err(_) => {}
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

struct Tx {
    driver: &'static str,
    name: String,
    log: Arc<ConsoleLog>,
    writer: Writer,
    worker: Arc<Worker>,
    turn: tokio::sync::Mutex<()>,
    _stop: mpsc::Sender<()>,
}

impl Tx {
    async fn with(
        &self,
        op: &'static str,
        by: &Deadline,
        act: impl FnOnce(&mut dyn Typing, &Deadline) -> io::Result<()> + Send + 'static,
    ) -> Rig<()> {
        let (writer, driver, name) = (self.writer.clone(), self.driver, self.name.clone());
        let job = move |by: &Deadline| {
            let fault = || Fault::new(InfraKind::Console, driver, op, &name);
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let typing = writer.as_mut().map_err(|why| fault().expected("an open line", &*why))?;
            act(&mut **typing, by).map_err(|error| {
                let fault = fault().expected("a line that takes it", error.to_string());
                if is_pause(&error) { fault.stopped(by.stop("the line takes no more bytes")) } else { fault }
            })
        };
        self.worker.run(op, by, job).await
    }

    async fn type_in(&self, bytes: &[u8], by: &Deadline) -> Rig<()> {
        self.log.mark(&Mark::Sent(bytes.to_vec()));
        let bytes = bytes.to_vec();
        self.with("type on", by, move |typing, by| typing.write(&bytes, by)).await
    }
}

impl ConsoleTx for Tx {
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.type_in(bytes, by).await
        })
    }

    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.with("begin a break on", by, |typing, by| typing.set_break(true, by)).await?;
            let held = by.pause(BREAK, || "the break is held".into()).await;
            self.with("end a break on", by, |typing, by| typing.set_break(false, by)).await?;
            held.map_err(|stop| {
                Fault::new(InfraKind::Console, self.driver, "send a break on", &self.name).stopped(stop)
            })?;
            self.type_in(&[key], by).await
        })
    }
}
