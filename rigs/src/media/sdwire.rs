//! The SDWire and its relatives with an FTDI chip, such as the SDWireC.
//!
//! An FT200X holds the switch on its pin CBUS0; beside it, on the same hub, sits the card reader. The bytes are from
//! reference/peers.md 1.5.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nusb::transfer::{ControlIn, ControlOut, ControlType, Recipient};
use nusb::{DeviceInfo, MaybeFuture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Deadline, Fut, Rig, Side, Storage};

use super::muxed::{self, Mux};
use super::{MediaConf, MediaCx};
use crate::usb::{Ask, check_place, limit};
use crate::wire::show;
use crate::wiring::WiringProblem;

const NAME: &str = "sdwire";
/// reference/peers.md 1.5: numbers of the makers of the first ones.
const IDS: (u16, u16) = (0x04e8, 0x6001);
/// What it calls itself.
const PRODUCT: &str = "sd-wire";
/// reference/peers.md 1.5: the reader beside it.
const READER: (u16, u16) = (0x0424, 0x4050);

/// FTDI's request for the mode of the pins: the high byte of the value is the mode, the low one says which
/// pins are outputs and their levels.
const SET_BIT_MODE: u8 = 0x0B;
/// FTDI's request for the levels at the pins.
const READ_PINS: u8 = 0x0C;
/// Mode 20 (CBUS), all four pins are outputs.
const CBUS_OUTPUTS: u16 = 0x20F0;
/// Pin CBUS0: high for the rig host.
const HOST: u8 = 1;

/// A microSD card behind an SDWire (Tizen), an SDWireC or another mux with an FTDI chip that calls itself
/// `sd-wire` (USB 04e8:6001, card reader 0424:4050). Not for the SDWire3, which has no such chip. It has no
/// position in between. What is read back is the level at its switch pin; it is believed only together with the
/// card reader, which has to show the card on the rig host's side and to lose it on the DUT's. The card is
/// written as any block device: past every cache, held exclusively, and never when it is in use by the host,
/// larger than `max-size`, or of another size than the slot first saw (the card's own identity cannot be read).
/// Some fall back to the host when the DUT has no power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Sdwire")]
pub struct Conf {
    /// Its serial number, as `lsusb -v` shows it. Needed where several are plugged in, unless `port` is said.
    #[serde(default)]
    pub serial: Option<String>,
    /// The USB port of its chip, as `lsusb -t` counts: `1-1.4.2`.
    #[serde(default)]
    pub port: Option<String>,
    /// The largest card that may be written.
    pub max_size: Bytes,
}

impl MediaConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if self.max_size.0 == 0 {
            return Err(WiringProblem::new("max-size", "nothing fits on a medium of 0 bytes"));
        }
        self.port.as_ref().map_or(Ok(()), |port| check_place("port", port))
    }

    fn open<'a>(&'a self, _cx: MediaCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Storage>>> {
        Box::pin(muxed::open(self.clone(), None, self.max_size.0, by))
    }
}

impl Conf {
    fn found(&self, ask: &Ask<'_>) -> Rig<DeviceInfo> {
        ask.one("an SDWire (04e8:6001, `sd-wire`)", self.port.as_deref(), |device| {
            (device.vendor_id(), device.product_id()) == IDS
                && device.product_string() == Some(PRODUCT)
                && self.serial.as_deref().is_none_or(|serial| device.serial_number() == Some(serial))
        })
    }
}

impl Mux for Conf {
    const NAME: &'static str = NAME;
    const SIDES: &'static [Side] = &[Side::Host, Side::Dut];

    fn endpoint(&self) -> String {
        match (&self.serial, &self.port) {
            (Some(serial), _) => format!("SDWire {serial}"),
            (None, Some(port)) => format!("the SDWire in USB port {port}"),
            (None, None) => "the only SDWire".to_owned(),
        }
    }

    fn side(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Side> {
        let chip = ask.open(&self.found(ask)?)?;
        let read = ControlIn {
            control_type: ControlType::Vendor,
            recipient: Recipient::Device,
            request: READ_PINS,
            value: 0,
            index: 0,
            length: 1,
        };
        let said = ask.given(chip.control_in(read, limit(by)).wait(), by)?;
        match said.as_slice() {
            [pins] => Ok(if pins & HOST == 0 { Side::Dut } else { Side::Host }),
            other => Err(ask.fault().expected("one byte of pins", show(other))),
        }
    }

    fn release(&self, _ask: &Ask<'_>, _by: &Deadline) -> Rig<Duration> {
        // Its own switch cuts the supply in between.
        Ok(Duration::ZERO)
    }

    fn connect(&self, ask: &Ask<'_>, to: Side, by: &Deadline) -> Rig<()> {
        let chip = ask.open(&self.found(ask)?)?;
        let level = if to == Side::Host { HOST } else { 0 };
        let write = ControlOut {
            control_type: ControlType::Vendor,
            recipient: Recipient::Device,
            request: SET_BIT_MODE,
            value: CBUS_OUTPUTS | u16::from(level),
            index: 0,
            data: &[],
        };
        ask.given(chip.control_out(write, limit(by)).wait(), by)
    }

    fn reader(&self, ask: &Ask<'_>) -> Rig<PathBuf> {
        let chip = self.found(ask)?.sysfs_path().to_owned();
        let readers = ask.all("the card reader beside the SDWire (0424:4050)", None, |device| {
            (device.vendor_id(), device.product_id()) == READER
                && device.sysfs_path().parent() == chip.parent()
        })?;
        match readers.as_slice() {
            [reader] => Ok(reader.sysfs_path().to_owned()),
            more => Err(ask
                .fault()
                .expected("one card reader on the hub of the SDWire", format!("{} of them", more.len()))),
        }
    }
}
