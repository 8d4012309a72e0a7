//! The medium of a slot on the side of the rig host: which block device it is now, and whether it may be
//! written.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::{Attached, Deadline, Fault, Fut, InfraKind, MediumId, Rig};

use super::block_device::direct::{DirectMedium, NotOpened};
use super::block_device::guard::{Facts, Kernel, Wanted, judge};

/// A reader sees a new card within 3 s; a board in its USB boot mode appears within 20 s.
const APPEAR: Duration = Duration::from_secs(30);
/// udev looks at a medium that has appeared, and again at one that was written, for less than a second; a slow card
/// takes longer.
pub(crate) const LOCKED: Duration = Duration::from_secs(20);
/// The name of that wait.
pub(crate) const LET_GO: &str = "others to let go of the medium";
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What the slot means by its medium.
pub(crate) struct Card {
    driver: &'static str,
    /// For faults, and the medium's own identity.
    endpoint: String,
    serial: Option<String>,
    max_size: u64,
    kernel: Kernel,
    /// The medium as the slot first saw it.
    first: Mutex<Option<Facts>>,
}

impl Card {
    pub(crate) fn new(driver: &'static str, endpoint: String, serial: Option<String>, max_size: u64) -> Self {
        let kernel = Kernel::default();
        Self { driver, endpoint, serial, max_size, kernel, first: Mutex::default() }
    }

    pub(crate) fn fault(&self, kind: InfraKind, op: &str) -> Fault {
        Fault::new(kind, self.driver, op, &self.endpoint)
    }

    /// The block device of this name, when there is a medium in it.
    pub(crate) fn look(&self, name: &str) -> Rig<Option<Facts>> {
        let facts = self.kernel.look(name);
        let facts = facts.map_err(|error| self.fault(InfraKind::Host, "look at").because(&error))?;
        match facts {
            // A reader without a card.
            Some(facts) if facts.size == 0 => Ok(None),
            Some(facts) => Ok(Some(facts)),
            None => Err(self
                .fault(InfraKind::Config, "open")
                .expected("a block device", format!("{name} is none"))),
        }
    }

    /// May it be written? What is seen first is what the slot means from then on.
    pub(crate) fn admit(&self, facts: &Facts) -> Rig<()> {
        let wanted = Wanted { serial: self.serial.as_deref(), max_size: self.max_size };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        judge(facts, &wanted, first.as_ref()).map_err(|refused| {
            self.fault(InfraKind::Config, "write to")
                .expected(refused.expected, refused.got)
                .hint("nothing overrides this: name the right device in the rig file, or free it by hand")
        })?;
        first.get_or_insert_with(|| facts.clone());
        Ok(())
    }

    /// A medium that may be written, with what tells this attachment from any other; `None` when it has just gone.
    pub(crate) fn attached(&self, facts: Facts) -> Rig<Option<Attached>> {
        let as_what = match self.kernel.attachment(&facts.name) {
            Ok(as_what) => as_what,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(InfraKind::Host, "look at").because(&error)),
        };
        self.admit(&facts)?;
        let medium = MediumId { path: self.endpoint.clone(), serial: facts.serial, size: facts.size };
        Ok(Some(Attached { medium, as_what }))
    }

    /// Opens what is there, exclusively; `None` when nothing is.
    pub(crate) fn open(
        &self,
        present: impl Fn() -> Rig<Option<Found>>,
    ) -> Result<Option<DirectMedium>, NotOpened> {
        let Some(found) = present()? else { return Ok(None) };
        self.admit(&found.facts)?;
        let medium = DirectMedium::open(&found.node, self.driver, &self.endpoint, &found.facts)?;
        // Once more, now that nobody else can take it.
        match present()? {
            Some(again) if again.facts.number != found.facts.number => {
                let fault = self.fault(InfraKind::Storage, "open");
                let (opened, got) =
                    (format!("{:?}", found.facts.number), format!("{:?}", again.facts.number));
                return Err(fault.expected(format!("device {opened}, which was opened"), got).into());
            }
            Some(again) => self.admit(&again.facts)?,
            None => return Ok(None),
        }
        Ok(Some(medium))
    }
}

/// A medium that is in its reader now.
pub(crate) struct Found {
    pub(crate) facts: Facts,
    pub(crate) node: PathBuf,
}

/// What a medium comes into and goes from.
pub(crate) trait Reader: Send + Sync {
    fn card(&self) -> &Card;

    /// Whether a medium is in it. A fault of the kind `Medium` may pass: the card is just coming or going.
    fn shows<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<bool>>;
}

/// A medium, if there is one, once nobody else has it locked any more.
pub(crate) async fn unlocked<F>(by: &Deadline, mut open: impl FnMut() -> F) -> Rig<Option<DirectMedium>>
where
    F: Future<Output = Rig<Result<Option<DirectMedium>, NotOpened>>>,
{
    loop {
        match open().await? {
            Ok(medium) => return Ok(medium),
            Err(NotOpened::Otherwise(fault)) => return Err(fault),
            Err(NotOpened::Locked(fault)) => {
                by.pause(TICK, || fault.got.clone()).await.map_err(|stop| fault.stopped(stop))?;
            }
        }
    }
}

/// Waits until the reader shows a medium with a size, or shows none.
pub(crate) async fn until(reader: &dyn Reader, present: bool, by: &Deadline) -> Rig<()> {
    let what = if present { "the medium to appear" } else { "the medium to be taken out" };
    let by = by.child(what, APPEAR).at_rig_pace();
    let late = |stop| reader.card().fault(InfraKind::Storage, "move the medium of").stopped(stop);
    let mut seen = String::new();
    loop {
        seen = match reader.shows(&by).await {
            Ok(shows) if shows == present => return Ok(()),
            Ok(true) => "it is still there".to_owned(),
            Ok(false) => "no medium".to_owned(),
            Err(fault) if fault.kind == InfraKind::Medium => fault.to_string(),
            // A look that the end of the wait has cut short has nothing to tell.
            Err(fault) if fault.stop.is_some() && by.is_over() => return Err(late(by.stop(seen))),
            Err(fault) => return Err(fault),
        };
        by.pause(TICK, || seen.clone()).await.map_err(late)?;
    }
}
