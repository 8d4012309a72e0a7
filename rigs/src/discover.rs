//! What is plugged into this host, by the kernel's own view. Nothing is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_core::{Fault, InfraKind, Rig};

use crate::media::block_device::{Kernel, names};

/// Everything that could belong to a rig.
#[derive(Debug, Default)]
pub struct Found {
    /// Serial ports with a device behind them.
    pub serial: Vec<Thing>,
    /// Media that can be taken out or unplugged, and that this host does not use.
    pub blocks: Vec<Thing>,
    /// Nodes of devices that may capture video; one device has several.
    pub videos: Vec<Thing>,
    /// GPIO chips.
    pub gpio: Vec<Thing>,
    /// USB relay boards and power strips, by the port that each is plugged into.
    pub relays: Vec<Driven>,
    /// Card muxes, in the same way.
    pub muxes: Vec<Driven>,
}

/// A USB device that has a driver here, as the block of an output or a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driven {
    /// What it calls itself.
    pub what: String,
    /// With its first relay or socket, if it has several: `usb-hid-relay: { relay: 1, port: 1-1.4 }`.
    pub block: String,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// A name that lasts, where there is one.
    pub path: PathBuf,
    /// For people.
    pub what: String,
    /// Its serial number, where one can be read.
    pub serial: Option<String>,
    /// Bytes, of a medium.
    pub size: u64,
}

/// Looks around below `root`, which is `/` outside of tests.
pub fn look(root: &Path) -> Rig<Found> {
    let found = || -> std::io::Result<Found> {
        let lasting = lasting(root)?;
        let path = |name: &str| lasting.get(name).cloned().unwrap_or_else(|| Path::new("/dev").join(name));
        let mut found = Found::default();
        for name in names(&root.join("sys/class/tty"))? {
            let dir = root.join("sys/class/tty").join(&name);
            // Consoles of the kernel's own and empty 8250 ports have no device that was plugged in.
            let Ok(device) = std::fs::canonicalize(dir.join("device")) else { continue };
            let driver = device.join("driver").canonicalize().ok();
            let driver = driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            if matches!(driver.as_deref(), None | Some("serial8250" | "port")) {
                continue;
            }
            let usb = usb(&device);
            let what = match &usb {
                Some((product, _)) => product.clone(),
                None => driver.unwrap_or_default(),
            };
            let serial = usb.and_then(|(_, serial)| serial);
            found.serial.push(Thing { path: path(&name), what, serial, size: 0 });
        }
        let kernel = Kernel { sys: root.join("sys"), proc: root.join("proc") };
        for name in names(&root.join("sys/class/block"))? {
            let Some(facts) = kernel.look(&name)? else { continue };
            if facts.partition || !facts.removable || facts.size == 0 || !facts.used.is_empty() {
                continue;
            }
            let dir = std::fs::canonicalize(root.join("sys/class/block").join(&name))?;
            let product = usb(&dir).map(|(product, _)| product).unwrap_or_default();
            let what = format!("{} MiB {product}", facts.size >> 20).trim_end().to_owned();
            found.blocks.push(Thing { path: path(&name), what, serial: facts.serial, size: facts.size });
        }
        for name in names(&root.join("sys/class/video4linux"))? {
            let dir = root.join("sys/class/video4linux").join(&name);
            // Of several nodes of a USB device the first captures; others tell of its pictures.
            let index = std::fs::read_to_string(dir.join("index")).unwrap_or_default();
            if name.starts_with("video") && index.trim() == "0" {
                let what = std::fs::read_to_string(dir.join("name")).unwrap_or_default().trim().to_owned();
                found.videos.push(Thing { path: path(&name), what, serial: None, size: 0 });
            }
        }
        for name in names(&root.join("sys/bus/gpio/devices"))? {
            let what =
                std::fs::read_to_string(root.join("sys/bus/gpio/devices").join(&name).join("of_node/name"));
            let what = what.unwrap_or_default().trim_matches(['\0', '\n']).to_owned();
            found.gpio.push(Thing { path: Path::new("/dev").join(&name), what, serial: None, size: 0 });
        }
        driven(root, &mut found)?;
        Ok(found)
    };
    found().map_err(|error| Fault::new(InfraKind::Host, "discover", "look at", "/sys").because(&error))
}

