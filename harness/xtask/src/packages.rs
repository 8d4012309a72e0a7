//! What is needed from the distribution, and how it gets there.

use std::path::Path;

use anyhow::bail;

use crate::shell::line;

/// To build the workspace: ssh2 links the system's OpenSSL.
pub(crate) const BUILD: &[&str] = &["gcc", "make", "perl", "pkg-config", "libssl-dev"];

/// To build the reference OS, for both architectures: nothing of the target is run.
pub(crate) const IMAGE: &[&str] = &[
    "fakeroot",
    "faketime",
    "mtools",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "kmod",
    "cpio",
    "zstd",
    "grub-common",
];

/// To boot amd64.
pub(crate) const QEMU: &[&str] = &["qemu-system-x86", "seabios", "ipxe-qemu"];

/// To boot arm64, and amd64 by UEFI.
pub(crate) const QEMU_MORE: &[&str] = &["qemu-system-arm", "qemu-efi-aarch64", "u-boot-qemu", "ovmf"];

/// What the tests use as counterparts: OpenSSH, chrony's client, a browser, TAP's own reader,
/// and the servers that drivers of rig hardware speak to.
pub(crate) const TEST: &[&str] = &[
    "openssh-server",
    "openssh-client",
    "chrony",
    "chromium",
    "perl",
    "libxml2-utils",
    "python3-junitparser",
    "python3-venv",
    "busybox",
    "util-linux",
    "mount",
    "xz-utils",
    "zip",
    "socat",
    "ser2net",
    "python3-serial",
    "snmpd",
    "snmp",
    "mosquitto",
    "mosquitto-clients",
    "python3-paho-mqtt",
    "lighttpd",
    "curl",
    "tftp-hpa",
    "atftp",
    "dnsmasq-base",
    // Both ends of a network of namespaces.
    "avahi-daemon",
    "iproute2",
    "isc-dhcp-server",
    // Reads the units of the docs.
    "systemd",
    "pdudaemon",
    "python3-pymodbus",
    // What Debian's pymodbus needs and does not name.
    "python3-serial-asyncio",
    // The lab's oracles, and what plugs models of USB devices into its guest.
    "gpiod",
    "sispmctl",
    // Names the lab's disks.
    "udev",
    "uhubctl",
    "usbip",
    "usbrelay",
    "v4l-utils",
];

/// To build the Debian of `examples/debian`, which only `--full` does.
pub(crate) const EXAMPLES: &[&str] = &["mmdebstrap", "grub-efi-amd64-bin"];

/// To link our own binary for arm64, which only `--full` does.
pub(crate) const ARM64: &[&str] = &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// Assembles the programs for the chip behind a debug probe, which only `--full` does.
pub(crate) const PROBE: &[&str] = &["binutils-arm-none-eabi"];

/// libFuzzer is C++; only `--full` fuzzes.
pub(crate) const FUZZ: &[&str] = &["g++"];

/// Installs what is missing; where that is not allowed, the error is the line to type.
pub(crate) fn install(groups: &[&[&str]]) -> anyhow::Result<()> {
    let mut missing: Vec<_> =
        groups.iter().copied().flatten().copied().filter(|name| !is_installed(name)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "these packages are missing (Debian's names), and there is no apt-get here: {}",
            missing.join(" ")
        );
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    let Some(sudo) = privilege() else {
        bail!(
            "missing packages, and neither root nor password-less sudo: run this, then again:\n  sudo {by_hand}"
        );
    };
    println!("installing from the distribution: {}", missing.join(" "));
    let apt = |args: &[&str]| {
        line(sudo.iter().copied().chain(["apt-get", "-qq"]).chain(args.iter().copied()))
            .env("DEBIAN_FRONTEND", "noninteractive")
    };
    apt(&["update"]).run()?;
    let mut install = vec!["install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
    install.extend(&missing);
    apt(&install).run()?;
    let still: Vec<_> = missing.into_iter().filter(|name| !is_installed(name)).collect();
    if !still.is_empty() {
        bail!("apt-get ended well and these are still not installed: {}", still.join(" "));
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let query = line(["dpkg-query", "-W", "-f", "${db:Status-Status}", package]);
    query.read().is_ok_and(|status| status == "installed")
}

/// What goes before `apt-get`; `None` when we may not.
fn privilege() -> Option<&'static [&'static str]> {
    if line(["id", "-u"]).read().is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    line(["sudo", "-n", "true"]).read().is_ok().then_some(&["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"])
}
