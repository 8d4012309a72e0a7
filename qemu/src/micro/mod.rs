//! Guests for tests: Debian's kernel and a busybox, at a prompt in a few seconds.
//!
//! ```text
//! let kit = micro::Kit::at(&cache, &by).await?;     // kernel and busybox from Debian's archive, once
//! let doc = kit.machine(micro::Kind::Login);        // a MachineDoc for open()
//! let kit = micro::DeviceKit::at(&cache, &by).await?; // a kernel with drivers, on the rig host's files
//! ```

mod cpio;
mod devices;
mod fetch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shakedown_conf::Bytes;
use shakedown_core::{Arch, Board, Deadline, Provision, Rig, Sha};

pub use cpio::Archive;
pub use devices::DeviceKit;

use crate::doc::{DirectBoot, MachineDoc, MachineName};

/// What a guest does once its kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `micro login: `; `root` gets a shell with the prompt `micro# `.
    Login,
    /// The kernel panics, and stays so.
    Panic,
    /// It reboots as soon as it is up, for ever.
    Loop,
    /// Not a byte on the console, not even of the kernel.
    Silent,
    /// The kernel talks, and nobody after it.
    MuteAfterKernel,
    /// So many numbered lines of 53 bytes (with their line break), then the login.
    Flood {
        /// From `flood 000000000 …` on.
        lines: u32,
    },
}

/// A kernel and an initial file system, in the cache.
#[derive(Clone, Debug)]
pub struct Kit {
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Kit {
    /// The kit in this cache; fetched from Debian's archive when it is not there.
    pub async fn at(cache: &Path, by: &Deadline) -> Rig<Self> {
        fetch::kit(&cache.join("micro"), by).await
    }

    /// A machine that boots such a guest.
    pub fn machine(&self, kind: Kind) -> MachineDoc {
        let mut doc = MachineDoc::new(MachineName::Q35);
        doc.cpus = 1;
        doc.memory = Bytes(192 << 20);
        doc.disk.size = Bytes(64 << 20);
        let what = match kind {
            Kind::Login => "console=ttyS0 micro=login".to_owned(),
            Kind::Panic => "console=ttyS0 panic=0 micro=panic".to_owned(),
            Kind::Loop => "console=ttyS0 micro=loop".to_owned(),
            Kind::Silent => "console=null micro=silent".to_owned(),
            Kind::MuteAfterKernel => "console=ttyS0 micro=mute".to_owned(),
            Kind::Flood { lines } => format!("console=ttyS0 quiet micro=flood lines={lines}"),
        };
        doc.direct = Some(DirectBoot {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone(),
            append: format!("{what} sysrq_always_enabled"),
        });
        doc
    }
}

/// A board type for micro guests.
pub fn board() -> Board {
    Board {
        slug: "micro".into(),
        name: "Micro guest".into(),
        arch: Arch::Amd64,
        soc: None,
        capabilities: BTreeSet::new(),
        provision: Provision::DiskImage,
        baud: 115_200,
        min_off: Duration::ZERO,
        stages: Vec::new(),
        bad: Vec::new(),
        config_txt: Vec::new(),
        hash: Sha::of(b"micro"),
    }
}
