//! The way to a rig's keeper: finding it, starting it, asking it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Clock, Deadline, ExitCode, Fault, RealClock, Rig, Stop};
use shakedown_host::{Detached, LockError, SlotLock, Tool, dirs, lock};
use shakedown_rigs::{Answer, Operator};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::sync::CancellationToken;

use super::borrowed::Borrowed;
use super::wait::wait;
use super::wire::{self, Ask, Frame, Hello, Refusal, Reply, Said, Say, Welcome};
use crate::CliError;
use crate::compose::operator::Terminal;
use crate::compose::rig::Rig as RigFile;
use crate::say::err;

/// A keeper reads a rig file and the boards, and listens.
const START: Duration = Duration::from_secs(30);
/// A keeper that lives says its first words at once; one that ends never does.
const FIRST_WORDS: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);
/// Names the hold that a command belongs to.
pub const HOLD: &str = "SHAKEDOWN_HOLD";
/// Where the keeper of a rig host, started by systemd, listens for all users.
const HOST_WIDE: &str = "/run/shakedown";

/// The places where a rig's keeper may listen, the host's own first. `SHAKEDOWN_RUNTIME` leaves
/// only the one below it.
pub fn sockets(rig: &str) -> Result<Vec<PathBuf>, CliError> {
    let file = format!("{}.sock", lock::file_name(rig, "keeper"));
    let own = dirs::runtime()?.join(&file);
    let apart = std::env::var_os("SHAKEDOWN_RUNTIME").is_some_and(|value| !value.is_empty());
    Ok(if apart { vec![own] } else { vec![Path::new(HOST_WIDE).join(&file), own] })
}

/// What somebody who finds a slot in use can do.
const ANOTHER: &str = "wait for it, or take another slot";

/// The exclusive right to a slot.
pub enum Right {
    /// We have the slot's lock, and open its hardware ourselves.
    Lock(SlotLock),
    /// The rig's keeper has the lock and the hardware, and lends us its outputs and consoles.
    Loan(Borrowed),
}

impl Right {
    /// What is borrowed, where something is.
    pub fn borrowed(&self) -> Option<&Borrowed> {
        match self {
            Self::Lock(_) => None,
            Self::Loan(borrowed) => Some(borrowed),
        }
    }

    /// Ends it in order, once the slot that was made with it is dropped. A keeper makes the slot safe,
    /// or leaves on what is on. What goes wrong with that is told here, beside whatever the work came to.
    pub async fn give_back(self, leave_on: bool) -> ExitCode {
        let back = match self {
            Self::Lock(_) => Ok(()),
            Self::Loan(borrowed) => borrowed.give_back(leave_on).await,
        };
        let Err(error) = back else { return ExitCode::Ok };
        err!("{error}");
        error.exit
    }
}

/// What came of asking for a slot.
pub enum Taken {
    /// It is ours.
    Ours(Right),
    /// Somebody else uses it; who and since when.
    Busy(CliError),
}

/// A connection with a request on it.
pub struct Link {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    /// The keeper's process.
    pub keeper: u32,
    /// Where it listens.
    pub socket: PathBuf,
    rig: String,
}

/// Why there is no reply.
pub enum Unheard {
    /// The wait ended.
    Stop(Stop),
    /// The keeper is gone, or talks nonsense.
    Gone(std::io::Error),
    /// The keeper asked something, and nobody answered.
    Unanswered(Fault),
}

/// Who asks whom.
pub struct Caller<'a> {
    /// The rig.
    pub rig: &'a RigFile,
    /// Folders of `--path`, for a keeper that is started.
    pub paths: &'a [PathBuf],
    /// Ends every wait.
    pub cancel: CancellationToken,
    /// The hold that it belongs to.
    hold: Option<String>,
    clock: Arc<dyn Clock>,
}

impl<'a> Caller<'a> {
    /// For a rig file.
    pub fn new(rig: &'a RigFile, paths: &'a [PathBuf], cancel: CancellationToken) -> Self {
        let hold = std::env::var(HOLD).ok().filter(|hold| !hold.is_empty());
        Self { rig, paths, cancel, hold, clock: RealClock::start() }
    }

