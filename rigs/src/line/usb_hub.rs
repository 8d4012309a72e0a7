//! Ports of a USB hub: VBUS to a DUT's recovery port, to a card reader, to a board that is fed by USB.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nusb::MaybeFuture;
use nusb::transfer::Recipient;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fut, Line, Rig};

use super::{LineConf, LineCx};
use crate::usb::{Ask, Switch, Switched, check_place, class_in, limit};
use crate::wire::show;
use crate::wiring::WiringProblem;
use crate::worker::Worker;

const NAME: &str = "usb-hub";
/// Where the kernel shows its USB devices.
const DEVICES: &str = "/sys/bus/usb/devices";

/// A port of a USB hub that switches the power of its ports one by one, as the program `uhubctl`
/// does, by the kernel's attribute `disable` (Linux 6.0 or newer). The other half of a USB 3 port is
/// switched with it. Read back is what the hub says; many hubs say that they switch and have no switch on
/// the board, so try it once with a meter or a lamp. A hub that says that it has no switches, or only
/// one for all its ports, is refused when it is opened. A port keeps its state until the hub loses power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "UsbHub")]
pub struct Conf {
    /// The hub by its place, as `lsusb -t` and `uhubctl` show it: `1-1`, `1-1.4`.
    pub hub: String,
    /// Which of its ports, counted from 1.
    pub port: u8,
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if self.port == 0 {
            return Err(WiringProblem::new("port", "ports are counted from 1"));
        }
        check_place("hub", &self.hub)
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        let conf = self.clone();
        Box::pin(async move {
            let worker = Worker::of(NAME, &conf.hub)?;
            let look = conf.clone();
            worker.run("open", by, move |by| look.look(by)).await?;
            Ok(Arc::new(Switched { switch: conf, worker }) as Arc<dyn Line>)
        })
    }
}

/// How a hub switches its ports: the lowest bits of `wHubCharacteristics` (USB 2.0, table 11-13).
#[derive(Debug, PartialEq, Eq)]
enum Switches {
    OneByOne,
    AllTogether,
    None,
}

/// The ports that a hub's descriptor tells, and how they are switched.
fn described(descriptor: &[u8]) -> Option<(u8, Switches)> {
    // Length, type (29 or 2A), number of ports, characteristics.
    match descriptor {
        [_, 0x29 | 0x2A, ports, low, _, ..] => {
            let switches = match low & 3 {
                0 => Switches::AllTogether,
                1 => Switches::OneByOne,
                _ => Switches::None,
            };
            Some((*ports, switches))
        }
        _ => None,
    }
}

/// USB 2.0 section 9.4.3.
const GET_DESCRIPTOR: u8 = 6;
/// The class of hubs.
const HUB: u8 = 9;
/// USB 2.0 section 11.23.2.1, and USB 3.1 section 10.15.2.1.
const DESCRIPTORS: [u16; 2] = [0x2900, 0x2A00];

impl Conf {
    /// Whether this hub can do it, by its own words.
    fn look(&self, by: &Deadline) -> Rig<()> {
        let endpoint = self.endpoint();
        let ask = Ask { driver: NAME, op: "open", endpoint: &endpoint };
        let info = ask.one("a USB hub", Some(&self.hub), |device| device.class() == HUB)?;
        let device = ask.open(&info)?;
        let third = usize::from(info.usb_version() >= 0x0300);
        let read = class_in(Recipient::Device, GET_DESCRIPTOR, DESCRIPTORS[third], 12);
        let said = ask.given(device.control_in(read, limit(by)).wait(), by)?;
        let wrong = |wanted: &str, got: &str| ask.fault().expected(wanted, got);
        let (ports, switches) = described(&said).ok_or_else(|| wrong("a hub's descriptor", &show(&said)))?;
        match switches {
            _ if self.port > ports => Err(wrong("this port", &format!("a hub with {ports} ports"))),
            Switches::OneByOne => {
                for folder in self.folders(&ask)? {
                    Self::is_off(&ask, &folder)?;
                }
                Ok(())
            }
            Switches::AllTogether => Err(wrong(
                "a hub that switches its ports one by one",
                "one that switches all of them together (ganged)",
            )
            .hint("what else is plugged into this hub would lose its power too: take another hub")),
            Switches::None => {
                Err(wrong("a hub that switches its ports one by one", "one that does not switch power"))
            }
        }
    }

    /// The kernel's folders of the port and, at a USB 3 hub, of its other half.
    fn folders(&self, ask: &Ask<'_>) -> Rig<Vec<PathBuf>> {
        let hub = Path::new(DEVICES).join(&self.hub);
        let gone = |error: std::io::Error| {
            ask.fault().expected("the hub", error.to_string()).hint("is it plugged in?")
        };
        let name = format!("{}-port{}", self.hub, self.port);
        let interfaces = fs::read_dir(&hub).map_err(gone)?.flatten();
        let mut ports = interfaces.map(|entry| entry.path().join(&name)).filter(|path| path.is_dir());
        let port =
            ports.next().ok_or_else(|| ask.fault().expected(format!("{name} of the hub"), "no such port"))?;
        let peer = fs::canonicalize(port.join("peer")).ok();
        Ok([Some(port), peer].into_iter().flatten().collect())
    }

    /// What the hub says of a port; the kernel asks it.
    fn is_off(ask: &Ask<'_>, folder: &Path) -> Rig<bool> {
        let file = folder.join("disable");
        let said = fs::read(&file).map_err(|error| {
            let fault = ask.fault().expected("the state of the port", error.to_string());
            match error.kind() {
                std::io::ErrorKind::NotFound => fault.hint("this attribute came with Linux 6.0"),
                _ => fault,
            }
        })?;
        match said.trim_ascii() {
            b"0" => Ok(false),
            b"1" => Ok(true),
            other => Err(ask.fault().expected("`0` or `1`", show(other))),
        }
    }

    fn set(&self, ask: &Ask<'_>, on: bool) -> Rig<bool> {
        for folder in self.folders(ask)? {
            fs::write(folder.join("disable"), if on { "0" } else { "1" }).map_err(|error| {
                let fault = ask.fault().expected("the port to be switched", error.to_string());
                fault.hint("udev rules for rig hosts are in rigs/host/60-shakedown.rules")
            })?;
        }
        Ok(on)
    }

    /// VBUS is there while one half of the port gives it.
    fn read(&self, ask: &Ask<'_>) -> Rig<bool> {
        let mut on = false;
        for folder in self.folders(ask)? {
            on |= !Self::is_off(ask, &folder)?;
        }
        Ok(on)
    }
}

impl Switch for Conf {
    const NAME: &'static str = NAME;

    fn endpoint(&self) -> String {
        format!("{} port {}", self.hub, self.port)
    }

    fn exchange(&self, op: &'static str, set: Option<bool>, _by: &Deadline) -> Rig<bool> {
        let endpoint = self.endpoint();
        let ask = Ask { driver: NAME, op, endpoint: &endpoint };
        set.map_or_else(|| self.read(&ask), |on| self.set(&ask, on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_tells_how_it_switches() {
        for (low, want) in [
            (0, Switches::AllTogether),
            (1, Switches::OneByOne),
            (2, Switches::None),
            (9, Switches::OneByOne),
        ] {
            assert_eq!(described(&[9, 0x29, 4, low, 0, 50, 100, 0, 0xFF]), Some((4, want)));
        }
        assert_eq!(described(&[9, 0x29, 4]), None);
        assert_eq!(described(&[9, 0x02, 4, 1, 0]), None);
    }
}
