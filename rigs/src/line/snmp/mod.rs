//! Outlets of PDUs and PoE ports of switches, over SNMP.

mod dialect;
mod session;

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Span;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx, SETTLE, TICK, settle};
use crate::wiring::WiringProblem;
use crate::worker::Worker;
pub use dialect::{Device, Generic, Outlet, Place, Port, Write};
use dialect::{Dialect, Numbers};
use session::Agent;
pub use session::{Access, CipherDoc, Community, Hash, User};

const NAME: &str = "snmp";

/// An outlet of a PDU, or a switch's PoE port, over SNMP v1, v2c or v3: APC, Eaton, Raritan,
/// CyberPower, Server Technology, RFC 3621, and any other by its objects. The agent's errors are
/// faults, and the state is read back from the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Snmp")]
pub struct Conf {
    /// `host`, or `host:port` where it is not 161.
    pub host: String,
    /// Which make, and which of its outlets: `{ apc: { outlet: 3 } }`.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Device")]
    pub device: Device,
    /// What opens it: `{ v2c: { community: { env: PDU_COMMUNITY } } }`.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Access")]
    pub access: Access,
    /// The longest time from the device's word to its relay (default: 3s).
    #[serde(default)]
    pub settle: Option<Span>,
}

impl Conf {
    fn address(&self) -> String {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.ends_with(':') => self.host.clone(),
            _ => format!("{}:161", self.host),
        }
    }
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if self.host.is_empty() || self.host.contains(char::is_whitespace) {
            return Err(WiringProblem::new(
                "host",
                format!("`{}` is no host name and no address", self.host),
            ));
        }
        if let Access::V3(user) = &self.access {
            user.check().map_err(|(field, what)| WiringProblem::new(field, what))?;
        }
        self.device.dialect().map(drop)
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let endpoint = format!("{} {}", self.host, self.device.which());
            let dialect = self.device.dialect().map_err(|problem| {
                Fault::new(InfraKind::Config, NAME, "open", &endpoint)
                    .expected("a device", problem.to_string())
            })?;
            let worker = Worker::of(NAME, &self.host)?;
            let agent = Agent { address: self.address(), endpoint, access: self.access.clone() };
            let settle = self.settle.map_or(SETTLE, Span::get);
            Ok(Arc::new(Snmp { agent, dialect, worker, settle }) as Arc<dyn Line>)
        })
    }
}

struct Snmp {
    agent: Agent,
    dialect: Dialect,
    worker: Arc<Worker>,
    settle: Duration,
}

impl Snmp {
    async fn state(&self, by: &Deadline) -> Rig<i64> {
        let (agent, state): (_, Numbers) = (self.agent.clone(), self.dialect.state.clone());
        self.worker.run("read back", by, move |by| agent.get("read back", &state, by)).await
    }
}

impl Line for Snmp {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        self.agent.endpoint.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let op = if on { "switch on" } else { "switch off" };
            let (object, value) = if on { self.dialect.on.clone() } else { self.dialect.off.clone() };
            let agent = self.agent.clone();
            self.worker.run(op, by, move |by| agent.set(op, &object, value, by)).await?;
            settle(self, on, self.settle, by).await
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let wait = by.child("an outlet that moves", self.settle).at_rig_pace();
            loop {
                let state = self.state(by).await?;
                let fault = || Fault::new(InfraKind::Power, NAME, "read back", &self.agent.endpoint);
                match state {
                    _ if self.dialect.state_on.contains(&state) => return Ok(Level::On),
                    _ if self.dialect.state_off.contains(&state) => return Ok(Level::Off),
                    _ if self.dialect.moving.contains(&state) => {
                        let late =
                            |stop| fault().expected("on or off", format!("still {state}")).stopped(stop);
                        wait.pause(TICK, || format!("state {state}")).await.map_err(late)?;
                    }
                    _ => {
                        let (on, off) = (&self.dialect.state_on, &self.dialect.state_off);
                        return Err(
                            fault().expected(format!("{on:?} for on or {off:?} for off"), state.to_string())
                        );
                    }
                }
            }
        })
    }

    fn when_dropped(&self) -> Level {
        // A PDU keeps what it was told.
        Level::Unknown
    }
}
