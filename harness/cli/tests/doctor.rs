//! `shakedown rigs doctor` on rigs that are wired wrongly: the boards behind the wires are small
//! guests of another rig, which its keeper switches.
//!
//! `cargo test -p shakedown --test doctor`. Boots QEMU, up to two machines at a time.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::fmt::Write as _;

use shakedown_qemu::micro::Kind;
use support::{Place, Ran, by, micro, one_by_one, trial};

fn main() {
    one_by_one(|| {
        vec![
            trial("a_rig_that_is_wired_right_is_proven", right),
            trial("swapped_consoles_are_named", consoles),
            trial("swapped_outlets_are_named", outlets),
            trial("an_inverted_relay_and_a_wrong_baud_are_named", inverted),
        ]
    });
}

/// The ends of the wires of a slot, by the boards' names.
struct Wires {
    outlet: &'static str,
    console: &'static str,
    reset: &'static str,
    /// Between the board's console and the rig's.
    through: &'static str,
    /// The relay's contact.
    inverted: bool,
}

const fn wires(outlet: &'static str, console: &'static str, reset: &'static str) -> Wires {
    Wires { outlet, console, reset, through: "", inverted: false }
}

/// Two boards, and a rig whose slots `left` and `right` are wired so.
async fn bench(left: Wires, right: Wires) -> Place {
    let mut place = Place::new();
    // Two machines at once, whatever this host has.
    place.env("SHAKEDOWN_QEMUS", "2");
    micro::documents(&place, "2s");
    micro::guest_rig(&place, Kind::Login).await;
    let text = std::fs::read_to_string(place.path("rig.yaml")).unwrap().replace("rig: tests", "rig: boards");
    let (head, slot) = text.split_once("  one:\n").unwrap();
    let boards =
        place.file("boards.yaml", format!("{head}  one:\n{slot}\n  two:\n{slot}\n")).display().to_string();
    let private = place.path("private").display().to_string();
    let ask = |words: &str| format!("[{}, --path, {private}, {words}, --rig, {boards}]", support::SHAKEDOWN);
    let mut rig = "rig: tests\nslots:\n".to_owned();
    for (name, wires) in [("left", left), ("right", right)] {
        let Wires { outlet, console, reset, through, inverted } = wires;
        let to = |on: bool| ask(&format!("power, {outlet}, '{}'", if on { "on" } else { "off" }));
        let line = format!(
            "{} --path {private} console {console} --tail 0 --rig {boards}{through}",
            support::SHAKEDOWN
        );
        write!(
            rig,
            "  {name}:\n    board: micro-board\n    power: {{ command: {{ on: {}, off: {}, within: 100s }} }}\n    \
             outputs: {{ reset: {{ command: {{ on: {}, off: ['true'], within: 100s }} }} }}\n    \
             consoles: {{ main: {{ command: {{ run: [sh, -c, \"{line}\"] }} }} }}\n",
            to(!inverted),
            to(inverted),
            ask(&format!("press, {reset}, reset, --for, 100ms")),
        )
        .unwrap();
    }
    place.file("rig.yaml", rig);
    // The keeper of the boards is there before anybody is in a hurry.
    let status = place.run(&["--path", "private", "power", "one", "status", "--rig", "boards.yaml"]).await;
    status.says(0, &["boards/one: power off"]);
    place
}

async fn doctor(place: &Place) -> Ran {
    let ran = place.run(&["--path", "private", "rigs", "doctor", "rig", "--awake", "20s"]).await;
    let stop = place.run(&["keep", "--stop", "boards"]).await;
    stop.says(0, &["has ended"]);
    let gone = by("the end of everything", 30);
    while !place.processes().is_empty() {
        gone.pause(std::time::Duration::from_millis(20), String::new).await.unwrap();
    }
    ran
}

const SPEAKS: &str = "power: ok: its console speaks when it is switched on, and is silent when it is off";

async fn right() {
    let place = bench(wires("one", "one", "one"), wires("two", "two", "two")).await;
    let found = doctor(&place).await;
    found.says(0, &[&format!("tests/left {SPEAKS}"), &format!("tests/right {SPEAKS}"), "0 wrong"]);
    found.says(0, &["tests/left power: not proven: command power of tests/left cannot be read back"]);
    found.says(0, &["tests/left consoles.main: ok: the line is open"]);
    // Machines are examined like hardware, their disks too.
    let boards = place.run(&["--path", "private", "rigs", "doctor", "boards", "--slot", "one"]).await;
    boards
        .says(0, &[&format!("boards/one {SPEAKS}"), "boards/one power: ok: qemu boards/one reads back off"]);
    boards.says(0, &["boards/one network: not proven: QEMU's own NAT, and no DUT answers: it may be off"]);
    boards.says(0, &["boards/one media.main: ok: went to the host, was read, and went back to the DUT"]);
    let looked = place.run(&["--path", "private", "rigs", "doctor", "boards", "--no-toggle"]).await;
    looked.says(0, &["boards/two outputs.reset: ok: ", "0 wrong"]);
    assert!(!looked.out.contains("its console speaks"), "{}", looked.all());
    let shown = place.run(&["--path", "private", "rigs", "show", "left"]).await;
    shown.says(
        0,
        &["tests/left: ", "power            command", "console main     command", "offers           "],
    );
}

async fn consoles() {
    let place = bench(wires("one", "two", "one"), wires("two", "one", "two")).await;
    let found = doctor(&place).await;
    found.says(3, &["tests/left consoles.main: the consoles of this slot and tests/right are swapped"]);
    found.says(
        3,
        &["tests/right consoles.main: the consoles of this slot and tests/left are swapped", "2 wrong"],
    );
}

async fn outlets() {
    let place = bench(wires("two", "one", "one"), wires("one", "two", "two")).await;
    let found = doctor(&place).await;
    found.says(3, &["tests/left power: the outlets of this slot and tests/right are swapped"]);
    found.says(3, &["tests/right power: the outlets of this slot and tests/left are swapped", "2 wrong"]);
}

/// The relay of the left is on NC; the right's console is read at another speed than it speaks, by
/// which bytes lose their sense.
async fn inverted() {
    let left = Wires { inverted: true, ..wires("one", "one", "one") };
    let right = Wires { through: " | tr '\\\\000-\\\\177' '\\\\200-\\\\377'", ..wires("two", "two", "two") };
    let place = bench(left, right).await;
    let found = doctor(&place).await;
    found.says(3, &["tests/left power: inverted: the DUT starts when it is switched off"]);
    found.says(3, &["tests/right consoles.main: wrong baud: ", "only 0 % of them are text", "2 wrong"]);
}
