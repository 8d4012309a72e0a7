//! The machine's disks as media: raw files, the host's while QEMU does not run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Medium, Rig, Side, Storage};
use shakedown_media::FileMedium;

use crate::power::in_use;
use crate::unit::Unit;

/// A disk. Without power it is the host's, unless it was switched to the DUT, as a card in a
/// mux would be. One that was switched back to the host is not in the machine at its next start;
/// one that was never switched is.
pub(crate) struct Disk {
    unit: Arc<Unit>,
    name: String,
    file: PathBuf,
    size: u64,
    given: AtomicBool,
}

impl Disk {
    pub(crate) fn new(unit: Arc<Unit>, name: &str, file: PathBuf, size: u64) -> Self {
        Self { unit, name: name.to_owned(), file, size, given: AtomicBool::new(false) }
    }

    fn taken(&self) -> Rig<bool> {
        let within = !self.unit.away().contains(&self.name);
        Ok(within && self.unit.runs()? || in_use(&self.file))
    }

    fn here(&self) -> Rig<Side> {
        let dut = self.taken()? || self.given.load(Ordering::SeqCst);
        Ok(if dut { Side::Dut } else { Side::Host })
    }

    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Storage, "qemu", op, self.endpoint())
    }
}

impl Storage for Disk {
    fn driver(&self) -> &'static str {
        "qemu"
    }

    fn endpoint(&self) -> String {
        self.file.display().to_string()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move { self.here() })
    }

    fn switch<'a>(&'a self, to: Side, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move {
            match to {
                // It goes in with the next start.
                Side::Dut if self.unit.away().contains(&self.name) && self.unit.runs()? => {
                    return Err(self
                        .fault("switch")
                        .expected("a machine that is off", "it was started without this disk")
                        .hint("switch the power off first"));
                }
                Side::Dut => {
                    self.given.store(true, Ordering::SeqCst);
                    self.unit.away().remove(&self.name);
                }
                Side::Host | Side::Neither if self.taken()? => {
                    return Err(self
                        .fault("switch")
                        .expected("a machine that is off", "QEMU runs on it")
                        .hint("switch the power off first"));
                }
                Side::Host => {
                    self.given.store(false, Ordering::SeqCst);
                    self.unit.away().insert(self.name.clone());
                }
                Side::Neither | Side::Unknown => {
                    return Err(self.fault("switch").expected("host or DUT", format!("{to:?}")));
                }
            }
            self.here()
        })
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            if self.here()? != Side::Host {
                let got = if self.taken()? { "QEMU runs on it" } else { "it was switched to the DUT" };
                return Err(self
                    .fault("open")
                    .expected("the host's side", got)
                    .hint("switch the power off and the medium to the host first"));
            }
            Ok(Box::new(FileMedium::create(&self.file, self.size)?) as Box<dyn Medium>)
        })
    }
}
