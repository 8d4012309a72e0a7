//! QEMU's command line, from typed parts. No shell reads it.

mod props;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use props::Props;

use crate::card::CardBoot;
use crate::doc::{DiskBus, DiskDoc, MachineDoc, NetworkDoc, WatchdogName};
use crate::machines::{Load, Machine, Virtio};
use crate::version::Version;

/// Names of files in the slot's folder, which is QEMU's working directory: a path in it may be
/// longer than a socket's address can be.
pub mod files {
    /// QMP's socket.
    pub const QMP: &str = "qmp.sock";
    /// The main console's socket.
    pub const CONSOLE: &str = "console.sock";
    /// Where a restored machine is read from.
    pub const INCOMING: &str = "incoming.sock";
    /// Where a machine that is saved is written to.
    pub const OUTGOING: &str = "outgoing.sock";
    /// The firmware's variables.
    pub const VARS: &str = "firmware-vars.fd";
    /// The kernel off the card.
    pub const CARD_KERNEL: &str = "card-kernel";
    /// Its initial file system.
    pub const CARD_INITRD: &str = "card-initrd";
    /// What it is told of the hardware.
    pub const CARD_DTB: &str = "card.dtb";
}

/// Where the machine's state at start comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From its reset vector.
    Cold,
    /// From a stream on a socket, once QMP says so.
    Restored,
}

/// All that the command line depends on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The document, checked.
    pub doc: MachineDoc,
    /// The installed QEMU.
    pub version: Version,
    /// For people who look at the list of processes.
    pub name: String,
    /// The main disk's file.
    pub disk: PathBuf,
    /// The other disks' files, by name.
    pub extra: Vec<(String, PathBuf)>,
    /// Disks by name that it starts without.
    pub away: BTreeSet<String>,
    /// Where it starts from.
    pub start: Start,
    /// What was found on the card, where the rig stands in for the firmware.
    pub card: Option<CardBoot>,
}

/// The arguments, each as a word of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(Vec<OsString>);

impl Args {
    fn flag(&mut self, name: &str) {
        self.0.push(format!("-{name}").into());
    }

    fn opt(&mut self, name: &str, value: impl Into<OsString>) {
        self.flag(name);
        self.0.push(value.into());
    }

    /// The words.
    pub fn words(self) -> Vec<OsString> {
        self.0
    }
}

impl Plan {
    /// The whole command line after the program's name. QEMU starts paused: nothing of the
    /// guest runs before console and QMP are connected.
    pub fn args(&self) -> Args {
        let (doc, machine) = (&self.doc, &self.doc.machine());
        let mut args = Args::default();
        args.opt("name", Props::new("guest").first(&self.name).kv("debug-threads", "on"));
        args.flag("nodefaults");
        args.flag("no-user-config");
        args.opt("display", "none");
        args.flag("S");
        args.opt("machine", self.machine(machine));
        // MiB of translated code. Measured with the demo run on a quiet 2-core host: 304 s with 512,
        // where a reboot has much stale code to invalidate (20 s in GRUB instead of 7; with 2048
        // longer than its deadline), 281 s with 160, which the engine's programs overflow, 241 s with 320.
        args.opt("accel", Props::word("tcg").kv("thread", "multi").kv("tb-size", "320"));
        if machine.soldered.is_none() {
            if let Some(cpu) = machine.cpu {
                args.opt("cpu", cpu);
            }
            args.opt("smp", doc.cpus.to_string());
            args.opt("m", format!("{}M", doc.memory.0 >> 20));
        }
        args.opt("rtc", "base=utc,clock=host");
        args.opt("action", "reboot=reset,shutdown=poweroff,watchdog=reset");
        let socket = |id: &str, file: &str| {
            Props::word("socket").kv("id", id).kv("path", file).kv("server", "on").kv("wait", "off")
        };
        args.opt("chardev", socket("qmp", files::QMP));
        args.opt("mon", "chardev=qmp,mode=control");
        args.opt("chardev", socket("console", files::CONSOLE));
        for _ in 0..machine.serial_before {
            args.opt("serial", "null");
        }
        args.opt("serial", "chardev:console");
        self.firmware(machine, &mut args);
        self.disks(machine, &mut args);
        if doc.network == NetworkDoc::User {
            network(machine, &mut args);
        }
        if let Some(device) = machine.virtio.device("virtio-rng") {
            args.opt("device", Props::word(&device).kv("id", "rng"));
        }
        if let Some(WatchdogName::I6300esb) = doc.watchdog {
            args.opt("device", "i6300esb,id=watchdog");
        }
        if let Some(screen) = machine.screen.filter(|_| doc.screen) {
            args.opt("device", Props::word(screen).kv("id", "screen"));
        }
        if let Some(direct) = &doc.direct {
            args.opt("kernel", direct.kernel.as_os_str());
            args.opt("initrd", direct.initrd.as_os_str());
            args.opt("append", direct.append.as_str());
        } else if let Some(card) = &self.card {
            args.opt("kernel", card.kernel.as_os_str());
            if let Some(initrd) = &card.initrd {
                args.opt("initrd", initrd.as_os_str());
            }
            args.opt("dtb", card.dtb.as_os_str());
            let append = [card.append.as_str(), machine.append, doc.kernel_args.as_str()];
            args.opt("append", append.join(" ").trim());
        }
        args.0.extend(machine.args.iter().map(OsString::from));
        if self.start == Start::Restored {
            args.opt("incoming", "defer");
        }
        args
    }

