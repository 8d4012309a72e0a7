//! The procedures, one function each. Waits are those of the vendors' own tools and of balena's
//! autokit, which has done these steps in its own lab; none of the longer ones ran on hardware of ours.

use std::time::Duration;

use shakedown_core::{
    Act, Board, Flasher, NetRoot, Netboot, Payload, Provision, Redo, Shows, Side, Tegra, TegraWay, UsbBoot,
    VendorTool,
};

use super::Builder;

/// A module's boot ROM answers within seconds; its mass storage needs its loader first (autokit: 5 min).
const ATTACH: Duration = Duration::from_secs(300);
/// Recovery mode enumerates within seconds of power; people hold buttons longer than needed.
const ENUMERATE: Duration = Duration::from_secs(60);
/// An installer writes a few GiB to eMMC or NVMe in 5 to 10 minutes; slow cards take thrice that.
const INSTALL: Duration = Duration::from_secs(1800);
/// A whole image over USB 2.
const TOOL: Duration = Duration::from_secs(3600);
/// Keys into a firmware's menu.
const KEYS: Duration = Duration::from_secs(60);
/// A boot loader's dialogue, with the files' way over TFTP.
const FETCH: Duration = Duration::from_secs(600);
/// autokit waits so long for capacitors of boards that ran an installer.
const DRAIN: Duration = Duration::from_secs(60);
/// The same, of Jetsons and CompuLab's gateways.
const LONG_DRAIN: Duration = Duration::from_secs(300);

const SWITCH_WHY: &str = "a jumper or switch decides what the board boots from";
const VBUS_WHY: &str = "the data cable's supply is switched";

pub(super) fn build(to: &mut Builder<'_>, board: &Board) {
    to.wire("consoles.main", "boots are watched on it", false);
    match &board.provision {
        Provision::DiskImage => card(to, "the virtual machine's disk"),
        Provision::SdCard => card(to, "the card, behind a mux that gives it to rig host or DUT"),
        Provision::Flasher(how) => flasher(to, board, how),
        Provision::UsbBoot(how) => usb_boot(to, board, how),
        Provision::UsbMassStorage => usb_mass_storage(to, board),
        Provision::TegraRecovery(how) => tegra(to, board, how),
        Provision::Netboot(how) => netboot(to, how),
        Provision::VendorTool(tool) => vendor_tool(to, board, *tool),
    }
}

/// Written where it boots from.
fn card(to: &mut Builder<'_>, why: &str) {
    to.wire("media.main", why, false);
    to.power("power-off", false);
    to.medium("main-to-host", Side::Host);
    to.write(Payload::Image);
    to.medium("main-to-dut", Side::Dut);
}

fn flasher(to: &mut Builder<'_>, board: &Board, how: &Flasher) {
    to.wire("media.main", "the card or stick that the installer boots from, behind a mux", false);
    to.power("power-off", false);
    to.medium("main-to-host", Side::Host);
    to.write(Payload::Installer);
    to.medium("main-to-dut", Side::Dut);
    if how.boot_switch {
        to.output("boot-switch", true, SWITCH_WHY, false);
    }
    to.power("power-on", true);
    if let Some(keys) = &how.keys {
        to.wire("keyboard", "the firmware's menu wants keys; no driver of ours has any", false);
        let keys = keys.clone();
        to.step("keys", Act::Keys { keys }, Shows::Nothing, KEYS, Redo::Start);
    }
    to.step("await-off", Act::AwaitOff, Shows::Off, INSTALL, Redo::Start);
    to.power("power-off-installed", false);
    if how.boot_switch {
        to.output("boot-switch", false, SWITCH_WHY, false);
    }
    to.medium("main-away", Side::Host);
    to.drain(DRAIN, board);
    to.prove_internal(board);
}

fn usb_boot(to: &mut Builder<'_>, board: &Board, how: &UsbBoot) {
    to.wire("media.main", "the board's own storage, as the disk that it becomes on USB", false);
    if how.jumper.is_none() {
        to.unknown.push("whether a jumper must be set for the boot ROM to listen".to_owned());
    }
    if how.usb_powered.is_none() {
        to.unknown.push("whether the data cable powers the board".to_owned());
    }
    let (jumper, powered) = (how.jumper != Some(false), how.usb_powered == Some(true));
    to.tool("rpiboot", "the program that gives the boot ROM its loader");
    to.power("power-off", false);
    // A board that this cable powers is off only without it; only then does its boot ROM start anew.
    to.output_as("vbus-off", "vbus", false, VBUS_WHY, !powered);
    if jumper {
        to.output("boot-switch", true, SWITCH_WHY, how.jumper.is_none());
    }
    to.output("vbus", true, VBUS_WHY, !powered);
    to.power("power-on", true);
    let does = if how.secure {
        "load the signed mass storage loader over USB"
    } else {
        "load the mass storage loader over USB"
    };
    to.run("load", "rpiboot", does, ATTACH);
    attached(to);
    to.write(Payload::Image);
    to.power("power-off-written", false);
    to.output("vbus", false, VBUS_WHY, !powered);
    if jumper {
        to.output("boot-switch", false, SWITCH_WHY, how.jumper.is_none());
    }
    to.drain(DRAIN, board);
}

