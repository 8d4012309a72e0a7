//! Drivers that give boot files to a DUT's boot loader.

pub(crate) mod folder;
pub(crate) mod serve;

use std::net::Ipv4Addr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fut, LoaderNet, Rig, Tftp};

use crate::wiring::WiringProblem;

/// Settings of a server of boot files.
pub trait TftpConf {
    /// Finds what is wrong with the settings without touching the network.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Prepares it; nothing is served yet.
    fn open<'a>(&'a self, cx: (), by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Tftp>>>;
}

/// The boot loader's place in a network where nobody hands out addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoaderPlace {
    /// Its own address: `{ipaddr}` of a board's dialogue.
    pub address: Ipv4Addr,
    /// `{netmask}`.
    pub netmask: Ipv4Addr,
    /// The way to the server, where it is not on the same network: `{gatewayip}`.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
}

impl LoaderPlace {
    fn place(&self) -> LoaderNet {
        LoaderNet { address: self.address, netmask: self.netmask, gateway: self.gateway }
    }
}

/// A boot loader asks one address, not whichever this host may have.
fn one_address(address: Ipv4Addr) -> Result<(), WiringProblem> {
    if address.is_unspecified() || address.is_broadcast() || address.is_multicast() {
        let what = format!("`{address}` is no address that a boot loader can ask");
        return Err(WiringProblem::new("address", what));
    }
    Ok(())
}
