//! The USB-SD-Mux of Linux Automation (Pengutronix), classic and FAST.
//!
//! A Microchip USB2642 reads the card, and by vendor commands writes to and reads from an expander on its I2C
//! bus, whose pins hold the switches. The bytes are from reference/peers.md 1.5 (from the project's own program
//! `usbsdmux`, which takes them from Microchip's "I2C over USB" guide 50002283A); the expanders' registers are
//! in the data sheets of the PCA9536 (NXP) and of the TCA6408 (Texas Instruments).

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nusb::DeviceInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Deadline, Fut, Rig, Side, Storage};

use super::muxed::{self, Mux, generic, units};
use super::{MediaConf, MediaCx};
use crate::scsi::{self, Data, End};
use crate::usb::{Ask, check_place, place};
use crate::wire::show;
use crate::wiring::WiringProblem;
use crate::worker::left;

const NAME: &str = "usb-sd-mux";
/// reference/peers.md 1.5.
const IDS: (u16, u16) = (0x0424, 0x4041);
/// As `usbsdmux` waits for a command.
const ANSWER: Duration = Duration::from_secs(3);
/// As `usbsdmux` waits until the card's supply is surely gone.
const DISCHARGE: Duration = Duration::from_secs(1);

/// A microSD card behind a USB-SD-Mux of Linux Automation (Pengutronix), classic or FAST, known from the program
/// `usbsdmux`. Where the card is, is read from the pins of the mux itself, and the card reader in it has to show
/// the card on the rig host's side and to lose it on every other. The card is written as any block device: past
/// every cache, held exclusively, and never when it is in use by the host, larger than `max-size`, or another one
/// than the slot first saw. A card that the host uses is not switched away either. Needs the kernel's module `sg`.
/// The switches keep their state while the mux has power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "UsbSdMux")]
pub struct Conf {
    /// The number on the mux: `00048.00643`. Needed where several are plugged in, unless `port` is said.
    #[serde(default)]
    pub id: Option<String>,
    /// The USB port that it is plugged into, as `lsusb -t` counts: `1-1.4`.
    #[serde(default)]
    pub port: Option<String>,
    /// The largest card that may be written.
    pub max_size: Bytes,
    /// The card by its own identity (CID, 32 digits): no other one is written.
    #[serde(default)]
    pub card: Option<String>,
}

impl MediaConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if self.max_size.0 == 0 {
            return Err(WiringProblem::new("max-size", "nothing fits on a medium of 0 bytes"));
        }
        let digits =
            |cid: &String| cid.len() == 32 && cid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !self.card.as_ref().is_none_or(digits) {
            return Err(WiringProblem::new("card", "a CID has 32 digits, 0 to 9 and a to f"));
        }
        self.port.as_ref().map_or(Ok(()), |port| check_place("port", port))
    }

    fn open<'a>(&'a self, _cx: MediaCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Storage>>> {
        Box::pin(muxed::open(self.clone(), self.card.clone(), self.max_size.0, by))
    }
}

/// The pins of an expander, which are what they say when they are high.
#[derive(Debug, PartialEq, Eq)]
struct Pins {
    /// On the I2C bus, in 7 bits.
    address: u8,
    /// The data lines are cut.
    no_data: u8,
    /// The supply is cut.
    no_power: u8,
    /// The DUT is chosen, else the host.
    dut: u8,
    /// The host's reader is told that there is no card.
    removed: u8,
    /// All that are outputs.
    outputs: u8,
}

/// A PCA9536.
const CLASSIC: Pins = Pins { address: 0x41, no_data: 1, no_power: 2, dut: 4, removed: 8, outputs: 0x0F };
/// A TCA6408; two more pins are free outputs.
const FAST: Pins = Pins { address: 0x20, no_data: 4, no_power: 2, dut: 1, removed: 8, outputs: 0x3F };

/// The registers that both expanders have. The first tells the levels at the pins, driven or not.
const INPUT: u8 = 0;
const OUTPUT: u8 = 1;
/// A bit is 0 for an output.
const DIRECTION: u8 = 3;

/// Every vendor command of the USB2642 begins so; the second byte says which.
const VENDOR: u8 = 0xCF;
const I2C_WRITE: u8 = 0x23;
const I2C_WRITE_READ: u8 = 0x22;
const READ_CID: u8 = 0x18;
/// The data phase of I2C commands, whatever of it is used.
const PHASE: usize = 512;

