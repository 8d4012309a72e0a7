//! Drivers of consoles against counterparts that others wrote: ser2net, pyserial's RFC 2217
//! server, terminals by socat. Behind each is an echo, so that what is typed comes back.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::console::{Chunk, Mark, Tap};
use shakedown_core::{Clock, Console, Cursor, Deadline, Mono, RealClock, Rig};
use shakedown_rigs::{ConsoleCx, ConsoleDriver};
use support::by;
use support::peers::{self, Peer};
use support::proxy::{self, WAYS, Way};

fn soon() -> Deadline {
    by(Duration::from_secs(60))
}

async fn open(text: &str, by: &Deadline) -> Rig<Console> {
    let conf =
        load::<ConsoleDriver>(&Document::new("rig.yaml", text)).unwrap_or_else(|e| panic!("{e:#}")).value;
    conf.check().unwrap_or_else(|problem| panic!("{problem}"));
    let clock: Arc<dyn Clock> = RealClock::start();
    conf.open(
        ConsoleCx { name: "main of desk/pi4", clock: &clock, baud: 115_200, probes: &BTreeMap::new() },
        by,
    )
    .await
}

/// Remembers the marks.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<Vec<Mark>>>);

impl Tap for Marks {
    fn chunk(&mut self, _chunk: &Chunk) {}
    fn mark(&mut self, _at: Mono, _off: u64, mark: &Mark) {
        self.0.lock().unwrap().push(mark.clone());
    }
}

/// All bytes that a telnet, a terminal or a shell may stumble over.
fn every_byte() -> Vec<u8> {
    let hard = b"\r\n \r \0\r\0 \xff\xff\xfe \xff\xf4 \x1b[2J ";
    hard.iter().copied().chain(0..=255).chain([255; 3]).chain(*b"end\n").collect()
}

/// Types, and waits for the same to come back.
async fn echoes(console: &Console, bytes: &[u8]) {
    let from = console.log.here();
    console.tx.as_ref().unwrap().send(bytes, &soon()).await.unwrap();
    let (wait, mut cursor) = (soon(), from);
    while console.log.here().0 < from.0 + bytes.len() as u64 {
        let got = || format!("{:?}", console.log.bytes(from, console.log.here()));
        wait.run(got, console.log.next(&mut cursor)).await.unwrap().unwrap();
    }
    assert_eq!(console.log.bytes(from, console.log.here()), bytes);
}

/// The kernel's own word on a terminal's speed (TCGETS2), for `stty` knows the usual ones only.
const SPEED: &str = "import fcntl, os, struct, sys\n\
    port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n\
    print(struct.unpack('=4IB19s2I', fcntl.ioctl(port, 0x802C542A, bytes(44)))[-1])";

/// A terminal with an echo behind it, at this place.
async fn echo(path: &std::path::Path) -> Peer {
    let _ = std::fs::remove_file(path);
    let argv = ["socat".to_owned(), format!("PTY,link={},raw,echo=0", path.display()), "EXEC:cat".to_owned()];
    peers::start(tempfile::tempdir().unwrap(), 0, argv).made(path).await
}

/// Debian's ser2net in front of a terminal.
async fn ser2net(port: u16, kind: &str, tty: &std::path::Path) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let conf = format!(
        "connection: &c\n  accepter: {kind}tcp,127.0.0.1,{port}\n  connector: serialdev,{},115200n81,local\n  \
         options:\n    kickolduser: true\n",
        tty.display()
    );
    std::fs::write(folder.path().join("conf.yaml"), conf).unwrap();
    peers::start(folder, port, ["ser2net", "-d", "-n", "-c", "conf.yaml"]).listening().await
}

/// Waits until the line is back, by its mark.
async fn back(console: &Console, marks: &Marks) {
    let wait = soon();
    loop {
        let gap = marks
            .0
            .lock()
            .unwrap()
            .iter()
            .any(|mark| matches!(mark, Mark::Gap(why) if why.contains("back after")));
        if gap {
            return;
        }
        wait.pause(Duration::from_millis(20), || format!("{:?}", console.log)).await.unwrap();
    }
}

#[tokio::test]
async fn a_serial_port_carries_every_byte_and_is_back_after_it_was_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let tty = folder.path().join("tty");
    let mut chip = echo(&tty).await;
    let text = format!("serial: {{ port: '{}', baud: 57600 }}", tty.display());
    let console = open(&text, &soon()).await.unwrap();
    assert_eq!(peers::output([peers::PYTHON, "-c", SPEED, &tty.display().to_string()]), "57600\n");
    let marks = Marks::default();
    console.log.attach(Box::new(marks.clone()));
    echoes(&console, &every_byte()).await;
    let twice = open(&text, &soon()).await.unwrap_err();
    assert_eq!(twice.got, "another process holds it");
    // Or the next terminal that somebody makes would be there in its place.
    std::fs::remove_file(&tty).unwrap();
    chip.kill();
    let wait = soon();
    while marks.0.lock().unwrap().iter().all(|mark| !matches!(mark, Mark::Note(_))) {
        wait.pause(Duration::from_millis(20), || "the port lives".into()).await.unwrap();
    }
    let typed = console.tx.as_ref().unwrap().send(b"lost\n", &soon()).await.unwrap_err();
    assert_eq!(typed.expected, "an open line", "{typed}");
    let _chip = echo(&tty).await;
    back(&console, &marks).await;
    echoes(&console, &every_byte()).await;
    console.tx.as_ref().unwrap().sysrq(b'b', &soon()).await.unwrap();
}

