//! Kernel and busybox out of Debian's packages, without installing them.

use std::path::{Path, PathBuf};

use shakedown_core::{Deadline, Fault, InfraKind, Rig, Sha};
use shakedown_host::Tool;

use super::{Archive, Kit};

/// Names the kernel that is current.
const META: &str = "linux-image-cloud-amd64";
pub(super) const BUSYBOX: &str = "busybox-static";
/// Drivers of the network card, in the order in which they can be loaded.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];
/// Drivers of a disk with a FAT partition, in the order in which they can be loaded. Most guests have no use
/// for them: who has loads them out of `/more`.
const MORE: [&str; 5] = ["virtio_blk", "fat", "vfat", "nls_cp437", "nls_ascii"];
const INIT: &[u8] = include_bytes!("init.sh");

pub(super) async fn kit(folder: &Path, by: &Deadline) -> Rig<Kit> {
    let package = current_kernel(META, by).await?;
    let what = Sha::of([MODULES.join(" "), MORE.join(" ")].join(" ").as_bytes());
    let parts = folder.join(format!("{package}-{}", what.short()));
    if !parts.is_dir() {
        fetch(&package, &parts, by).await?;
    }
    let initrd = initrd(&parts)?;
    // By its content: another version of this program makes another one.
    let file = parts.join(format!("initrd-{}", Sha::of(&initrd).short()));
    if !file.is_file() {
        let fresh = parts.join(format!("initrd.{}", std::process::id()));
        write(&fresh, &initrd)?;
        std::fs::rename(&fresh, &file).map_err(|error| fault("make", &file).because(&error))?;
    }
    Ok(Kit { kernel: parts.join("vmlinuz"), initrd: file })
}

pub(super) async fn current_kernel(meta: &str, by: &Deadline) -> Rig<String> {
    let said = Tool::new("apt-cache").args(["depends", meta]).run_ok(by).await?.text();
    let found = said.lines().find_map(|line| {
        let name = line.trim().strip_prefix("Depends: ")?;
        name.starts_with("linux-image-").then(|| name.to_owned())
    });
    found.ok_or_else(|| {
        Fault::new(InfraKind::Tool, "apt", "find the kernel of", meta)
            .expected("`Depends: linux-image-…`", format!("`{said}`"))
            .hint("run apt-get update")
    })
}

/// Fills the folder: all of it, or it is not there.
async fn fetch(package: &str, parts: &Path, by: &Deadline) -> Rig<()> {
    let work = parts.with_file_name(format!("{package}.{}", std::process::id()));
    let tree = work.join("tree");
    std::fs::create_dir_all(&tree).map_err(|error| fault("make", &tree).because(&error))?;
    Tool::new("apt-get").args(["download", package, BUSYBOX]).dir(&work).run_ok(by).await?;
    for file in list(&work)?.iter().filter(|file| file.extension().is_some_and(|end| end == "deb")) {
        Tool::new("dpkg-deb").arg("-x").arg(file).arg(&tree).run_ok(by).await?;
    }
    let ready = work.join("ready");
    std::fs::create_dir_all(&ready).map_err(|error| fault("make", &ready).because(&error))?;
    let boot = list(&tree.join("boot"))?;
    let kernel = boot.iter().find(|file| file.to_string_lossy().contains("/vmlinuz-"));
    copy(kernel.ok_or_else(|| fault("find a kernel in", &tree))?, &ready.join("vmlinuz"))?;
    let busybox = [tree.join("bin/busybox"), tree.join("usr/bin/busybox")];
    let busybox = busybox.iter().find(|file| file.is_file());
    copy(busybox.ok_or_else(|| fault("find a busybox in", &tree))?, &ready.join("busybox"))?;
    let roots = [tree.join("lib/modules"), tree.join("usr/lib/modules")];
    for name in MODULES.into_iter().chain(MORE) {
        let file = roots.iter().find_map(|root| find(root, name));
        let file = file.ok_or_else(|| fault("find a module in", &tree).expected(name, "no such file"))?;
        let plain = ready.join(format!("{name}.ko"));
        if file.extension().is_some_and(|end| end == "xz") {
            let unpacked = Tool::new("xz").args(["--decompress", "--stdout"]).arg(&file).limit(64 << 20);
            write(&plain, &unpacked.package("xz-utils").run_ok(by).await?.out)?;
        } else {
            copy(&file, &plain)?;
        }
    }
    // Another process may have been quicker; what it made is the same.
    if let Err(error) = std::fs::rename(&ready, parts)
        && !parts.is_dir()
    {
        return Err(fault("make", parts).because(&error));
    }
    std::fs::remove_dir_all(&work).map_err(|error| fault("remove", &work).because(&error))
}

fn initrd(parts: &Path) -> Rig<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "modules", "more", "proc", "sys"] {
        archive.folder(folder);
    }
    archive.device("dev/console", (5, 1));
    archive.file("bin/busybox", 0o755, &read(&parts.join("busybox"))?);
    archive.link("bin/sh", "busybox");
    for (folder, names) in [("modules", &MODULES[..]), ("more", &MORE[..])] {
        for (index, name) in names.iter().enumerate() {
            let module = read(&parts.join(format!("{name}.ko")))?;
            // The guest loads them in the order of their names.
            archive.file(&format!("{folder}/{index}-{name}.ko"), 0o644, &module);
        }
    }
    archive.file("init", 0o755, INIT);
    Ok(archive.finish())
}

pub(super) fn fault(op: &str, path: &Path) -> Fault {
    Fault::new(InfraKind::Host, "micro", op, path.display().to_string())
}

pub(super) fn read(path: &Path) -> Rig<Vec<u8>> {
    std::fs::read(path).map_err(|error| fault("read", path).because(&error))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Rig<()> {
    std::fs::write(path, bytes).map_err(|error| fault("write", path).because(&error))
}

pub(super) fn copy(from: &Path, to: &Path) -> Rig<()> {
    std::fs::copy(from, to).map(drop).map_err(|error| fault("copy", from).because(&error))
}

pub(super) fn list(folder: &Path) -> Rig<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| fault("list", folder).because(&error))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// A kernel module by its name, packed or not, somewhere below.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let is_it = |path: &&PathBuf| {
        let file = path.file_name().map(|file| file.to_string_lossy().replace('-', "_"));
        file.is_some_and(|file| file == format!("{name}.ko") || file == format!("{name}.ko.xz"))
    };
    let here = entries.iter().find(is_it).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}
