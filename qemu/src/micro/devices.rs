//! Guests for drivers: Debian's usual kernel with its drivers of USB and GPIO, on the rig host's own
//! files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_core::{Deadline, Rig, Sha};
use shakedown_host::Tool;

use super::Archive;
use super::fetch::{BUSYBOX, copy, current_kernel, fault, list, read, write};

/// Names the kernel that is current; the one of the micro guests has no USB.
const META: &str = "linux-image-amd64";
/// What is loaded, with what each needs: the host's files, a network card, USB, USB devices that are served
/// over the network, HID, a GPIO chip on USB, card readers with the way to their makers' commands, and a model of a
/// video device.
const MODULES: [&str; 15] = [
    "virtio_pci",
    "9p",
    "9pnet_virtio",
    "overlay",
    "virtio_net",
    "xhci_pci",
    "vhci_hcd",
    "usbhid",
    "hid_generic",
    "hid_cp2112",
    "ftdi_sio",
    "usb_storage",
    "sd_mod",
    "sg",
    "vivid",
];
const INIT: &[u8] = include_bytes!("devices.sh");

/// A kernel and an initial file system, in the cache. Its guest mounts the 9p share `host`
/// as its root, and takes commands on its second serial port.
#[derive(Clone, Debug)]
pub struct DeviceKit {
    /// The kernel.
    pub kernel: PathBuf,
    /// Loads the modules, mounts the host's files below a layer of its own.
    pub initrd: PathBuf,
}

impl DeviceKit {
    /// The kit in this cache; fetched from Debian's archive when it is not there.
    pub async fn at(cache: &Path, by: &Deadline) -> Rig<Self> {
        let package = current_kernel(META, by).await?;
        let what = Sha::of(&[INIT, MODULES.join(" ").as_bytes()].concat());
        let parts = cache.join("micro").join(format!("{package}-{}", what.short()));
        if !parts.is_dir() {
            fetch(&package, &parts, by).await?;
        }
        Ok(Self { kernel: parts.join("vmlinuz"), initrd: parts.join("initrd") })
    }
}

/// Fills the folder: all of it, or it is not there.
async fn fetch(package: &str, parts: &Path, by: &Deadline) -> Rig<()> {
    let work = parts.with_file_name(format!("{package}.{}", std::process::id()));
    let tree = work.join("tree");
    let ready = work.join("ready");
    for folder in [&tree, &ready] {
        std::fs::create_dir_all(folder).map_err(|error| fault("make", folder).because(&error))?;
    }
    Tool::new("apt-get").args(["download", package, BUSYBOX]).dir(&work).run_ok(by).await?;
    for file in list(&work)?.iter().filter(|file| file.extension().is_some_and(|end| end == "deb")) {
        Tool::new("dpkg-deb").arg("-x").arg(file).arg(&tree).run_ok(by).await?;
    }
    let boot = list(&tree.join("boot"))?;
    let kernel = boot.iter().find(|file| file.to_string_lossy().contains("/vmlinuz-"));
    copy(kernel.ok_or_else(|| fault("find a kernel in", &tree))?, &ready.join("vmlinuz"))?;
    let versions = list(&tree.join("lib/modules"))?;
    let modules = versions.first().ok_or_else(|| fault("find modules in", &tree))?;
    let version = modules.file_name().unwrap_or_default();
    Tool::new("depmod").arg("-b").arg(&tree).arg(version).package("kmod").run_ok(by).await?;
    write(&ready.join("initrd"), &initrd(&tree, modules)?)?;
    // Another process may have been quicker; what it made is the same.
    if let Err(error) = std::fs::rename(&ready, parts)
        && !parts.is_dir()
    {
        return Err(fault("make", parts).because(&error));
    }
    std::fs::remove_dir_all(&work).map_err(|error| fault("remove", &work).because(&error))
}

fn initrd(tree: &Path, modules: &Path) -> Rig<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "host", "layer", "modules", "proc", "root", "sys"] {
        archive.folder(folder);
    }
    archive.device("dev/console", (5, 1));
    archive.file("bin/busybox", 0o755, &read(&tree.join("bin/busybox"))?);
    let needs = String::from_utf8_lossy(&read(&modules.join("modules.dep"))?).into_owned();
    for (index, path) in in_order(&needs, &MODULES)
        .map_err(|name| fault("find a module in", modules).expected(name, "no such module"))?
        .iter()
        .enumerate()
    {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        // The guest loads them in the order of their names.
        archive.file(&format!("modules/{index:02}-{name}"), 0o644, &read(&modules.join(path))?);
    }
    archive.file("init", 0o755, INIT);
    Ok(archive.finish())
}

/// Modules by name as paths, each after all that it needs: depmod writes a module's needs from the nearest
/// to the deepest. What is missing, otherwise.
fn in_order(needs: &str, names: &[&str]) -> Result<Vec<String>, String> {
    let lines = needs.lines().filter_map(|line| line.split_once(':'));
    let lines: BTreeMap<_, _> = lines.collect();
    let name_of = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split(".ko").next().unwrap_or_default().replace('-', "_")
    };
    let mut order: Vec<String> = Vec::new();
    for name in names {
        let (path, deps) =
            lines.iter().find(|(path, _)| name_of(path) == *name).ok_or_else(|| (*name).to_owned())?;
        for path in deps.split_ascii_whitespace().rev().chain([*path]) {
            if !order.iter().any(|known| known == path) {
                order.push(path.to_owned());
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_what_it_needs() {
        let needs = "a/usb-hid.ko: b/hid.ko c/core.ko\nb/hid.ko: c/core.ko\nc/core.ko:\nd/x.ko:\n";
        assert_eq!(
            in_order(needs, &["x", "usb_hid", "hid"]).unwrap(),
            ["d/x.ko", "c/core.ko", "b/hid.ko", "a/usb-hid.ko"]
        );
        assert_eq!(in_order(needs, &["usb"]), Err("usb".to_owned()));
    }
}
