//! The usual USB relay boards without a serial chip.

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

const NAME: &str = "usb-hid-relay";
const IDS: (u16, u16) = (0x16c0, 0x05df);

/// A relay board of the kind `USBRelay2` (USB 16c0:05df, one to eight relays, known from the program
/// `usbrelay`): switched and read back by HID reports, beside the kernel's own driver. Its relays
/// keep their state while the board has power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "UsbHidRelay")]
pub struct Conf {
    /// Which relay, counted from 1.
    pub relay: u8,
    /// The board's own name of five characters, as `usbrelay` shows it: `HURTM`. Needed where
    /// several boards are plugged in, unless `port` is said.
    #[serde(default)]
    pub id: Option<String>,
    /// The USB port that it is plugged into, as `lsusb -t` counts: `1-1.4`.
    #[serde(default)]
    pub port: Option<String>,
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !(1..=8).contains(&self.relay) {
            return Err(WiringProblem::new(
                "relay",
                "relays are counted from 1, and no board has more than 8",
            ));
        }
        if self.id.as_ref().is_some_and(|id| id.len() != 5) {
            return Err(WiringProblem::new("id", "a board's name has five characters"));
        }
        self.port.as_ref().map_or(Ok(()), |port| check_place("port", port))
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            // One thread for all boards: which board it is shows only when it is asked.
            let worker = Worker::of(NAME, "the boards")?;
            Ok(Arc::new(Switched { switch: self.clone(), worker }) as Arc<dyn Line>)
        })
    }
}

impl Switch for Conf {
    const NAME: &'static str = NAME;

    fn endpoint(&self) -> String {
        let board = match (&self.id, &self.port) {
            (Some(id), _) => format!("board {id}"),
            (None, Some(port)) => format!("the board in USB port {port}"),
            (None, None) => "the only board".to_owned(),
        };
        format!("{board} relay {}", self.relay)
    }

    fn exchange(&self, op: &'static str, set: Option<bool>, by: &Deadline) -> Rig<bool> {
        let endpoint = self.endpoint();
        let ask = Ask { driver: NAME, op, endpoint: &endpoint };
        let mut boards = Vec::new();
        for info in ask.all("a relay board (16c0:05df)", self.port.as_deref(), is_board)? {
            let device = ask.open(&info)?;
            let read = class_in(Recipient::Device, GET_REPORT, feature(0), 8);
            let said = ask.given(device.control_in(read, limit(by)).wait(), by)?;
            let report = Report::read(&said).ok_or_else(|| {
                ask.fault().expected("a report of 8 bytes with the board's name", show(&said))
            })?;
            // Every board has these numbers; the name inside tells them apart.
            if self.id.as_ref().is_none_or(|id| id.as_bytes() == report.id) {
                boards.push((device, report.on));
            }
        }
        match (boards.pop(), boards.len(), set) {
            (None, ..) => Err(ask.fault().expected("this board", "boards with other names")),
            (Some((device, _)), 0, Some(on)) => {
                let data = [if on { 0xFF } else { 0xFD }, self.relay, 0, 0, 0, 0, 0, 0];
                let write = class_out(Recipient::Device, SET_REPORT, feature(0), &data);
                ask.given(device.control_out(write, limit(by)).wait(), by).map(|()| on)
            }
            (Some((_, bits)), 0, None) => Ok(bits >> (self.relay - 1) & 1 == 1),
            (Some(_), more, _) => {
                let fault = ask.fault().expected("one board", format!("{} of them", more + 1));
                Err(fault.hint("say which by `id` or `port`"))
            }
        }
    }
}

/// The numbers are a hobbyists' pool: other devices have them too, with other words.
fn is_board(device: &DeviceInfo) -> bool {
    (device.vendor_id(), device.product_id()) == IDS
        && device.product_string().is_some_and(|words| words.starts_with("USBRelay"))
}

/// What a board says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    id: [u8; 5],
    /// A bit a relay, the first one in bit 0.
    on: u8,
}

impl Report {
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 8] = bytes.try_into().ok()?;
        let (id, [_, _, on]) = bytes.split_first_chunk::<5>()? else { return None };
        let (id, on) = (*id, *on);
        id.iter().all(u8::is_ascii_graphic).then_some(Self { id, on })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reference/peers.md 1.4.
    #[test]
    fn a_report_has_the_boards_name_and_a_bit_a_relay() {
        let report = Report { id: *b"HURTM", on: 0b101 };
        assert_eq!(Report::read(b"HURTM\0\0\x05"), Some(report));
        for bad in [&b""[..], b"HURTM\0\0", b"HURTM\0\0\x05\0", b"\0\0\0\0\0\0\0\0", b"HU\xffTM\0\0\x01"] {
            assert_eq!(Report::read(bad), None, "{bad:?}");
        }
    }
}
