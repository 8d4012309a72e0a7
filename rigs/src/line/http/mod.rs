//! Relays and PDUs with a web interface.

mod client;
mod dialect;
mod digest;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::{Secret, Span};
use shakedown_console::Capture;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx, SETTLE, settle};
use crate::wiring::WiringProblem;
use crate::worker::Worker;
pub(crate) use client::{Ask, Client};
pub use dialect::{Device, Generic, Named, Outlet, Request, State};

const NAME: &str = "http";

/// A relay or a PDU with a web interface, asked over HTTP: Shelly, Tasmota, ESPHome, Home
/// Assistant, NETIO, Digital Loggers, Gude, and any other by its requests. Every answer is
/// looked into, for devices report errors with status 200 too, and the state is read back from
/// the device. Plain HTTP: use it in a lab's own network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Http")]
pub struct Conf {
    /// Where it is: `http://10.0.0.7`, `http://pdu.lab:8080`.
    pub url: String,
    /// Which kind of device, and which of its outlets: `{ shelly-gen2: { outlet: 1 } }`.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Device")]
    pub device: Device,
    /// Who may switch it; Basic or Digest, as the device asks.
    #[serde(default)]
    pub login: Option<Login>,
    /// A token sent with each request (Home Assistant): `{ env: NAME }` or `{ file: PATH }`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The longest time from the device's word to its relay (default: 3s).
    #[serde(default)]
    pub settle: Option<Span>,
}

/// A user and where the password is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpLogin")]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// `{ env: NAME }` or `{ file: PATH }`.
    pub password: Secret,
}

impl Conf {
    /// Without a slash at its end.
    fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    fn endpoint(&self) -> String {
        match self.device.which() {
            (Some(outlet), _) => format!("{} outlet {outlet}", self.base()),
            (None, "") => self.base().to_owned(),
            (None, name) => format!("{} {name}", self.base()),
        }
    }
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        check_url(&self.url)?;
        self.device.check()?;
        let dialect = self.device.dialect();
        for (field, step) in [("on", &dialect.on), ("off", &dialect.off)] {
            if !step.ask.path.starts_with('/') {
                return Err(WiringProblem::new(
                    format!("device.generic.{field}.path"),
                    "a path begins with `/`",
                ));
            }
            if let Some(pattern) = &step.answer {
                let field = format!("device.generic.{field}.answer");
                compile(pattern).map_err(|what| WiringProblem::new(field, what))?;
            }
        }
        if let Some(status) = &dialect.status {
            if !status.ask.path.starts_with('/') {
                return Err(WiringProblem::new("device.generic.status.path", "a path begins with `/`"));
            }
            for (field, pattern) in [("on", &status.on), ("off", &status.off)] {
                let field = format!("device.generic.status.{field}");
                compile(pattern).map_err(|what| WiringProblem::new(field, what))?;
            }
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let endpoint = self.endpoint();
            let wrong = |what: String| {
                Fault::new(InfraKind::Config, NAME, "open", &endpoint).expected("byte regexes", what)
            };
            let dialect = self.device.dialect();
            let step = |step: dialect::Step| {
                let answer = step.answer.map(|pattern| compile(&pattern)).transpose().map_err(wrong)?;
                Rig::Ok((step.ask, answer))
            };
            let status = dialect.status.map(|status| {
                Rig::Ok((
                    status.ask,
                    compile(&status.on).map_err(wrong)?,
                    compile(&status.off).map_err(wrong)?,
                ))
            });
            let client = Client {
                driver: NAME,
                endpoint: endpoint.clone(),
                base: self.base().to_owned(),
                login: self.login.clone(),
                login_in_query: self.device.login_in_query(),
                token: self.token.clone(),
            };
            let line = Http {
                steps: [step(dialect.off)?, step(dialect.on)?],
                status: status.transpose()?,
                worker: Worker::of(NAME, self.base())?,
                client: Arc::new(client),
                settle: self.settle.map_or(SETTLE, Span::get),
                endpoint,
            };
            Ok(Arc::new(line) as Arc<dyn Line>)
        })
    }
}

/// An address without a login, a query, or TLS.
pub(crate) fn check_url(url: &str) -> Result<(), WiringProblem> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:_[]/%".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(WiringProblem::new(
            "url",
            "not an address such as `http://10.0.0.7` or `http://pdu.lab:8080`",
        ));
    }
    Ok(())
}

fn compile(pattern: &str) -> Result<Capture, String> {
    Capture::compile(&format!("({pattern})")).map_err(|error| error.what)
}

struct Http {
    endpoint: String,
    client: Arc<Client>,
    worker: Arc<Worker>,
    /// For off and on.
    steps: [(Ask, Option<Capture>); 2],
    /// With the patterns for on and off.
    status: Option<(Ask, Capture, Capture)>,
    settle: std::time::Duration,
}

impl Line for Http {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let op = if on { "switch on" } else { "switch off" };
            let (client, (ask, answer)) = (self.client.clone(), self.steps[usize::from(on)].clone());
            let said = self.worker.run(op, by, move |by| client.send(op, &ask, by)).await?;
            if let Some(answer) = answer
                && answer.first(&said.body).is_none()
            {
                return Err(Fault::new(InfraKind::Power, NAME, op, &self.endpoint)
                    .expected("the device's word that it did so", said.excerpt));
            }
            settle(self, on, self.settle, by).await
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let Some((ask, on, off)) = &self.status else { return Ok(Level::Unknown) };
            let (client, ask) = (self.client.clone(), ask.clone());
            let said = self.worker.run("read back", by, move |by| client.send("read back", &ask, by)).await?;
            match (on.first(&said.body).is_some(), off.first(&said.body).is_some()) {
                (true, false) => Ok(Level::On),
                (false, true) => Ok(Level::Off),
                (both, _) => {
                    let which = if both { "both" } else { "neither" };
                    Err(Fault::new(InfraKind::Power, NAME, "read back", &self.endpoint)
                        .expected("a state of on or off", format!("{which}, in {}", said.excerpt))
                        .hint("is it this kind of device, and does it have this outlet?"))
                }
            }
        })
    }

    fn when_dropped(&self) -> Level {
        // A PDU keeps what it was told.
        Level::Unknown
    }
}
