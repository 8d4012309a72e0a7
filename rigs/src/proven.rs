//! How far each driver is proven: by what kind of counterpart, and which one. Data for the
//! generated page `harness/docs/drivers.md`.

use std::fmt::{self, Write as _};

use crate::families::drivers;
use crate::info::DriverInfo;

/// What a driver was tried against. Better ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// The hardware itself.
    RealDevice,
    /// A program that others wrote, which is what one meets in a lab too.
    RealPeer,
    /// A model of ours whose bytes another project's program confirms.
    Oracle,
    /// Bytes that somebody wrote down.
    Transcript,
    /// A model of ours, from a description of the bytes.
    OwnFake,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RealDevice => "real device",
            Self::RealPeer => "real peer",
            Self::Oracle => "oracle",
            Self::Transcript => "transcript",
            Self::OwnFake => "own fake",
        })
    }
}

/// A driver's grade for its protocol, and what stood on the other side.
struct Proven {
    family: &'static str,
    name: &'static str,
    grade: Grade,
    by: &'static str,
}

const fn row(family: &'static str, name: &'static str, grade: Grade, by: &'static str) -> Proven {
    Proven { family, name, grade, by }
}

const OUTPUTS: &str = "power and outputs";

const PROVEN: &[Proven] = &[
    row(OUTPUTS, "manual", Grade::OwnFake, "a scripted person"),
    row(OUTPUTS, "command", Grade::RealPeer, "programs of the distribution"),
    row(
        OUTPUTS,
        "gpio",
        Grade::RealPeer,
        "The GPIO subsystem of Linux 6.1 in guests: with its driver of the CP2112 on a USB device that is a model of ours, \
         where libgpiod's programs look on; and on arm64 with that of QEMU's PL061, where QEMU sees each edge and drives \
         the inputs. No header of a board was tried.",
    ),
    row(
        OUTPUTS,
        "http",
        Grade::OwnFake,
        "The protocol and its logins against lighttpd (Basic, Digest with MD5 and SHA-256). The devices behind \
         it are models of ours after the vendors' pages; Tasmota's is confirmed by pdudaemon's own driver, which \
         switches what this one reads (oracle). No device of any make was tried.",
    ),
    row(
        OUTPUTS,
        "modbus",
        Grade::RealPeer,
        "pymodbus's server, on TCP, and with RTU frames on a terminal; its client switches behind our back. No \
         relay board was tried.",
    ),
    row(
        OUTPUTS,
        "mqtt",
        Grade::OwnFake,
        "The protocol against mosquitto, its own client switching behind our back; the plug on it is a model of \
         ours. No plug was tried.",
    ),
    row(OUTPUTS, "pdudaemon", Grade::RealPeer, "Debian's pdudaemon, and its effect on what it switches"),
    row(
        OUTPUTS,
        "rppal",
        Grade::RealPeer,
        "QEMU's `raspi3b` with Linux 6.1, an emulated Raspberry Pi 3: its registers and each edge are seen from outside. \
         Pulls and inputs are not in that emulation, and other models (the Pi 5 has another chip) were not tried. No \
         Raspberry Pi was tried.",
    ),
    row(OUTPUTS, "serial-relay", Grade::OwnFake, "a model of ours on a terminal; no relay board was tried"),
    row(
        OUTPUTS,
        "sispm",
        Grade::Oracle,
        "A model of ours, plugged into a guest over USB/IP; Debian's sispmctl sees what we switch, and we what it \
         switches. No power strip was tried.",
    ),
    row(
        OUTPUTS,
        "snmp",
        Grade::OwnFake,
        "The protocol against net-snmp's snmpd (v1, v2c, v3 signed and encrypted, its own errors), snmpset \
         switching behind our back. The tables of the makes are ours, after their MIBs. No PDU was tried.",
    ),
    row(
        OUTPUTS,
        "usb-hid-relay",
        Grade::Oracle,
        "A model of ours, plugged into a guest over USB/IP; Debian's usbrelay sees what we switch, and we what it \
         switches. No relay board was tried.",
    ),
    row(
        OUTPUTS,
        "usb-hub",
        Grade::RealPeer,
        "QEMU's hub with a switch a port, in a guest with Linux 6.1: what is plugged into the port goes and comes, and \
         Debian's uhubctl agrees, both ways. Its hub without switches is refused. The refusal of a hub with one \
         switch for all ports, and the second half of a USB 3 port, were seen by no counterpart. No hub was tried.",
    ),
    row("consoles", "command", Grade::RealPeer, "programs of the distribution"),
    row(
        "consoles",
        "rfc2217",
        Grade::RealPeer,
        "pyserial's server (speed, format and break arrive) and ser2net; every byte value, a restart",
    ),
    row(
        "consoles",
        "rtt",
        Grade::OwnFake,
        "A program of ours on QEMU's nRF51, behind a model of ours of a Black Magic probe: what it says is read, and it \
         answers what is typed. SEGGER's own code for such programs was not tried, and no probe and no chip",
    ),
    row(
        "consoles",
        "serial",
        Grade::RealPeer,
        "Linux terminals by socat: every byte value, the speed as the kernel tells it, pulled and plugged again. \
         They have no modem lines and no rate; no USB adapter was tried.",
    ),
    row("consoles", "tcp", Grade::RealPeer, "ser2net with a raw port; every byte value, a restart"),
    row("consoles", "telnet", Grade::RealPeer, "ser2net with telnet; every byte value, a restart"),
    row("media", "file", Grade::RealPeer, "files"),
    row(
        "media",
        "block-device",
        Grade::RealPeer,
        "Loop devices of the rig host; QEMU's usb-storage, plugged into a guest with udev and taken out, by its name of a \
         place. No card reader was tried.",
    ),
    row(
        "media",
        "sdwire",
        Grade::Oracle,
        "A model of ours of the chip and of its card reader, plugged into a guest over USB/IP. The project's own program \
         `sdwire` switches behind our back, and pyftdi reads the pins that we switch. Whether every make's chip \
         tells its pins after its mode was left is not known. No SDWire was tried.",
    ),
    row(
        "media",
        "usb-sd-mux",
        Grade::Oracle,
        "Models of ours of both kinds with their card readers, plugged into a guest over USB/IP, under the kernel's own \
         drivers. The project's own program `usbsdmux` sees what we switch, and we what it switches; each pin's \
         edges are in the order that it uses. No mux was tried.",
    ),
    row(
        "debug probes",
        "probe-rs",
        Grade::OwnFake,
        "A model of ours of a Black Magic probe on TCP, in front of QEMU's nRF51, whose core, memory and flash \
         controller are QEMU's: its monitor shows the same flash, and that the program runs. No probe and no chip \
         was tried, and no application core of any board (a Raspberry Pi's, for example)",
    ),
    row("network", "address", Grade::RealPeer, "TCP servers on the rig host"),
    row(
        "network",
        "jump",
        Grade::RealPeer,
        "OpenSSH's server as the jump host and as the DUT, both on one machine; its ssh-agent. A real network \
         between them was not tried.",
    ),
    row(
        "network",
        "link",
        Grade::RealPeer,
        "avahi-daemon, dnsmasq, ISC dhcpd and BusyBox' DHCP client in network namespaces with a veth pair between \
         them. No board and no switch was tried.",
    ),
    row(
        "tftp",
        "folder",
        Grade::RealPeer,
        "dnsmasq over the folder, and curl as its client; no boot loader was tried",
    ),
    row(
        "tftp",
        "serve",
        Grade::RealPeer,
        "curl, BusyBox, tftp-hpa and atftp as clients; the same server boots U-Boot for arm64 under QEMU. No board \
         was tried.",
    ),
    row(
        "screens",
        "v4l2",
        Grade::RealPeer,
        "Linux 6.1's own test driver `vivid` in a guest, whose pictures Debian's v4l2-ctl takes too; each fault that it can \
         make. Frames as JPEG were tried from a file that libjpeg-turbo wrote. No grabber and no camera was tried.",
    ),
];

