//! A DUT that is found on an interface of the rig host by the name that its image was given.

mod leases;
mod mac;
mod mdns;
mod side;

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, NetPath, Network, Rig, ShellError, Unreachable};

use self::leases::Wanted;
use self::mac::Mac;
use self::side::Side;
use super::{NetworkConf, is_host, path_to};
use crate::wiring::WiringProblem;

const NAME: &str = "link";
/// Multicast DNS answers within half a second (RFC 6762, 6 and 6.3), and a question is asked again after
/// one; a DUT that is just up has it for the third.
const ANSWER: Duration = Duration::from_millis(3500);

/// A DUT that is found anew each time on an interface of the rig host: in the leases of the DHCP server that
/// serves it, else by asking for its name there (multicast DNS). The name is the one that the run gave to
/// its image, so no older system and no other board is taken for it. An interface that is away, down,
/// without address or without carrier is the rig's fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Link")]
pub struct Conf {
    /// The rig host's interface on the DUT's network: `eth1`.
    pub interface: String,
    /// The cable goes from there to the DUT itself, without a switch: no carrier means then that the DUT's end
    /// is dark, which is no fault of the rig (default: false).
    #[serde(default)]
    pub direct: bool,
    /// The leases of the DHCP server: dnsmasq's (`/var/lib/misc/dnsmasq.leases`) or ISC dhcpd's
    /// (`/var/lib/dhcp/dhcpd.leases`).
    #[serde(default)]
    pub leases: Option<PathBuf>,
    /// The DUT's hardware address, for an OS that takes no name from its image: `dc:a6:32:01:02:03`. It is
    /// looked for in the leases.
    #[serde(default)]
    pub mac: Option<String>,
    /// The name of a DUT outside of runs, or one whose image takes none, without `.local`.
    #[serde(default)]
    pub hostname: Option<String>,
}

impl NetworkConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        let problem = |field, what: String| Err(WiringProblem::new(field, what));
        // Linux: at most 15 bytes, and the name of a folder.
        let (name, odd) = (&self.interface, |c: char| c.is_whitespace() || matches!(c, '/' | ':'));
        if name.is_empty() || name.len() > 15 || name.contains(odd) || name.starts_with('.') {
            return problem("interface", format!("`{name}` is no name of an interface: `eth1`"));
        }
        if let Some(mac) = &self.mac {
            if Mac::parse(mac).is_none() {
                return problem("mac", format!("`{mac}` is no hardware address `dc:a6:32:01:02:03`"));
            }
            if self.leases.is_none() {
                return problem("mac", "it is looked for in `leases`, which is not given".into());
            }
        }
        if let Some(name) = self.hostname.as_ref().filter(|name| !is_host(name) || name.contains('.')) {
            return problem("hostname", format!("`{name}` is no host name without a domain"));
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: (), _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Network>>> {
        let link = Link { conf: self.clone(), named: Mutex::default() };
        Box::pin(async move { Ok(Arc::new(link) as Arc<dyn Network>) })
    }
}

struct Link {
    conf: Conf,
    /// The names that this run gave its image, the latest last.
    named: Mutex<Vec<String>>,
}

