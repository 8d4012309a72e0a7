//! What each kind of device wants to hear and how it tells its state: data.
//!
//! Sources: reference/peers.md 1.4 and the vendors' API pages. `{n}` is the outlet counted
//! from 1, `{n0}` counted from 0, `{name}` the settings' name, `{domain}` a name up to its dot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Pattern;

use super::client::Ask;
use crate::wiring::WiringProblem;

/// A kind of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HttpDevice")]
pub enum Device {
    /// Shelly, first generation: `/relay/N`.
    #[serde(rename = "shelly-gen1")]
    ShellyGen1(Outlet),
    /// Shelly, second generation and later: JSON-RPC.
    #[serde(rename = "shelly-gen2")]
    ShellyGen2(Outlet),
    /// Tasmota: `/cm?cmnd=Power`.
    Tasmota(Outlet),
    /// ESPHome with `web_server:`; the name is the switch's id.
    Esphome(Named),
    /// Home Assistant; the name is the entity: `switch.pi4`.
    HomeAssistant(Named),
    /// NETIO with its JSON interface.
    Netio(Outlet),
    /// Digital Loggers with the REST interface.
    DliRest(Outlet),
    /// Gude with `status.json`: 8031 and later, with "Basic Compatible" authentication.
    Gude(Outlet),
    /// Gude with `ov.html`: 8080, 8316, Expert Power Control 24.
    GudeHtml(Outlet),
    /// Any other: the requests as they are.
    Generic(Box<Generic>),
}

/// One of a device's outlets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpOutlet")]
pub struct Outlet {
    /// Counted from 1, as printed on the device, also where its interface counts from 0.
    pub outlet: u8,
}

/// A switch that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpNamed")]
pub struct Named {
    /// As the device knows it.
    pub name: String,
}

