//! Every driver of a family against every fault: the rows come from the families' own lists,
//! so a driver without rows here fails.
//!
//! Drivers of a network or a serial line are asked through one proxy, which adds what goes wrong
//! on the way to the counterpart. For `command` it is real programs that fail, for `manual` a
//! scripted person.

mod support;

use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Guarded, Level, Limits, NoFence, Proof, Rig, SeenBy};
use shakedown_rigs::{Answer, LineCx, LineDriver, Operator};

use support::proxy::{self, WAYS, Way};
use support::{Person, by, nowhere, peers};

/// What an output does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// It takes the command and never answers.
    Hangs,
    /// It says that it could not.
    Fails,
    /// It says something that means neither on nor off.
    Garbage,
    /// It says that it did it, and reads back the other level.
    Lies,
    /// It cannot be read back.
    Silent,
}

const ALL: [Wrong; 6] =
    [Wrong::Nothing, Wrong::Hangs, Wrong::Fails, Wrong::Garbage, Wrong::Lies, Wrong::Silent];

/// A driver with this fault; `None` where the driver cannot have it.
fn subject(driver: &str, wrong: Wrong) -> Option<(String, Arc<dyn Operator>)> {
    match driver {
        "manual" => {
            let answers = match wrong {
                Wrong::Nothing => vec![Answer::Yes, Answer::Yes],
                Wrong::Hangs => vec![],
                Wrong::Fails => vec![Answer::No],
                // Answers are typed: there is no other word than these.
                Wrong::Garbage => return None,
                Wrong::Lies => vec![Answer::Yes, Answer::No],
                Wrong::Silent => vec![Answer::Yes, Answer::DoNotKnow],
            };
            Some(("manual: {}".into(), Person::with(answers)))
        }
        "command" => {
            let (on, says) = match wrong {
                Wrong::Nothing => ("true", "outlet 1: ON"),
                Wrong::Hangs => ("sleep", "outlet 1: ON"),
                Wrong::Fails => ("false", "outlet 1: ON"),
                Wrong::Garbage => ("true", "\u{1b}[31m500 Internal Server Error"),
                Wrong::Lies => ("true", "outlet 1: OFF"),
                Wrong::Silent => ("true", ""),
            };
            let within = if wrong == Wrong::Hangs { "500ms" } else { "20s" };
            let argument = if wrong == Wrong::Hangs { ", '60'" } else { "" };
            let status = format!(
                "status: {{ run: [printf, '%s', \"{}\"], on: ': ON', off: ': OFF' }}",
                says.escape_debug()
            );
            let status = if wrong == Wrong::Silent { String::new() } else { format!(", {status}") };
            let text =
                format!("command: {{ on: [{on}{argument}], off: ['true'], within: {within}{status} }}");
            Some((text.replace("\\u{1b}", "\\e"), Person::with(vec![])))
        }
        other => {
            let elsewhere = LINES.contains(&other) || IN_LAB.contains(&other);
            assert!(elsewhere, "no rows for the driver `{other}`: add them to this test");
            None
        }
    }
}

/// Drivers that reach their hardware through a line which [`proxy`] can stand in.
const LINES: [&str; 6] = ["http", "modbus", "mqtt", "pdudaemon", "serial-relay", "snmp"];

/// Drivers of devices that this machine's kernel has not: their rows are in `harness/cli/tests/lab`, and in
/// `harness/cli/tests/bcm2835.rs`: registers neither refuse nor fall silent.
const IN_LAB: [&str; 5] = ["gpio", "rppal", "sispm", "usb-hid-relay", "usb-hub"];

