//! A DUT whose name or address is known.

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, NetPath, Network, Rig};
use tokio::net::lookup_host;

use super::{NetworkConf, is_host};
use crate::wiring::WiringProblem;

/// A DUT that always has this name or address: a fixed DHCP lease, a name that DNS or mDNS
/// resolves. It is looked up anew each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Address")]
pub struct Conf {
    /// A host name or an IP address, without a port.
    pub host: String,
}

impl NetworkConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !is_host(&self.host) {
            let what = format!("`{}` is no host name and no address", self.host);
            return Err(WiringProblem::new("host", what));
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: (), _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Network>>> {
        let found = Arc::new(Address { host: self.host.clone() });
        Box::pin(async move { Ok(found as Arc<dyn Network>) })
    }
}

struct Address {
    host: String,
}

impl Network for Address {
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Rig<SocketAddr>> {
        Box::pin(async move {
            let fault = || Fault::new(InfraKind::Network, "address", "look up", &self.host);
            let found = by
                .run(|| "no answer from the resolver".into(), lookup_host((self.host.as_str(), port)))
                .await
                .map_err(|stop| fault().stopped(stop))?
                .map_err(|error| fault().because(&error).hint("is the DUT on, and its name right?"))?;
            let mut found: Vec<_> = found.collect();
            // Link-local IPv6 addresses need an interface that a name does not give.
            found.sort_by_key(SocketAddr::is_ipv6);
            found.first().copied().ok_or_else(|| fault().expected("an address", "none"))
        })
    }

    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath> {
        Box::pin(async move {
            // A name that mDNS does not know belongs to a DUT that does not answer.
            let Ok(addr) = self.tcp(port, by).await else { return NetPath::Silent };
            shakedown_host::ssh::path(addr, by).await
        })
    }
}
