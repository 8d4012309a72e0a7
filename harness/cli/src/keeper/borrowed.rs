//! A keeper's slot in a run's hands: outputs and consoles that are switched, read and typed on over its
//! socket. The keeper stays their owner: it makes them safe when the run dies, and its warden when it dies
//! itself.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_core::slot::{VitalSigns, Vitals};
use shakedown_core::{
    Clock, Console, ConsoleLog, ConsoleTx, Deadline, Fault, Fut, InfraKind, Level, Line, Mark, Rig, Sha,
};
use shakedown_rigs::{Given, Wiring};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::client::{Link, Unheard, answer, told, typed};
use super::seat::POWER;
use super::wait::{WORK, wait};
use super::wire::{self, Ask, Frame, Hello, Loan, Refusal, Reply, Say};
use crate::CliError;
use crate::compose::rig::Rig as RigFile;

/// A slot that a keeper lends. Dropped, or with the process, the keeper makes it safe.
pub struct Borrowed {
    loan: Loan,
    way: Arc<Way>,
    // Both as long as it is borrowed: the end of the connection ends the loan.
    to: OwnedWriteHalf,
    heard: mpsc::UnboundedReceiver<Reply>,
    tasks: Arc<Tasks>,
}

/// What reads from the keeper.
#[derive(Default)]
struct Tasks(Mutex<Vec<AbortHandle>>);

impl Tasks {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(work).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.end();
    }
}

fn fault(op: &str, endpoint: &str) -> Fault {
    Fault::new(InfraKind::Host, "keeper", op, endpoint)
}

fn strange(op: &str, endpoint: &str, reply: &Reply) -> Fault {
    fault(op, endpoint).expected("an answer", format!("{reply:?}"))
}

/// The way to the keeper for the run's further requests.
struct Way {
    socket: PathBuf,
    keeper: u32,
    rig: String,
    hash: Sha,
    slot: String,
    hold: String,
    gone: AtomicBool,
}

impl Way {
    fn name(&self) -> String {
        format!("the keeper of {} (process {})", self.rig, self.keeper)
    }

    fn lost(&self, op: &str, endpoint: &str) -> Fault {
        self.gone.store(true, Ordering::Relaxed);
        fault(op, endpoint)
            .expected(self.name(), "it is gone")
            .hint("its warden has made the rig safe; run it again")
    }

    fn unheard(&self, op: &str, endpoint: &str, why: Unheard) -> Fault {
        match why {
            Unheard::Stop(stop) => fault(op, endpoint).expected("an answer", stop.to_string()).stopped(stop),
            Unheard::Gone(error) => self.lost(op, endpoint).because(&error),
            Unheard::Unanswered(fault) => fault,
        }
    }

    /// What the keeper's driver says is passed on as it is.
    fn refused(&self, op: &str, endpoint: &str, refusal: Refusal) -> Fault {
        match refusal {
            Refusal::Fault(fault) => fault,
            other => fault(op, endpoint).expected("it done", told(&self.name(), other).what),
        }
    }

    /// One more request; its first reply.
    async fn ask(&self, ask: Ask, (op, endpoint): (&str, &str), by: &Deadline) -> Rig<(Link, Reply)> {
        let connected = Link::connect(&self.socket, &self.rig, by).await;
        let connected = connected.map_err(|error| fault(op, endpoint).expected(self.name(), error.what));
        let Some(mut link) = connected?.filter(|link| link.keeper == self.keeper) else {
            return Err(self.lost(op, endpoint));
        };
        let hello = Hello { rig: self.hash, command: typed(), hold: Some(self.hold.clone()), ask };
        let sent = async { link.send(&Frame::of(&hello)?).await };
        sent.await.map_err(|_| self.lost(op, endpoint))?;
        match link.hear(by).await {
            Ok(Ok(reply)) => Ok((link, reply)),
            Ok(Err(refusal)) => Err(self.refused(op, endpoint, refusal)),
            Err(why) => Err(self.unheard(op, endpoint, why)),
        }
    }
}

