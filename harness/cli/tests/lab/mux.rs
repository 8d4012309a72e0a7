//! Cards behind muxes, with the programs that others wrote for them as oracles.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Fault, Rig, Side, Storage};
use shakedown_rigs::{MediaCx, MediaDriver, Nobody, Operator};

use crate::support::by;
use crate::support::lab::{model, oracle, program};
use crate::usb::says;

/// A mux: its model, its number, its node, and its pins in the order of a switch to the host, and on to the DUT.
struct Kind {
    model: &'static str,
    block: &'static str,
    node: &'static str,
    to_host: &'static str,
    to_dut: &'static str,
}

const CLASSIC: Kind = Kind {
    model: "sdmux",
    block: "usb-sd-mux: { id: '00048.00643', max-size: 64MiB }",
    node: "/dev/sg0",
    to_host: "00001100 00001011 00000000",
    to_dut: "00000000 00001011 00001111 00001100",
};
const FAST: Kind = Kind {
    model: "sdfst",
    block: "usb-sd-mux: { id: '00109.00017', max-size: 64MiB }",
    node: "/dev/sg1",
    to_host: "00111001 00001110 00000000",
    to_dut: "00000000 00001110 00001111 00001001",
};

async fn open(text: &str) -> Rig<Arc<dyn Storage>> {
    let conf =
        load::<MediaDriver>(&Document::new("rig.yaml", text)).unwrap_or_else(|error| panic!("{error:#}"));
    conf.value.check().unwrap();
    let operator: Arc<dyn Operator> = Arc::new(Nobody);
    let cx = MediaCx { slot: "lab/one", folder: Path::new("/tmp"), operator: &operator };
    conf.value.open(cx, &by("open", 120)).await
}

async fn switch(card: &dyn Storage, to: Side) -> Rig<Side> {
    let limit = by("the test's own bound", 300);
    limit.run(String::new, card.switch(to, &by("switch", 120))).await.expect("it must end")
}

async fn side(card: &dyn Storage) -> Side {
    card.side(&by("side", 120)).await.unwrap_or_else(|fault| panic!("{fault}"))
}

async fn refused(card: &dyn Storage) -> Fault {
    let opened = card.open(&by("open", 120)).await;
    opened.map(|medium| medium.identity().clone()).expect_err("it was opened")
}

pub(crate) async fn switched() {
    let usbsdmux = program("usbsdmux");
    for mux in [CLASSIC, FAST] {
        let ask = |word: &str| says(&[&usbsdmux, mux.node, word]).trim_end().to_owned();
        model(mux.model);
        let card = open(mux.block).await.unwrap();
        assert_eq!(side(&*card).await, Side::Dut, "as it is pulled after power-on");
        assert_eq!(refused(&*card).await.got, "at the DUT");
        assert_eq!(switch(&*card, Side::Host).await, Ok(Side::Host));
        assert_eq!(model(mux.model), mux.to_host, "released, then connected");
        let mut medium = card.open(&by("open", 120)).await.unwrap();
        let cid = medium.identity().serial.clone().expect("a CID");
        assert!(cid.starts_with("1b534d4542315154") && medium.len() == 32 << 20, "{:?}", medium.identity());
        let bytes: Vec<u8> = (0..1 << 16).map(|index| (index % 251) as u8).collect();
        medium.write_at((1 << 20) + 100, &bytes).unwrap();
        medium.barrier().unwrap();
        let busy = switch(&*card, Side::Dut).await.expect_err("switched away while it is written");
        assert_eq!(busy.got, "one that the kernel calls busy", "{busy}");
        assert_eq!(model(mux.model), "00000000", "no pin has moved");
        drop(medium);
        assert_eq!(switch(&*card, Side::Dut).await, Ok(Side::Dut));
        assert_eq!(model(mux.model), mux.to_dut, "released, chosen, connected");
        assert_eq!(ask("get"), "dut");
        if mux.model == FAST.model {
            continue;
        }
        assert_eq!(switch(&*card, Side::Dut).await, Ok(Side::Dut));
        assert_eq!(model(mux.model).split(' ').count(), 1, "a DUT that has its card keeps it");
        assert_eq!(switch(&*card, Side::Neither).await, Ok(Side::Neither));
        assert_eq!(ask("get"), "off");
        // Behind our back: seen, for nothing is remembered.
        ask("host");
        assert_eq!(side(&*card).await, Side::Host);
        let mut medium = card.open(&by("open", 120)).await.unwrap();
        let mut back = vec![0; bytes.len()];
        medium.read_at((1 << 20) + 100, &mut back).unwrap();
        assert!(back == bytes, "what was written is on the card");
        drop(medium);
        assert_eq!(switch(&*card, Side::Neither).await, Ok(Side::Neither));
        assert_eq!(refused(&*card).await.got, "at neither side");
        ask("dut");
        assert_eq!(side(&*card).await, Side::Dut);
    }
    for (block, got) in [
        ("usb-sd-mux: { max-size: 64MiB }", "2 of them"),
        ("usb-sd-mux: { id: other, max-size: 64MiB }", "none that is plugged in"),
        ("usb-sd-mux: { port: 9-9, max-size: 64MiB }", "none in this port"),
    ] {
        let fault = open(block).await.err().expect("opened");
        assert_eq!(fault.got, got, "{fault}");
    }
}

