//! A GPIO chip on USB, behind the kernel's own driver `hid-cp2112`.

use std::time::Duration;

use shakedown_core::Level;

use crate::support::lab::{model, oracle};
use crate::support::{self, Place, by, micro};
use crate::{open, status, switch};

/// The chip's line, as libgpiod's program shows it.
fn shown(line: u32) -> String {
    let (_, said) = oracle(&["gpioinfo", "gpiochip0"]);
    let start = format!("line {line:>3}:");
    let found = said.lines().find(|text| text.contains(&start));
    let words = found.unwrap_or_else(|| panic!("no line {line} in {said}")).split_ascii_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) async fn switched() {
    model("cp2112 pins 00000000");
    let line = open("gpio: { chip: cp2112_gpio, line: 3 }", 60).await.unwrap();
    // Opening held it and changed nothing, also not its direction.
    assert_eq!(shown(3), "line 3: unnamed \"shakedown power\" input active-high [used]");
    assert_eq!(status(&line).await, Level::Off);
    assert_eq!(model("cp2112"), "00000000");
    switch(&line, true).await;
    assert_eq!(model("cp2112"), "00000000 00001000", "nothing in between");
    assert_eq!(shown(3), "line 3: unnamed \"shakedown power\" output active-high [used]");
    assert_eq!(status(&line).await, Level::On);
    switch(&line, false).await;
    assert_eq!(model("cp2112"), "00001000 00000000");
    // The pin counts, not what was last asked.
    model("cp2112 pins 00001000");
    assert_eq!(status(&line).await, Level::On);
    // Nobody else's program switches a line that is held.
    let (code, said) = oracle(&["gpioset", "gpiochip0", "3=0"]);
    assert!(code != Some(0) && said.contains("busy"), "{code:?} {said}");
    switch(&line, true).await;
    drop(line);
    // This chip keeps its level when a line is let go.
    assert_eq!(shown(3), "line 3: unnamed unused output active-high");
    assert_eq!(model("cp2112"), "00001000 00001000");

    // Active low, from off: the pin rises first, and nothing is switched on by accident.
    model("cp2112 pins 00010000");
    let line = open("gpio: { chip: gpiochip0, line: 4, active-low: true }", 60).await.unwrap();
    assert_eq!(status(&line).await, Level::Off, "a high pin is off");
    switch(&line, false).await;
    assert_eq!(model("cp2112"), "00010000 00010000");
    switch(&line, true).await;
    assert_eq!(model("cp2112"), "00010000 00000000");
    switch(&line, false).await;
}

pub(crate) async fn refused() {
    let first = open("gpio: { chip: gpiochip0, line: 1 }", 60).await.unwrap();
    let second = open("gpio: { chip: gpiochip0, line: 1 }", 60).await.err().unwrap();
    assert_eq!(second.hint.as_deref(), Some("it is held by `shakedown power`"), "{second}");
    drop(first);
    for (conf, got) in [
        ("gpio: { chip: gpiochip0, line: 8 }", "a chip with 8 lines"),
        ("gpio: { chip: pinctrl-bcm2711, line: 17 }", "no such line"),
        ("gpio: { name: GPIO17 }", "no such line"),
    ] {
        let fault = open(conf, 60).await.err().unwrap();
        assert_eq!(fault.got, got, "{fault}");
        let there = "the chips that may be opened are: gpiochip0 (cp2112_gpio)";
        assert!(fault.got != "no such line" || fault.hint.as_deref() == Some(there), "{fault}");
    }
}

const RIG: &str = "rig: tests
slots:
  one:
    board: micro-board
    power: { gpio: { chip: gpiochip0, line: 6 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
";

pub(crate) async fn kept() {
    model("cp2112 pins 00000000");
    let place = Place::new();
    micro::documents(&place, "2s");
    place.file("rig.yaml", RIG);
    let power = |word: &'static str| ["--path", "private", "power", "one", word];
    place.run(&power("on")).await.says(0, &["tests/one: power on: read back on"]);
    assert_eq!(model("cp2112"), "00000000 01000000");
    assert_eq!(
        shown(6),
        "line 6: unnamed \"shakedown power\" output active-high [used]",
        "held after the command"
    );
    place.run(&power("status")).await.says(0, &["tests/one: power on: read back"]);
    place.run(&power("off")).await.says(0, &["tests/one: power off: read back off"]);
    assert_eq!(model("cp2112"), "01000000 00000000");
    ended(&place).await;
    assert_eq!(shown(6), "line 6: unnamed unused output active-high", "nothing is on, so nothing is held");

    // A killed keeper: its warden switches off, by opening the line anew.
    place.run(&power("on")).await.says(0, &["tests/one: power on: read back on"]);
    assert_eq!(model("cp2112"), "00000000 01000000");
    let warden = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().starts_with(b"shakedown-warden")
    };
    let (wardens, keepers): (Vec<_>, Vec<_>) = place.processes().into_iter().partition(warden);
    assert!(!wardens.is_empty() && !keepers.is_empty(), "{wardens:?} {keepers:?}");
    keepers.into_iter().for_each(support::kill);
    ended(&place).await;
    assert_eq!(model("cp2112"), "01000000 00000000");

    // With its warden too: this chip keeps its level, and the next command sees it.
    place.run(&power("on")).await.says(0, &["tests/one: power on: read back on"]);
    let (wardens, keepers): (Vec<_>, Vec<_>) = place.processes().into_iter().partition(warden);
    wardens.into_iter().chain(keepers).for_each(support::kill);
    ended(&place).await;
    assert_eq!(shown(6), "line 6: unnamed unused output active-high");
    assert_eq!(model("cp2112"), "00000000 01000000");
    place.run(&power("status")).await.says(0, &["tests/one: power on: read back"]);
    place.run(&power("off")).await.says(0, &["tests/one: power off: read back off"]);
    ended(&place).await;
}

async fn ended(place: &Place) {
    let limit = by("the end of the keeper", 120);
    while !place.processes().is_empty() {
        limit.pause(Duration::from_millis(50), || format!("{:?}", place.processes())).await.unwrap();
    }
}
