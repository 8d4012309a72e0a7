use std::os::unix::fs::symlink;

use super::*;

/// A host of a few devices, as the kernel shows it.
struct Host(tempfile::TempDir);

const ROOT: &str = "22 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n";

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.proc("self/mountinfo", ROOT);
        host.proc("1/mountinfo", ROOT);
        host.proc("swaps", "Filename\tType\tSize\tUsed\tPriority\n");
        // The host's own disk with two partitions, a card in a USB reader, a card in a slot of the SoC.
        host.device("pci0000:00/ata1/host0/block/sda", "8:0", 1 << 40, &[("device/serial", "S4EV")]);
        host.part("sda", "sda1", "8:1");
        host.part("sda", "sda2", "8:2");
        host.device("pci0000:00/usb1/1-4/1-4:1.0/host6/block/sdb", "8:16", 32 << 30, &[("removable", "1")]);
        host.part("sdb", "sdb1", "8:17");
        host.put("devices/pci0000:00/usb1/1-4/idVendor", "0bda");
        host.put("devices/pci0000:00/usb1/1-4/serial", "201006010301");
        host.device(
            "soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0",
            "179:0",
            16 << 30,
            &[("device/cid", "1b534d454231515430206b7a9c00f1a2"), ("removable", "0")],
        );
        host
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join("sys").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }

    fn proc(&self, path: &str, text: &str) {
        let path = self.0.path().join("proc").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn device(&self, at: &str, number: &str, size: u64, more: &[(&str, &str)]) {
        let at = format!("devices/{at}");
        self.put(&format!("{at}/dev"), number);
        self.put(&format!("{at}/size"), &(size / 512).to_string());
        self.put(&format!("{at}/ro"), "0");
        for (file, text) in more {
            self.put(&format!("{at}/{file}"), text);
        }
        self.class(&at);
    }

    fn class(&self, at: &str) {
        let class = self.0.path().join("sys/class/block");
        std::fs::create_dir_all(&class).unwrap();
        let name = at.rsplit('/').next().unwrap();
        symlink(self.0.path().join("sys").join(at), class.join(name)).unwrap();
    }

    fn part(&self, of: &str, name: &str, number: &str) {
        let class = self.0.path().join("sys/class/block");
        let dir = std::fs::canonicalize(class.join(of)).unwrap().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("partition"), "1\n").unwrap();
        std::fs::write(dir.join("dev"), format!("{number}\n")).unwrap();
        symlink(&dir, class.join(name)).unwrap();
    }

    /// Something is built on a device.
    fn build(&self, on: &str, name: &str, number: &str, file: (&str, &str)) {
        self.device(&format!("virtual/block/{name}"), number, 1 << 30, &[file]);
        let class = self.0.path().join("sys/class/block");
        std::fs::create_dir_all(class.join(on).join("holders")).unwrap();
        symlink(class.join(name), class.join(on).join("holders").join(name)).unwrap();
    }

    fn kernel(&self) -> Kernel {
        Kernel { sys: self.0.path().join("sys"), proc: self.0.path().join("proc") }
    }

    fn look(&self, name: &str) -> Facts {
        self.kernel().look(name).unwrap().unwrap()
    }

    #[track_caller]
    fn refused(&self, name: &str, wanted: &Wanted<'_>) -> String {
        let Refused { expected, got } = judge(&self.look(name), wanted, None).unwrap_err();
        format!("{expected} / {got}")
    }
}

const ANY: Wanted<'_> = Wanted { serial: None, max_size: u64::MAX };

#[test]
fn cards_are_known_and_may_be_written() {
    let host = Host::new();
    let reader = host.look("sdb");
    assert_eq!(
        (reader.serial.as_deref(), reader.size, reader.removable),
        (Some("201006010301"), 32 << 30, true)
    );
    let slot = host.look("mmcblk0");
    assert_eq!(slot.serial.as_deref(), Some("1b534d454231515430206b7a9c00f1a2"));
    for facts in [&reader, &slot] {
        judge(facts, &ANY, Some(facts)).unwrap();
    }
    assert_eq!(host.kernel().look("sdz").unwrap(), None);
}

