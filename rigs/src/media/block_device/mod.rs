//! A card in a reader, a USB stick, a disk: a block device of the rig host.

mod direct;
mod guard;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Attached, Deadline, Fault, Fut, InfraKind, Medium, MediumId, Rig, Side, Storage};

use super::{MediaConf, MediaCx};
use crate::operator::{Answer, Operator};
use crate::wiring::WiringProblem;
use direct::DirectMedium;
pub(crate) use guard::Kernel;
use guard::{Facts, Wanted, judge};

/// A block device of the rig host: a card in a reader, a USB stick, the eMMC of a board in its USB
/// boot mode. It is written past every cache, held exclusively, and never when it is in use by the
/// host, fixed and not named by its `serial`, larger than `max-size`, a partition, or another one
/// than the slot first saw. Nothing overrides that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "BlockDevice")]
pub struct Conf {
    /// A lasting name of the whole device: `/dev/disk/by-path/…`, `/dev/disk/by-id/…`. Names like
    /// `/dev/sdb` are refused, for another device may have them tomorrow.
    pub path: PathBuf,
    /// The largest device that may be written: a card for a DUT is smaller than the host's disk.
    pub max_size: Bytes,
    /// The card's CID, the serial number of the disk or of the USB device. A device that cannot be
    /// taken out is written only when it is named so.
    #[serde(default)]
    pub serial: Option<String>,
    /// A person carries the medium between the rig host and the DUT, and is asked to (default:
    /// nobody has to; the DUT gets it when the harness has let go of it).
    #[serde(default)]
    pub by_hand: bool,
}

/// A reader sees a new card within 3 s; a board in its USB boot mode appears within 20 s.
const APPEAR: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);

impl MediaConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !self.path.is_absolute() {
            return Err(WiringProblem::new("path", "a whole path is needed: `/dev/disk/by-path/…`"));
        }
        if self.path.parent() == Some(Path::new("/dev")) {
            let what = "another device may have this name tomorrow: use one below /dev/disk/by-path or /dev/disk/by-id";
            return Err(WiringProblem::new("path", what));
        }
        match self.max_size.0 {
            0 => Err(WiringProblem::new("max-size", "nothing fits on a medium of 0 bytes")),
            _ => Ok(()),
        }
    }

    fn open<'a>(&'a self, cx: MediaCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Storage>>> {
        let disk = Disk {
            conf: self.clone(),
            kernel: Kernel::default(),
            slot: cx.slot.to_owned(),
            operator: cx.operator.clone(),
            state: Mutex::default(),
        };
        Box::pin(async move {
            // What is there already is what the slot means from now on.
            if let Some(facts) = disk.present()? {
                disk.admit(&facts)?;
            }
            Ok(Arc::new(disk) as Arc<dyn Storage>)
        })
    }
}

#[derive(Default)]
struct State {
    /// The medium as the slot first saw it.
    first: Option<Facts>,
    /// Let go of, for the DUT.
    given: bool,
}

struct Disk {
    conf: Conf,
    kernel: Kernel,
    slot: String,
    operator: Arc<dyn Operator>,
    state: Mutex<State>,
}

impl Disk {
    fn fault(&self, kind: InfraKind, op: &str) -> Fault {
        Fault::new(kind, "block-device", op, self.endpoint())
    }

