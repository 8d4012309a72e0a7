//! A raw file as a medium.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Medium, Rig, Side, Storage};
use shakedown_media::FileMedium;

use super::{MediaConf, MediaCx};
use crate::wiring::WiringProblem;

/// A raw file that something else shows to the DUT: a network block device, an emulated USB
/// stick. There is no mux: giving it to the DUT means that the harness has let go of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "FileMedium")]
pub struct Conf {
    /// The file; made when it is missing, and left alone when it has another size. Without a folder, it lies in the slot's own.
    pub path: PathBuf,
    /// Its size.
    pub size: Bytes,
}

impl MediaConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        match self.size.0 {
            0 => Err(WiringProblem::new("size", "nothing fits on a medium of 0 bytes")),
            _ => Ok(()),
        }
    }

    fn open<'a>(&'a self, cx: MediaCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Storage>>> {
        let disk =
            FileDisk { path: cx.folder.join(&self.path), size: self.size.0, side: Mutex::new(Side::Host) };
        Box::pin(async move {
            // Shows at once whether it can be had at all. What is there already is somebody's.
            if std::fs::metadata(&disk.path).is_ok_and(|about| !about.is_file() || about.len() > 0) {
                disk.whole()?;
            } else {
                drop(FileMedium::create(&disk.path, disk.size)?);
            }
            Ok(Arc::new(disk) as Arc<dyn Storage>)
        })
    }
}

struct FileDisk {
    path: PathBuf,
    size: u64,
    side: Mutex<Side>,
}

impl FileDisk {
    /// The file, of the size that the rig file says.
    fn whole(&self) -> Rig<FileMedium> {
        let medium = FileMedium::open(&self.path)?;
        if medium.len() != self.size {
            return Err(Fault::new(InfraKind::Medium, "file", "open", self.path.display().to_string())
                .expected(format!("{} bytes (`size`)", self.size), format!("{} bytes", medium.len()))
                .hint("it is left as it is: delete the file, or correct `size`"));
        }
        Ok(medium)
    }

    fn here(&self) -> Side {
        *self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for FileDisk {
    fn driver(&self) -> &'static str {
        "file"
    }

    fn endpoint(&self) -> String {
        self.path.display().to_string()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move { Ok(self.here()) })
    }

    fn switch<'a>(&'a self, to: Side, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move {
            if !matches!(to, Side::Host | Side::Dut) {
                return Err(Fault::new(InfraKind::Storage, "file", "switch", self.endpoint())
                    .expected("host or DUT", format!("{to:?}")));
            }
            // The lock is free only when nobody of ours writes any more.
            drop(FileMedium::open(&self.path)?);
            *self.side.lock().unwrap_or_else(PoisonError::into_inner) = to;
            Ok(to)
        })
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            if self.here() != Side::Host {
                return Err(Fault::new(InfraKind::Storage, "file", "open", self.endpoint())
                    .expected("the host's side", "it was given to the DUT")
                    .hint("switch the medium to the host first"));
            }
            Ok(Box::new(self.whole()?) as Box<dyn Medium>)
        })
    }
}
