//! Relays that are Modbus coils.

mod frame;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serialport::{ClearBuffer, SerialPort};
use shakedown_conf::Span;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx, PortTurn, SETTLE, settle};
use crate::wire::{self, Wire, read_until, show, write};
use crate::wiring::WiringProblem;
use crate::worker::Worker;
use frame::{Ask, HEAD};

const NAME: &str = "modbus";
/// The longest frame of Modbus.
const LONGEST: usize = 260;

/// A relay board that is switched as coils over Modbus, on TCP or on a serial line (RTU).
/// Written with function 5, whose echo is compared, and read back with function 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Modbus")]
pub struct Conf {
    /// `{ tcp: "10.0.0.9:502" }` or `{ rtu: { port: /dev/serial/by-path/… } }`.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Bus")]
    pub bus: Bus,
    /// The board's number on its bus (default: 1).
    #[serde(default = "one")]
    pub unit: u8,
    /// The coil's address, counted from 0.
    pub coil: u16,
    /// For boards that only answer a read of all their coils (Waveshare): how many they have.
    #[serde(default)]
    pub read_all: Option<u16>,
    /// The longest time from the board's word to its coil (default: 3s).
    #[serde(default)]
    pub settle: Option<Span>,
}

/// What the board hangs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ModbusBus")]
pub enum Bus {
    /// `host:port`; the port is 502 as a rule.
    Tcp(String),
    /// A serial line.
    Rtu(Rtu),
}

/// A serial line, with 8 data bits and one stop bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ModbusRtu")]
pub struct Rtu {
    /// The port.
    pub port: PathBuf,
    /// Its speed (default: 9600).
    #[serde(default)]
    pub baud: Option<u32>,
    /// Its parity (default: none).
    #[serde(default)]
    pub parity: Parity,
}

/// A parity bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ModbusParity")]
pub enum Parity {
    /// No parity bit.
    #[default]
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

fn one() -> u8 {
    1
}

impl From<Parity> for serialport::Parity {
    fn from(parity: Parity) -> Self {
        match parity {
            Parity::None => Self::None,
            Parity::Even => Self::Even,
            Parity::Odd => Self::Odd,
        }
    }
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if let Bus::Tcp(address) = &self.bus {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return Err(WiringProblem::new("bus.tcp", format!("`{address}` is no `host:port`")));
            }
        }
        match self.read_all {
            Some(count) if count <= self.coil || count > 2000 => {
                Err(WiringProblem::new("read-all", "it must include the coil, and a read has at most 2000"))
            }
            _ => Ok(()),
        }
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let way = match &self.bus {
                Bus::Tcp(address) => Way::Tcp(address.clone(), Worker::of(NAME, address)?),
                Bus::Rtu(line) => {
                    let baud = line.baud.unwrap_or(9600);
                    Way::Rtu(PortTurn::new(NAME, &line.port, baud, line.parity.into())?)
                }
            };
            Ok(Arc::new(Coil { conf: self.clone(), way, transaction: AtomicU16::new(1) }) as Arc<dyn Line>)
        })
    }
}

enum Way {
    Tcp(String, Arc<Worker>),
    Rtu(PortTurn),
}

struct Coil {
    conf: Conf,
    way: Way,
    transaction: AtomicU16,
}

impl Coil {
    /// One question and its answer: the level, where the question is for one.
    async fn ask(&self, op: &'static str, ask: Ask, by: &Deadline) -> Rig<Option<bool>> {
        let unit = self.conf.unit;
        let endpoint = self.endpoint();
        let fault = move || Fault::new(InfraKind::Power, NAME, op, &endpoint);
        let wrong = {
            let fault = fault.clone();
            move |what: String, got: &[u8]| {
                fault().expected("the answer to what was asked", format!("{what}: {}", show(got)))
            }
        };
        match &self.way {
            Way::Tcp(address, worker) => {
                let (address, transaction) =
                    (address.clone(), self.transaction.fetch_add(1, Ordering::Relaxed));
                let job = move |by: &Deadline| {
                    let mut stream = wire::connect(&address, &fault, by)?;
                    let whole = |got: &[u8]| {
                        got.get(4..HEAD).is_some_and(|length| {
                            got.len() >= HEAD + usize::from(u16::from_be_bytes([length[0], length[1]]))
                        })
                    };
                    let got = write(&mut stream, &ask.tcp(transaction, unit), by)
                        .and_then(|()| read_until(&mut stream, LONGEST, by, whole))
                        .map_err(|short| short.fault(fault(), "an answer", by))?;
                    ask.read_tcp(transaction, unit, &got).map_err(|what| wrong(what, &got))
                };
                worker.run(op, by, job).await
            }
            Way::Rtu(port) => {
                let job = move |port: &mut serialport::TTYPort, by: &Deadline| {
                    // What an earlier exchange left behind is no answer to this question.
                    let _ = port.clear(ClearBuffer::Input);
                    let wire: &mut dyn Wire = port;
                    let whole = |got: &[u8]| ask.rtu_length(got).is_some_and(|length| got.len() >= length);
                    let got = write(wire, &ask.rtu(unit), by)
                        .and_then(|()| read_until(wire, LONGEST, by, whole))
                        .map_err(|short| short.fault(fault(), "an answer", by))?;
                    ask.read_rtu(unit, &got).map_err(|what| wrong(what, &got))
                };
                port.run(op, by, job).await
            }
        }
    }
}

impl Line for Coil {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        let bus = match &self.conf.bus {
            Bus::Tcp(address) => address.clone(),
            Bus::Rtu(line) => line.port.display().to_string(),
        };
        format!("{bus} unit {} coil {}", self.conf.unit, self.conf.coil)
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let op = if on { "switch on" } else { "switch off" };
            self.ask(op, Ask::Write { coil: self.conf.coil, on }, by).await?;
            settle(self, on, self.conf.settle.map_or(SETTLE, Span::get), by).await
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let ask = match self.conf.read_all {
                Some(count) => Ask::Read { from: 0, count, at: self.conf.coil },
                None => Ask::Read { from: self.conf.coil, count: 1, at: 0 },
            };
            Ok(self.ask("read back", ask, by).await?.map_or(Level::Unknown, Level::from))
        })
    }

    fn when_dropped(&self) -> Level {
        // A board keeps what it was told, unless it has a watchdog of its own.
        Level::Unknown
    }
}
