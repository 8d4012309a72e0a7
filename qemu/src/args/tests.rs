use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use shakedown_conf::Bytes;

use super::*;
use crate::doc::{DirectBoot, FirmwareName, MachineName};

fn plan(doc: MachineDoc) -> Plan {
    let extra = doc.extra_disks.keys().map(|name| (name.clone(), format!("/s/{name}.img").into())).collect();
    Plan {
        doc,
        version: Version { major: 7, minor: 2, micro: 22 },
        name: "qemu/amd64".into(),
        disk: "/s/main.img".into(),
        extra,
        away: BTreeSet::new(),
        start: Start::Cold,
        card: None,
    }
}

/// One option a line.
fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    for word in plan.args().words() {
        let word = word.to_string_lossy();
        let glue = if word.starts_with('-') && !text.is_empty() { "\n" } else { " " };
        text.push_str(if text.is_empty() { "" } else { glue });
        text.push_str(&word);
    }
    text + "\n"
}

#[test]
fn a_pc() {
    let mut doc = MachineDoc::new(MachineName::Q35);
    doc.watchdog = Some(WatchdogName::I6300esb);
    doc.screen = true;
    assert_eq!(lines(&plan(doc)), include_str!("golden/q35.txt"));
}

#[test]
fn an_arm_board_with_uefi_and_more_disks() {
    let mut doc = MachineDoc::new(MachineName::Virt);
    doc.memory = Bytes(512 << 20);
    doc.cpus = 4;
    doc.disk.bus = DiskBus::Nvme;
    doc.extra_disks.insert("stick".into(), DiskDoc { bus: DiskBus::UsbStorage, size: Bytes(64 << 20) });
    let mut plan = plan(doc);
    plan.start = Start::Restored;
    assert_eq!(lines(&plan), include_str!("golden/virt-edk2.txt"));
}

#[test]
fn a_rom_flash_or_nothing_at_all_goes_before_the_boot_loader() {
    let mut doc = MachineDoc::new(MachineName::Virt);
    doc.firmware = Some(FirmwareName::UBoot);
    assert!(lines(&plan(doc)).contains("\n-bios /usr/lib/u-boot/qemu_arm64/u-boot.bin\n"));
    let mut doc = MachineDoc::new(MachineName::Q35);
    doc.firmware = Some(FirmwareName::Ovmf);
    assert!(lines(&plan(doc.clone())).contains("unit=1,file=firmware-vars.fd\n"));
    doc.network = NetworkDoc::None;
    doc.direct =
        Some(DirectBoot { kernel: "/k".into(), initrd: "/i".into(), append: "console=ttyS0 a,b".into() });
    let text = lines(&plan(doc));
    assert!(text.ends_with("\n-kernel /k\n-initrd /i\n-append console=ttyS0 a,b\n"), "{text}");
    assert!(!text.contains("pflash") && !text.contains("netdev"), "{text}");
}

#[test]
fn a_raspberry_pi_with_what_is_on_its_card() {
    let mut doc = MachineDoc::new(MachineName::Raspi3b);
    doc.cpus = 4;
    doc.disk.bus = DiskBus::SdCard;
    doc.network = NetworkDoc::None;
    doc.kernel_args = "quiet".into();
    doc.check().unwrap();
    let mut plan = plan(doc);
    plan.card = Some(crate::card::CardBoot {
        kernel: "/s/card-kernel".into(),
        initrd: Some("/s/card-initrd".into()),
        dtb: "/s/card.dtb".into(),
        append: "console=ttyS1,115200".into(),
    });
    assert_eq!(lines(&plan), include_str!("golden/raspi3b.txt"));
}

/// A machine that a rig file describes.
fn described(text: &str) -> MachineDoc {
    let document = shakedown_conf::Document::new("rig.yaml", text);
    let doc = shakedown_conf::load::<MachineDoc>(&document).unwrap().value;
    doc.check().unwrap();
    doc
}

#[test]
fn a_machine_that_only_the_rig_file_knows() {
    let doc = described(
        "machine: { program: qemu-system-riscv64, name: virt, arch: riscv64, cpu: rv64, options: { aclint: 'on' },
                    firmware: { kernel: /u-boot.bin }, virtio: mmio, args: [-global, virtio-mmio.force-legacy=false] }\n",
    );
    assert_eq!(lines(&plan(doc)), include_str!("golden/described.txt"));
}

#[test]
fn a_board_of_qemu_with_its_own_card_and_network() {
    let doc = described(
        "machine: { program: qemu-system-arm, name: orangepi-pc, arch: armv7hf, virtio: none, own-nic: true,
                    card-slot: true, serial-before: 1 }\ncpus: 4\ndisk: { bus: sd-card, size: 2GiB }\n",
    );
    let text = lines(&plan(doc));
    for line in ["-machine orangepi-pc", "-serial null", "-nic user,id=net", "-drive if=sd,format=raw"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("virtio") && !text.contains("-cpu") && !text.contains("-bios"), "{text}");
}

#[test]
fn a_disk_that_is_away_is_not_in_the_machine_and_the_other_keeps_its_place() {
    let mut doc = MachineDoc::new(MachineName::Q35);
    doc.disk.bus = DiskBus::UsbStorage;
    doc.extra_disks.insert("internal".into(), DiskDoc { bus: DiskBus::Nvme, size: Bytes(64 << 20) });
    let mut plan = plan(doc);
    assert!(lines(&plan).contains("usb-storage,id=disk-main"));
    plan.away.insert("main".into());
    let text = lines(&plan);
    assert!(!text.contains("main"), "{text}");
    assert!(text.contains("nvme,id=disk-internal") && text.contains("bootindex=2"), "{text}");
}

#[test]
fn any_path_survives_qemus_own_parser() {
    let mut plan = plan(MachineDoc::new(MachineName::Q35));
    plan.disk = PathBuf::from(OsStr::from_bytes(b"/r\xffn, of today/=.img"));
    let words = plan.args().words();
    let wanted = OsStr::from_bytes(b"driver=file,node-name=main-file,filename=/r\xffn,, of today/=.img");
    assert!(words.iter().any(|word| word == wanted), "{words:?}");
}