impl Pins {
    /// By the model that the device tells in its INQUIRY.
    fn of(model: &str) -> Option<&'static Self> {
        match model {
            "sdmux HS-SD/MMC" => Some(&CLASSIC),
            "sdFST HS-SD/MMC" => Some(&FAST),
            _ => None,
        }
    }

    fn switches(&self) -> u8 {
        self.no_data | self.no_power | self.dut | self.removed
    }

    /// What the pins say.
    fn side(&self, levels: u8) -> Side {
        match (levels & (self.no_data | self.no_power), levels & self.dut) {
            (0, 0) => Side::Host,
            (0, _) => Side::Dut,
            (off, _) if off == self.no_data | self.no_power => Side::Neither,
            // Half of it: no state that anybody switches to.
            _ => Side::Unknown,
        }
    }

    /// `CF 23`: writes a register. Address and register go on the bus as they stand in the data.
    fn write(&self) -> [u8; 16] {
        [VENDOR, I2C_WRITE, self.address << 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// `CF 22`: writes a register's number and reads one byte.
    fn read(&self, register: u8) -> [u8; 16] {
        let write = self.address << 1;
        [VENDOR, I2C_WRITE_READ, write, write | 1, 0, 1, 1, register, 0, 0, 0, 0, 0, 0, 0, 0]
    }
}

/// A mux that was found, and its node.
struct Opened<'a> {
    ask: &'a Ask<'a>,
    node: File,
    pins: &'static Pins,
    by: &'a Deadline,
}

impl Conf {
    fn found(&self, ask: &Ask<'_>) -> Rig<DeviceInfo> {
        ask.one("a USB-SD-Mux (0424:4041)", self.port.as_deref(), |device| {
            (device.vendor_id(), device.product_id()) == IDS
                && self.id.as_deref().is_none_or(|id| device.serial_number() == Some(id))
        })
    }

    fn opened<'a>(&self, ask: &'a Ask<'a>, by: &'a Deadline) -> Rig<Opened<'a>> {
        let device = self.found(ask)?;
        let units = units(device.sysfs_path());
        let units = units.map_err(|error| ask.fault().expected("the mux", error.to_string()))?;
        let [unit] = units.as_slice() else {
            let fault = ask.fault().expected("one SCSI device", format!("{} of them", units.len()));
            return Err(
                fault.hint("it is just being plugged in, or the kernel's driver usb-storage is missing")
            );
        };
        let model = std::fs::read_to_string(unit.join("model"));
        let model = model.map_err(|error| ask.fault().expected("the mux", error.to_string()))?;
        let pins = Pins::of(model.trim()).ok_or_else(|| {
            let got = format!("`{}` in port {}", model.trim(), place(&device));
            ask.fault().expected("`sdmux HS-SD/MMC` or `sdFST HS-SD/MMC`", got)
        })?;
        Ok(Opened { ask, node: generic(ask, unit)?, pins, by })
    }
}

impl Opened<'_> {
    /// One command; how many bytes it moved, `None` where the device refused it.
    fn try_command(&self, command: [u8; 16], data: Data<'_>) -> Rig<Result<usize, String>> {
        let fault = || self.ask.fault();
        let end = scsi::command(&self.node, command, data, left(self.by).min(ANSWER));
        match end.map_err(|error| fault().expected("a command that is taken", error.to_string()))? {
            End::Done(moved) => Ok(Ok(moved)),
            End::Refused(status, [key, code, more]) => {
                Ok(Err(format!("SCSI status {status:02X}, sense {key:X}/{code:02X}/{more:02X}")))
            }
            End::Silent => {
                let stop = self.by.stop("the mux does not answer");
                Err(fault().expected("an answer", "nothing").stopped(stop))
            }
            End::Broken(host, driver) => {
                let got = format!("the kernel's status {host:02X}/{driver:02X}");
                Err(fault().expected("an answer", got).hint("was it unplugged?"))
            }
        }
    }

    fn command(&self, command: [u8; 16], data: Data<'_>) -> Rig<usize> {
        let refused = |got| self.ask.fault().expected("the command to be done", got);
        self.try_command(command, data)?.map_err(refused)
    }

    fn read(&self, register: u8) -> Rig<u8> {
        let mut data = [0; PHASE];
        match self.command(self.pins.read(register), Data::From(&mut data))? {
            0 => Err(self.ask.fault().expected("the byte of a register", "no byte")),
            _ => Ok(data[0]),
        }
    }

    fn write(&self, register: u8, value: u8) -> Rig<()> {
        let mut data = [0; PHASE];
        data[..2].copy_from_slice(&[register, value]);
        match self.command(self.pins.write(), Data::To(&data))? {
            PHASE => Ok(()),
            moved => Err(self.ask.fault().expected("512 bytes to be taken", format!("{moved} bytes"))),
        }
    }

    /// Sets the switches and leaves the free outputs of a FAST as they are.
    fn switch(&self, high: u8) -> Rig<()> {
        let pins = self.pins;
        let direction = self.read(DIRECTION)?;
        // After power-on nothing is driven yet, and the register of levels means nothing.
        let fresh = direction & pins.outputs == pins.outputs;
        let others = if fresh { 0 } else { self.read(OUTPUT)? & !pins.switches() };
        self.write(OUTPUT, others | high)?;
        // Levels first, so that the pins have them when they begin to be driven.
        if direction & pins.outputs != 0 {
            self.write(DIRECTION, direction & !pins.outputs)?;
        }
        Ok(())
    }
}

