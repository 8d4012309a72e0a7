//! The rig host's own server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{BootFile, Deadline, Fut, LoaderNet, Rig, Serving, Tftp};
use shakedown_host::tftp::{PORT, TftpServer};

use super::{LoaderPlace, TftpConf, one_address};
use crate::wiring::WiringProblem;

/// This program serves the boot files itself while a run lasts, on port 69, for which it must be root
/// or the host must allow it (`sysctl net.ipv4.ip_unprivileged_port_start=69`). It serves nothing but
/// the run's files, and says who took them to the last block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TftpServe")]
pub struct Conf {
    /// The address of the rig host in the DUT's network.
    pub address: Ipv4Addr,
    /// The boot loader's place in the network, where nobody hands out addresses.
    #[serde(default)]
    pub loader: Option<LoaderPlace>,
}

impl TftpConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        one_address(self.address)
    }

    fn open<'a>(&'a self, _cx: (), _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Tftp>>> {
        let own = Arc::new(Own(self.clone()));
        Box::pin(async move { Ok(own as Arc<dyn Tftp>) })
    }
}

struct Own(Conf);

impl Tftp for Own {
    fn loader(&self) -> Option<LoaderNet> {
        self.0.loader.as_ref().map(LoaderPlace::place)
    }

    fn serve<'a>(&'a self, files: Vec<BootFile>, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>> {
        Box::pin(async move {
            let server = TftpServer::start((self.0.address, PORT).into(), &files)?;
            Ok(Box::new(server) as Box<dyn Serving>)
        })
    }
}
