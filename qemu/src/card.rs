//! What a Raspberry Pi's firmware does with its card, which QEMU does not model: the first
//! partition with a `config.txt` names the kernel, and the rig hands it to QEMU.
//!
//! Of `config.txt` the lines that name files count (`kernel`, `initramfs`, `device_tree`), under
//! no filter, `[all]` or `[pi3]`; the kernel's arguments are those of `cmdline.txt`
//! (raspberrypi.com/documentation/computers/config_txt.html). It is read at power-on only: a DUT
//! that reboots by itself comes up with the same kernel.

use std::path::{Path, PathBuf};

use shakedown_core::{Fault, InfraKind, Medium, Rig};
use shakedown_media::{FileMedium, Select, read_file, read_layout};

use crate::args::files;

/// A kernel and what belongs to it, as files of the slot's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardBoot {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial file system, if there is one.
    pub initrd: Option<PathBuf>,
    /// What the kernel is told of the hardware.
    pub dtb: PathBuf,
    /// The kernel's arguments.
    pub append: String,
}

/// A larger file is none that a firmware loads.
const MOST: u64 = 256 << 20;

/// The files that a `config.txt` names.
#[derive(Debug, PartialEq, Eq)]
struct Config {
    kernel: String,
    initramfs: Option<String>,
    device_tree: String,
}

impl Config {
    fn parse(text: &str) -> Self {
        let mut this = Self {
            kernel: "kernel8.img".to_owned(),
            initramfs: None,
            device_tree: "bcm2710-rpi-3-b.dtb".to_owned(),
        };
        let mut ours = true;
        for line in text.lines().map(str::trim) {
            if let Some(filter) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                ours = matches!(filter, "all" | "pi3");
            } else if !ours || line.starts_with('#') {
            } else if let Some((_, words)) =
                line.split_once("initramfs ").filter(|(before, _)| before.is_empty())
            {
                this.initramfs = words.split_ascii_whitespace().next().map(str::to_owned);
            } else if let Some(("kernel", name)) = line.split_once('=') {
                name.trim().clone_into(&mut this.kernel);
            } else if let Some(("device_tree", name)) = line.split_once('=') {
                name.trim().clone_into(&mut this.device_tree);
            }
        }
        this
    }
}

/// Reads the card. `None` when nothing on it can be started: such a board says nothing.
pub(crate) fn read(disk: &Path, folder: &Path) -> Rig<Option<CardBoot>> {
    let mut card = FileMedium::open_read_only(disk)?;
    let Ok(layout) = read_layout(&mut card) else { return Ok(None) };
    for partition in layout.partitions {
        let which = Select::Index(partition.index);
        let Some(config) = text(&mut card, &which, "config.txt") else { continue };
        let config = Config::parse(&config);
        let keep = |card: &mut FileMedium, name: &str, to: &str| -> Rig<Option<PathBuf>> {
            let Ok(file) = read_file(card, &which, name, MOST) else { return Ok(None) };
            let to = folder.join(to);
            std::fs::write(&to, file.bytes).map_err(|error| {
                Fault::new(InfraKind::Host, "qemu", "write", to.display().to_string()).because(&error)
            })?;
            Ok(Some(to))
        };
        let kernel = keep(&mut card, &config.kernel, files::CARD_KERNEL)?;
        let dtb = keep(&mut card, &config.device_tree, files::CARD_DTB)?;
        let initrd = match &config.initramfs {
            Some(name) => keep(&mut card, name, files::CARD_INITRD)?,
            None => None,
        };
        let append = text(&mut card, &which, "cmdline.txt").unwrap_or_default();
        // Only its first line counts.
        let append = append.lines().next().unwrap_or_default().trim().to_owned();
        return Ok(kernel.zip(dtb).map(|(kernel, dtb)| CardBoot { kernel, initrd, dtb, append }));
    }
    Ok(None)
}

fn text(card: &mut dyn Medium, which: &Select, name: &str) -> Option<String> {
    let file = read_file(card, which, name, 1 << 16).ok()?;
    Some(String::from_utf8_lossy(&file.bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_this_board_name_the_files() {
        let text = "# a comment\nkernel=vmlinuz\n[pi4]\nkernel=other\n[pi3]\ninitramfs initrd.img followkernel\n[all]\ndevice_tree=pi.dtb\nenable_uart=1\n";
        assert_eq!(
            Config::parse(text),
            Config {
                kernel: "vmlinuz".into(),
                initramfs: Some("initrd.img".into()),
                device_tree: "pi.dtb".into()
            }
        );
        assert_eq!(Config::parse("[pi4]\nkernel=other\n").kernel, "kernel8.img");
    }

    #[test]
    fn a_card_without_them_starts_nothing() {
        let folder = std::env::temp_dir().join(format!("shakedown-card-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let disk = folder.join("main.img");
        drop(FileMedium::create(&disk, 1 << 20).unwrap());
        assert_eq!(read(&disk, &folder).unwrap(), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