    /// The device with a medium in it, if there is one now.
    fn present(&self) -> Rig<Option<Facts>> {
        let node = match std::fs::canonicalize(&self.conf.path) {
            Ok(node) => node,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(InfraKind::Storage, "find").because(&error)),
        };
        let name = node.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let facts = self.kernel.look(&name);
        let facts = facts.map_err(|error| self.fault(InfraKind::Host, "look at").because(&error))?;
        match facts {
            // A reader without a card.
            Some(facts) if facts.size == 0 => Ok(None),
            Some(facts) => Ok(Some(facts)),
            None => Err(self
                .fault(InfraKind::Config, "open")
                .expected("a block device", format!("{} is none", node.display()))),
        }
    }

    /// May it be written?
    fn admit(&self, facts: &Facts) -> Rig<()> {
        let wanted = Wanted { serial: self.conf.serial.as_deref(), max_size: self.conf.max_size.0 };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        judge(facts, &wanted, state.first.as_ref()).map_err(|refused| {
            self.fault(InfraKind::Config, "write to")
                .expected(refused.expected, refused.got)
                .hint("nothing overrides this: name the right device in the rig file, or free it by hand")
        })?;
        state.first.get_or_insert_with(|| facts.clone());
        Ok(())
    }

    fn give(&self, given: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).given = given;
    }

    fn here(&self) -> Rig<Side> {
        let given = self.state.lock().unwrap_or_else(PoisonError::into_inner).given;
        Ok(if given || self.present()?.is_none() { Side::Dut } else { Side::Host })
    }

    async fn ask(&self, question: &str, by: &Deadline) -> Rig<()> {
        match self.operator.ask(question, by).await? {
            Answer::Yes => Ok(()),
            answer => Err(self
                .fault(InfraKind::Storage, "move")
                .expected("a person who did it", format!("the answer {answer:?}"))),
        }
    }

    async fn until(&self, present: bool, by: &Deadline) -> Rig<()> {
        let what = if present { "the medium to appear" } else { "the medium to be taken out" };
        let by = by.child(what, APPEAR).at_rig_pace();
        while self.present()?.is_some() != present {
            let seen = || if present { "no medium".to_owned() } else { "it is still there".to_owned() };
            by.pause(TICK, seen)
                .await
                .map_err(|stop| self.fault(InfraKind::Storage, "move").stopped(stop))?;
        }
        Ok(())
    }
}

impl Storage for Disk {
    fn driver(&self) -> &'static str {
        "block-device"
    }

    fn endpoint(&self) -> String {
        self.conf.path.display().to_string()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move { self.here() })
    }

    fn switch<'a>(&'a self, to: Side, by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move {
            match to {
                Side::Host => {
                    if self.conf.by_hand && self.present()?.is_none() {
                        let question =
                            format!("Please put the medium of {} into the rig host. Is it done?", self.slot);
                        self.ask(&question, by).await?;
                    }
                    self.until(true, by).await?;
                    self.give(false);
                }
                Side::Dut if self.conf.by_hand => {
                    if self.present()?.is_some() {
                        let question =
                            format!("Please put the medium of {} into the DUT. Is it done?", self.slot);
                        self.ask(&question, by).await?;
                        self.until(false, by).await?;
                    }
                }
                Side::Dut => {
                    // Free only when nobody of ours writes any more.
                    drop(self.open_now()?);
                    self.give(true);
                }
                Side::Neither | Side::Unknown => {
                    return Err(self
                        .fault(InfraKind::Storage, "switch")
                        .expected("host or DUT", format!("{to:?}")));
                }
            }
            self.here()
        })
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            if self.state.lock().unwrap_or_else(PoisonError::into_inner).given {
                return Err(self
                    .fault(InfraKind::Storage, "open")
                    .expected("the host's side", "it was given to the DUT")
                    .hint("switch the medium to the host first"));
            }
            let medium = self.open_now()?.ok_or_else(|| {
                self.fault(InfraKind::Storage, "open")
                    .expected("a medium", "none is there")
                    .hint("is the card in the reader, and the path right?")
            })?;
            Ok(Box::new(medium) as Box<dyn Medium>)
        })
    }

    fn attached<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Option<Attached>>> {
        Box::pin(async move { self.attached_now() })
    }
}

impl Disk {
    fn attached_now(&self) -> Rig<Option<Attached>> {
        let Some(facts) = self.present()? else { return Ok(None) };
        let as_what = match self.kernel.attachment(&facts.name) {
            Ok(as_what) => as_what,
            // It went away while it was looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(InfraKind::Host, "look at").because(&error)),
        };
        self.admit(&facts)?;
        let medium = MediumId { path: self.endpoint(), serial: facts.serial, size: facts.size };
        Ok(Some(Attached { medium, as_what }))
    }

    fn open_now(&self) -> Rig<Option<DirectMedium>> {
        let Some(facts) = self.present()? else { return Ok(None) };
        self.admit(&facts)?;
        let node = std::fs::canonicalize(&self.conf.path)
            .map_err(|error| self.fault(InfraKind::Storage, "find").because(&error))?;
        let medium = DirectMedium::open(&node, &self.conf.path, &facts)?;
        // Once more, now that nobody else can take it.
        match self.present()? {
            Some(again) => self.admit(&again)?,
            None => return Ok(None),
        }
        Ok(Some(medium))
    }
}
