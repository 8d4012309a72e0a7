//! A DUT whose name or address is known.

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, NetPath, Network, Rig, ShellError, Unreachable};
use tokio::net::lookup_host;

use super::{NetworkConf, is_host, path_to};
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

/// Whether there is no such name. Where DHCP hands names to DNS, as where a DUT answers for its own, that is so
/// whenever the DUT is not there; a resolver that cannot tell is the rig's.
fn is_unknown(error: &std::io::Error) -> bool {
    // glibc's words for EAI_AGAIN, the one that asks to try again; std passes on no number.
    !error.to_string().contains("Temporary failure")
}

impl Network for Address {
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        Box::pin(async move {
            let fault = || Fault::new(InfraKind::Network, "address", "look up", &self.host);
            let looked_up = lookup_host((self.host.as_str(), port));
            let looked_up = by
                .run(|| "no answer from the resolver".into(), looked_up)
                .await
                .map_err(|stop| ShellError::Rig(fault().stopped(stop)))?;
            let mut found: Vec<_> = match looked_up {
                Ok(found) => found.collect(),
                Err(error) if is_unknown(&error) => {
                    return Err(ShellError::Dut(Unreachable::NoRoute(format!("{}: {error}", self.host))));
                }
                Err(error) => {
                    return Err(ShellError::Rig(fault().because(&error)));
                }
            };
            // Link-local IPv6 addresses need an interface that a name does not give.
            found.sort_by_key(SocketAddr::is_ipv6);
            found.first().copied().ok_or_else(|| ShellError::Rig(fault().expected("an address", "none")))
        })
    }

    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath> {
        Box::pin(async move { path_to(self.tcp(port, by).await, by).await })
    }

    fn look<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            match self.tcp(0, by).await {
                Ok(addr) => Ok(format!("{} is at {}", self.host, addr.ip())),
                Err(ShellError::Rig(fault)) => Err(fault),
                Err(ShellError::Dut(_)) => Ok(format!("no address for {} (is its name right?)", self.host)),
            }
        })
    }
}
