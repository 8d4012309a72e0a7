//! One connection to the keeper: one request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Console, Guarded, Mark, Proof, Rig, Slot};
use shakedown_rigs::Answer;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedWriteHalf, UCred};
use tokio::sync::mpsc;

use super::hold::{self, Follow, Next};
use super::lend;
use super::seat::{POWER, Seat, Ticket, media_to_dut, output, prove};
use super::serve::Keeper;
use super::wait::{WORK, wait};
use super::wire::{self, Ask, Frame, Handles, Hello, Refusal, Reply, Said, Say, Switch, Use, Welcome, Who};

/// A command says at once what it wants.
const HELLO: Duration = Duration::from_secs(10);
/// A line takes what is typed, or the other side is gone.
pub(super) const TYPE: Duration = Duration::from_secs(10);

/// The two ways of a connection. Frames are read by a task of their own, so that waiting for one
/// can be given up.
pub(super) struct Link {
    pub(super) to: OwnedWriteHalf,
    pub(super) from: mpsc::Receiver<Frame>,
}

impl Link {
    pub(super) async fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        wire::write(&mut self.to, &Frame::of(reply)?).await
    }

    /// What the command says next; `None` when it is gone or talks nonsense.
    async fn say(&mut self) -> Option<Say> {
        self.from.recv().await?.parse().ok()
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: UnixStream, keeper: Arc<Keeper>) {
    let Ok(peer) = stream.peer_cred() else { return };
    let (mut from, to) = stream.into_split();
    let (frames, received) = mpsc::channel(16);
    let reader = tokio::spawn(async move {
        while let Ok(Some(frame)) = wire::read(&mut from).await {
            if frames.send(frame).await.is_err() {
                break;
            }
        }
    });
    let mut link = Link { to, from: received };
    // A command that has gone away is told nothing.
    let _gone = converse(&mut link, &keeper, peer).await;
    reader.abort();
}

async fn converse(link: &mut Link, keeper: &Arc<Keeper>, peer: UCred) -> io::Result<()> {
    let welcome = Welcome { version: wire::VERSION, pid: std::process::id() };
    wire::write(&mut link.to, &Frame::of(&welcome)?).await?;
    let by = wait("a request", HELLO, &keeper.clock, &keeper.stop);
    let Ok(Some(frame)) = by.run(String::new, link.from.recv()).await else { return Ok(()) };
    let hello: Hello = match frame.parse() {
        Ok(hello) => hello,
        Err(error) => return refuse(link, Refusal::Garbled(error.to_string())).await,
    };
    let who = keeper.who(peer, hello.command);
    // Whatever its rig file says by now, a keeper can be looked at and ended.
    let about_slots = !matches!(hello.ask, Ask::Status | Ask::Stop);
    if about_slots && hello.rig != keeper.hash {
        return refuse(link, Refusal::RigChanged { since: keeper.since }).await;
    }
    let hold = hello.hold.as_deref();
    match hello.ask {
        Ask::Status => link.reply(&Reply::Seats(keeper.seated().await)).await,
        Ask::Stop => {
            keeper.work.cancel();
            let mut safe = Vec::new();
            for seat in keeper.all() {
                safe.extend(asked(link, &seat, seat.make_safe(keeper)).await);
            }
            let told = link.reply(&proven(safe)).await;
            keeper.stop.cancel();
            told
        }
        Ask::Yield { slot } => {
            let given = match keeper.seat(&slot) {
                Ok(seat) => seat.give_up(keeper).await,
                Err(refusal) => Err(refusal),
            };
            link.reply(&given.map_or_else(refused, |()| Reply::Done)).await
        }
        Ask::Switch { slot, output, to } => {
            worked(link, keeper, &slot, &who, hold, async |seat, slot| {
                switch(keeper, seat, slot, &output, to, &who).await
            })
            .await
        }
        Ask::Press { slot, output, held } => {
            worked(link, keeper, &slot, &who, hold, async |seat, slot| {
                press(keeper, seat, slot, &output, held).await
            })
            .await
        }
        Ask::Address { slot, port } => {
            let Some((seat, ticket)) = enter(link, keeper, &slot, Use::Works, &who, hold).await? else {
                return Ok(());
            };
            let reply = address(keeper, &seat, &ticket.slot, port).await.map_or_else(refused, Reply::Address);
            let told = link.reply(&reply).await;
            // The way there may be a part of the slot: it is open as long as somebody goes it.
            said_at_the_end(link, keeper).await;
            seat.leave(ticket).await;
            told
        }
        Ask::Console { slot, console, tail } => {
            let how = Use::Follows(console.clone());
            let Some((seat, ticket)) = enter(link, keeper, &slot, how, &who, hold).await? else {
                return Ok(());
            };
            let told = if let Some(line) = ticket.slot.consoles.get(&console).cloned() {
                follow(link, keeper, &seat, &ticket, (&console, line), tail, &who).await
            } else {
                let known = ticket.slot.consoles.keys().cloned().collect();
                refuse(link, no_such("console", &console, known)).await
            };
            seat.leave(ticket).await;
            told
        }
        Ask::Screen { slot } => {
            let Some((seat, ticket)) = enter(link, keeper, &slot, Use::Works, &who, hold).await? else {
                return Ok(());
            };
            let taken = asked(link, &seat, screen(keeper, &seat, &ticket.slot)).await;
            seat.leave(ticket).await;
            let png = match taken {
                Ok(png) => png,
                Err(refusal) => return refuse(link, refusal).await,
            };
            link.reply(&Reply::Picture { bytes: png.len() }).await?;
            for part in png.chunks(wire::LONGEST as usize) {
                wire::write(&mut link.to, &Frame::Bytes(part.to_vec())).await?;
            }
            Ok(())
        }
        Ask::Line { slot, output, on, within } => {
            worked(link, keeper, &slot, &who, hold, async |seat, slot| {
                lend::line(keeper, seat, slot, &output, on, within, &who).await
            })
            .await
        }
        Ask::Feed { slot, console } => {
            let how = Use::Follows(console.clone());
            let Some((seat, ticket)) = enter(link, keeper, &slot, how, &who, hold).await? else {
                return Ok(());
            };
            let told = lend::feed(link, keeper, &seat, &ticket, &console, &who).await;
            seat.leave(ticket).await;
            told
        }
        Ask::Hold { slot } => held(link, keeper, &slot, Held::Program, &who).await,
        Ask::Borrow { slot } => held(link, keeper, &slot, Held::Run, &who).await,
    }
}