#[tokio::test]
async fn a_line_that_stays_away_is_closed_and_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let tty = folder.path().join("tty");
    let mut chip = echo(&tty).await;
    let console = open(&format!("serial: {{ port: '{}' }}", tty.display()), &soon()).await.unwrap();
    let marks = Marks::default();
    console.log.attach(Box::new(marks.clone()));
    // Or the next terminal that somebody makes would be there in its place.
    std::fs::remove_file(&tty).unwrap();
    chip.kill();
    let mut cursor = Cursor(0);
    let closed = soon().run(String::new, console.log.next(&mut cursor)).await.unwrap().unwrap_err();
    assert!(closed.why.contains("tty"), "{closed:?}");
    let _chip = echo(&tty).await;
    back(&console, &marks).await;
    echoes(&console, b"again\n").await;
}

#[tokio::test]
async fn ser2net_raw_and_telnet_carry_every_byte_and_are_back_after_a_restart() {
    for (kind, driver) in [("", "tcp"), ("telnet,", "telnet"), ("telnet(rfc2217),", "rfc2217")] {
        let folder = tempfile::tempdir().unwrap();
        let tty = folder.path().join("tty");
        let _dut = echo(&tty).await;
        // Else the terminal's echo ends with the server that has it open.
        let _held = std::fs::File::options().read(true).write(true).open(&tty).unwrap();
        let port = peers::free_port();
        let mut server = ser2net(port, kind, &tty).await;
        let console = open(&format!("{driver}: {{ address: '127.0.0.1:{port}' }}"), &soon()).await;
        let console = console.unwrap_or_else(|fault| panic!("{driver}: {fault}"));
        let marks = Marks::default();
        console.log.attach(Box::new(marks.clone()));
        echoes(&console, &every_byte()).await;
        server.kill();
        let _server = ser2net(port, kind, &tty).await;
        back(&console, &marks).await;
        echoes(&console, &every_byte()).await;
        let sysrq = console.tx.as_ref().unwrap().sysrq(b'h', &soon()).await;
        assert_eq!(sysrq.is_ok(), driver != "tcp", "{sysrq:?}");
    }
}

#[tokio::test]
async fn rfc2217_sets_the_port_and_sends_a_break() {
    let port = peers::free_port();
    let argv = [peers::PYTHON.to_owned(), peers::script("rfc2217_server.py"), port.to_string()];
    let server = peers::start(tempfile::tempdir().unwrap(), port, argv).listening().await;
    let console =
        open(&format!("rfc2217: {{ address: '127.0.0.1:{port}', baud: 57600 }}"), &soon()).await.unwrap();
    echoes(&console, &every_byte()).await;
    console.tx.as_ref().unwrap().sysrq(b's', &soon()).await.unwrap();
    let wait = soon();
    // On, off, with the settings as asked.
    while !server.log().contains("57600 8 N 1 True\n57600 8 N 1 False\n") {
        wait.pause(Duration::from_millis(20), || server.log()).await.unwrap();
    }
}

/// Every driver that connects, every way: it ends, typed; and a server that says nothing it must
/// say is never a console.
#[tokio::test]
async fn every_console_against_every_fault() {
    let port = peers::free_port();
    let argv = [peers::PYTHON.to_owned(), peers::script("rfc2217_server.py"), port.to_string()];
    let _server = peers::start(tempfile::tempdir().unwrap(), port, argv).listening().await;
    for driver in ConsoleDriver::NAMES {
        // A program and a local port: in `slot.rs` and above. A probe: in `probe.rs` of the command line.
        let local = match *driver {
            "command" => Some("command: { run: [/none] }"),
            "rtt" => Some("rtt: { probe: none }"),
            "serial" => Some("serial: { port: /dev/none }"),
            _ => None,
        };
        if let Some(none) = local {
            let fault = open(none, &soon()).await.unwrap_err();
            assert!(!fault.to_string().is_empty(), "{driver}");
            continue;
        }
        for way in WAYS {
            let by = by(Duration::from_secs(if way == Way::Clear { 60 } else { 2 }));
            let address = format!("127.0.0.1:{}", proxy::tcp(port, way));
            let end = open(&format!("{driver}: {{ address: '{address}' }}"), &by).await;
            let row = format!("{driver} {way:?}: {end:?}");
            match way {
                Way::Clear => drop(end.unwrap_or_else(|fault| panic!("{row}: {fault}"))),
                Way::Refusal => assert_eq!(end.expect_err(&row).driver, *driver, "{row}"),
                // A console that is silent, late or noisy is a console, unless it has to set a port.
                _ if *driver != "rfc2217" => drop(end.unwrap_or_else(|fault| panic!("{row}: {fault}"))),
                _ => {
                    let fault = end.expect_err(&row);
                    assert_eq!(fault.driver, "rfc2217", "{row}");
                    assert!(!fault.expected.is_empty() && !fault.got.is_empty(), "{row}");
                    if matches!(way, Way::Silence | Way::Late | Way::Garbage) {
                        assert!(fault.stop.is_some(), "{row}");
                    }
                }
            }
        }
    }
}