#[test]
fn the_hosts_own_disk_is_refused_however_it_is_used() {
    let host = Host::new();
    let named = Wanted { serial: Some("S4EV"), ..ANY };
    let root = "a device that this host does not use / sda2 holds the root file system of this host";
    assert_eq!(host.refused("sda", &named), root);
    // Its own name in the rig file is no leave.
    assert_eq!(host.refused("sda", &ANY), root);
    // A container's own view hides it; the host's first process does not.
    host.proc("self/mountinfo", "22 1 0:44 / / rw - overlay overlay rw\n");
    assert_eq!(host.refused("sda", &named), root);
    // btrfs: a number of its own, and the device as the source.
    host.proc("1/mountinfo", "22 1 0:31 /@ / rw - btrfs /dev/sda2 rw\n");
    assert_eq!(host.refused("sda", &named), root);
    host.proc("1/mountinfo", "22 1 0:44 / / rw - overlay overlay rw\n");
    judge(&host.look("sda"), &named, None).unwrap();
    host.proc("self/mountinfo", "23 1 8:1 / /mnt/my\\040data rw shared:1 master:2 - vfat /dev/sda1 rw\n");
    assert!(host.refused("sda", &named).ends_with("sda1 is mounted at /mnt/my data"));
}

#[test]
fn swap_lvm_luks_and_raid_are_refused_also_in_layers() {
    let host = Host::new();
    host.proc(
        "swaps",
        "Filename\tType\tSize\tUsed\tPriority\n/dev/sdb1 partition 1000 0 -2\n/swapfile file 1 0 -3\n",
    );
    assert!(host.refused("sdb", &ANY).ends_with("sdb1 is swap space of this host"));
    let host = Host::new();
    host.build("sdb1", "md0", "9:0", ("md/level", "raid1"));
    host.build("md0", "dm-0", "254:0", ("dm/uuid", "CRYPT-LUKS2-0123-root"));
    host.build("dm-0", "dm-1", "254:1", ("dm/uuid", "LVM-abc"));
    host.proc("self/mountinfo", "22 1 254:1 / / rw - ext4 /dev/mapper/vg-root rw\n");
    assert_eq!(
        host.refused("sdb", &ANY),
        "a device that this host does not use / sdb1 is a member of md0 (RAID); md0 is a member of dm-0 (LUKS); \
         dm-0 is a member of dm-1 (LVM); dm-1 holds the root file system of this host"
    );
}

#[test]
fn what_is_not_this_slots_medium_is_refused() {
    let host = Host::new();
    let card = host.look("sdb");
    for (name, wanted, want) in [
        ("sdb1", ANY, "a whole device / sdb1 is a partition"),
        (
            "sdb",
            Wanted { serial: Some("123"), ..ANY },
            "the device with the serial number 123 / sdb has 201006010301",
        ),
        (
            "sdb",
            Wanted { max_size: 8 << 30, ..ANY },
            "at most 8589934592 bytes (`max-size`) / sdb has 34359738368 bytes",
        ),
    ] {
        assert_eq!(host.refused(name, &wanted), want);
    }
    // Fixed, and the host does not use it: a second disk with somebody's data.
    host.proc("self/mountinfo", "22 1 0:44 / / rw - overlay overlay rw\n");
    host.proc("1/mountinfo", "22 1 0:44 / / rw - overlay overlay rw\n");
    assert_eq!(
        host.refused("sda", &ANY),
        "a removable device, or one that is named by its serial number / sda is fixed, and the rig file does \
         not name its `serial` (S4EV)"
    );
    judge(&host.look("sda"), &Wanted { serial: Some("S4EV"), ..ANY }, None).unwrap();
    // Another card since, or another reader under the same name.
    let larger = Facts { size: 64 << 30, ..card.clone() };
    let other = Facts { serial: Some("4711".into()), ..card.clone() };
    for changed in [larger, other] {
        let refused = judge(&changed, &ANY, Some(&card)).unwrap_err();
        assert_eq!(refused.expected, "the medium of the slot (34359738368 bytes, 201006010301)");
    }
    host.put("class/block/sdb/ro", "1");
    assert!(host.refused("sdb", &ANY).ends_with("sdb is write-protected"));
}

#[test]
fn a_view_that_cannot_be_read_is_no_leave_to_write() {
    let host = Host::new();
    std::fs::remove_file(host.0.path().join("proc/swaps")).unwrap();
    assert!(host.kernel().look("sdb").is_err());
    let host = Host::new();
    std::fs::remove_file(host.0.path().join("proc/self/mountinfo")).unwrap();
    assert!(host.kernel().look("sdb").is_err());
}
