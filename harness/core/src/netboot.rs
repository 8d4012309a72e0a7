//! A boot over the network: what the boot loader is told, which files it fetches, and who serves them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Fut;
use crate::fault::Rig;
use crate::time::Deadline;

/// A file as boot loaders get it.
#[derive(Clone, PartialEq, Eq)]
pub struct BootFile {
    /// The name that they ask for.
    pub name: String,
    /// All of it.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// A request for a file, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The name that was asked for, as it was asked.
    pub name: String,
    /// Who asked.
    pub client: SocketAddr,
    /// What became of it.
    pub came: Came,
}

/// What became of a request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// So many of its blocks were acknowledged up to now.
    UnderWay {
        /// Acknowledged.
        acked: u64,
        /// All of them.
        blocks: u64,
    },
    /// The client acknowledged the last block.
    Whole {
        /// The file's length.
        bytes: u64,
        /// All of them.
        blocks: u64,
    },
    /// Refused, given up or broken off: why.
    Failed(String),
}

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, client, came } = self;
        match came {
            Came::UnderWay { acked, blocks } => {
                write!(f, "{client} has {acked} of {blocks} blocks of `{name}`")
            }
            Came::Whole { bytes, blocks } => {
                write!(f, "{client} took `{name}` to its last block ({bytes} bytes, {blocks} blocks)")
            }
            Came::Failed(why) => write!(f, "{client} did not get `{name}`: {why}"),
        }
    }
}

/// Files that are served; it ends when this is dropped.
pub trait Serving: Send + Sync {
    /// Where, as the DUT sees it.
    fn addr(&self) -> SocketAddr;
    /// Who asked for what so far, in order; `None`: a server of somebody else's does not say.
    fn fetches(&self) -> Option<Vec<Fetch>>;
}

/// Gives boot files to a slot's DUT over TFTP.
pub trait Tftp: Send + Sync {
    /// Serves these files, and no others.
    fn serve<'a>(&'a self, files: Vec<BootFile>, by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>>;
}