pub(crate) async fn guarded() {
    let card = open(CLASSIC.block).await.unwrap();
    assert_eq!(switch(&*card, Side::Host).await, Ok(Side::Host));
    // udev looks at a card that has just come, and has it locked so long.
    let udev = std::fs::File::open("/dev/sda").unwrap();
    rustix::fs::flock(&udev, rustix::fs::FlockOperation::LockShared).unwrap();
    let look = async {
        by("udev's look", 120).pause(Duration::from_millis(700), String::new).await.unwrap();
        drop(udev);
    };
    let limit = by("open", 120);
    let (opened, ()) = tokio::join!(card.open(&limit), look);
    drop(opened.unwrap());
    // The host has it in use: neither written nor taken away.
    says(&["mkswap", "/dev/sda"]);
    says(&["swapon", "/dev/sda"]);
    model(CLASSIC.model);
    let used = "sda is swap space of this host";
    assert_eq!(refused(&*card).await.got, used);
    assert_eq!(switch(&*card, Side::Dut).await.unwrap_err().got, used);
    assert_eq!(model(CLASSIC.model), "00000000", "no pin has moved");
    says(&["swapoff", "/dev/sda"]);
    // Another card of the same size: its identity tells.
    model("sdmux card 65536");
    let other = refused(&*card).await;
    assert!(other.expected.starts_with("the medium of the slot (33554432 bytes, 1b534d45"), "{other}");
    let named = CLASSIC.block.replace("64MiB", "64MiB, card: '00000000000000000000000000000001'");
    let fault = open(&named).await.err().expect("opened");
    assert!(fault.expected.ends_with("serial number 00000000000000000000000000000001"), "{fault}");
    // Larger than the rig file allows.
    model("sdmux card 262144");
    let large = open(CLASSIC.block).await.err().expect("opened");
    assert_eq!(large.got, "sda has 134217728 bytes");
    // None at all.
    model("sdmux card 0");
    let empty = open(CLASSIC.block).await.unwrap();
    assert_eq!(refused(&*empty).await.got, "none is there");
    model("sdmux card 65536");
    let fresh = open(CLASSIC.block).await.unwrap();
    assert_eq!(switch(&*fresh, Side::Dut).await, Ok(Side::Dut));
}

const SDWIRE: &str = "sdwire: { serial: sdw-7, max-size: 64MiB }";