/// The page of all drivers, in Markdown. Names the drivers without a row, which must not be.
///
/// # Errors
/// The drivers that nothing is said about here.
pub fn page() -> Result<String, Vec<String>> {
    let drivers = drivers();
    let find = |driver: &DriverInfo| {
        PROVEN.iter().find(|row| row.family == driver.family && row.name == driver.name)
    };
    let without = drivers.iter().filter(|driver| find(driver).is_none());
    let without: Vec<_> = without.map(|driver| format!("{} {}", driver.family, driver.name)).collect();
    if !without.is_empty() {
        return Err(without);
    }
    let mut page = HEAD.to_owned();
    let mut family = "";
    for driver in &drivers {
        let Some(proven) = find(driver) else { continue };
        if driver.family != family {
            family = driver.family;
            let _ = write!(page, "\n## {}{}\n", family[..1].to_uppercase(), &family[1..]);
        }
        let doc = driver.doc.replace('\n', " ");
        let _ = write!(page, "\n### `{}`\n\n{doc}\n\n", driver.name);
        let _ =
            writeln!(page, "Proven against: **{}**. {}.\n", proven.grade, proven.by.trim_end_matches('.'));
        if let Some(feature) = driver.feature {
            let _ = writeln!(page, "Needs the cargo feature `{feature}`.\n");
        }
        if driver.options.is_empty() {
            continue;
        }
        page.push_str("| field | needed | |\n|---|---|---|\n");
        for option in &driver.options {
            let doc = option.doc.replace('\n', " ").replace('|', "\\|");
            let needed = if option.needed { "yes" } else { "" };
            let _ = writeln!(page, "| `{}` | {needed} | {doc} |", option.name);
        }
    }
    Ok(page)
}

const HEAD: &str = "\
# Drivers

Everything that a rig can be made of, as `shakedown drivers` tells it. This page is generated (`cargo xtask
generate`) and tested to be current.

Each driver says what it was tried against, in these grades: a *real device*; a *real peer*, which is a
program that others wrote and that one meets in a lab too; an *oracle*, which is a model of ours that another
project's program confirms; a *transcript* of bytes; an *own fake*, which is a model of ours. Where a network or
a serial line leads to the counterpart, a proxy on it adds silence, late answers, noise, half answers, refusals
and hang-ups; a driver of outputs must end each in time, with a typed fault and never with success. No driver
was tried on hardware yet.
";