impl Mux for Conf {
    const NAME: &'static str = NAME;
    const SIDES: &'static [Side] = &[Side::Host, Side::Dut, Side::Neither];

    fn endpoint(&self) -> String {
        match (&self.id, &self.port) {
            (Some(id), _) => format!("mux {id}"),
            (None, Some(port)) => format!("the mux in USB port {port}"),
            (None, None) => "the only mux".to_owned(),
        }
    }

    fn side(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Side> {
        let mux = self.opened(ask, by)?;
        Ok(mux.pins.side(mux.read(INPUT)?))
    }

    fn release(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Duration> {
        let mux = self.opened(ask, by)?;
        mux.switch(mux.pins.no_data | mux.pins.no_power | mux.pins.removed)?;
        Ok(DISCHARGE)
    }

    fn connect(&self, ask: &Ask<'_>, to: Side, by: &Deadline) -> Rig<()> {
        let mux = self.opened(ask, by)?;
        let pins = mux.pins;
        if to == Side::Host {
            return mux.switch(0);
        }
        // Chosen first, while nothing is connected: no line sees a glitch.
        mux.switch(pins.no_data | pins.no_power | pins.removed | pins.dut)?;
        mux.switch(pins.removed | pins.dut)
    }

    fn reader(&self, ask: &Ask<'_>) -> Rig<PathBuf> {
        Ok(self.found(ask)?.sysfs_path().to_owned())
    }

    fn cid(&self, ask: &Ask<'_>, by: &Deadline) -> Rig<Option<String>> {
        let mux = self.opened(ask, by)?;
        let mut cid = [0; 16];
        let mut command = [0; 16];
        (command[0], command[1], command[4]) = (VENDOR, READ_CID, cid.len() as u8);
        match mux.try_command(command, Data::From(&mut cid))? {
            Ok(16) if cid.iter().all(|byte| *byte == cid[0]) => Ok(None),
            Ok(16) => Ok(Some(format!("{:032x}", u128::from_be_bytes(cid)))),
            Ok(moved) => {
                let got = format!("{moved}: {}", show(&cid[..moved.min(16)]));
                Err(ask.fault().expected("16 bytes of the card's CID", got))
            }
            // A card that the reader cannot ask: an MMC of the older kind.
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reference/peers.md 1.5.
    #[test]
    fn commands_are_sixteen_bytes_of_the_makers_own() {
        let tail = [0; 8];
        assert_eq!(CLASSIC.write(), *[&[0xCF, 0x23, 0x82, 0, 0, 2, 0, 0][..], &tail].concat());
        assert_eq!(CLASSIC.read(INPUT), *[&[0xCF, 0x22, 0x82, 0x83, 0, 1, 1, 0][..], &tail].concat());
        assert_eq!(FAST.read(DIRECTION), *[&[0xCF, 0x22, 0x40, 0x41, 0, 1, 1, 3][..], &tail].concat());
    }

    #[test]
    fn pins_that_nobody_switches_to_are_unknown() {
        for (mux, pins, side) in [
            (&CLASSIC, 0x00, Side::Host),
            (&CLASSIC, 0x0C, Side::Dut),
            (&CLASSIC, 0x0B, Side::Neither),
            (&CLASSIC, 0x0A, Side::Unknown),
            (&CLASSIC, 0x05, Side::Unknown),
            (&FAST, 0x09, Side::Dut),
            (&FAST, 0x39, Side::Dut),
            (&FAST, 0x30, Side::Host),
            (&FAST, 0x0E, Side::Neither),
        ] {
            assert_eq!(mux.side(pins), side, "{pins:02X} of {mux:?}");
        }
    }
}