/// What has a driver here, by its ids.
fn driven(root: &Path, found: &mut Found) -> std::io::Result<()> {
    let folder = root.join("sys/bus/usb/devices");
    for place in names(&folder)? {
        let text = |file: &str| {
            let text = std::fs::read_to_string(folder.join(&place).join(file)).unwrap_or_default();
            text.trim().to_owned()
        };
        let what = text("product");
        let (kind, block) = match (text("idVendor").as_str(), text("idProduct").as_str()) {
            // A hobbyists' number: other devices have it too, with other words.
            ("16c0", "05df") if what.starts_with("USBRelay") => {
                (&mut found.relays, "usb-hid-relay: { relay: 1")
            }
            ("04b4", "fd10" | "fd11" | "fd12" | "fd13" | "fd15") => (&mut found.relays, "sispm: { socket: 1"),
            ("0424", "4041") => (&mut found.muxes, MUX),
            ("04e8", "6001") if what == "sd-wire" => (&mut found.muxes, WIRE),
            _ => continue,
        };
        kind.push(Driven { what, block: format!("{block}, port: {place} }}") });
    }
    Ok(())
}

/// The largest card that may be written is the reader's word; this is a common one.
const MUX: &str = "usb-sd-mux: { max-size: 64GiB";
const WIRE: &str = "sdwire: { max-size: 64GiB";

/// The lasting names that udev gave, by the kernel's.
fn lasting(root: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let mut known = BTreeMap::new();
    // The place where it is plugged in comes before what it is: two of one kind have one name otherwise.
    let folders = ["disk", "serial", "v4l"];
    let by = ["by-id", "by-path"].into_iter();
    for folder in by.flat_map(|by| folders.map(|of| format!("dev/{of}/{by}"))) {
        for name in names(&root.join(&folder))? {
            let link = root.join(&folder).join(&name);
            let target = std::fs::read_link(&link).ok();
            if let Some(node) = target.as_deref().and_then(Path::file_name) {
                known.insert(node.to_string_lossy().into_owned(), Path::new("/").join(&folder).join(&name));
            }
        }
    }
    Ok(known)
}