pub(crate) async fn sdwire() {
    // Its own program switches, and has no way to ask; the library below it reads the pins.
    let (sdwire, python) = (program("sdwire"), program("python"));
    let read = "import usb.core; from pyftdi.ftdi import Ftdi; f = Ftdi(); \
                f.open_from_device(usb.core.find(idVendor=0x04E8)); print(f.read_pins() & 1)";
    let card = open(SDWIRE).await.unwrap();
    assert_eq!(side(&*card).await, Side::Dut);
    assert_eq!(refused(&*card).await.got, "at the DUT");
    model("sdwire");
    assert_eq!(switch(&*card, Side::Host).await, Ok(Side::Host));
    assert_eq!(model("sdwire"), "00000000 00000001", "once");
    assert_eq!(says(&[&python, "-c", read]).trim_end(), "1");
    let mut medium = card.open(&by("open", 120)).await.unwrap();
    assert_eq!(medium.len(), 32 << 20);
    medium.write_at(4000, b"a card behind an SDWire").unwrap();
    medium.barrier().unwrap();
    drop(medium);
    says(&[&sdwire, "switch", "dut"]);
    assert_eq!(side(&*card).await, Side::Dut);
    says(&[&sdwire, "switch", "ts"]);
    assert_eq!(side(&*card).await, Side::Host);
    let mut back = [0; 23];
    card.open(&by("open", 120)).await.unwrap().read_at(4000, &mut back).unwrap();
    assert_eq!(&back, b"a card behind an SDWire");
    assert_eq!(switch(&*card, Side::Dut).await, Ok(Side::Dut));
    assert_eq!(model("sdwire").split(' ').next_back(), Some("00000000"));
    let neither = switch(&*card, Side::Neither).await.unwrap_err();
    assert_eq!(
        (neither.expected.as_str(), neither.got.as_str()),
        ("a side that this mux has", "neither side")
    );
    let fault = open("sdwire: { serial: other, max-size: 64MiB }").await.err().expect("opened");
    assert_eq!(fault.got, "none that is plugged in", "{fault}");
}

/// It refuses each request; the beginning of an answer; an answer with each bit the other way round; it says that it
/// did it, and did not; the mux says that the card is elsewhere, and it is not; it never answers. Some begin in the
/// middle of a switch, after so many commands.
const FAULTS: [(&str, &str, Side); 11] = [
    ("sdfst", "refusal 3", Side::Host),
    ("sdfst", "short 8", Side::Dut),
    ("sdfst", "stuck", Side::Host),
    ("sdfst", "noise", Side::Host),
    ("sdfst", "silence 4", Side::Dut),
    ("sdwire", "refusal", Side::Host),
    ("sdwire", "short", Side::Host),
    ("sdwire", "stuck", Side::Dut),
    ("sdwire", "lies", Side::Host),
    ("sdwire", "lies", Side::Dut),
    ("sdwire", "silence", Side::Host),
];

pub(crate) async fn faults() {
    let (fast, wire) = (open(FAST.block).await.unwrap(), open(SDWIRE).await.unwrap());
    for (mux, wrong, to) in FAULTS {
        let card = if mux == "sdfst" { &*fast } else { &*wire };
        // It works, also after the fault before.
        let from = if to == Side::Host { Side::Dut } else { Side::Host };
        assert_eq!(switch(card, from).await, Ok(from), "before {wrong}");
        model(&format!("{mux} {wrong}"));
        let waits = wrong == "lies";
        let bound = by("the test's own bound", 300);
        let short = by("switch", if waits { 3 } else { 60 });
        let end = bound.run(String::new, card.switch(to, &short)).await.expect("it must end");
        let fault = end.expect_err("it says that it switched");
        let row = format!("{mux}, {wrong}, to {to:?}: {fault}");
        println!("{row}");
        assert_eq!(fault.driver, card.driver(), "{row}");
        assert!(!fault.got.is_empty(), "{row}");
        assert_eq!(fault.stop.is_some(), waits || wrong.starts_with("silence"), "{row}");
        model(&format!("{mux} none"));
    }
    // Pulled out while the card is released.
    let card = open(CLASSIC.block).await.unwrap();
    assert_eq!(switch(&*card, Side::Host).await, Ok(Side::Host));
    model(CLASSIC.model);
    let pull = async {
        let limit = by("the card to be released", 120);
        while !model(CLASSIC.model).ends_with("00001011") {
            limit.pause(Duration::from_millis(20), String::new).await.unwrap();
        }
        let (code, said) = oracle(&["usbip", "detach", "-p", "03"]);
        assert_eq!(code, Some(0), "{said}");
    };
    let (end, ()) = tokio::join!(switch(&*card, Side::Dut), pull);
    let fault = end.expect_err("it says that it switched");
    println!("pulled: {fault}");
    assert_eq!((fault.driver.as_str(), fault.got.as_str()), ("usb-sd-mux", "none that is plugged in"));
}
