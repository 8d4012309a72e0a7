//! The rig host's own end, as the kernel tells of it.

use std::fmt;
use std::path::Path;

/// Where Linux tells of interfaces (sysfs-class-net).
const CLASS: &str = "/sys/class/net";

/// An interface that is up.
pub(super) struct Side {
    /// Its number, which scopes addresses that are valid on it alone.
    pub(super) index: u32,
    /// The link is there, as far as its own end can tell.
    pub(super) carrier: bool,
}

/// Why an interface is of no use.
pub(super) enum NoSide {
    /// There is none of that name: what there is.
    None { got: String, known: Vec<String> },
    /// It is switched off.
    Down(String),
    /// It has no address.
    NoAddress(String),
    /// The kernel does not tell.
    Untold(String),
}

impl fmt::Display for NoSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { got, known } => {
                write!(f, "none: this host has no {got} (it has {})", known.join(", "))
            }
            Self::Down(name) => write!(f, "one that is down: `ip link set {name} up`"),
            Self::NoAddress(name) => {
                write!(
                    f,
                    "one without an address: the DUT would be asked from nowhere (`ip address add … dev {name}`)"
                )
            }
            Self::Untold(why) => write!(f, "no word about it: {why}"),
        }
    }
}

impl Side {
    pub(super) fn look(name: &str) -> Result<Self, NoSide> {
        let folder = Path::new(CLASS).join(name);
        if !folder.exists() {
            let listed = std::fs::read_dir(CLASS).into_iter().flatten().flatten();
            let mut known: Vec<_> =
                listed.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            known.sort();
            return Err(NoSide::None { got: name.to_owned(), known });
        }
        let untold = |error: std::io::Error| NoSide::Untold(error.to_string());
        let index = std::fs::read_to_string(folder.join("ifindex")).map_err(untold)?;
        let index = index.trim().parse().map_err(|_| NoSide::Untold(format!("ifindex says {index:?}")))?;
        // The kernel refuses to tell of the carrier of an interface that is down.
        let Ok(carrier) = std::fs::read_to_string(folder.join("carrier")) else {
            return Err(NoSide::Down(name.to_owned()));
        };
        let side = Self { index, carrier: carrier.trim() == "1" };
        // What it has lost with its carrier is not asked for.
        let addresses = if_addrs::get_if_addrs().map_err(untold)?;
        if side.carrier && !addresses.iter().any(|found| found.name == name) {
            return Err(NoSide::NoAddress(name.to_owned()));
        }
        Ok(side)
    }
}