/// Product and serial number of the USB device around this one.
fn usb(device: &Path) -> Option<(String, Option<String>)> {
    let dir = device.ancestors().find(|dir| dir.join("idVendor").exists())?;
    let text = |file: &str| std::fs::read_to_string(dir.join(file)).ok().map(|text| text.trim().to_owned());
    let product = text("product").or_else(|| Some(format!("{}:{}", text("idVendor")?, text("idProduct")?)));
    Some((product.unwrap_or_default(), text("serial").filter(|serial| !serial.is_empty())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_plugged_in_is_found_by_its_lasting_name() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let link = |to: &str, from: &str| {
            let from = root.join(from);
            std::fs::create_dir_all(from.parent().unwrap()).unwrap();
            symlink(root.join(to), from).unwrap();
        };
        put("proc/self/mountinfo", "");
        put("proc/swaps", "Filename\n");
        // A USB serial cable, an empty port of the board, a card in a reader, the host's disk, a GPIO chip.
        let cable = "sys/devices/pci/usb1/1-2";
        put(&format!("{cable}/idVendor"), "0403\n");
        put(&format!("{cable}/product"), "FT232R USB UART\n");
        put(&format!("{cable}/serial"), "A50285BI\n");
        put(&format!("{cable}/1-2:1.0/ttyUSB0/dev"), "188:0\n");
        put("sys/bus/usb-serial/drivers/ftdi_sio/x", "");
        link("sys/bus/usb-serial/drivers/ftdi_sio", &format!("{cable}/1-2:1.0/ttyUSB0/driver"));
        link(&format!("{cable}/1-2:1.0/ttyUSB0"), "sys/class/tty/ttyUSB0/device");
        put("sys/devices/platform/serial8250/x", "");
        put("sys/bus/platform/drivers/serial8250/x", "");
        link("sys/bus/platform/drivers/serial8250", "sys/devices/platform/serial8250/driver");
        link("sys/devices/platform/serial8250", "sys/class/tty/ttyS1/device");
        std::fs::create_dir_all(root.join("sys/class/tty/tty0")).unwrap();
        for (name, at, removable) in [("sdb", "pci/usb1/1-4/1-4:1.0", "1"), ("sda", "pci/ata1", "0")] {
            let dir = format!("sys/devices/{at}/block/{name}");
            put(&format!("{dir}/dev"), if name == "sdb" { "8:16" } else { "8:0" });
            put(&format!("{dir}/size"), "62333952\n");
            put(&format!("{dir}/removable"), removable);
            link(&dir, &format!("sys/class/block/{name}"));
        }
        put("sys/devices/pci/usb1/1-4/idVendor", "0bda\n");
        put("sys/devices/pci/usb1/1-4/product", "USB3.0-CRW\n");
        put("sys/devices/pci/usb1/1-4/serial", "201006010301\n");
        put("sys/bus/gpio/devices/gpiochip0/of_node/name", "gpio\0");
        // A relay board, and another device with its numbers.
        for (place, words) in [("1-1.3", "USBRelay2\n"), ("1-1.4", "HIDKeys\n")] {
            put(&format!("sys/bus/usb/devices/{place}/idVendor"), "16c0\n");
            put(&format!("sys/bus/usb/devices/{place}/idProduct"), "05df\n");
            put(&format!("sys/bus/usb/devices/{place}/product"), words);
        }
        for (folder, name, node) in [
            ("serial/by-id", "usb-FTDI_A50285BI-if00-port0", "ttyUSB0"),
            ("serial/by-path", "pci-0-usb-0:2:1.0-port0", "ttyUSB0"),
            ("disk/by-path", "pci-0-usb-0:4:1.0-scsi-0:0:0:0", "sdb"),
            ("v4l/by-path", "pci-0-usb-0:5:1.0-video-index0", "video0"),
        ] {
            link(&format!("dev/{node}"), &format!("dev/{folder}/{name}"));
        }
        // A grabber, whose second node tells of its pictures.
        for (node, index) in [("video0", "0\n"), ("video1", "1\n"), ("v4l-subdev0", "0\n")] {
            put(&format!("sys/class/video4linux/{node}/index"), index);
            put(&format!("sys/class/video4linux/{node}/name"), "USB Video: USB Video\n");
        }
        // Two muxes.
        for (place, ids, words) in
            [("1-2.1", ("0424", "4041"), "usb-sd-mux\n"), ("1-2.2", ("04e8", "6001"), "sd-wire\n")]
        {
            put(&format!("sys/bus/usb/devices/{place}/idVendor"), ids.0);
            put(&format!("sys/bus/usb/devices/{place}/idProduct"), ids.1);
            put(&format!("sys/bus/usb/devices/{place}/product"), words);
        }
        let found = look(root).unwrap();
        let thing = |path: &str, what: &str, serial: Option<&str>, size| Thing {
            path: path.into(),
            what: what.into(),
            serial: serial.map(Into::into),
            size,
        };
        let cable =
            thing("/dev/serial/by-path/pci-0-usb-0:2:1.0-port0", "FT232R USB UART", Some("A50285BI"), 0);
        assert_eq!(found.serial, [cable]);
        let card = "/dev/disk/by-path/pci-0-usb-0:4:1.0-scsi-0:0:0:0";
        let size = 62_333_952 * 512;
        assert_eq!(found.blocks, [thing(card, "30436 MiB USB3.0-CRW", Some("201006010301"), size)]);
        let grabber = "/dev/v4l/by-path/pci-0-usb-0:5:1.0-video-index0";
        assert_eq!(found.videos, [thing(grabber, "USB Video: USB Video", None, 0)]);
        assert_eq!(found.gpio, [thing("/dev/gpiochip0", "gpio", None, 0)]);
        let board = "usb-hid-relay: { relay: 1, port: 1-1.3 }";
        assert_eq!(found.relays, [Driven { what: "USBRelay2".into(), block: board.into() }]);
        let block = shakedown_conf::load::<crate::LineDriver>(&shakedown_conf::Document::new("draft", board));
        assert_eq!(block.unwrap().value.check(), Ok(()));
        let muxes: Vec<_> = found.muxes.iter().map(|mux| mux.block.as_str()).collect();
        let expected =
            ["usb-sd-mux: { max-size: 64GiB, port: 1-2.1 }", "sdwire: { max-size: 64GiB, port: 1-2.2 }"];
        assert_eq!(muxes, expected);
        for block in muxes {
            let document = shakedown_conf::Document::new("draft", block);
            let block = shakedown_conf::load::<crate::MediaDriver>(&document);
            assert_eq!(block.unwrap().value.check(), Ok(()));
        }
        // This host, whatever it has.
        look(Path::new("/")).unwrap();
    }
}