/// The requests of a device that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpGeneric")]
pub struct Generic {
    /// Switches it on.
    pub on: Request,
    /// Switches it off.
    pub off: Request,
    /// Asks for its state; without it nothing reads the output back.
    #[serde(default)]
    pub status: Option<State>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpRequest")]
pub struct Request {
    /// `GET` unless it says otherwise.
    #[serde(default)]
    pub method: Option<String>,
    /// From the first `/`, with its query.
    pub path: String,
    /// What is sent with it.
    #[serde(default)]
    pub body: Option<String>,
    /// The body's type; `application/json` unless it says otherwise.
    #[serde(default)]
    pub content_type: Option<String>,
    /// A byte regex that the answer must match: devices report errors with status 200 too.
    #[serde(default)]
    pub answer: Option<Pattern>,
}

/// How the state is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "HttpState")]
pub struct State {
    /// From the first `/`, with its query; asked with `GET`.
    pub path: String,
    /// A byte regex that the answer matches when the output is on.
    pub on: Pattern,
    /// A byte regex that the answer matches when the output is off.
    pub off: Pattern,
}

/// Everything that is known of a device.
pub(super) struct Dialect {
    pub(super) on: Step,
    pub(super) off: Step,
    pub(super) status: Option<Status>,
}

/// A request, and what its answer must match.
pub(super) struct Step {
    pub(super) ask: Ask,
    pub(super) answer: Option<String>,
}

/// A request for the state, and its two patterns.
pub(super) struct Status {
    pub(super) ask: Ask,
    pub(super) on: String,
    pub(super) off: String,
}

/// `{state}` is `on` or `off` in `set`, as `words` spells it; in `answer` and `shows` too.
struct Row {
    method: &'static str,
    set: &'static str,
    body: Option<&'static str>,
    kind: Option<&'static str>,
    header: Option<(&'static str, &'static str)>,
    words: [&'static str; 2],
    answer: Option<&'static str>,
    get: (&'static str, &'static str, Option<&'static str>),
    shown: [&'static str; 2],
    shows: &'static str,
}

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const PLAIN: Row = Row {
    method: "GET",
    set: "",
    body: None,
    kind: None,
    header: None,
    words: ["on", "off"],
    answer: None,
    get: ("GET", "", None),
    shown: ["1", "0"],
    shows: "",
};

const SHELLY_GEN1: Row = Row {
    method: "POST",
    set: "/relay/{n0}",
    body: Some("turn={state}"),
    kind: FORM,
    get: ("GET", "/relay/{n0}", None),
    shown: ["true", "false"],
    shows: r#""ison"\s*:\s*{state}\b"#,
    ..PLAIN
};
const SHELLY_GEN2: Row = Row {
    method: "POST",
    set: "/rpc",
    body: Some(r#"{"id":1,"method":"Switch.Set","params":{"id":{n0},"on":{state}}}"#),
    kind: JSON,
    words: ["true", "false"],
    // An error comes with status 200 and `"error"` in place of it.
    answer: Some(r#""result"\s*:"#),
    get: ("POST", "/rpc", Some(r#"{"id":1,"method":"Switch.GetStatus","params":{"id":{n0}}}"#)),
    shown: ["true", "false"],
    shows: r#""output"\s*:\s*{state}\b"#,
    ..PLAIN
};
const TASMOTA: Row = Row {
    set: "/cm?cmnd=Power{n}%20{state}",
    answer: Some(r#""POWER{n?}"\s*:\s*"(?i:{state})""#),
    get: ("GET", "/cm?cmnd=Power{n}", None),
    shown: ["ON", "OFF"],
    shows: r#""POWER{n?}"\s*:\s*"{state}""#,
    ..PLAIN
};
const ESPHOME: Row = Row {
    method: "POST",
    set: "/switch/{name}/turn_{state}",
    get: ("GET", "/switch/{name}", None),
    shown: ["ON", "OFF"],
    shows: r#""state"\s*:\s*"{state}""#,
    ..PLAIN
};
const HOME_ASSISTANT: Row = Row {
    method: "POST",
    set: "/api/services/{domain}/turn_{state}",
    body: Some(r#"{"entity_id":"{name}"}"#),
    kind: JSON,
    get: ("GET", "/api/states/{name}", None),
    shown: ["on", "off"],
    shows: r#""state"\s*:\s*"{state}""#,
    ..PLAIN
};
const NETIO: Row = Row {
    method: "POST",
    set: "/netio.json",
    body: Some(r#"{"Outputs":[{"ID":{n},"Action":{state}}]}"#),
    kind: JSON,
    words: ["1", "0"],
    answer: Some(r#""Outputs"\s*:"#),
    get: ("GET", "/netio.json", None),
    shows: r#""ID"\s*:\s*{n}\s*,[^{}]*"State"\s*:\s*{state}\b"#,
    ..PLAIN
};
const DLI_REST: Row = Row {
    method: "PUT",
    set: "/restapi/relay/outlets/={n0}/state/",
    body: Some("value={state}"),
    kind: FORM,
    header: Some(("X-CSRF", "x")),
    words: ["true", "false"],
    get: ("GET", "/restapi/relay/outlets/={n0}/state/", None),
    shown: ["true", "false"],
    shows: r"\A\s*\[?\s*{state}\s*\]?\s*\z",
    ..PLAIN
};
const GUDE: Row = Row {
    set: "/status.json?components=0&cmd=1&p={n}&s={state}",
    words: ["1", "0"],
    get: ("GET", "/status.json?components=1", None),
    shows: r#""outputs"\s*:\s*\[(?:\s*\{[^{}]*\}\s*,){{n0}}\s*\{[^{}]*"state"\s*:\s*{state}\b"#,
    ..PLAIN
};
const GUDE_HTML: Row = Row {
    set: "/ov.html?cmd=1&p={n}&s={state}",
    words: ["1", "0"],
    get: ("GET", "/ov.html", None),
    shows: r#"content="Power Port {n},{state}""#,
    ..PLAIN
};

impl Row {
    fn fill(&self, device: &Device) -> Dialect {
        let (outlet, name) = device.which();
        let number = outlet.unwrap_or(1);
        // A unit with one relay answers without a number.
        let maybe = if number == 1 { "1?".to_owned() } else { number.to_string() };
        let fill = |text: &str, state: &str| {
            text.replace("{n}", &number.to_string())
                .replace("{n0}", &(number - 1).to_string())
                .replace("{n?}", &maybe)
                .replace("{name}", name)
                .replace("{domain}", name.split('.').next().unwrap_or(name))
                .replace("{state}", state)
        };
        let headers = |kind: Option<&str>| {
            let kind = kind.map(|kind| ("Content-Type".to_owned(), kind.to_owned()));
            let own = self.header.map(|(name, value)| (name.to_owned(), value.to_owned()));
            kind.into_iter().chain(own).chain([("Accept".to_owned(), "application/json, */*".to_owned())])
        };
        let step = |state: &str| Step {
            ask: Ask {
                method: self.method.into(),
                path: fill(self.set, state),
                body: self.body.map(|body| fill(body, state)),
                headers: headers(self.kind).collect(),
            },
            answer: self.answer.map(|pattern| fill(pattern, state)),
        };
        let (method, path, body) = self.get;
        let ask = Ask {
            method: method.into(),
            path: fill(path, ""),
            body: body.map(|body| fill(body, "")),
            headers: headers(body.and(JSON)).collect(),
        };
        let status =
            Status { ask, on: fill(self.shows, self.shown[0]), off: fill(self.shows, self.shown[1]) };
        Dialect { on: step(self.words[0]), off: step(self.words[1]), status: Some(status) }
    }
}

impl Device {
    pub(super) fn dialect(&self) -> Dialect {
        let row = match self {
            Self::ShellyGen1(_) => SHELLY_GEN1,
            Self::ShellyGen2(_) => SHELLY_GEN2,
            Self::Tasmota(_) => TASMOTA,
            Self::Esphome(_) => ESPHOME,
            Self::HomeAssistant(_) => HOME_ASSISTANT,
            Self::Netio(_) => NETIO,
            Self::DliRest(_) => DLI_REST,
            Self::Gude(_) => GUDE,
            Self::GudeHtml(_) => GUDE_HTML,
            Self::Generic(own) => return own.dialect(),
        };
        row.fill(self)
    }

    /// The outlet counted from 1, or the name.
    pub(super) fn which(&self) -> (Option<u8>, &str) {
        match self {
            Self::ShellyGen1(it)
            | Self::ShellyGen2(it)
            | Self::Tasmota(it)
            | Self::Netio(it)
            | Self::DliRest(it)
            | Self::Gude(it)
            | Self::GudeHtml(it) => (Some(it.outlet), ""),
            Self::Esphome(it) | Self::HomeAssistant(it) => (None, &it.name),
            Self::Generic(_) => (None, ""),
        }
    }

    /// Tasmota takes its login as a part of the address.
    pub(super) fn login_in_query(&self) -> bool {
        matches!(self, Self::Tasmota(_))
    }

    pub(super) fn check(&self) -> Result<(), WiringProblem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        match self.which() {
            (Some(0), _) => Err(WiringProblem::new("device.outlet", "outlets are counted from 1")),
            (Some(_), _) => Ok(()),
            (None, _) if matches!(self, Self::Generic(_)) => Ok(()),
            (None, name) if !name.is_empty() && name.chars().all(plain) => Ok(()),
            (None, name) => {
                let what = format!("`{name}` is no name: letters, digits, `.`, `_` and `-`");
                Err(WiringProblem::new("device.name", what))
            }
        }
    }
}

impl Generic {
    fn dialect(&self) -> Dialect {
        let step = |request: &Request| Step {
            ask: request.ask(),
            answer: request.answer.as_ref().map(|pattern| pattern.0.clone()),
        };
        let status = self.status.as_ref().map(|state| Status {
            ask: Ask { method: "GET".into(), path: state.path.clone(), ..Ask::default() },
            on: state.on.0.clone(),
            off: state.off.0.clone(),
        });
        Dialect { on: step(&self.on), off: step(&self.off), status }
    }
}

impl Request {
    fn ask(&self) -> Ask {
        let kind = self.content_type.as_deref().unwrap_or("application/json");
        let kind = self.body.as_ref().map(|_| ("Content-Type".to_owned(), kind.to_owned()));
        Ask {
            method: self.method.clone().unwrap_or_else(|| "GET".into()),
            path: self.path.clone(),
            body: self.body.clone(),
            headers: kind.into_iter().collect(),
        }
    }
}
