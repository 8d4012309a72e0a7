//! Which objects each make of PDU has for its outlets: data.
//!
//! Sources: reference/peers.md 1.4 (labgrid's and pdudaemon's tables) and, for CyberPower's
//! state, its MIB (`ePDUOutletStatusOutletState`). `{}` is the outlet's index.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wiring::WiringProblem;

/// A make of PDU, and which of its outlets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SnmpDevice")]
pub enum Device {
    /// APC: rack PDUs and MasterSwitch (`sPDUOutletCtl`).
    Apc(Outlet),
    /// Eaton ePDU G3.
    Eaton(Outlet),
    /// Raritan PX2 and PX3.
    Raritan(Outlet),
    /// CyberPower switched PDUs.
    Cyberpower(Outlet),
    /// Server Technology with the Sentry3 MIB.
    ServerTech(Place),
    /// A switch's PoE port (RFC 3621).
    Poe(Port),
    /// Any other: its objects.
    Generic(Box<Generic>),
}

/// An outlet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpOutlet")]
pub struct Outlet {
    /// Counted from 1, as printed on the device.
    pub outlet: u16,
}

/// An outlet of a Server Technology PDU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpPlace")]
pub struct Place {
    /// The tower (default: 1).
    #[serde(default = "one")]
    pub tower: u16,
    /// The infeed, which Sentry calls a bank (default: 1).
    #[serde(default = "one")]
    pub bank: u16,
    /// The outlet in it.
    pub outlet: u16,
}

/// A PoE port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpPort")]
pub struct Port {
    /// The switch in its stack (default: 1).
    #[serde(default = "one")]
    pub group: u16,
    /// The port.
    pub port: u16,
}

/// The objects of a device that this program does not know. All values are integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpGeneric")]
pub struct Generic {
    /// Switches it on.
    pub on: Write,
    /// Switches it off.
    pub off: Write,
    /// The object that tells its state.
    pub state: String,
    /// What it holds when the output is on.
    pub state_on: Vec<i64>,
    /// What it holds when the output is off.
    pub state_off: Vec<i64>,
}

/// A value for an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpWrite")]
pub struct Write {
    /// The object: `1.3.6.1.4.1.318.1.1.4.4.2.1.3.1`.
    pub oid: String,
    /// What is written.
    pub value: i64,
}

fn one() -> u16 {
    1
}

/// An object's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers(pub(super) Vec<u64>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u64>, _> = text.trim_start_matches('.').split('.').map(str::parse).collect();
        match numbers {
            // What the first byte of an encoded object can hold.
            Ok(numbers) if numbers.len() > 2 && numbers[0] <= 2 && numbers[1] < 40 => Ok(Self(numbers)),
            _ => Err(format!("`{text}` is no object such as `1.3.6.1.4.1.318.1.1.4.4.2.1.3.1`")),
        }
    }
}

/// Everything that is known of an outlet.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) on: (Numbers, i64),
    pub(super) off: (Numbers, i64),
    pub(super) state: Numbers,
    pub(super) state_on: Vec<i64>,
    pub(super) state_off: Vec<i64>,
    /// On its way to on or off.
    pub(super) moving: &'static [i64],
}

struct Row {
    on: (&'static str, i64),
    off: (&'static str, i64),
    state: &'static str,
    shown: [&'static [i64]; 2],
    moving: &'static [i64],
}

const fn same(oid: &'static str) -> Row {
    Row { on: (oid, 1), off: (oid, 2), state: oid, shown: [&[1], &[2]], moving: &[] }
}

const APC: Row = same("1.3.6.1.4.1.318.1.1.4.4.2.1.3.{}");
const POE: Row = same("1.3.6.1.2.1.105.1.1.1.3.{}");
const CYBERPOWER: Row =
    Row { state: "1.3.6.1.4.1.3808.1.1.3.3.5.1.1.4.{}", ..same("1.3.6.1.4.1.3808.1.1.3.3.3.1.1.4.{}") };
const EATON: Row = Row {
    on: ("1.3.6.1.4.1.534.6.6.7.6.6.1.4.0.{}", 1),
    off: ("1.3.6.1.4.1.534.6.6.7.6.6.1.3.0.{}", 1),
    state: "1.3.6.1.4.1.534.6.6.7.6.6.1.2.0.{}",
    shown: [&[1], &[0]],
    moving: &[2, 3],
};
const RARITAN: Row = Row {
    on: ("1.3.6.1.4.1.13742.6.4.1.2.1.2.1.{}", 1),
    off: ("1.3.6.1.4.1.13742.6.4.1.2.1.2.1.{}", 0),
    state: "1.3.6.1.4.1.13742.6.4.1.2.1.3.1.{}",
    shown: [&[7], &[8]],
    moving: &[],
};
const SERVER_TECH: Row = Row {
    state: "1.3.6.1.4.1.1718.3.2.3.1.10.{}",
    shown: [&[3, 5], &[4]],
    ..same("1.3.6.1.4.1.1718.3.2.3.1.11.{}")
};

impl Device {
    fn row(&self) -> Option<(Row, String)> {
        Some(match self {
            Self::Apc(it) => (APC, it.outlet.to_string()),
            Self::Eaton(it) => (EATON, it.outlet.to_string()),
            Self::Raritan(it) => (RARITAN, it.outlet.to_string()),
            Self::Cyberpower(it) => (CYBERPOWER, it.outlet.to_string()),
            Self::ServerTech(it) => (SERVER_TECH, format!("{}.{}.{}", it.tower, it.bank, it.outlet)),
            Self::Poe(it) => (POE, format!("{}.{}", it.group, it.port)),
            Self::Generic(_) => return None,
        })
    }

    /// For people.
    pub(super) fn which(&self) -> String {
        match self {
            Self::Poe(_) => self.row().map(|(_, index)| format!("port {index}")),
            _ => self.row().map(|(_, index)| format!("outlet {index}")),
        }
        .unwrap_or_else(|| "its objects".into())
    }

    pub(super) fn dialect(&self) -> Result<Dialect, WiringProblem> {
        let at = |field: &str, text: &str| {
            text.parse().map_err(|what: String| WiringProblem::new(format!("device.{field}"), what))
        };
        if let Self::Generic(own) = self {
            return Ok(Dialect {
                on: (at("generic.on.oid", &own.on.oid)?, own.on.value),
                off: (at("generic.off.oid", &own.off.oid)?, own.off.value),
                state: at("generic.state", &own.state)?,
                state_on: own.state_on.clone(),
                state_off: own.state_off.clone(),
                moving: &[],
            });
        }
        let Some((row, index)) = self.row() else {
            return Err(WiringProblem::new("device", "no such device"));
        };
        if index.split('.').any(|number| number == "0") {
            return Err(WiringProblem::new("device", "outlets and ports are counted from 1"));
        }
        let fill = |text: &str| at("outlet", &text.replace("{}", &index));
        Ok(Dialect {
            on: (fill(row.on.0)?, row.on.1),
            off: (fill(row.off.0)?, row.off.1),
            state: fill(row.state)?,
            state_on: row.shown[0].to_vec(),
            state_off: row.shown[1].to_vec(),
            moving: row.moving,
        })
    }
}