    /// The same, on a slot that is held by this word.
    #[must_use]
    pub fn inside(&self, hold: &str) -> Self {
        Self {
            rig: self.rig,
            paths: self.paths,
            cancel: self.cancel.clone(),
            hold: Some(hold.to_owned()),
            clock: self.clock.clone(),
        }
    }

    /// A wait of this command.
    pub fn wait(&self, name: &str, span: Duration) -> Deadline {
        wait(name, span, &self.clock, &self.cancel)
    }

    /// Asks the keeper, which is started when there is none.
    pub async fn ask(&self, ask: Ask) -> Result<Link, CliError> {
        let by = self.wait("the keeper", START);
        let sockets = sockets(&self.rig.doc.value.rig)?;
        let mut started: Option<(Detached, PathBuf)> = None;
        loop {
            if let Some(link) = self.connect(&sockets, &by).await? {
                return self.begin(link, ask).await;
            }
            let ended = match &mut started {
                Some((keeper, _)) => keeper.try_status()?,
                None => None,
            };
            match (&started, ended) {
                // It found another one, which by now may have ended: a new look decides.
                (Some(_), Some(status)) if status.success() => started = None,
                (Some((_, log)), Some(_)) => {
                    let said = std::fs::read_to_string(log).unwrap_or_default();
                    let said = said.trim_end().trim_start_matches("error: ");
                    return Err(CliError::infra(format!("the keeper ended at once: {said}")));
                }
                (None, _) => started = Some(self.start()?),
                (Some(_), None) => {}
            }
            let seen = || "nobody listens on its socket yet".to_owned();
            by.pause(TICK, seen).await.map_err(|stop| stopped(&stop, "start the keeper"))?;
        }
    }

    /// Asks the keeper, if there is one.
    pub async fn ask_if_there(&self, ask: Ask) -> Result<Option<Link>, CliError> {
        let sockets = sockets(&self.rig.doc.value.rig)?;
        let by = self.wait("the keeper", START);
        match self.connect(&sockets, &by).await? {
            Some(link) => self.begin(link, ask).await.map(Some),
            None => Ok(None),
        }
    }

    /// The clock of this command's waits.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The exclusive right to a slot. Hardware that a keeper has is borrowed from it; a virtual machine
    /// it gives up, when nobody uses it.
    pub async fn take(&self, slot: &str, by: &Deadline) -> Result<Right, CliError> {
        match self.try_take(slot, by).await? {
            Taken::Ours(right) => Ok(right),
            Taken::Busy(by_whom) => Err(by_whom),
        }
    }

    /// The same, for those who come again while somebody else uses it.
    pub async fn try_take(&self, slot: &str, by: &Deadline) -> Result<Taken, CliError> {
        let hardware = self.rig.slot(Some(slot), None)?.1.wiring().is_some();
        let slot_of = slot.to_owned();
        let ask = if hardware { Ask::Borrow { slot: slot_of } } else { Ask::Yield { slot: slot_of } };
        if let Some(mut keeper) = self.ask_if_there(ask).await? {
            // An interrupt does not end the keeper's work.
            let by = wait("the keeper's answer", super::wait::WORK, &self.clock, &CancellationToken::new());
            match keeper.hear(&by).await {
                Ok(Ok(Reply::Lent(loan))) => {
                    let borrowed = Borrowed::new(keeper, self.rig, slot, loan);
                    return Ok(Taken::Ours(Right::Loan(borrowed)));
                }
                Ok(Ok(Reply::Done)) if !hardware => {}
                Ok(Ok(reply)) => {
                    return Err(CliError::infra(format!("the keeper answered something else: {reply:?}")));
                }
                // Somebody has it, and may be done later.
                Ok(Err(refusal @ (Refusal::InUse { .. } | Refusal::Locked(_) | Refusal::Ends))) => {
                    return Ok(Taken::Busy(keeper.refused(refusal)));
                }
                Ok(Err(refusal)) => return Err(keeper.refused(refusal)),
                Err(why) => return Err(keeper.unheard(why)),
            }
        }
        let folder = lock::folder()?;
        match lock::acquire(&folder, &self.rig.doc.value.rig, slot, &typed(), by).await {
            Ok(lock) => Ok(Taken::Ours(Right::Lock(lock))),
            Err(LockError::Held(held)) => Ok(Taken::Busy(CliError::infra(held).hint(ANOTHER))),
            Err(LockError::Rig(fault)) => Err(fault.into()),
        }
    }

