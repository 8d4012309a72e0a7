//! Relay boards on a USB serial chip.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serialport::{ClearBuffer, Parity, SerialPort};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx, PortTurn};
use crate::wire::{Wire, read_until, write};
use crate::wiring::WiringProblem;

const NAME: &str = "serial-relay";
const BAUD: u32 = 9600;
/// What a board with 16 relays reports is shorter.
const LONGEST: usize = 512;
/// A report of 16 lines takes 0.2 s at this speed.
const ANSWER: Duration = Duration::from_secs(2);

/// A relay board on a USB serial chip, as sold under the names LCUS and LCTECH (CH340, 9600 baud,
/// four bytes a command). Boards that report their state are read back; for one that does not,
/// say `reports: false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SerialRelay")]
pub struct Conf {
    /// The port; best by its place or number: `/dev/serial/by-path/…`, `/dev/serial/by-id/…`.
    pub port: PathBuf,
    /// Which relay, counted from 1.
    pub channel: u8,
    /// Whether the board answers a question for its state (default: true).
    #[serde(default = "yes")]
    pub reports: bool,
}

fn yes() -> bool {
    true
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        match self.channel {
            1..=16 => Ok(()),
            _ => {
                Err(WiringProblem::new("channel", "relays are counted from 1, and no board has more than 16"))
            }
        }
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let port = PortTurn::new(NAME, &self.port, BAUD, Parity::None)?;
            Ok(Arc::new(Relay { conf: self.clone(), port }) as Arc<dyn Line>)
        })
    }
}

struct Relay {
    conf: Conf,
    port: PortTurn,
}

/// Start, relay, state, and the sum of them.
fn command(channel: u8, on: bool) -> [u8; 4] {
    let state = u8::from(on);
    [0xA0, channel, state, 0xA0_u8.wrapping_add(channel).wrapping_add(state)]
}

/// Asks for all states, which come as `CH1: ON` lines.
const REPORT: [u8; 1] = [0xFF];

/// What a report says of a relay, once its word is complete.
fn state(report: &[u8], channel: u8) -> Option<bool> {
    let text = String::from_utf8_lossy(report).to_ascii_uppercase();
    let (_, after) = text.split_once(&format!("CH{channel}:"))?;
    let word = after.trim_start();
    let on = word.starts_with("ON").then_some(true);
    on.or(word.starts_with("OFF").then_some(false))
}

impl Relay {
    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Power, NAME, op, self.endpoint())
    }
}

impl Line for Relay {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        format!("{} relay {}", self.conf.port.display(), self.conf.channel)
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let op = if on { "switch on" } else { "switch off" };
            let (bytes, fault) = (command(self.conf.channel, on), self.fault(op));
            let send = move |port: &mut serialport::TTYPort, by: &Deadline| {
                write(port, &bytes, by).map_err(|short| short.fault(fault, "a port that takes bytes", by))
            };
            self.port.run(op, by, send).await
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            if !self.conf.reports {
                return Ok(Level::Unknown);
            }
            let (channel, fault) = (self.conf.channel, self.fault("read back"));
            let by = by.child("the relay board's report", ANSWER).at_rig_pace();
            let ask = move |port: &mut serialport::TTYPort, by: &Deadline| {
                // What an earlier exchange left behind is no answer to this question.
                let _ = port.clear(ClearBuffer::Input);
                let wire: &mut dyn Wire = port;
                let report = write(wire, &REPORT, by)
                    .and_then(|()| read_until(wire, LONGEST, by, |got| state(got, channel).is_some()));
                let report = report.map_err(|short| {
                    let wanted = format!("a report with `CH{channel}: ON` or `OFF`");
                    short
                        .fault(fault, &wanted, by)
                        .hint("a board that cannot report its state needs `reports: false` in the rig file")
                })?;
                Ok(state(&report, channel).map_or(Level::Unknown, Level::from))
            };
            self.port.run("read back", &by, ask).await
        })
    }

    fn when_dropped(&self) -> Level {
        // The relays keep their state while the board has power.
        Level::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reference/peers.md 1.4.
    #[test]
    fn the_bytes_of_the_first_relay() {
        assert_eq!(command(1, true), [0xA0, 0x01, 0x01, 0xA2]);
        assert_eq!(command(1, false), [0xA0, 0x01, 0x00, 0xA1]);
    }

    #[test]
    fn a_report_is_read_when_its_word_is_complete() {
        for (report, channel, want) in [
            (&b"CH1: ON\r\nCH2: OFF\r\n"[..], 1, Some(true)),
            (b"CH1:ON\r\nCH2:OFF\r\n", 2, Some(false)),
            (b"CH1: O", 1, None),
            (b"CH1: OF", 1, None),
            (b"CH11: ON", 1, None),
            (b"\xff\xfe\x00", 1, None),
        ] {
            assert_eq!(state(report, channel), want, "{}", String::from_utf8_lossy(report));
        }
    }
}
