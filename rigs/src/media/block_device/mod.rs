//! A card in a reader, a USB stick, a disk: a block device of the rig host.

pub(super) mod direct;
pub(super) mod guard;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Attached, Deadline, Fault, Fut, InfraKind, Medium, Rig, Side, Storage};

use super::card::{Card, Found, LET_GO, LOCKED, Reader, unlocked, until};
use super::{MediaConf, MediaCx};
use crate::operator::{Answer, Operator};
use crate::wiring::WiringProblem;
use direct::DirectMedium;
pub(crate) use guard::{Kernel, names};

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

const NAME: &str = "block-device";

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
            card: Card::new(NAME, self.path.display().to_string(), self.serial.clone(), self.max_size.0),
            slot: cx.slot.to_owned(),
            operator: cx.operator.clone(),
            given: AtomicBool::new(false),
        };
        Box::pin(async move {
            // What is there already is what the slot means from now on.
            if let Some(found) = disk.present()? {
                disk.card.admit(&found.facts)?;
            }
            Ok(Arc::new(disk) as Arc<dyn Storage>)
        })
    }
}

struct Disk {
    conf: Conf,
    card: Card,
    slot: String,
    operator: Arc<dyn Operator>,
    /// Let go of, for the DUT.
    given: AtomicBool,
}

impl Reader for Disk {
    fn card(&self) -> &Card {
        &self.card
    }

    fn shows<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<bool>> {
        Box::pin(async move { Ok(self.present()?.is_some()) })
    }
}

impl Disk {
    fn fault(&self, kind: InfraKind, op: &str) -> Fault {
        self.card.fault(kind, op)
    }

    /// The device with a medium in it, if there is one now.
    fn present(&self) -> Rig<Option<Found>> {
        let node = match std::fs::canonicalize(&self.conf.path) {
            Ok(node) => node,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(InfraKind::Storage, "find").because(&error)),
        };
        let name = node.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(self.card.look(&name)?.map(|facts| Found { facts, node }))
    }

    fn is_given(&self) -> bool {
        self.given.load(Ordering::SeqCst)
    }

    fn give(&self, given: bool) {
        self.given.store(given, Ordering::SeqCst);
    }

    fn here(&self) -> Rig<Side> {
        Ok(if self.is_given() || self.present()?.is_none() { Side::Dut } else { Side::Host })
    }

    /// The medium, if there is one, once udev has looked at it.
    async fn opened(&self, by: &Deadline) -> Rig<Option<DirectMedium>> {
        let by = by.child(LET_GO, LOCKED).at_rig_pace();
        unlocked(&by, async || Ok(self.card.open(|| self.present()))).await
    }

    async fn ask(&self, question: &str, by: &Deadline) -> Rig<()> {
        match self.operator.ask(question, by).await? {
            Answer::Yes => Ok(()),
            answer => Err(self
                .fault(InfraKind::Storage, "move")
                .expected("a person who did it", format!("the answer {answer:?}"))),
        }
    }
}

impl Storage for Disk {
    fn driver(&self) -> &'static str {
        NAME
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
                    until(self, true, by).await?;
                    self.give(false);
                }
                Side::Dut if self.conf.by_hand => {
                    if self.present()?.is_some() {
                        let question =
                            format!("Please put the medium of {} into the DUT. Is it done?", self.slot);
                        self.ask(&question, by).await?;
                        until(self, false, by).await?;
                    }
                }
                Side::Dut => {
                    // Free only when nobody of ours writes any more.
                    drop(self.opened(by).await?);
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

    fn open<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            if self.is_given() {
                return Err(self
                    .fault(InfraKind::Storage, "open")
                    .expected("the host's side", "it was given to the DUT")
                    .hint("switch the medium to the host first"));
            }
            let medium = self.opened(by).await?.ok_or_else(|| {
                self.fault(InfraKind::Storage, "open")
                    .expected("a medium", "none is there")
                    .hint("is the card in the reader, and the path right?")
            })?;
            Ok(Box::new(medium) as Box<dyn Medium>)
        })
    }

    fn attached<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Option<Attached>>> {
        Box::pin(async move { self.present()?.map_or(Ok(None), |found| self.card.attached(found.facts)) })
    }
}
