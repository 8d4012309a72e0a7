//! Which block device this is, and whether it is the host's own.
//!
//! What the kernel tells in /sys/class/block, /proc/self/mountinfo, /proc/1/mountinfo and
//! /proc/swaps is looked at for the whole family of a device: itself, its partitions, and what is
//! built on them (LVM, LUKS, RAID), however deep. That comes before the exclusive open, which asks
//! the kernel once more; this look says *why*.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where the kernel's view is; another place in tests.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) sys: PathBuf,
    pub(crate) proc: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// What is known of a device at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The kernel's name for it now: `sdb`.
    pub(crate) name: String,
    /// Major and minor number.
    pub(crate) number: (u32, u32),
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes of a block: all input and output is a multiple of it.
    pub(crate) block: u64,
    /// The card's identity, the disk's or the USB device's serial number, a loop device's file.
    pub(crate) serial: Option<String>,
    /// The medium can be taken out, or the device unplugged.
    pub(crate) removable: bool,
    /// It takes no writes.
    pub(crate) read_only: bool,
    /// It is a part of another device.
    pub(crate) partition: bool,
    /// What the host does with it, or with what lies on it.
    pub(crate) used: Vec<InUse>,
}

/// One way in which the host uses a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InUse {
    /// A file system of this device is mounted there.
    Mounted { device: String, at: String },
    /// It is swapped onto.
    Swap { device: String },
    /// Something is built on it.
    Member { device: String, of: String, kind: &'static str },
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { device, at } if at == "/" => {
                write!(f, "{device} holds the root file system of this host")
            }
            Self::Mounted { device, at } => write!(f, "{device} is mounted at {at}"),
            Self::Swap { device } => write!(f, "{device} is swap space of this host"),
            Self::Member { device, of, kind } => write!(f, "{device} is a member of {of} ({kind})"),
        }
    }
}

impl Kernel {
    fn block(&self, name: &str) -> PathBuf {
        self.sys.join("class/block").join(name)
    }

    /// Looks at the device of this name; `None` when there is none.
    pub(crate) fn look(&self, name: &str) -> io::Result<Option<Facts>> {
        let dir = self.block(name);
        let Some(number) = self.number(name)? else { return Ok(None) };
        let text = |file: &str| read(&dir.join(file));
        // The kernel counts in 512 bytes, whatever the device's block is.
        let size = number_of(text("size")?.as_deref()).unwrap_or(0).saturating_mul(512);
        let real = std::fs::canonicalize(&dir)?;
        let unplugs = real.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.strip_prefix("usb").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
                || part == "mmc_host"
        });
        Ok(Some(Facts {
            name: name.to_owned(),
            number,
            size,
            block: number_of(text("queue/logical_block_size")?.as_deref()).unwrap_or(512),
            serial: serial(&real)?,
            removable: unplugs || text("removable")?.as_deref() == Some("1"),
            read_only: text("ro")?.as_deref() == Some("1"),
            partition: dir.join("partition").exists(),
            used: self.used(name)?,
        }))
    }

    /// What the kernel calls this attachment of the device and no other: its counter since Linux 5.15,
    /// else its place, in which a SCSI host's number grows with each attachment.
    pub(crate) fn attachment(&self, name: &str) -> io::Result<String> {
        let dir = self.block(name);
        match read(&dir.join("diskseq"))? {
            Some(number) => Ok(format!("{name}, disk {number} since the host's start")),
            None => Ok(std::fs::canonicalize(&dir)?.display().to_string()),
        }
    }

    fn number(&self, name: &str) -> io::Result<Option<(u32, u32)>> {
        let text = read(&self.block(name).join("dev"))?;
        Ok(text.and_then(|text| {
            let (major, minor) = text.split_once(':')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        }))
    }

    /// The device, its partitions, and all that is built on them.
    fn family(&self, name: &str) -> io::Result<(BTreeSet<String>, Vec<InUse>)> {
        let (mut all, mut members) = (BTreeSet::new(), Vec::new());
        // The kernel does not call what a loop device shows held: an exclusive open would be let through.
        let mut loops = Vec::new();
        for of in names(&self.sys.join("class/block"))? {
            let file = read(&self.block(&of).join("loop/backing_file"))?;
            loops.extend(file.map(|file| (of, PathBuf::from(file))));
        }
        let mut open = vec![name.to_owned()];
        while let Some(device) = open.pop() {
            if !all.insert(device.clone()) {
                continue;
            }
            let dir = self.block(&device);
            for entry in names(&dir)? {
                if dir.join(&entry).join("partition").exists() {
                    open.push(entry);
                }
            }
            let loops =
                loops.iter().filter(|(_, file)| self.is_node(file, &device)).map(|(of, _)| of.clone());
            for of in names(&dir.join("holders"))?.into_iter().chain(loops) {
                let kind = self.kind(&of)?;
                members.push(InUse::Member { device: device.clone(), of: of.clone(), kind });
                open.push(of);
            }
        }
        Ok((all, members))
    }

    /// Whether this is a node of the device, under whatever name.
    fn is_node(&self, node: &Path, device: &str) -> bool {
        match std::fs::metadata(node) {
            Ok(found) if found.file_type().is_block_device() => {
                let number = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
                self.number(device).is_ok_and(|known| known == Some(number))
            }
            Ok(_) => false,
            // It was opened where we do not see it.
            Err(_) => node.strip_prefix("/dev").is_ok_and(|name| name.as_os_str() == device),
        }
    }

    /// What is built on other devices, for people.
    fn kind(&self, name: &str) -> io::Result<&'static str> {
        let dir = self.block(name);
        if dir.join("md").exists() {
            return Ok("RAID");
        }
        if dir.join("loop").exists() {
            return Ok("loop device");
        }
        let uuid = read(&dir.join("dm/uuid"))?.unwrap_or_default();
        Ok(match uuid.split('-').next() {
            Some("LVM") => "LVM",
            Some("CRYPT") => "LUKS",
            _ => "device mapper",
        })
    }

    fn used(&self, name: &str) -> io::Result<Vec<InUse>> {
        let (family, mut used) = self.family(name)?;
        let mut numbers = BTreeMap::new();
        for device in &family {
            if let Some(number) = self.number(device)? {
                numbers.insert(number, device.clone());
            }
        }
        // A container has mounts of its own; those of the host are its first process's.
        for table in ["self/mountinfo", "1/mountinfo"] {
            let text = match std::fs::read_to_string(self.proc.join(table)) {
                Err(error) if table.starts_with('1') && error.kind() == io::ErrorKind::PermissionDenied => {
                    continue;
                }
                Err(error) if table.starts_with('1') && error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for (number, source, at) in text.lines().filter_map(mount) {
                // btrfs numbers its mounts otherwise; then the source tells.
                let named = source.rsplit('/').next().filter(|name| family.contains(*name));
                let device = numbers.get(&number).map(String::as_str).or(named);
                let mounted = device.map(|device| InUse::Mounted { device: device.to_owned(), at });
                used.extend(mounted.filter(|mounted| !used.contains(mounted)));
            }
        }
        let swaps = std::fs::read_to_string(self.proc.join("swaps"))?;
        for line in swaps.lines().skip(1) {
            let path = line.split_ascii_whitespace().next().unwrap_or_default();
            let device = family.iter().find(|device| self.is_node(Path::new(path), device));
            used.extend(device.map(|device| InUse::Swap { device: device.clone() }));
        }
        Ok(used)
    }
}

