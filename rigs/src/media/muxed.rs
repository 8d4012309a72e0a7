//! A card behind a mux on USB: what every such mux has in common.
//!
//! Nothing is remembered: the mux is asked each time, and it is believed only together with its card reader,
//! which has to show the card on the rig host's side and to lose it on every other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Medium, Rig, Side, Storage};

use super::block_device::direct::DirectMedium;
use super::block_device::names;
use super::card::{Card, Found, LET_GO, LOCKED, Reader, unlocked, until};
use crate::usb::Ask;
use crate::worker::Worker;

/// What moves a card between the rig host and the DUT. Its methods block: they run on the driver's own thread.
pub(crate) trait Mux: Clone + Send + Sync + 'static {
    /// The driver's.
    const NAME: &'static str;
    /// Where the card can be.
    const SIDES: &'static [Side];

    /// Which mux.
    fn endpoint(&self) -> String;

    /// Asks it where the card is.
    fn side(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Side>;

    /// Takes the card away from both sides, where it can; so long the card needs then to lose its voltage.
    fn release(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Duration>;

    /// Gives it to a side.
    fn connect(&self, ask: &Ask<'_>, to: Side, by: &Deadline) -> Rig<()>;

    /// The folder of its card reader, a USB device, in the kernel's view.
    fn reader(&self, ask: &Ask<'_>) -> Rig<PathBuf>;

    /// The card's own identity, in 32 digits, where it can be read.
    fn cid(&self, _ask: &Ask<'_>, _by: &Deadline) -> Rig<Option<String>> {
        Ok(None)
    }
}

/// A card behind a mux, as a slot's medium.
pub(crate) struct Muxed<M> {
    mux: M,
    card: Arc<Card>,
    worker: Arc<Worker>,
}

/// Finds the mux, and what is in its reader.
pub(crate) async fn open<M: Mux>(
    mux: M,
    serial: Option<String>,
    max_size: u64,
    by: &Deadline,
) -> Rig<Arc<dyn Storage>> {
    let endpoint = mux.endpoint();
    let worker = Worker::for_media(M::NAME, &endpoint)?;
    let card = Arc::new(Card::new(M::NAME, endpoint, serial, max_size));
    let muxed = Muxed { mux, card, worker };
    let first = |at: &At<M>, by: &Deadline| match at.side(by)? {
        // What is there already is what the slot means from now on.
        Side::Host => at.present(by)?.map_or(Ok(()), |found| at.card.admit(&found.facts)),
        _ => Ok(()),
    };
    muxed.job("open", by, first).await?;
    Ok(Arc::new(muxed))
}

/// The mux and its card during one job on the driver's thread.
struct At<M> {
    mux: M,
    card: Arc<Card>,
    op: &'static str,
    endpoint: String,
}

impl<M: Mux> Muxed<M> {
    async fn job<T: Send + 'static>(
        &self,
        op: &'static str,
        by: &Deadline,
        job: impl FnOnce(&At<M>, &Deadline) -> Rig<T> + Send + 'static,
    ) -> Rig<T> {
        let at = At { mux: self.mux.clone(), card: self.card.clone(), op, endpoint: self.mux.endpoint() };
        self.worker.run(op, by, move |by| job(&at, by)).await
    }

    fn fault(&self, op: &str) -> Fault {
        self.card.fault(InfraKind::Storage, op)
    }

    /// The medium, if there is one, once udev has looked at it.
    async fn opened(&self, by: &Deadline) -> Rig<Option<DirectMedium>> {
        let by = by.child(LET_GO, LOCKED).at_rig_pace();
        let open = |at: &At<M>, by: &Deadline| Ok(at.card.open(|| at.present(by)));
        unlocked(&by, || self.job("open", &by, open)).await
    }

    /// On its way to another side: nobody else has it, and all that was written is on it. It stays locked
    /// against udev while it goes.
    async fn settled(&self, by: &Deadline) -> Rig<Option<DirectMedium>> {
        let Some(mut medium) = self.opened(by).await? else { return Ok(None) };
        let flush = |at: &At<M>, _: &Deadline| match medium.barrier() {
            Ok(()) => Ok(Some(medium)),
            Err(error) => Err(at.card.fault(InfraKind::Medium, "flush").because(&error)),
        };
        self.job("flush", by, flush).await
    }

    async fn read(&self, by: &Deadline) -> Rig<Side> {
        self.job("ask", by, At::side).await
    }

    /// What was switched must read so.
    async fn confirm(&self, to: Side, by: &Deadline) -> Rig<()> {
        match self.read(by).await? {
            side if side == to => Ok(()),
            side => Err(self
                .fault("switch")
                .expected(format!("the card at {}", place(to)), format!("at {} by the mux", place(side)))),
        }
    }

    async fn flip(&self, to: Side, by: &Deadline) -> Rig<()> {
        let rest = self.job("release the card of", by, |at, by| at.mux.release(&at.ask(), by)).await?;
        if !rest.is_zero() {
            let wait = by.child("the card to lose its voltage", rest * 2).at_rig_pace();
            // When the time is up here, the card stays off: the next switch begins from there.
            let seen = || "the mux has switched it off".to_owned();
            wait.pause(rest, seen).await.map_err(|stop| self.fault("switch").stopped(stop))?;
        }
        if to != Side::Neither {
            self.job("connect the card of", by, move |at, by| at.mux.connect(&at.ask(), to, by)).await?;
        }
        self.confirm(to, by).await
    }
}

impl<M: Mux> At<M> {
    fn ask(&self) -> Ask<'_> {
        Ask { driver: M::NAME, op: self.op, endpoint: &self.endpoint }
    }

    fn side(&self, by: &Deadline) -> Rig<Side> {
        self.mux.side(&self.ask(), by)
    }

    /// What is in the reader.
    fn present(&self, by: &Deadline) -> Rig<Option<Found>> {
        let ask = self.ask();
        let reader = self.mux.reader(&ask)?;
        let gone = |error: io::Error| ask.fault().expected("the card reader", error.to_string());
        let units = units(&reader).map_err(gone)?;
        let Some(name) = units.iter().find_map(|unit| names(&unit.join("block")).ok()?.pop()) else {
            return Ok(None);
        };
        let node = Path::new("/dev").join(&name);
        // The kernel asks the reader when somebody opens the device, and unless it was told to, at no other time.
        match File::open(&node) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOMEDIUM.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let fault = self.card.fault(InfraKind::Medium, "look at").because(&error);
                return Err(fault.hint("udev rules for rig hosts are in rigs/host/60-shakedown.rules"));
            }
        }
        let Some(mut facts) = self.card.look(&name)? else { return Ok(None) };
        if let Some(cid) = self.mux.cid(&ask, by)? {
            facts.serial = Some(cid);
        }
        Ok(Some(Found { facts, node }))
    }
}