    async fn connect(&self, sockets: &[PathBuf], by: &Deadline) -> Result<Option<Link>, CliError> {
        for socket in sockets {
            if let Some(link) = Link::connect(socket, &self.rig.doc.value.rig, by).await? {
                return Ok(Some(link));
            }
        }
        Ok(None)
    }

    async fn begin(&self, mut link: Link, ask: Ask) -> Result<Link, CliError> {
        let hello = Hello { rig: self.rig.hash(), command: typed(), hold: self.hold.clone(), ask };
        link.send(&Frame::of(&hello)?).await?;
        Ok(link)
    }

    fn start(&self) -> Result<(Detached, PathBuf), CliError> {
        let log =
            dirs::runtime()?.join(format!("{}.log", lock::file_name(&self.rig.doc.value.rig, "keeper")));
        let file = File::options().create(true).append(true).open(&log)?;
        // What the last one said is of no use any more; two that start at once both append.
        file.set_len(0)?;
        let mut tool = Tool::new("/proc/self/exe");
        for path in self.paths {
            tool = tool.arg("--path").arg(std::path::absolute(path)?);
        }
        tool = tool.args(["keep", "--on-demand"]);
        if let Some(rig) = &self.rig.file {
            tool = tool.arg(std::path::absolute(rig)?);
        }
        Ok((tool.start_detached(&file)?, log))
    }
}

/// What somebody typed, for others to read.
pub fn typed() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned());
    program.into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn strange(socket: &Path, error: &std::io::Error) -> CliError {
    CliError::infra(format!("{} is not a keeper's socket: {error}", socket.display()))
}

/// What the person at the bench says to a question of the keeper's.
pub(super) async fn answer(question: &str, by: &Deadline) -> Rig<Say> {
    Ok(Say::Answer(match Terminal.ask(question, by).await? {
        Answer::Yes => Said::Yes,
        Answer::No => Said::No,
        Answer::DoNotKnow => Said::DoNotKnow,
    }))
}

fn stopped(stop: &shakedown_core::Stop, what: &str) -> CliError {
    let exit = match stop {
        shakedown_core::Stop::Cancelled(_) => shakedown_core::ExitCode::Interrupted,
        shakedown_core::Stop::Late(_) => shakedown_core::ExitCode::Infra,
    };
    CliError { exit, ..CliError::infra(format!("cannot {what}: {stop}")) }
}

impl Link {
    /// To the keeper that listens there; `None` where none does.
    pub async fn connect(socket: &Path, rig: &str, by: &Deadline) -> Result<Option<Self>, CliError> {
        let Ok(stream) = UnixStream::connect(socket).await else { return Ok(None) };
        let (mut from, to) = stream.into_split();
        let by = by.child("the keeper's first words", FIRST_WORDS);
        let frame = by.run(String::new, wire::read(&mut from)).await;
        // One that is about to end closes the connection without a word.
        let Ok(Some(frame)) = frame.map_err(|stop| stopped(&stop, "hear the keeper"))? else {
            return Ok(None);
        };
        let welcome: Welcome = frame.parse().map_err(|error| strange(socket, &error))?;
        if welcome.version != wire::VERSION {
            let what = format!(
                "the keeper at {} speaks version {} of the protocol, this command version {}",
                socket.display(),
                welcome.version,
                wire::VERSION
            );
            return Err(CliError::refused(what)
                .hint(format!("end it (kill {}) and ask again: a new one is started", welcome.pid)));
        }
        let (socket, rig) = (socket.to_owned(), rig.to_owned());
        Ok(Some(Self { from, to, keeper: welcome.pid, socket, rig }))
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), CliError> {
        wire::write(&mut self.to, frame).await.map_err(|error| self.gone(&error))
    }

    /// Says something.
    pub async fn say(&mut self, say: Say) -> Result<(), CliError> {
        self.send(&Frame::of(&say)?).await
    }