impl Link {
    fn wanted(&self) -> Wanted {
        let mut hostnames = self.named.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if hostnames.is_empty() {
            hostnames.extend(self.conf.hostname.clone());
        }
        Wanted { mac: self.conf.mac.as_deref().and_then(Mac::parse), hostnames }
    }

    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Network, NAME, op, &self.conf.interface)
    }

    /// The rig's own end, which has a carrier where that is the rig's own affair.
    fn side(&self) -> Rig<Side> {
        let use_it = || self.fault("use");
        let side = Side::look(&self.conf.interface)
            .map_err(|why| use_it().expected("an interface that is up", why.to_string()))?;
        if !side.carrier && !self.conf.direct {
            return Err(use_it().expected("a carrier", "none: the cable, or the switch behind it"));
        }
        Ok(side)
    }

    /// Where it is now. Nothing is kept from one look to the next.
    async fn find(&self, by: &Deadline) -> Result<(Side, IpAddr), ShellError> {
        let side = self.side().map_err(ShellError::Rig)?;
        let wanted = self.wanted();
        if wanted.mac.is_none() && wanted.hostnames.is_empty() {
            let fault = self.fault("look for the DUT on");
            let fault = fault.expected("a name to look for", "none: no run has named the DUT");
            return Err(ShellError::Rig(
                fault.hint("add `hostname`, or `mac` and `leases`, to `network.link`"),
            ));
        }
        if !side.carrier {
            return Err(ShellError::Dut(Unreachable::NoRoute(format!(
                "{} has no carrier",
                self.conf.interface
            ))));
        }
        if let Some(path) = &self.conf.leases
            && let Some(addr) = leased(path, &wanted).map_err(ShellError::Rig)?
        {
            return Ok((side, addr));
        }
        if wanted.hostnames.is_empty() {
            return Err(ShellError::Dut(Unreachable::NoRoute(format!("no lease for {wanted}"))));
        }
        let names: Vec<_> = wanted.hostnames.iter().map(|name| format!("{name}.local")).collect();
        let answer = by.child(format!("an answer for {}", names.join(" or ")), ANSWER).at_rig_pace();
        let enough = |addr: &IpAddr| preference(addr).0 == 0;
        let found = mdns::ask(&self.conf.interface, &names, enough, &answer).await;
        let found =
            found.map_err(|why| ShellError::Rig(self.fault("ask on").expected("a question sent", why)))?;
        let found = found.into_iter().min_by_key(preference).map(|addr| (side, addr));
        found.ok_or_else(|| {
            let leases = if self.conf.leases.is_some() { "no lease and " } else { "" };
            let why = format!("{leases}no answer for {} on {}", names.join(" or "), self.conf.interface);
            ShellError::Dut(Unreachable::NoRoute(why))
        })
    }
}

/// What the DHCP server noted of it.
fn leased(path: &Path, wanted: &Wanted) -> Rig<Option<IpAddr>> {
    let broken = |got: &dyn fmt::Display| {
        let fault = Fault::new(InfraKind::Network, NAME, "read the leases in", path.display().to_string());
        fault.expected("leases of dnsmasq or ISC dhcpd", got.to_string())
    };
    let text = std::fs::read(path).map_err(|error| broken(&error))?;
    leases::find(&String::from_utf8_lossy(&text), wanted).map_err(|problem| broken(&problem))
}

impl Network for Link {
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        Box::pin(async move {
            let (side, addr) = self.find(by).await?;
            Ok(match addr {
                // Valid on one interface only, so it is said on which.
                IpAddr::V6(addr) if addr.is_unicast_link_local() => {
                    SocketAddr::V6(SocketAddrV6::new(addr, port, 0, side.index))
                }
                addr => SocketAddr::new(addr, port),
            })
        })
    }

    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath> {
        Box::pin(async move { path_to(self.tcp(port, by).await, by).await })
    }

    fn look<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            let side = self.side()?;
            if let Some(path) = &self.conf.leases {
                leased(path, &self.wanted())?;
            }
            let carrier = if side.carrier { "with a carrier" } else { "and dark, as its DUT is" };
            Ok(format!("{} is up, {carrier}", self.conf.interface))
        })
    }

    fn named(&self, hostname: &str) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|name| name != hostname);
        named.push(hostname.to_owned());
    }
}

/// What most likely reaches it first.
fn preference(addr: &IpAddr) -> (u8, IpAddr) {
    let rank = match addr {
        IpAddr::V4(addr) if !addr.is_link_local() => 0,
        IpAddr::V6(addr) if !addr.is_unicast_link_local() => 1,
        // It needs no route of its own on the rig host, as one of IPv4 does.
        IpAddr::V6(_) => 2,
        IpAddr::V4(_) => 3,
    };
    (rank, *addr)
}