fn place(side: Side) -> &'static str {
    match side {
        Side::Host => "the rig host",
        Side::Dut => "the DUT",
        Side::Neither => "neither side",
        Side::Unknown => "an unknown side",
    }
}

/// The SCSI devices of a USB device: `1-4` → `1-4:1.0/host6/target6:0:0/6:0:0:0`.
pub(crate) fn units(device: &Path) -> io::Result<Vec<PathBuf>> {
    let place = device.file_name().unwrap_or_default().to_string_lossy();
    let mut found = vec![device.to_owned()];
    for begins in [&format!("{place}:"), "host", "target", ""] {
        let mut below = Vec::new();
        for dir in &found {
            below.extend(
                names(dir)?.iter().filter(|name| name.starts_with(begins)).map(|name| dir.join(name)),
            );
        }
        found = below;
    }
    found.retain(|unit| unit.join("scsi_device").is_dir());
    Ok(found)
}

/// Opens a node of the kernel's generic SCSI driver.
pub(crate) fn generic(ask: &Ask<'_>, unit: &Path) -> Rig<File> {
    let name = names(&unit.join("scsi_generic")).ok().and_then(|mut names| names.pop());
    let name = name.ok_or_else(|| {
        ask.fault().expected("a node /dev/sg*", "none").hint("`modprobe sg`, and for good in /etc/modules")
    })?;
    let node = Path::new("/dev").join(name);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(&node);
    opened.map_err(|error| {
        let fault = ask.fault().expected("a node that may be opened", format!("{}: {error}", node.display()));
        fault.hint("udev rules for rig hosts are in rigs/host/60-shakedown.rules")
    })
}

impl<M: Mux> Reader for Muxed<M> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn shows<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<bool>> {
        Box::pin(self.job("look into the reader of", by, |at, by| Ok(at.present(by)?.is_some())))
    }
}

impl<M: Mux> Storage for Muxed<M> {
    fn driver(&self) -> &'static str {
        M::NAME
    }

    fn endpoint(&self) -> String {
        self.mux.endpoint()
    }

    fn side<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(self.read(by))
    }

    fn switch<'a>(&'a self, to: Side, by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move {
            if !M::SIDES.contains(&to) {
                return Err(self.fault("switch").expected("a side that this mux has", place(to)));
            }
            let now = self.read(by).await?;
            // A DUT that has the card already keeps it without a cut.
            if now != to {
                let leaves = !matches!(now, Side::Dut | Side::Neither);
                let held = if leaves { self.settled(by).await? } else { None };
                self.flip(to, by).await?;
                drop(held);
            }
            until(self, to == Side::Host, by).await?;
            // Once more, for some fall back when the DUT has no power.
            self.confirm(to, by).await?;
            Ok(to)
        })
    }

    fn open<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            match self.read(by).await? {
                Side::Host => {}
                side => {
                    let got = format!("at {}", place(side));
                    let fault = self.fault("open").expected("the card at the rig host", got);
                    return Err(fault.hint("switch the medium to the host first"));
                }
            }
            let medium = self.opened(by).await?.ok_or_else(|| {
                let fault = self.fault("open").expected("a medium", "none is there");
                fault.hint("is there a card in the mux?")
            })?;
            Ok(Box::new(medium) as Box<dyn Medium>)
        })
    }
}