    /// The next reply. Questions to the person at the bench are asked here; a refusal is an error.
    pub async fn reply(&mut self, by: &Deadline) -> Result<Reply, CliError> {
        match self.hear(by).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => Err(self.refused(refusal)),
            Err(why) => Err(self.unheard(why)),
        }
    }

    /// So many bytes, in as many frames as they come in.
    pub async fn bytes(&mut self, count: usize, by: &Deadline) -> Result<Vec<u8>, CliError> {
        let mut all = Vec::new();
        while all.len() < count {
            let far = || format!("{} of {count} bytes", all.len());
            let frame = by.run(far, wire::read(&mut self.from)).await;
            match frame.map_err(|stop| stopped(&stop, "hear the keeper"))? {
                Ok(Some(Frame::Bytes(part))) => all.extend(part),
                Ok(_) => return Err(self.gone(&std::io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(self.gone(&error)),
            }
        }
        Ok(all)
    }

    fn unheard(&self, why: Unheard) -> CliError {
        match why {
            Unheard::Stop(stop) => stopped(&stop, "hear the keeper"),
            Unheard::Gone(error) => self.gone(&error),
            Unheard::Unanswered(fault) => fault.into(),
        }
    }

    /// The next reply, or why not. Questions to the person at the bench are asked here.
    pub async fn hear(&mut self, by: &Deadline) -> Result<Result<Reply, Refusal>, Unheard> {
        loop {
            let frame = by.run(String::new, wire::read(&mut self.from)).await.map_err(Unheard::Stop)?;
            let end = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            let reply = frame.and_then(|frame| frame.ok_or_else(end)?.parse()).map_err(Unheard::Gone)?;
            match reply {
                Reply::Question(question) => {
                    let said = answer(&question, by).await.map_err(Unheard::Unanswered)?;
                    let answer = Frame::of(&said).map_err(Unheard::Gone)?;
                    wire::write(&mut self.to, &answer).await.map_err(Unheard::Gone)?;
                }
                Reply::Refused(refusal) => return Ok(Err(*refusal)),
                reply => return Ok(Ok(reply)),
            }
        }
    }

    /// The two halves, for a console.
    pub fn split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (self.from, self.to)
    }

    fn gone(&self, error: &std::io::Error) -> CliError {
        CliError::infra(format!("the keeper of {} (process {}) is gone: {error}", self.rig, self.keeper))
            .hint("its warden has made the rig safe; ask again: a new one is started")
    }

    /// A refusal as a person reads it.
    pub fn refused(&self, refusal: Refusal) -> CliError {
        told(&format!("the keeper of {} (process {})", self.rig, self.keeper), refusal)
    }
}

/// A refusal of this keeper's as a person reads it.
pub(super) fn told(keeper: &str, refusal: Refusal) -> CliError {
    match refusal {
        Refusal::RigChanged { since } => CliError::refused(format!(
            "{keeper} has another version of the rig file: it read it at {since:.0}"
        ))
        .hint("end it with `shakedown keep --stop`, which makes the rig safe, and ask again"),
        Refusal::NoSuch { kind, got, known } => {
            let near = shakedown_conf::nearest(&got, known.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            CliError::refused(format!("no {kind} `{got}`")).hint(format!("{near}There are: {known}"))
        }
        Refusal::InUse { slot, used } => {
            let hint = match &used.how {
                wire::Use::On(output) => {
                    let output = match output.as_str() {
                        "power" => String::new(),
                        other => format!(" --output {other}"),
                    };
                    format!(
                        "`shakedown power {slot} off{output}` gives it back, when nobody needs it any more"
                    )
                }
                _ => ANOTHER.to_owned(),
            };
            CliError::infra(format!("{slot} is in use, by {keeper}: {used}")).hint(hint)
        }
        Refusal::HoldEnded => CliError::infra("the hold that this belongs to has ended"),
        Refusal::Ends => {
            CliError::infra(format!("{keeper} is ending")).hint("ask again: a new one is started")
        }
        Refusal::Locked(held) => CliError::infra(held).hint(ANOTHER),
        Refusal::Garbled(what) => CliError::refused(what.trim_start_matches("error: ")),
        Refusal::Fault(fault) => fault.into(),
    }
}
