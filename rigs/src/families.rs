//! The lists of drivers. A new driver is its file and one line here.

use std::sync::Arc;

use shakedown_core::{Capture, Console, Line, Network, Probe, Storage, Tftp};

use crate::capture::{self, CaptureConf};
use crate::console::{self, ConsoleConf, ConsoleCx};
use crate::info::DriverInfo;
use crate::line::{self, LineConf, LineCx};
use crate::media::{self, MediaConf, MediaCx};
use crate::network::{self, NetworkConf};
use crate::probe::{self, ProbeConf};
use crate::registry::family;
use crate::tftp::{self, TftpConf};

family! {
    /// Switches the supply, or another output of a slot.
    LineDriver: LineConf(LineCx<'_>) => Arc<dyn Line>, "power and outputs" {
        "manual" Manual(line::manual),
        "command" Command(line::command),
        "gpio" Gpio(line::gpio),
        "http" Http(line::http),
        "modbus" Modbus(line::modbus),
        "mqtt" Mqtt(line::mqtt),
        "pdudaemon" Pdudaemon(line::pdudaemon),
        "rppal" Rppal(line::rppal) if "rppal",
        "serial-relay" SerialRelay(line::serial_relay),
        "sispm" Sispm(line::sispm),
        "snmp" Snmp(line::snmp),
        "usb-hid-relay" UsbHidRelay(line::usb_hid_relay),
        "usb-hub" UsbHub(line::usb_hub),
    }
}

family! {
    /// A line on which the DUT speaks.
    ConsoleDriver: ConsoleConf(ConsoleCx<'_>) => Console, "consoles" {
        "command" Command(console::command),
        "rfc2217" Rfc2217(console::telnet::port),
        "rtt" Rtt(console::rtt) if "probe",
        "serial" Serial(console::serial),
        "tcp" Tcp(console::telnet::plain),
        "telnet" Telnet(console::telnet::server),
    }
}

family! {
    /// A medium that an image is written to.
    MediaDriver: MediaConf(MediaCx<'_>) => Arc<dyn Storage>, "media" {
        "file" File(media::file),
        "block-device" BlockDevice(media::block_device),
        "sdwire" Sdwire(media::sdwire),
        "usb-sd-mux" UsbSdMux(media::usb_sd_mux),
    }
}

family! {
    /// A debug probe at a core.
    ProbeDriver: ProbeConf(()) => Arc<dyn Probe>, "debug probes" {
        "probe-rs" ProbeRs(probe::probe_rs) if "probe",
    }
}

family! {
    /// The way to the DUT's network.
    NetworkDriver: NetworkConf(()) => Arc<dyn Network>, "network" {
        "address" Address(network::address),
        "jump" Jump(network::jump),
        "link" Link(network::link),
    }
}

family! {
    /// Who gives boot files to the DUT's boot loader.
    TftpDriver: TftpConf(()) => Arc<dyn Tftp>, "tftp" {
        "folder" Folder(tftp::folder),
        "serve" Serve(tftp::serve),
    }
}

family! {
    /// Takes pictures of the DUT's screen.
    CaptureDriver: CaptureConf(()) => Arc<dyn Capture>, "screens" {
        "v4l2" V4l2(capture::v4l2),
    }
}

/// All drivers, by family.
pub fn drivers() -> Vec<DriverInfo> {
    [
        LineDriver::list(),
        ConsoleDriver::list(),
        MediaDriver::list(),
        ProbeDriver::list(),
        NetworkDriver::list(),
        TftpDriver::list(),
        CaptureDriver::list(),
    ]
    .concat()
}
