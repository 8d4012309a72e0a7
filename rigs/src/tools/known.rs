//! What the vendors' tools print, as far as it is known: from their sources and from logs that their users
//! published. None of them ran here.

/// Patterns of a tool's lines.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// It did its work.
    pub(super) done: Option<&'static str>,
    /// It did not, whatever its exit code is.
    pub(super) failed: &'static [&'static str],
    /// How far it is; the group is a number of percent.
    pub(super) progress: Option<&'static str>,
}

const TEGRA_FAILED: &[&str] =
    &["Failed flashing .*", "Error: Return value [0-9]+", "ERROR: might be timeout in USB write"];
const TEGRA_PROGRESS: &str = r"\] +([0-9]{1,3})%";

/// Of this tool; nothing is known of most.
pub(super) fn known(name: &str) -> Known {
    match name {
        // raspberrypi/usbboot, main.c; it says the same whether it loaded the mass storage gadget or
        // anything else.
        "rpiboot" => Known {
            done: Some("^Second stage boot server done"),
            failed: &[
                "Failed to open second stage",
                "Failed to prepare the second stage",
                "Permission to access USB device denied",
            ],
            progress: None,
        },
        // nxp-imx/mfgtools, uuu/uuu.cpp: a line of its counters, or with -v one for each command.
        "uuu" => Known {
            done: Some(r"Success [1-9][0-9]*\s+Failure 0|Start Cmd:\w+: done"),
            failed: &[r"Failure [1-9]", r">Fail .*"],
            progress: Some(r"([0-9]{1,3})%"),
        },
        // L4T's flash.sh and l4t_initrd_flash.sh, as their users quote them.
        "tegra" => Known {
            done: Some("has been flashed successfully|Flash is successful"),
            failed: TEGRA_FAILED,
            progress: Some(TEGRA_PROGRESS),
        },
        // The same with --rcm-boot: tegraflash_internal.py says so when the kernel is over there. In a flash
        // through an initrd it is only a line in the middle.
        "tegra-rcm" => {
            Known { done: Some("RCM-boot started"), failed: TEGRA_FAILED, progress: Some(TEGRA_PROGRESS) }
        }
        _ => Known::default(),
    }
}