impl Borrowed {
    /// With the keeper's answer to the request for it.
    pub(super) fn new(link: Link, rig: &RigFile, slot: &str, loan: Loan) -> Self {
        let way = Arc::new(Way {
            socket: link.socket.clone(),
            keeper: link.keeper,
            rig: rig.doc.value.rig.clone(),
            hash: rig.hash(),
            slot: slot.to_owned(),
            hold: loan.hold.clone(),
            gone: AtomicBool::new(false),
        });
        let (mut from, to) = link.split();
        let (replies, heard) = mpsc::unbounded_channel();
        let tasks = Arc::new(Tasks::default());
        let watched = way.clone();
        tasks.spawn(async move {
            while let Ok(Some(frame)) = wire::read(&mut from).await {
                let Ok(reply) = frame.parse() else { break };
                let _ = replies.send(reply);
            }
            watched.gone.store(true, Ordering::Relaxed);
        });
        Self { loan, way, to, heard, tasks }
    }

    /// Its outputs and consoles, for a slot with this wiring.
    pub async fn given(&self, wiring: &Wiring, clock: &Arc<dyn Clock>, by: &Deadline) -> Rig<Given> {
        let mut given = Given::default();
        let power = wiring.power.iter().map(|driver| (POWER, driver));
        for (name, driver) in power.chain(wiring.outputs.iter().map(|(name, driver)| (&**name, driver))) {
            let Some(of) = self.loan.outputs.get(name) else { continue };
            let endpoint = of.strip_prefix(driver.name()).unwrap_or(of).trim_start().to_owned();
            let (way, output) = (self.way.clone(), name.to_owned());
            let line = RemoteLine { way, output, driver: driver.name(), endpoint };
            given.lines.insert(name.to_owned(), Arc::new(line));
        }
        for name in &self.loan.consoles {
            given.consoles.insert(name.clone(), self.console(name, clock, by).await?);
        }
        Ok(given)
    }

    /// What the rig host can tell, and whether the keeper lives.
    pub fn vitals(&self, host: Arc<dyn Vitals>) -> Arc<dyn Vitals> {
        Arc::new(Lives { host, way: self.way.clone() })
    }

    /// Ends the loan, and hears what becomes of the slot.
    pub(super) async fn give_back(mut self, leave_on: bool) -> Result<(), CliError> {
        let gone = || self.way.lost("give back", &self.way.slot);
        let say = if leave_on { Say::Leave } else { Say::GiveBack };
        wire::write(&mut self.to, &Frame::of(&say)?).await.map_err(|_| gone())?;
        let clock: Arc<dyn Clock> = shakedown_core::RealClock::start();
        // Interrupted or not.
        let by = wait("the keeper to take the slot back", WORK, &clock, &CancellationToken::new());
        loop {
            return match by.run(String::new, self.heard.recv()).await {
                Ok(Some(Reply::Proofs(_) | Reply::Done)) => Ok(()),
                Ok(Some(Reply::Question(question))) => {
                    let answer = Frame::of(&answer(&question, &by).await?)?;
                    wire::write(&mut self.to, &answer).await.map_err(|_| gone())?;
                    continue;
                }
                Ok(Some(Reply::Refused(refusal))) => {
                    Err(self.way.refused("give back", &self.way.slot, *refusal).into())
                }
                Ok(Some(reply)) => Err(strange("give back", &self.way.slot, &reply).into()),
                Ok(None) => Err(gone().into()),
                Err(stop) => Err(fault("give back", &self.way.slot).stopped(stop).into()),
            };
        }
    }

    async fn console(&self, name: &str, clock: &Arc<dyn Clock>, by: &Deadline) -> Rig<Console> {
        let way = self.way.clone();
        let ask = Ask::Feed { slot: way.slot.clone(), console: name.to_owned() };
        let endpoint = format!("{name} of {}/{}", way.rig, way.slot);
        let (link, reply) = way.ask(ask, ("follow", &endpoint), by).await?;
        let Reply::Console { can_type, .. } = reply else {
            return Err(strange("follow", &endpoint, &reply));
        };
        let log = Arc::new(ConsoleLog::new(clock.clone()));
        let (from, to) = link.split();
        let (answers, answered) = mpsc::unbounded_channel();
        let (frames, typed) = mpsc::unbounded_channel();
        self.tasks.spawn(read(way.clone(), endpoint.clone(), from, log.clone(), answers));
        self.tasks.spawn(write(to, typed));
        let turn = tokio::sync::Mutex::new(Answers { answered, owed: 0 });
        let tx = RemoteTx { way, endpoint, log: log.clone(), frames, turn };
        Ok(Console { log, tx: can_type.then(|| Arc::new(tx) as Arc<dyn ConsoleTx>) })
    }
}

struct Lives {
    host: Arc<dyn Vitals>,
    way: Arc<Way>,
}

