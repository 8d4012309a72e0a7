//! USB devices of the rig host: found by their place or their ids, asked by control transfers.

use std::sync::Arc;
use std::time::Duration;

use nusb::transfer::{ControlIn, ControlOut, ControlType, Recipient, TransferError};
use nusb::{Device, DeviceInfo, Interface, MaybeFuture};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use crate::wiring::WiringProblem;
use crate::worker::{Worker, left};

/// A device answers a control request at once; one that does not within this is hung.
const ANSWER: Duration = Duration::from_secs(2);

/// A place on the bus as the kernel writes it: `1-1.4` is port 4 of the hub in port 1 of bus 1.
pub(crate) fn check_place(field: &'static str, place: &str) -> Result<(), WiringProblem> {
    let number = |text: &str| !text.is_empty() && text.len() < 4 && text.bytes().all(|b| b.is_ascii_digit());
    let chain = |(bus, ports): (&str, &str)| number(bus) && ports.split('.').all(number);
    if place.split_once('-').is_some_and(chain) {
        return Ok(());
    }
    Err(WiringProblem::new(field, format!("`{place}` is no place such as `1-1.4`; `lsusb -t` shows them")))
}

/// A device's place.
pub(crate) fn place(device: &DeviceInfo) -> String {
    device.sysfs_path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is switched on a USB device, by one exchange at a time.
pub(crate) trait Switch: Clone + Send + Sync + 'static {
    /// The driver's.
    const NAME: &'static str;

    /// Which device, and what on it.
    fn endpoint(&self) -> String;

    /// Switches, where a level is given; reads it otherwise. Blocks.
    fn exchange(&self, op: &'static str, set: Option<bool>, by: &Deadline) -> Rig<bool>;
}

/// A switch that keeps its level while its device has power, asked on its driver's own thread.
pub(crate) struct Switched<S> {
    pub(crate) switch: S,
    pub(crate) worker: Arc<Worker>,
}

impl<S: Switch> Switched<S> {
    async fn ask(&self, op: &'static str, set: Option<bool>, by: &Deadline) -> Rig<bool> {
        let switch = self.switch.clone();
        self.worker.run(op, by, move |by| switch.exchange(op, set, by)).await
    }
}

impl<S: Switch> Line for Switched<S> {
    fn driver(&self) -> &'static str {
        S::NAME
    }

    fn endpoint(&self) -> String {
        self.switch.endpoint()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        let op = if on { "switch on" } else { "switch off" };
        Box::pin(async move { self.ask(op, Some(on), by).await.map(drop) })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move { Ok(Level::from(self.ask("read back", None, by).await?)) })
    }

    fn when_dropped(&self) -> Level {
        // The device goes on as it is, and may lose its power at any time.
        Level::Unknown
    }
}

/// What a driver talks to, and what its faults say.
pub(crate) struct Ask<'a> {
    pub(crate) driver: &'static str,
    pub(crate) op: &'static str,
    pub(crate) endpoint: &'a str,
}

impl Ask<'_> {
    pub(crate) fn fault(&self) -> Fault {
        Fault::new(InfraKind::Usb, self.driver, self.op, self.endpoint)
    }

    /// The devices that are wanted: at least one. `port` narrows it to a place, where the rig file names one.
    pub(crate) fn all(
        &self,
        what: &str,
        port: Option<&str>,
        wanted: impl Fn(&DeviceInfo) -> bool,
    ) -> Rig<Vec<DeviceInfo>> {
        let wrong = |error: nusb::Error| self.fault().expected("the list of USB devices", error.to_string());
        let devices = nusb::list_devices().wait().map_err(wrong)?;
        let mut found: Vec<_> = devices.filter(|device| wanted(device)).collect();
        let places = found.iter().map(place).collect::<Vec<_>>().join(", ");
        found.retain(|device| port.is_none_or(|port| port == place(device)));
        match (found.is_empty(), places.is_empty()) {
            (false, _) => Ok(found),
            (true, true) => Err(self.fault().expected(what, "none that is plugged in")),
            (true, false) => {
                let fault = self.fault().expected(what, "none in this port");
                Err(fault.hint(format!("plugged in are: {places}")))
            }
        }
    }

    /// The only one that is wanted.
    pub(crate) fn one(
        &self,
        what: &str,
        port: Option<&str>,
        wanted: impl Fn(&DeviceInfo) -> bool,
    ) -> Rig<DeviceInfo> {
        let mut found = self.all(what, port, wanted)?;
        match (found.pop(), found.len()) {
            (Some(device), 0) => Ok(device),
            (_, more) => {
                Err(self.fault().expected(what, format!("{} of them", more + 1)).hint("say which by `port`"))
            }
        }
    }

    pub(crate) fn open(&self, device: &DeviceInfo) -> Rig<Device> {
        device.open().wait().map_err(|error| {
            let fault = self.fault().expected("a device that may be opened", error.to_string());
            fault.hint("udev rules for rig hosts are in rigs/host/60-shakedown.rules")
        })
    }

    /// The first interface, away from the kernel's driver until it is dropped.
    pub(crate) fn claim(&self, device: &Device) -> Rig<Interface> {
        device
            .detach_and_claim_interface(0)
            .wait()
            .map_err(|error| self.fault().expected("an interface that is free", error.to_string()))
    }

    /// What a transfer gave.
    pub(crate) fn given<T>(&self, result: Result<T, TransferError>, by: &Deadline) -> Rig<T> {
        result.map_err(|error| match error {
            TransferError::Cancelled => {
                let fault = self.fault().expected("an answer", "nothing");
                fault.stopped(by.stop("the device does not answer"))
            }
            error => self.fault().expected("an answer", error.to_string()),
        })
    }
}

/// How long a transfer may take.
pub(crate) fn limit(by: &Deadline) -> Duration {
    left(by).min(ANSWER)
}

/// A class request that reads.
pub(crate) fn class_in(recipient: Recipient, request: u8, value: u16, length: u16) -> ControlIn {
    ControlIn { control_type: ControlType::Class, recipient, request, value, index: 0, length }
}

/// A class request that writes.
pub(crate) fn class_out(recipient: Recipient, request: u8, value: u16, data: &[u8]) -> ControlOut<'_> {
    ControlOut { control_type: ControlType::Class, recipient, request, value, index: 0, data }
}

/// HID 1.11 section 7.2.
pub(crate) const GET_REPORT: u8 = 0x01;
/// HID 1.11 section 7.2.
pub(crate) const SET_REPORT: u8 = 0x09;

/// HID 1.11 section 7.2.1: the type of the report in the high byte, its id in the low one.
pub(crate) fn feature(id: u8) -> u16 {
    0x0300 | u16::from(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bus_and_a_chain_of_ports() {
        for good in ["1-1", "1-1.4", "12-3.2.1"] {
            assert_eq!(check_place("port", good), Ok(()), "{good}");
        }
        for bad in ["", "1", "usb1", "1-", "1-1.", "1-1:1.0", "../1-1", "1-1.x"] {
            assert!(check_place("port", bad).is_err(), "{bad}");
        }
    }
}
