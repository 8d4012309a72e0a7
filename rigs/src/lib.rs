//! Drivers for real rig hardware, one file each.
//!
//! ```text
//! Wiring { power, outputs, consoles, media, capture, … }       // the blocks of a slot in a rig file
//! wiring.check() -> Result<(), WiringProblem { field, what }>  // before anything is opened
//! open(&wiring, SlotRequest, &Deadline) -> Rig<core::Slot>
//! drivers() -> Vec<DriverInfo>                                 // for `shakedown drivers`
//! trait Operator                                               // the person at the bench, given by the cli
//! ```
//!
//! # A new driver
//!
//! One file with a `Conf` (its doc comment is the help text and the schema's text) that
//! implements the family's trait ([`LineConf`], [`ConsoleConf`], [`MediaConf`], [`ProbeConf`],
//! [`NetworkConf`], [`TftpConf`], [`CaptureConf`]),
//! and one line in the family's list in `src/families.rs`. The list makes the enum that is
//! parsed, the table of [`drivers`], and the rows of the contract test. Configuration types always
//! compile; what needs a library is opened behind a feature.
//!
//! A driver of an output implements [`shakedown_core::Line`] and nothing more: delays, limits,
//! read-back and comparing are [`shakedown_core::Guarded`]'s.

mod capture;
mod console;
pub mod discover;
mod families;
mod info;
mod line;
mod media;
mod network;
mod operator;
mod picture;
mod probe;
mod proven;
mod registry;
mod scsi;
mod slot;
mod tftp;
mod tools;
mod usb;
mod vitals;
mod wire;
mod wiring;
mod worker;

pub use capture::CaptureConf;
pub use console::{ConsoleConf, ConsoleCx};
pub use families::{
    CaptureDriver, ConsoleDriver, LineDriver, MediaDriver, NetworkDriver, ProbeDriver, TftpDriver, drivers,
};
pub use info::{DriverInfo, OptionInfo};
pub use line::{LineConf, LineCx};
pub use media::{MediaConf, MediaCx};
pub use network::NetworkConf;
pub use operator::{Answer, Nobody, Operator};
pub use picture::Picture;
pub use probe::{FoundProbe, ProbeConf, probes};
pub use proven::{Grade, page};
pub use slot::{Given, SafeBy, SlotRequest, offers, open};
pub use tftp::TftpConf;
pub use tools::{ToolDoc, VersionDoc};
pub use wiring::{LevelDoc, LimitsDoc, Wiring, WiringProblem};

/// The drivers' settings, as they are written.
pub mod conf {
    pub use crate::capture::v4l2::{Conf as V4l2, Format as V4l2Format, Size as V4l2Size};
    pub use crate::console::command::Conf as ConsoleCommand;
    pub use crate::console::rtt::Conf as Rtt;
    pub use crate::console::serial::Conf as Serial;
    pub use crate::console::telnet::plain::Conf as Tcp;
    pub use crate::console::telnet::port::Conf as Rfc2217;
    pub use crate::console::telnet::server::Conf as Telnet;
    pub use crate::line::command::{Conf as LineCommand, Status};
    pub use crate::line::gpio::Conf as Gpio;
    pub use crate::line::http::{
        Conf as Http, Device as HttpDevice, Generic as HttpGeneric, Login as HttpLogin, Named as HttpNamed,
        Outlet as HttpOutlet, Request as HttpRequest, State as HttpState,
    };
    pub use crate::line::manual::Conf as Manual;
    pub use crate::line::modbus::{
        Bus as ModbusBus, Conf as Modbus, Parity as ModbusParity, Rtu as ModbusRtu,
    };
    pub use crate::line::mqtt::{Conf as Mqtt, Login as MqttLogin};
    pub use crate::line::pdudaemon::Conf as Pdudaemon;
    pub use crate::line::rppal::Conf as Rppal;
    pub use crate::line::serial_relay::Conf as SerialRelay;
    pub use crate::line::sispm::Conf as Sispm;
    pub use crate::line::snmp::{
        Access as SnmpAccess, CipherDoc as SnmpCipher, Community as SnmpCommunity, Conf as Snmp,
        Device as SnmpDevice, Generic as SnmpGeneric, Hash as SnmpHash, Outlet as SnmpOutlet,
        Place as SnmpPlace, Port as SnmpPort, User as SnmpUser, Write as SnmpWrite,
    };
    pub use crate::line::usb_hid_relay::Conf as UsbHidRelay;
    pub use crate::line::usb_hub::Conf as UsbHub;
    pub use crate::media::block_device::Conf as BlockDevice;
    pub use crate::media::file::Conf as File;
    pub use crate::media::sdwire::Conf as Sdwire;
    pub use crate::media::usb_sd_mux::Conf as UsbSdMux;
    pub use crate::network::address::Conf as Address;
    pub use crate::network::jump::Conf as Jump;
    pub use crate::network::link::Conf as Link;
    pub use crate::probe::probe_rs::{Conf as ProbeRs, Word as ProbeWord};
    pub use crate::tftp::LoaderPlace;
    pub use crate::tftp::folder::Conf as TftpFolder;
    pub use crate::tftp::serve::Conf as TftpServe;
}