impl Vitals for Lives {
    fn look(&self) -> VitalSigns {
        let mut signs = self.host.look();
        if self.way.gone.load(Ordering::Relaxed) {
            signs.host = Some(format!("{} is gone, and its warden has made the rig safe", self.way.name()));
        }
        signs
    }
}

/// An output of the keeper's.
struct RemoteLine {
    way: Arc<Way>,
    output: String,
    driver: &'static str,
    endpoint: String,
}

impl RemoteLine {
    async fn ask(&self, op: &str, on: Option<bool>, by: &Deadline) -> Rig<Reply> {
        // The keeper gives up first, and so tells what it waited for.
        let within = by.left().mul_f64(0.95);
        let ask = Ask::Line { slot: self.way.slot.clone(), output: self.output.clone(), on, within };
        self.way.ask(ask, (op, &self.endpoint), by).await.map(|(_, reply)| reply)
    }
}

impl Line for RemoteLine {
    fn driver(&self) -> &'static str {
        self.driver
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            match self.ask("switch", Some(on), by).await? {
                Reply::Proofs(_) => Ok(()),
                reply => Err(strange("switch", &self.endpoint, &reply)),
            }
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            match self.ask("read", None, by).await? {
                Reply::Level { level, .. } => Ok(level),
                reply => Err(strange("read", &self.endpoint, &reply)),
            }
        })
    }

    fn when_dropped(&self) -> Level {
        // The keeper holds it, whoever lets go here.
        Level::Unknown
    }
}

/// Brings what the console says into the run's own log.
async fn read(
    way: Arc<Way>,
    endpoint: String,
    mut from: OwnedReadHalf,
    log: Arc<ConsoleLog>,
    answers: mpsc::UnboundedSender<Rig<()>>,
) {
    while let Ok(Some(frame)) = wire::read(&mut from).await {
        if let Frame::Bytes(bytes) = frame {
            log.reopen();
            log.append(&bytes);
            continue;
        }
        match frame.parse() {
            Ok(Reply::Marked(mark)) => {
                if matches!(mark, Mark::Gap(_)) {
                    log.reopen();
                }
                log.mark(&mark);
            }
            Ok(Reply::Closed(why)) => log.close(why),
            Ok(Reply::Typed) => drop(answers.send(Ok(()))),
            Ok(Reply::Refused(refusal)) => {
                drop(answers.send(Err(way.refused("type on", &endpoint, *refusal))));
            }
            Ok(_) | Err(_) => break,
        }
    }
    way.gone.store(true, Ordering::Relaxed);
    log.close(format!("{endpoint}: {} is gone", way.name()));
}

/// Its own task: a frame that was begun is ended, whoever gives up waiting.
async fn write(mut to: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        if wire::write(&mut to, &frame).await.is_err() {
            break;
        }
    }
}

/// Answers to what was typed, in their order.
struct Answers {
    answered: mpsc::UnboundedReceiver<Rig<()>>,
    /// Those that are still to come.
    owed: usize,
}

/// The way to type on a console of the keeper's.
struct RemoteTx {
    way: Arc<Way>,
    endpoint: String,
    log: Arc<ConsoleLog>,
    frames: mpsc::UnboundedSender<Frame>,
    turn: tokio::sync::Mutex<Answers>,
}

impl RemoteTx {
    async fn tell(&self, op: &str, frame: io::Result<Frame>, by: &Deadline) -> Rig<()> {
        let mut turn = self.turn.lock().await;
        let frame = frame.map_err(|error| fault(op, &self.endpoint).because(&error))?;
        self.frames.send(frame).map_err(|_| self.way.lost(op, &self.endpoint))?;
        turn.owed += 1;
        loop {
            let answer = by.run(|| "the line takes no more bytes".into(), turn.answered.recv()).await;
            let answer = answer.map_err(|stop| fault(op, &self.endpoint).stopped(stop))?;
            let answer = answer.ok_or_else(|| self.way.lost(op, &self.endpoint))?;
            turn.owed -= 1;
            // Earlier ones are to what somebody has given up waiting for.
            if turn.owed == 0 {
                return answer;
            }
        }
    }
}

impl ConsoleTx for RemoteTx {
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.log.mark(&Mark::Sent(bytes.to_vec()));
        Box::pin(self.tell("type on", Ok(Frame::Bytes(bytes.to_vec())), by))
    }

    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.log.mark(&Mark::Sent(vec![key]));
        Box::pin(self.tell("send a break on", Frame::of(&Say::SysRq(key)), by))
    }
}