pub(super) fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(Box::new(refusal))
}

/// What became of outputs; the first that failed is told.
fn proven(done: Vec<Rig<Proof>>) -> Reply {
    let proofs = done.into_iter().collect::<Rig<Vec<_>>>();
    proofs.map_or_else(|fault| refused(fault.into()), Reply::Proofs)
}

pub(super) async fn refuse(link: &mut Link, refusal: Refusal) -> io::Result<()> {
    link.reply(&refused(refusal)).await
}

pub(super) fn no_such(kind: &str, got: &str, known: Vec<String>) -> Refusal {
    Refusal::NoSuch { kind: kind.to_owned(), got: got.to_owned(), known }
}

/// `None` when the command was told why not.
async fn enter(
    link: &mut Link,
    keeper: &Keeper,
    slot: &str,
    how: Use,
    who: &Who,
    hold: Option<&str>,
) -> io::Result<Option<(Arc<Seat>, Ticket)>> {
    let entered = match keeper.seat(slot) {
        Ok(seat) => seat.enter(keeper, how, who, hold).await.map(|ticket| (seat, ticket)),
        Err(refusal) => Err(refusal),
    };
    match entered {
        Ok(entered) => Ok(Some(entered)),
        Err(refusal) => refuse(link, refusal).await.map(|()| None),
    }
}

/// Enters, switches something in the slot's turn, leaves, and tells what came of it.
async fn worked(
    link: &mut Link,
    keeper: &Keeper,
    slot: &str,
    who: &Who,
    hold: Option<&str>,
    work: impl AsyncFnOnce(&Seat, &Slot) -> Result<Reply, Refusal>,
) -> io::Result<()> {
    let Some((seat, ticket)) = enter(link, keeper, slot, Use::Works, who, hold).await? else {
        return Ok(());
    };
    let allowed = async {
        seat.may_switch(keeper, &ticket)?;
        work(&seat, &ticket.slot).await
    };
    let reply = asked(link, &seat, allowed).await.unwrap_or_else(refused);
    seat.leave(ticket).await;
    link.reply(&reply).await
}

