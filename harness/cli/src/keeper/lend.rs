//! What a run borrows: the keeper's outputs and consoles, while the keeper stays their owner.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use shakedown_core::{Chunk, Mark, Mono, Rig, Slot, Tap};
use tokio::sync::mpsc;

use super::hold::{Follow, Next};
use super::seat::{POWER, Seat, Ticket};
use super::serve::Keeper;
use super::session::{Link, TYPE, find, mark, no_such, refuse, refused};
use super::wait::wait;
use super::wire::{self, Frame, Loan, Refusal, Reply, Say, Who};

/// What there is to borrow.
pub(super) fn loan(slot: &Slot, hold: String) -> Loan {
    let power = slot.power.iter().map(|line| (POWER.to_owned(), line.describe()));
    let others = slot.outputs.iter().map(|(name, line)| (name.clone(), line.describe()));
    Loan { hold, outputs: power.chain(others).collect(), consoles: slot.consoles.keys().cloned().collect() }
}

/// Switches or reads one output. Unlike for a command, nothing is done besides: a run looks after its
/// media and its proofs itself.
pub(super) async fn line(
    keeper: &Keeper,
    seat: &Seat,
    slot: &Slot,
    name: &str,
    on: Option<bool>,
    within: Duration,
    who: &Who,
) -> Result<Reply, Refusal> {
    let line = find(slot, name)?;
    let by = wait(format!("{name} of {}", seat.id), within, &keeper.clock, &keeper.work);
    let Some(on) = on else {
        return Ok(Reply::Level { level: line.status(&by).await?, of: line.describe() });
    };
    if on {
        // Before it is known whether it worked: what may be on is not forgotten.
        seat.note(name, true, who);
    }
    let proof = line.set(on, &by).await?;
    if !on {
        seat.note(name, false, who);
    }
    mark(slot, &proof);
    Ok(Reply::Proofs(vec![proof]))
}

/// Passes on what happened to the line; its bytes are read from the log.
struct Marks(mpsc::UnboundedSender<(u64, Mark)>);

impl Tap for Marks {
    fn chunk(&mut self, _chunk: &Chunk) {}

    fn mark(&mut self, _at: Mono, off: u64, mark: &Mark) {
        // What was typed and switched the run knows itself.
        if matches!(mark, Mark::Gap(_) | Mark::Note(_)) {
            let _ = self.0.send((off, mark.clone()));
        }
    }
}

type Typing<'a> = Pin<Box<dyn Future<Output = Rig<()>> + Send + 'a>>;

/// What became of what is being typed; never, where nothing is.
async fn ended(typing: &mut Option<Typing<'_>>) -> Rig<()> {
    match typing {
        Some(typing) => typing.await,
        None => std::future::pending().await,
    }
}

/// Serves a run's console to the end of the connection.
pub(super) async fn feed(
    link: &mut Link,
    keeper: &Keeper,
    seat: &Seat,
    ticket: &Ticket,
    name: &str,
    who: &Who,
) -> io::Result<()> {
    let Some(console) = ticket.slot.consoles.get(name) else {
        return refuse(link, no_such("console", name, ticket.slot.consoles.keys().cloned().collect())).await;
    };
    let writer = console.tx.as_ref().and_then(|_| seat.write(name, ticket, who).err());
    let tx = console.tx.as_ref().filter(|_| writer.is_none());
    let mut follow = Follow::new(&console.log, 0);
    let (marks, mut marked) = mpsc::unbounded_channel();
    console.log.attach(Box::new(Marks(marks)));
    link.reply(&Reply::Console { writer, can_type: tx.is_some() }).await?;
    let mut waiting: VecDeque<(u64, Mark)> = VecDeque::new();
    let mut typing: Option<Typing<'_>> = None;
    loop {
        // In their places among the bytes: a mark is told before what came after it.
        while waiting.front().is_some_and(|(off, _)| *off <= follow.here()) {
            let Some((_, mark)) = waiting.pop_front() else { break };
            if matches!(mark, Mark::Gap(_)) {
                follow.is_back();
            }
            link.reply(&Reply::Marked(mark)).await?;
        }
        tokio::select! {
            biased;
            () = keeper.stop.cancelled() => return Ok(()),
            Some(mark) = marked.recv() => waiting.push_back(mark),
            typed = ended(&mut typing) => {
                typing = None;
                let reply = typed.map_or_else(|fault| refused(fault.into()), |()| Reply::Typed);
                link.reply(&reply).await?;
            }
            frame = link.from.recv(), if typing.is_none() => {
                let Some(frame) = frame else { return Ok(()) };
                let Some(tx) = tx.filter(|_| seat.writes(name, ticket)) else {
                    refuse(link, Refusal::Garbled("this connection does not type".into())).await?;
                    continue;
                };
                let by = wait("the console to take what is typed", TYPE, &keeper.clock, &keeper.work);
                typing = Some(match frame {
                    Frame::Bytes(bytes) => Box::pin(async move { tx.send(&bytes, &by).await }),
                    document @ Frame::Document(_) => match document.parse() {
                        Ok(Say::SysRq(key)) => Box::pin(async move { tx.sysrq(key, &by).await }),
                        _ => return Ok(()),
                    },
                });
            }
            next = follow.next() => match next {
                Next::Bytes(bytes) => wire::write(&mut link.to, &Frame::Bytes(bytes.to_vec())).await?,
                Next::Ended(why) => link.reply(&Reply::Closed(why)).await?,
            },
        }
    }
}
