//! Media: where an image is written to, and where it comes from.

use std::io;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::fault::{Fault, InfraKind, Rig};
use crate::time::Deadline;

/// Who a switchable medium is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The rig host may read and write it.
    Host,
    /// The DUT has it.
    Dut,
    /// Nobody.
    Neither,
    /// The mux does not say.
    Unknown,
}

/// Which medium this is; compared before each write with what was resolved at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediumId {
    /// The path on the rig host.
    pub path: String,
    /// The serial number or card identity, where one can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Bytes.
    pub size: u64,
}

impl MediumId {
    /// Refuses a range that does not lie on the medium.
    pub fn within(&self, off: u64, len: u64) -> io::Result<()> {
        match off.checked_add(len) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bytes {off}+{len} of a medium of {} bytes", self.size),
            )),
        }
    }
}

/// A medium that is on the rig host now. Two that differ were attached at two times, also when it is the
/// same medium under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Which one.
    pub medium: MediumId,
    /// What the host calls this attachment and no other one.
    pub as_what: String,
}

/// An open medium. Blocking: it lives on the writer's own thread.
pub trait Medium: Send {
    /// Which one.
    fn identity(&self) -> &MediumId;

    /// Bytes that fit. A file that grows says what it may grow to.
    fn len(&self) -> u64 {
        self.identity().size
    }

    /// Whether nothing fits at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `off`.
    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `buf` at `off`.
    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()>;

    /// Makes a range read as zeros; may be quicker than writing them.
    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(zeros.len() as u64);
            self.write_at(off + done, &zeros[..part as usize])?;
            done += part;
        }
        Ok(())
    }

    /// Whether the medium knows, without reading, that a range reads as zeros: a hole of a sparse file.
    /// `false` says nothing.
    fn known_zero(&mut self, _off: u64, _len: u64) -> io::Result<bool> {
        Ok(false)
    }

    /// All that was written is on the medium, and later reads come from the medium, not from a cache.
    fn barrier(&mut self) -> io::Result<()>;
}

/// A medium of a slot, with its mux if it has one.
pub trait Storage: Send + Sync {
    /// The driver's name, for faults and events.
    fn driver(&self) -> &'static str;
    /// Which one.
    fn endpoint(&self) -> String;
    /// Asks the mux.
    fn side<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Side>>;
    /// Switches, and returns what the mux says afterwards.
    fn switch<'a>(&'a self, to: Side, by: &'a Deadline) -> Fut<'a, Rig<Side>>;
    /// Opens the medium for writing on the rig host, exclusively; refuses what could be the host's.
    fn open<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>>;
    /// The medium on the rig host, if it is there now and may be written. Refused by what does not come
    /// and go by itself.
    fn attached<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Option<Attached>>> {
        Box::pin(async move {
            Err(Fault::new(InfraKind::Config, self.driver(), "wait for", self.endpoint())
                .expected("a medium that the board attaches to the rig host", "one that is always there")
                .hint("name the disk that the board becomes: `media: { main: { block-device: … } }`"))
        })
    }
}

/// A part of an image, in ascending order.
pub enum Extent {
    /// Bytes at an offset.
    Data {
        /// Offset of the first byte.
        off: u64,
        /// Never empty.
        bytes: Vec<u8>,
    },
    /// A range that reads as zeros.
    Hole {
        /// Offset of the first byte.
        off: u64,
        /// Bytes.
        len: u64,
    },
}

/// A stream of extents: a decompressed image. Blocking.
pub trait Source: Send {
    /// Bytes of the whole image, where the container says.
    fn len_hint(&self) -> Option<u64>;
    /// Bytes of the file that were read so far, and its size: for progress.
    fn consumed(&self) -> (u64, u64);
    /// The next extent; `None` at the end. An error names what is wrong with the image.
    fn next(&mut self) -> io::Result<Option<Extent>>;
}