/// Does the work in the slot's turn, and passes its questions on to the person at the command's
/// terminal. The work goes on when the command is gone: what was begun on hardware is ended.
async fn asked<T>(link: &mut Link, seat: &Seat, work: impl Future<Output = T>) -> T {
    let _turn = seat.turn.lock().await;
    let mut questions = seat.asker.listen();
    let mut unanswered = None;
    let mut work = std::pin::pin!(work);
    // The work is never left waiting for an answer: its own deadline, or the keeper's end, may end it first.
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some((question, back)) = questions.recv() => {
                // Dropped, the one who asks hears that nobody is there. Whoever left a question open is not
                // asked another: the answer could be to either.
                if unanswered.is_none() && link.reply(&Reply::Question(question)).await.is_ok() {
                    unanswered = Some(back);
                }
            }
            said = link.say(), if unanswered.is_some() => {
                if let (Some(back), Some(Say::Answer(said))) = (unanswered.take(), said) {
                    let _ = back.send(match said {
                        Said::Yes => Answer::Yes,
                        Said::No => Answer::No,
                        Said::DoNotKnow => Answer::DoNotKnow,
                    });
                }
            }
        }
    }
}

pub(super) fn find<'a>(slot: &'a Slot, name: &str) -> Result<&'a Guarded, Refusal> {
    output(slot, name).ok_or_else(|| {
        let power = slot.power.iter().map(|_| POWER.to_owned());
        no_such("output", name, power.chain(slot.outputs.keys().cloned()).collect())
    })
}

async fn switch(
    keeper: &Keeper,
    seat: &Seat,
    slot: &Slot,
    name: &str,
    to: Switch,
    who: &Who,
) -> Result<Reply, Refusal> {
    let line = find(slot, name)?;
    let by = wait(format!("{name} of {}", seat.id), WORK, &keeper.clock, &keeper.work);
    if to == Switch::Status {
        let level = line.status(&by).await?;
        if level == shakedown_core::Level::Off {
            seat.note(name, false, who);
        }
        return Ok(Reply::Level { level, of: line.describe() });
    }
    let mut proofs = Vec::new();
    if matches!(to, Switch::Off | Switch::Cycle) {
        let proof = line.set(false, &by).await?;
        mark(slot, &proof);
        proofs.push(prove(slot, proof, &by).await?);
        seat.note(name, false, who);
    }
    if matches!(to, Switch::On | Switch::Cycle) {
        if name == POWER {
            media_to_dut(slot, &by).await?;
        }
        // Before it is known whether it worked: what may be on is not forgotten.
        seat.note(name, true, who);
        let proof = line.set(true, &by).await?;
        mark(slot, &proof);
        proofs.push(prove(slot, proof, &by).await?);
    }
    Ok(Reply::Proofs(proofs))
}

/// The recording and the readers of the console see what happened to the supply.
pub(super) fn mark(slot: &Slot, proof: &Proof) {
    if proof.output == POWER
        && let Some(log) = slot.log()
    {
        log.mark(if proof.on { &Mark::PowerOn } else { &Mark::PowerOff });
    }
}

async fn press(
    keeper: &Keeper,
    seat: &Seat,
    slot: &Slot,
    name: &str,
    held: Duration,
) -> Result<Reply, Refusal> {
    let line = find(slot, name)?;
    let by = wait(format!("{name} of {}", seat.id), WORK + held, &keeper.clock, &keeper.work);
    let (on, off) = line.press(held, &by).await?;
    Ok(Reply::Proofs(vec![on, off]))
}

async fn address(
    keeper: &Keeper,
    seat: &Seat,
    slot: &Slot,
    port: u16,
) -> Result<std::net::SocketAddr, Refusal> {
    let Some(network) = &slot.network else {
        return Err(no_such("network", &slot.id, Vec::new()));
    };
    let by = wait(format!("port {port} of {}", seat.id), WORK, &keeper.clock, &keeper.work);
    Ok(network.tcp(port, &by).await.map_err(|error| error.into_fault(&slot.id))?)
}

async fn screen(keeper: &Keeper, seat: &Seat, slot: &Slot) -> Result<Vec<u8>, Refusal> {
    let Some(capture) = &slot.capture else {
        return Err(no_such("screen", &slot.id, Vec::new()));
    };
    let by = wait(format!("a picture of {}", seat.id), WORK, &keeper.clock, &keeper.work);
    Ok(capture.screenshot(&by).await?)
}