#[tokio::test]
async fn a_driver_that_starts_nothing_against_every_fault() {
    for driver in LineDriver::NAMES {
        for wrong in ALL {
            let Some((text, operator)) = subject(driver, wrong) else { continue };
            let conf = load::<LineDriver>(&Document::new("rig.yaml", &text))
                .unwrap_or_else(|e| panic!("{e:#}"))
                .value;
            assert_eq!(conf.name(), *driver);
            conf.check().unwrap();
            let by = by(if wrong == Wrong::Hangs { Duration::from_secs(1) } else { Duration::from_secs(20) });
            let cx = LineCx { slot: "desk/pi4", output: "power", safe: Level::Off, operator: &operator };
            let line = conf.open(cx, &by).await.unwrap();
            let guarded = Guarded::new("power", line, Limits::default(), Arc::new(NoFence), nowhere());
            let end = guarded.set(true, &by).await;
            let row = format!("{driver} that {wrong:?}: {end:?}");
            match wrong {
                Wrong::Nothing => {
                    let want_person = *driver == "manual";
                    let seen = end.unwrap().seen;
                    assert_eq!(matches!(seen, SeenBy::Operator(_)), want_person, "{row}");
                    assert_eq!(seen == SeenBy::ReadBack(Level::On), !want_person, "{row}");
                }
                Wrong::Silent => assert_eq!(end.unwrap().seen, SeenBy::Nothing, "{row}"),
                Wrong::Hangs => assert!(end.unwrap_err().stop.is_some(), "{row}"),
                Wrong::Fails | Wrong::Garbage | Wrong::Lies => {
                    let fault = end.unwrap_err();
                    assert!(!fault.expected.is_empty() && !fault.got.is_empty(), "{row}");
                    assert_eq!(fault.driver, *driver, "{row}");
                }
            }
        }
    }
}

/// What a driver's questions travel on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Tcp,
    Udp,
    Serial,
}

/// One way of a driver to its hardware, and the port of the counterpart.
struct Route {
    driver: &'static str,
    port: u16,
    by: By,
    /// With `{port}` or `{tty}` where the way begins.
    conf: String,
    /// An output that takes the command and stays off, if the driver can see that.
    stuck: Option<(&'static str, &'static str)>,
}

/// The whole of it: every driver, every way, at the same time.
#[tokio::test]
async fn every_line_against_every_fault() {
    let (web, tcp, rtu, relay) =
        tokio::join!(peers::web(), peers::modbus("tcp"), peers::modbus("rtu"), peers::relay_board());
    let daemon = peers::pdudaemon(
        "\"rack\": {\"driver\": \"localcmdline\", \"cmd_on\": \"true %s\", \"cmd_off\": \"true %s\"}",
    )
    .await;
    let (agent, broker) = tokio::join!(peers::snmp(), peers::mosquitto());
    let _plug = peers::plug(&broker, "desk");
    let key = agent.folder.path().join("key");
    std::fs::write(&key, peers::CANARY).unwrap();
    let key = format!("{{ file: '{}' }}", key.display());
    let snmp = |access: String| {
        let host = "host: '127.0.0.1:{port}', settle: 200ms, device: { apc: { outlet: 1 } }";
        format!("snmp: {{ {host}, access: {{ {access} }} }}")
    };
    let v3 = format!("v3: {{ user: admin, hash: sha256, password: {key}, cipher: aes128, privacy: {key} }}");
    let mqtt = format!("login: {{ user: admin, password: {key} }}");
    let mqtt = format!("mqtt: {{ broker: '127.0.0.1:{{port}}', topic: desk, outlet: 1, {mqtt} }}");
    let route =
        |driver, by, port, conf: &str, stuck| Route { driver, port, by, conf: conf.to_owned(), stuck };
    let (http, modbus) = ("settle: 200ms, device: { shelly-gen1: { outlet: 1 } }", "settle: 200ms, coil: 1");
    let routes = [
        route(
            "http",
            By::Tcp,
            web.port,
            &format!("http: {{ url: 'http://127.0.0.1:{{port}}', {http} }}"),
            Some(("outlet: 1", "outlet: 3")),
        ),
        route(
            "modbus",
            By::Tcp,
            tcp.port,
            &format!("modbus: {{ bus: {{ tcp: '127.0.0.1:{{port}}' }}, {modbus} }}"),
            Some(("coil: 1", "coil: 9")),
        ),
        route(
            "modbus",
            By::Serial,
            rtu.port,
            &format!("modbus: {{ bus: {{ rtu: {{ port: '{{tty}}' }} }}, {modbus} }}"),
            Some(("coil: 1", "coil: 9")),
        ),
        route("mqtt", By::Tcp, broker.port, &mqtt, Some(("outlet: 1", "outlet: 4"))),
        route(
            "pdudaemon",
            By::Tcp,
            daemon.port,
            "pdudaemon: { url: 'http://127.0.0.1:{port}', pdu: rack, port: 1 }",
            None,
        ),
        route(
            "serial-relay",
            By::Serial,
            relay.port,
            "serial-relay: { port: '{tty}', channel: 4 }",
            Some(("channel: 4", "channel: 3")),
        ),
        route(
            "snmp",
            By::Udp,
            agent.port,
            &snmp(format!("v2c: {{ community: {key} }}")),
            Some(("outlet: 1", "outlet: 3")),
        ),
        route("snmp", By::Udp, agent.port, &snmp(v3), Some(("outlet: 1", "outlet: 3"))),
    ];
    for driver in LINES {
        assert!(
            LineDriver::NAMES.contains(&driver) && routes.iter().any(|route| route.driver == driver),
            "{driver}"
        );
    }
    let rows = routes.iter().flat_map(|route| WAYS.map(|way| switch_through(route, way, route.conf.clone())));
    let lies = routes.iter().filter_map(|route| {
        let (good, stuck) = route.stuck?;
        Some(async move {
            let fault = switch_through(route, Way::Clear, route.conf.replace(good, stuck)).await.unwrap_err();
            assert_eq!(fault.got, "read back off", "{}: {fault}", route.driver);
        })
    });
    for (index, end) in Box::pin(join_all(rows)).await.into_iter().enumerate() {
        let (route, way) = (&routes[index / WAYS.len()], WAYS[index % WAYS.len()]);
        let row = format!("{} ({:?}), {way:?}: {end:?}", route.driver, route.by);
        if way == Way::Clear {
            let want = if route.stuck.is_some() { SeenBy::ReadBack(Level::On) } else { SeenBy::Nothing };
            assert_eq!(end.unwrap_or_else(|fault| panic!("{row}: {fault}")).seen, want, "{row}");
            continue;
        }
        // What is written into a dead serial port nobody takes note of; the read-back does.
        let fault = end.expect_err(&row);
        assert_eq!(fault.driver, route.driver, "{row}");
        assert!(!fault.expected.is_empty() && !fault.got.is_empty(), "{row}");
        // A cut datagram is noise at once; the rest of a stream is waited for.
        if waits(route, way) && !(route.by == By::Udp && way == Way::Half) {
            assert!(fault.stop.is_some(), "{row}");
        }
    }
    Box::pin(join_all(lies)).await;
}

