//! Switchable sockets on USB: EnerGenie and Gembird SiS-PM, mSiS-PM.

use std::sync::Arc;

use nusb::transfer::Recipient;
use nusb::{DeviceInfo, MaybeFuture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fut, Line, Rig};

use super::{LineConf, LineCx};
use crate::usb::{
    Ask, GET_REPORT, SET_REPORT, Switch, Switched, check_place, class_in, class_out, feature, limit,
};
use crate::wire::show;
use crate::wiring::WiringProblem;
use crate::worker::Worker;

const NAME: &str = "sispm";
const VENDOR: u16 = 0x04b4;
/// reference/peers.md 1.4.
const PRODUCTS: [u16; 5] = [0xfd10, 0xfd11, 0xfd12, 0xfd13, 0xfd15];

/// A power strip with sockets that are switched over USB: EnerGenie and Gembird SiS-PM, mSiS-PM, SiS-PM
/// FlashStream (USB 04b4:fd10 to fd15, known from the program `sispmctl`). While it is asked, the
/// kernel's own driver lets go of it. The sockets keep their state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Sispm")]
pub struct Conf {
    /// Which socket, counted from 1.
    pub socket: u8,
    /// Its own number, as `sispmctl -s` shows it: `01:02:03:04:05`. Needed where several
    /// are plugged in, unless `port` is said.
    #[serde(default)]
    pub serial: Option<String>,
    /// The USB port that it is plugged into, as `lsusb -t` counts: `1-1.4`.
    #[serde(default)]
    pub port: Option<String>,
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !(1..=4).contains(&self.socket) {
            return Err(WiringProblem::new(
                "socket",
                "sockets are counted from 1, and no strip has more than 4",
            ));
        }
        let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        if self
            .serial
            .as_ref()
            .is_some_and(|serial| serial.split(':').count() != 5 || !serial.split(':').all(pair))
        {
            return Err(WiringProblem::new("serial", "not a number such as `01:02:03:04:05`"));
        }
        self.port.as_ref().map_or(Ok(()), |port| check_place("port", port))
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let worker = Worker::of(NAME, "the strips")?;
            Ok(Arc::new(Switched { switch: self.clone(), worker }) as Arc<dyn Line>)
        })
    }
}

fn is_strip(device: &DeviceInfo) -> bool {
    device.vendor_id() == VENDOR && PRODUCTS.contains(&device.product_id())
}

/// The report of a socket; the first one is 3.
fn report(socket: u8) -> u8 {
    3 * socket
}

/// What a strip's report says of a socket: its number, and a byte whose lowest bit is on.
fn state(said: &[u8], socket: u8) -> Option<bool> {
    match said {
        [id, state, ..] if *id == report(socket) => Some(state & 1 == 1),
        _ => None,
    }
}

impl Switch for Conf {
    const NAME: &'static str = NAME;

    fn endpoint(&self) -> String {
        let strip = match (&self.serial, &self.port) {
            (Some(serial), _) => format!("strip {serial}"),
            (None, Some(port)) => format!("the strip in USB port {port}"),
            (None, None) => "the only strip".to_owned(),
        };
        format!("{strip} socket {}", self.socket)
    }

    fn exchange(&self, op: &'static str, set: Option<bool>, by: &Deadline) -> Rig<bool> {
        let endpoint = self.endpoint();
        let ask = Ask { driver: NAME, op, endpoint: &endpoint };
        let mut strips = Vec::new();
        for info in ask.all("a SiS-PM (04b4:fd10 to fd15)", self.port.as_deref(), is_strip)? {
            let strip = ask.claim(&ask.open(&info)?)?;
            let get = |id: u8| {
                let read = class_in(Recipient::Interface, GET_REPORT, feature(id), 5);
                ask.given(strip.control_in(read, limit(by)).wait(), by)
            };
            if let Some(serial) = &self.serial {
                let said = get(1)?;
                let shown = said.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
                if !shown.eq_ignore_ascii_case(serial) {
                    continue;
                }
            }
            strips.push(strip);
        }
        match (strips.pop(), strips.len(), set) {
            (None, ..) => Err(ask.fault().expected("this strip", "strips with other numbers")),
            (Some(strip), 0, Some(on)) => {
                let id = report(self.socket);
                let data = [id, if on { 3 } else { 0 }, 0, 0, 0];
                let write = class_out(Recipient::Interface, SET_REPORT, feature(id), &data);
                ask.given(strip.control_out(write, limit(by)).wait(), by).map(|()| on)
            }
            (Some(strip), 0, None) => {
                let read = class_in(Recipient::Interface, GET_REPORT, feature(report(self.socket)), 5);
                let said = ask.given(strip.control_in(read, limit(by)).wait(), by)?;
                let wanted = format!("a report that begins with {:02X}", report(self.socket));
                state(&said, self.socket).ok_or_else(|| ask.fault().expected(wanted, show(&said)))
            }
            (Some(_), more, _) => {
                let fault = ask.fault().expected("one strip", format!("{} of them", more + 1));
                Err(fault.hint("say which by `serial` or `port`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_report_carries_its_number() {
        assert_eq!(state(&[6, 3, 0, 0, 0], 2), Some(true));
        assert_eq!(state(&[6, 0, 0, 0, 0], 2), Some(false));
        for bad in [&[][..], &[6], &[3, 1, 0, 0, 0]] {
            assert_eq!(state(bad, 2), None, "{bad:?}");
        }
    }
}