    fn machine(&self, machine: &Machine) -> Props {
        let name = machine.qemu_name(self.version);
        machine.options.iter().fold(Props::word(&name), |props, (key, value)| props.kv(key, value))
    }

    fn firmware(&self, machine: &Machine, args: &mut Args) {
        // A kernel of our own needs no firmware in flash.
        let firmware = machine.firmware(self.doc.firmware).filter(|_| self.doc.direct.is_none());
        match firmware.map(|firmware| &firmware.load) {
            None | Some(Load::BuiltIn | Load::Card) => {}
            Some(Load::Rom(file)) => args.opt("bios", *file),
            Some(Load::Kernel(file)) => args.opt("kernel", *file),
            Some(Load::Flash { code, .. }) => {
                let flash = |unit: &str| Props::word_kv("if", "pflash").kv("format", "raw").kv("unit", unit);
                args.opt("drive", flash("0").kv("readonly", "on").path("file", Path::new(code)));
                args.opt("drive", flash("1").path("file", Path::new(files::VARS)));
            }
        }
    }

    fn disks(&self, machine: &Machine, args: &mut Args) {
        let extra = self.extra.iter().filter_map(|(name, file)| {
            Some((name.as_str(), file.as_path(), self.doc.extra_disks.get(name)?))
        });
        let all: Vec<_> =
            std::iter::once(("main", self.disk.as_path(), &self.doc.disk)).chain(extra).collect();
        if all.iter().any(|(_, _, disk)| disk.bus == DiskBus::UsbStorage) {
            args.opt("device", "qemu-xhci,id=usb");
        }
        // From 1: a kernel that QEMU loads itself has 0.
        for (index, (name, file, disk)) in (1..).zip(all) {
            if self.away.contains(name) {
                continue;
            }
            if disk.bus == DiskBus::SdCard {
                // The board's own slot takes only this old form.
                let card = Props::word_kv("if", "sd").kv("format", "raw").kv("id", &format!("disk-{name}"));
                args.opt("drive", card.path("file", file));
                continue;
            }
            let (raw, drive) = (format!("{name}-file"), format!("{name}-disk"));
            args.opt(
                "blockdev",
                Props::word_kv("driver", "file").kv("node-name", &raw).path("filename", file),
            );
            let format = Props::word_kv("driver", "raw").kv("node-name", &drive).kv("file", &raw);
            args.opt("blockdev", format.kv("discard", "unmap"));
            args.opt("device", device(machine.virtio, name, &drive, disk, index));
        }
    }
}

fn network(machine: &Machine, args: &mut Args) {
    let virtio = machine.virtio.device("virtio-net");
    let (false, Some(device)) = (machine.own_nic, virtio) else {
        args.opt("nic", Props::word("user").kv("id", "net"));
        return;
    };
    args.opt("netdev", Props::word("user").kv("id", "net"));
    let card = Props::word(&device).kv("id", "nic").kv("netdev", "net");
    // Without a boot ROM: netboot is not offered, and its banner would be a second firmware.
    args.opt("device", if machine.virtio == Virtio::Pci { card.kv("romfile", "") } else { card });
}

fn device(virtio: Virtio, name: &str, drive: &str, disk: &DiskDoc, index: u32) -> Props {
    let kind = match disk.bus {
        DiskBus::VirtioBlk => virtio.device("virtio-blk"),
        DiskBus::Nvme => Some("nvme".to_owned()),
        DiskBus::UsbStorage => Some("usb-storage".to_owned()),
        DiskBus::SdCard => Some("sd-card".to_owned()),
    };
    // A document with a disk on a bus that is not there was refused.
    Props::word(&kind.unwrap_or_default())
        .kv("id", &format!("disk-{name}"))
        .kv("drive", drive)
        .kv("serial", &format!("shakedown-{name}"))
        .kv("bootindex", &index.to_string())
}

#[cfg(test)]
mod tests;