/// Whether a driver has to wait out its time; datagrams have no end of line.
fn waits(route: &Route, way: Way) -> bool {
    matches!(way, Way::Silence | Way::Late | Way::Half) || (way == Way::Disconnect && route.by == By::Udp)
}

/// Switches on, on a way on which something goes wrong; it must end.
async fn switch_through(route: &Route, way: Way, conf: String) -> Rig<Proof> {
    let port = if route.by == By::Udp { proxy::udp(route.port, way) } else { proxy::tcp(route.port, way) };
    // An adapter that is not plugged in is what a refusal is to a serial port.
    let plugged = route.by == By::Serial && way != Way::Refusal;
    let tty = if plugged { Some(peers::serial_to(port).await) } else { None };
    let path = tty.as_ref().map_or("/dev/serial/by-id/none".into(), |tty| tty.path.display().to_string());
    let text = conf.replace("{port}", &port.to_string()).replace("{tty}", &path);
    let conf =
        load::<LineDriver>(&Document::new("rig.yaml", &text)).unwrap_or_else(|e| panic!("{e:#}")).value;
    let operator = Person::with(vec![]);
    let cx = LineCx { slot: "desk/pi4", output: "power", safe: Level::Off, operator: &operator };
    // Long enough for a busy machine where an answer comes, short where none does.
    let by = by(if waits(route, way) { Duration::from_secs(2) } else { Duration::from_secs(60) });
    let guarded =
        Guarded::new("power", conf.open(cx, &by).await?, Limits::default(), Arc::new(NoFence), nowhere());
    let bound = support::by(Duration::from_secs(120));
    bound.run(|| format!("{} {way:?}", route.driver), guarded.set(true, &by)).await.expect("it must end")
}

/// All of them, side by side.
async fn join_all<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(move |cx| {
        for (one, done) in &mut all {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(cx)
            {
                *done = Some(value);
            }
        }
        if all.iter().any(|(_, done)| done.is_none()) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(all.iter_mut().filter_map(|(_, done)| done.take()).collect())
    })
    .await
}
