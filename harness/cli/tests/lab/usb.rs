//! Relays, sockets and hub ports, with the programs that others wrote for them as oracles.

use std::path::Path;
use std::time::Duration;

use shakedown_core::Level;

use crate::support::lab::{model, oracle};
use crate::support::{Place, by};
use crate::{open, status, switch};

/// What an oracle says; it must succeed.
pub(crate) fn says(argv: &[&str]) -> String {
    let (code, said) = oracle(argv);
    assert_eq!(code, Some(0), "{argv:?}: {said}");
    said
}

pub(crate) async fn relay() {
    let found = Place::new().run(&["rigs", "discover"]).await;
    let blocks =
        ["USBRelay4  { usb-hid-relay: { relay: 1, port: ", "{ sispm: { socket: 1, port: ", "/dev/gpiochip0"];
    found.says(0, &blocks);
    let line = open("usb-hid-relay: { relay: 2 }", 60).await.unwrap();
    switch(&line, false).await;
    model("relay");
    assert_eq!(says(&["usbrelay"]).lines().nth(1), Some("HURTM_2=0"));
    switch(&line, true).await;
    assert_eq!(model("relay"), "00000000 00000010", "one relay, once");
    assert_eq!(says(&["usbrelay"]).lines().nth(1), Some("HURTM_2=1"));
    // Behind our back: seen, for nothing is remembered.
    says(&["usbrelay", "HURTM_2=0"]);
    assert_eq!(status(&line).await, Level::Off);
    says(&["usbrelay", "HURTM_2=1"]);
    assert_eq!(status(&line).await, Level::On);
    let other = open("usb-hid-relay: { relay: 3, id: HURTM }", 60).await.unwrap();
    switch(&other, true).await;
    assert_eq!(
        says(&["usbrelay"]).lines().take(3).collect::<Vec<_>>(),
        ["HURTM_1=0", "HURTM_2=1", "HURTM_3=1"]
    );
    switch(&other, false).await;
    switch(&line, false).await;
    for (conf, got) in [
        ("usb-hid-relay: { relay: 1, id: ABCDE }", "boards with other names"),
        ("usb-hid-relay: { relay: 1, port: 9-9 }", "none in this port"),
    ] {
        let fault = open(conf, 60).await.unwrap().set(true, &by("switch", 60)).await.unwrap_err();
        assert_eq!(fault.got, got, "{fault}");
    }
}

pub(crate) async fn strip() {
    let line = open("sispm: { socket: 2 }", 60).await.unwrap();
    switch(&line, false).await;
    model("sispm");
    switch(&line, true).await;
    assert_eq!(model("sispm"), "00000000 00000010", "one socket, once");
    free_of_the_kernel();
    assert!(says(&["sispmctl", "-g", "2"]).contains("Status of outlet 2:\ton"));
    says(&["sispmctl", "-f", "2"]);
    assert_eq!(status(&line).await, Level::Off);
    free_of_the_kernel();
    says(&["sispmctl", "-o", "2"]);
    assert_eq!(status(&line).await, Level::On);
    switch(&line, false).await;
    free_of_the_kernel();
    let shown = says(&["sispmctl", "-s"]);
    assert!(shown.contains("01:01:02:03:04"), "{shown}");
    let named = open("sispm: { socket: 4, serial: '01:01:02:03:04' }", 60).await.unwrap();
    switch(&named, true).await;
    switch(&named, false).await;
    assert_eq!(model("sispm").split(' ').next_back(), Some("00000000"));
    let fault = open("sispm: { socket: 4, serial: '01:01:02:03:05' }", 60).await.unwrap();
    let fault = fault.set(true, &by("switch", 60)).await.unwrap_err();
    assert_eq!(fault.got, "strips with other numbers", "{fault}");
}

/// sispmctl wants a strip that no driver of the kernel has.
fn free_of_the_kernel() {
    let strip = with_ids("04b4", "fd11").pop().expect("a power strip");
    let interface = format!("{strip}:1.0");
    if Path::new("/sys/bus/usb/drivers/usbhid").join(&interface).exists() {
        std::fs::write("/sys/bus/usb/drivers/usbhid/unbind", interface).unwrap();
    }
}

/// Where devices with these numbers are plugged in, in order.
fn with_ids(vendor: &str, product: &str) -> Vec<String> {
    let devices = std::fs::read_dir("/sys/bus/usb/devices").unwrap().flatten();
    let is = |path: &Path, file: &str, want: &str| {
        std::fs::read_to_string(path.join(file)).is_ok_and(|text| text.trim_end() == want)
    };
    let found = devices
        .filter(|entry| is(&entry.path(), "idVendor", vendor) && is(&entry.path(), "idProduct", product));
    let mut names: Vec<_> = found.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) async fn hub() {
    let hubs = with_ids("0409", "55aa");
    let [switched, plain] = hubs.as_slice() else { panic!("two hubs of QEMU, not {hubs:?}") };
    let tablet = format!("/sys/bus/usb/devices/{switched}.2");
    let tablet = Path::new(&tablet);
    let port = |says: String| says.lines().find(|line| line.contains("Port 2:")).map(str::to_owned).unwrap();
    let line = open(&format!("usb-hub: {{ hub: {switched}, port: 2 }}"), 60).await.unwrap();
    assert_eq!(status(&line).await, Level::On);
    assert!(tablet.exists());
    switch(&line, false).await;
    assert!(!tablet.exists(), "what was plugged in has lost its power");
    assert_eq!(port(says(&["uhubctl", "-l", switched])), "  Port 2: 0000 off");
    says(&["uhubctl", "-l", switched, "-p", "2", "-a", "on"]);
    assert_eq!(status(&line).await, Level::On);
    says(&["uhubctl", "-l", switched, "-p", "2", "-a", "off"]);
    assert_eq!(status(&line).await, Level::Off);
    switch(&line, true).await;
    assert!(port(says(&["uhubctl", "-l", switched])).contains("power"));
    let limit = by("the tablet to come back", 120);
    while !tablet.exists() {
        limit.pause(Duration::from_millis(50), String::new).await.unwrap();
    }
    for (hub, port, got) in [
        (plain.as_str(), 1, "one that does not switch power"),
        (switched, 9, "a hub with 8 ports"),
        ("9-9", 1, "none in this port"),
    ] {
        let fault = open(&format!("usb-hub: {{ hub: {hub}, port: {port} }}"), 60).await.err().unwrap();
        assert_eq!(fault.got, got, "{fault}");
    }
}