/// A re-attach that never comes is the rig's failure, never "done".
fn attached(to: &mut Builder<'_>) {
    let act = Act::AwaitMedium { medium: super::MAIN.to_owned() };
    to.step("await-main", act, Shows::Enumerated, ATTACH, Redo::Start);
}

fn usb_mass_storage(to: &mut Builder<'_>, board: &Board) {
    to.wire("media.main", "the board's own storage, as the disk that it becomes on USB", false);
    to.unknown.push("what makes the board show its storage: a jumper, a button, a key".to_owned());
    to.power("power-off", false);
    to.output("boot-switch", true, SWITCH_WHY, true);
    to.output("vbus", true, VBUS_WHY, true);
    to.power("power-on", true);
    attached(to);
    to.write(Payload::Image);
    to.power("power-off-written", false);
    to.output("vbus", false, VBUS_WHY, true);
    to.output("boot-switch", false, SWITCH_WHY, true);
    to.drain(DRAIN, board);
}

fn tegra(to: &mut Builder<'_>, board: &Board, how: &Tegra) {
    let enter = if let Some(enter) = &how.enter {
        format!("the recovery contact: {enter}")
    } else {
        to.unknown.push("how the board gets into recovery mode (`recovery.enter`)".to_owned());
        "the recovery contact".to_owned()
    };
    let machine = how.machine.as_deref().unwrap_or(&board.slug).to_owned();
    // The same programs end with other words when they only start a kernel.
    let tool = match how.way {
        TegraWay::Direct => "tegra",
        TegraWay::Rcm => "tegra-rcm",
    };
    to.tool(tool, "NVIDIA's tools, or what wraps them, of the board's own release");
    to.power("power-off", false);
    if how.way == TegraWay::Rcm {
        to.wire("media.main", "a USB stick with the installer, behind a mux", false);
        to.medium("main-to-host", Side::Host);
        to.write(Payload::Installer);
        to.medium("main-to-dut", Side::Dut);
    } else {
        to.configure_copy();
    }
    to.output("recovery", true, &enter, false);
    to.power("power-on", true);
    let id = how.usb.clone().unwrap_or_else(|| {
        to.unknown.push("the USB id in recovery mode (`recovery.usb`): any of NVIDIA's counts".to_owned());
        "0955:*".to_owned()
    });
    let act = Act::AwaitUsb { what: "recovery mode".to_owned(), id };
    to.step("await-recovery", act, Shows::Enumerated, ENUMERATE, Redo::Start);
    let (does, within) = match how.way {
        TegraWay::Direct => (format!("write the image to {machine} over USB"), TOOL),
        TegraWay::Rcm => (format!("start the installer's kernel on {machine} over USB"), ATTACH),
    };
    to.run("send", tool, &does, within);
    if how.way == TegraWay::Rcm {
        to.step("await-off", Act::AwaitOff, Shows::Off, INSTALL, Redo::Start);
    }
    to.power("power-off-written", false);
    to.output("recovery", false, &enter, false);
    if how.way == TegraWay::Rcm {
        to.medium("main-away", Side::Host);
    }
    to.drain(LONG_DRAIN, board);
    to.prove_internal(board);
}

fn netboot(to: &mut Builder<'_>, how: &Netboot) {
    to.wire("tftp", "the boot files come over the network", false);
    if how.root == NetRoot::Medium {
        to.wire("media.main", "what the OS runs from, behind a mux", false);
    }
    to.power("power-off", false);
    match how.root {
        NetRoot::Memory => to.configure_copy(),
        NetRoot::Medium => {
            to.medium("main-to-host", Side::Host);
            to.write(Payload::Image);
        }
    }
    let boxed = || Box::new(how.clone());
    to.step("serve", Act::Serve { how: boxed() }, Shows::Nothing, ENUMERATE, Redo::Step);
    if how.root == NetRoot::Medium {
        to.medium("main-to-dut", Side::Dut);
    }
    to.power("power-on", true);
    to.step("dialogue", Act::Dialogue { how: boxed() }, Shows::Answer, FETCH, Redo::Start);
    to.step("fetch", Act::AwaitFetch, Shows::Fetched, ENUMERATE, Redo::Start);
}

fn vendor_tool(to: &mut Builder<'_>, board: &Board, tool: VendorTool) {
    if tool == VendorTool::Edison {
        to.unknown.push("the USB ids that the tool waits for".to_owned());
    }
    to.tool(tool.word(), "the vendor's program that writes the board");
    to.power("power-off", false);
    to.configure_copy();
    to.output("vbus", true, VBUS_WHY, tool != VendorTool::Uuu);
    to.power("power-on", true);
    to.run("send", tool.word(), "write the image over USB", TOOL);
    to.power("power-off-written", false);
    to.output("vbus", false, VBUS_WHY, tool != VendorTool::Uuu);
    to.drain(LONG_DRAIN, board);
    to.prove_internal(board);
}