/// A line of mountinfo: the device's number, the source, the place.
fn mount(line: &str) -> Option<((u32, u32), &str, String)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (major, minor) = left.next()?.split_once(':')?;
    let at = left.nth(1)?.replace("\\040", " ");
    let source = right.split(' ').nth(1)?;
    Some(((major.parse().ok()?, minor.parse().ok()?), source, at))
}

/// What tells two media or devices of one kind apart, looked for from the device outwards.
fn serial(real: &Path) -> io::Result<Option<String>> {
    for file in ["device/cid", "device/serial", "serial", "device/wwid", "wwid", "loop/backing_file"] {
        if let Some(serial) = read(&real.join(file))?.filter(|serial| !serial.is_empty()) {
            return Ok(Some(serial));
        }
    }
    for outer in real.ancestors().skip(1) {
        if outer.join("idVendor").exists() {
            return Ok(read(&outer.join("serial"))?.filter(|serial| !serial.is_empty()));
        }
    }
    Ok(None)
}

fn number_of(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        // No such attribute, a device that is just going, an attribute that this device does not fill.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.kind() == io::ErrorKind::NotADirectory
                || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
                || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What lies in a folder, sorted; nothing in one that is not there.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// What the rig file says about the device.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) serial: Option<&'a str>,
    pub(crate) max_size: u64,
}

/// What was expected and what is, where the device must not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// The rules: everything that keeps the wrong device from being written. `first` is what was found
/// when the slot first saw the medium.
pub(crate) fn judge(facts: &Facts, wanted: &Wanted<'_>, first: Option<&Facts>) -> Result<(), Refused> {
    let refuse = |expected: &str, got: String| Err(Refused { expected: expected.to_owned(), got });
    let name = &facts.name;
    if facts.partition {
        return refuse("a whole device", format!("{name} is a partition"));
    }
    if !facts.used.is_empty() {
        let uses: Vec<_> = facts.used.iter().map(ToString::to_string).collect();
        return refuse("a device that this host does not use", uses.join("; "));
    }
    let serial = facts.serial.as_deref().unwrap_or("none");
    match wanted.serial {
        Some(wanted) if facts.serial.as_deref() != Some(wanted) => {
            return refuse(
                &format!("the device with the serial number {wanted}"),
                format!("{name} has {serial}"),
            );
        }
        None if !facts.removable => {
            let got = format!("{name} is fixed, and the rig file does not name its `serial` ({serial})");
            return refuse("a removable device, or one that is named by its serial number", got);
        }
        _ => {}
    }
    if facts.size > wanted.max_size {
        return refuse(
            &format!("at most {} bytes (`max-size`)", wanted.max_size),
            format!("{name} has {} bytes", facts.size),
        );
    }
    if facts.read_only {
        return refuse("a device that takes writes", format!("{name} is write-protected"));
    }
    if let Some(first) = first.filter(|first| (&first.serial, first.size) != (&facts.serial, facts.size)) {
        let about = |facts: &Facts| {
            let serial = facts.serial.as_deref().unwrap_or("no serial number");
            format!("{} bytes, {serial}", facts.size)
        };
        return refuse(&format!("the medium of the slot ({})", about(first)), about(facts));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