async fn follow(
    link: &mut Link,
    keeper: &Keeper,
    seat: &Seat,
    ticket: &Ticket,
    (name, console): (&str, Console),
    tail: u64,
    who: &Who,
) -> io::Result<()> {
    let tx = console.tx.as_ref();
    let writer = match tx {
        Some(_) => seat.write(name, ticket, who).err(),
        None => None,
    };
    let may_type = tx.filter(|_| writer.is_none());
    link.reply(&Reply::Console { writer, can_type: tx.is_some() }).await?;
    let mut follow = Follow::new(&console.log, tail);
    loop {
        tokio::select! {
            () = keeper.stop.cancelled() => {
                return link.reply(&Reply::Note("the keeper ends".into())).await;
            }
            next = follow.next() => match next {
                Next::Bytes(bytes) => {
                    wire::write(&mut link.to, &Frame::Bytes(bytes.to_vec())).await?;
                }
                Next::Ended(why) => link.reply(&Reply::Note(format!("the line was closed: {why}"))).await?,
            },
            frame = link.from.recv() => {
                let Some(Frame::Bytes(bytes)) = frame else { return Ok(()) };
                let by = wait("the console to take what is typed", TYPE, &keeper.clock, &keeper.stop);
                let typed = match may_type.filter(|_| seat.writes(name, ticket)) {
                    Some(tx) => tx.send(&bytes, &by).await,
                    None => Ok(()),
                };
                if let Err(fault) = typed {
                    link.reply(&Reply::Note(fault.to_string())).await?;
                }
            }
        }
    }
}

/// Who holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Any program: it gets sockets.
    Program,
    /// A run, which makes its own slot of what it borrows.
    Run,
}

/// Holds the slot as long as the command lives, and makes it safe however that ends, but for a run that
/// leaves it on.
async fn held(link: &mut Link, keeper: &Arc<Keeper>, slot: &str, by: Held, who: &Who) -> io::Result<()> {
    let (name, token) = keeper.token(who);
    let entered = async {
        let seat = keeper.seat(slot)?;
        if by == Held::Run {
            seat.is_not_held()?;
            seat.is_off(keeper).await?;
        }
        let ticket = seat.hold(keeper, who, &token).await?;
        Ok((seat, ticket))
    };
    let (seat, ticket) = match entered.await {
        Ok(entered) => entered,
        Err(refusal) => return refuse(link, refusal).await,
    };
    let (ended, told) = match by {
        Held::Program => program(link, keeper, &seat, &ticket, &name, token).await,
        Held::Run => {
            let told = link.reply(&Reply::Lent(lend::loan(&ticket.slot, token))).await;
            (if told.is_ok() { said_at_the_end(link, keeper).await } else { None }, told)
        }
    };
    seat.hold_is_over();
    if ended == Some(Say::Leave) && by == Held::Run {
        seat.leave(ticket).await;
        return link.reply(&Reply::Done).await;
    }
    if ended == Some(Say::GiveBack) {
        let safe = asked(link, &seat, seat.make_safe(keeper)).await;
        seat.leave(ticket).await;
        return link.reply(&proven(safe)).await;
    }
    // The command is gone, or does not listen: it is asked nothing.
    let safe = {
        let _turn = seat.turn.lock().await;
        seat.make_safe(keeper).await
    };
    seat.leave(ticket).await;
    for fault in safe.into_iter().filter_map(Result::err) {
        crate::say::err!("{}: {fault}", seat.id);
    }
    told
}

/// What the holder says last; `None` when it is gone, or the keeper ends.
async fn said_at_the_end(link: &mut Link, keeper: &Keeper) -> Option<Say> {
    tokio::select! {
        () = keeper.stop.cancelled() => None,
        said = link.say() => said,
    }
}

/// Gives a program its sockets, until it ends.
async fn program(
    link: &mut Link,
    keeper: &Arc<Keeper>,
    seat: &Arc<Seat>,
    ticket: &Ticket,
    name: &str,
    token: String,
) -> (Option<Say>, io::Result<()>) {
    let folder = keeper.folder.join(name);
    match hold::open(&folder, keeper, seat, &ticket.slot, &token) {
        Ok((sockets, consoles)) => {
            let power = ticket.slot.power.iter().map(|_| POWER.to_owned());
            let handles = Handles {
                slot: ticket.slot.id.clone(),
                hold: token,
                consoles,
                outputs: power.chain(ticket.slot.outputs.keys().cloned()).collect(),
                media: ticket.slot.media.iter().map(|(name, m)| (name.clone(), m.endpoint())).collect(),
            };
            let told = link.reply(&Reply::Held(handles)).await;
            let said = if told.is_ok() { said_at_the_end(link, keeper).await } else { None };
            sockets.close().await;
            (said, told)
        }
        Err(error) => {
            let refusal = Refusal::Garbled(format!("no sockets for its consoles: {error}"));
            (None, refuse(link, refusal).await)
        }
    }
}
