//! A server that somebody else runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{BootFile, Deadline, Fault, Fetch, Fut, InfraKind, LoaderNet, Rig, Serving, Tftp};
use shakedown_host::tftp::PORT;

use super::{LoaderPlace, TftpConf, one_address};
use crate::wiring::WiringProblem;

/// A TFTP server that somebody else runs: the boot files are put into its folder, below the run's own
/// name, and taken away at the end of the run (where shakedown itself is killed they stay: delete them).
/// It does not say who took what: that is told by the boot loader alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TftpFolder")]
pub struct Conf {
    /// The server's address in the DUT's network.
    pub address: Ipv4Addr,
    /// The folder that it serves, as this host sees it.
    pub folder: PathBuf,
    /// The boot loader's place in the network, where nobody hands out addresses.
    #[serde(default)]
    pub loader: Option<LoaderPlace>,
}

impl TftpConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !self.folder.is_absolute() {
            let what = format!("`{}` is no absolute path", self.folder.display());
            return Err(WiringProblem::new("folder", what));
        }
        one_address(self.address)
    }

    fn open<'a>(&'a self, _cx: (), _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Tftp>>> {
        Box::pin(async move {
            if !self.folder.is_dir() {
                let what = "the folder of a TFTP server";
                return Err(fault("find", &self.folder).expected(what, "no such folder"));
            }
            Ok(Arc::new(Others(self.clone())) as Arc<dyn Tftp>)
        })
    }
}

fn fault(op: &str, path: &Path) -> Fault {
    Fault::new(InfraKind::Network, "folder", op, path.display().to_string())
}

struct Others(Conf);

impl Tftp for Others {
    fn loader(&self) -> Option<LoaderNet> {
        self.0.loader.as_ref().map(LoaderPlace::place)
    }

    fn serve<'a>(&'a self, files: Vec<BootFile>, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>> {
        Box::pin(async move {
            let mut put = Put { addr: (self.0.address, PORT).into(), made: Vec::new() };
            for file in files {
                let path = self.0.folder.join(&file.name);
                let folder = path.parent().unwrap_or(&self.0.folder);
                if !folder.is_dir() {
                    std::fs::create_dir(folder).map_err(|error| fault("make", folder).because(&error))?;
                    put.made.push(folder.to_owned());
                }
                put.made.push(path.clone());
                std::fs::write(&path, &file.bytes).map_err(|error| fault("write", &path).because(&error))?;
            }
            Ok(Box::new(put) as Box<dyn Serving>)
        })
    }
}

/// Files in the folder, as long as this is held.
struct Put {
    addr: SocketAddr,
    made: Vec<PathBuf>,
}

impl Serving for Put {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn fetches(&self) -> Option<Vec<Fetch>> {
        None
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // What somebody else took away, or put beside it, is theirs.
            drop(if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) });
        }
    }
}
