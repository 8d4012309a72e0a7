//! Drivers of outputs against counterparts that others wrote: lighttpd, pdudaemon, pymodbus. The
//! devices behind lighttpd and the relay board are models of ours.

mod support;

use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Deadline, Guarded, InfraKind, Level, Limits, Line, NoFence, SeenBy};
use shakedown_rigs::{LineCx, LineDriver};
use support::peers::{self, CANARY, Web};
use support::{Person, by, nowhere};

fn soon() -> Deadline {
    by(Duration::from_secs(60))
}

async fn line(text: &str) -> Arc<dyn Line> {
    let conf = load::<LineDriver>(&Document::new("rig.yaml", text)).unwrap_or_else(|e| panic!("{e:#}")).value;
    conf.check().unwrap_or_else(|problem| panic!("{problem}"));
    let operator = Person::with(vec![]);
    let cx = LineCx { slot: "desk/pi4", output: "power", safe: Level::Off, operator: &operator };
    conf.open(cx, &soon()).await.unwrap()
}

async fn output(text: &str) -> Guarded {
    let limits = Limits { min_off: Duration::ZERO, ..Limits::default() };
    Guarded::new("power", line(text).await, limits, Arc::new(NoFence), nowhere())
}

fn web_state(web: &Web, outlet: u8) -> bool {
    let text = std::fs::read_to_string(web.folder().join(format!("state/{outlet}")));
    text.is_ok_and(|text| text == "1")
}

/// On, off and on again, each seen by the device and read back from it; then behind our back.
async fn switches(text: &str, seen: impl Fn() -> bool, behind: impl Fn(bool)) {
    let output = output(text).await;
    for on in [true, false, true] {
        let proof = output.set(on, &soon()).await.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!((proof.seen, seen()), (SeenBy::ReadBack(Level::from(on)), on), "{text}");
    }
    for on in [false, true, false] {
        behind(on);
        assert_eq!(output.status(&soon()).await, Ok(Level::from(on)), "{text}: changed behind our back");
    }
}

const LOGIN: &str = "login: { user: admin, password: { env: SHAKEDOWN_TEST_PASSWORD } }";
const TOKEN: &str = "token: { env: SHAKEDOWN_TEST_PASSWORD }";

/// The same with the secret in a file, for tests must not change their environment.
fn with_secret(text: &str, folder: &std::path::Path) -> String {
    let file = folder.join("secret");
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    text.replace("{ env: SHAKEDOWN_TEST_PASSWORD }", &format!("{{ file: '{}' }}", file.display()))
}

#[tokio::test]
async fn every_dialect_of_http_switches_and_reads_back() {
    let web = peers::web().await;
    let at = format!("url: 'http://127.0.0.1:{}'", web.port);
    let generic = "generic: { on: { path: '/generic/set?n=2&on=1', answer: '^OK' }, off: { path: '/generic/set?n=2&on=0', \
                   answer: '^OK' }, status: { path: '/generic/get?n=2', on: 'is ON', off: 'is OFF' } }";
    for (device, with) in [
        ("shelly-gen1: { outlet: 2 }", ""),
        ("shelly-gen2: { outlet: 2 }", LOGIN),
        ("tasmota: { outlet: 2 }", ""),
        ("tasmota: { outlet: 2 }", LOGIN),
        ("esphome: { name: relay_2 }", LOGIN),
        ("home-assistant: { name: switch.relay_2 }", TOKEN),
        ("netio: { outlet: 2 }", LOGIN),
        ("dli-rest: { outlet: 2 }", LOGIN),
        ("gude: { outlet: 2 }", ""),
        ("gude-html: { outlet: 2 }", ""),
        (generic, ""),
    ] {
        let with = if with.is_empty() { String::new() } else { format!(", {with}") };
        let text = with_secret(&format!("http: {{ {at}, device: {{ {device} }}{with} }}"), web.folder());
        let behind = |on: bool| {
            std::fs::write(web.folder().join("state/2"), if on { "1" } else { "0" }).unwrap();
        };
        behind(false);
        switches(&text, || web_state(&web, 2), behind).await;
        assert!(!web_state(&web, 1) && !web_state(&web, 4), "{text}: switched another outlet");

        // Outlet 3 says yes and stays off.
        let stuck =
            text.replace("outlet: 2", "outlet: 3").replace("relay_2", "relay_3").replace("n=2", "n=3");
        let stuck = stuck.replace("http: {", "http: { settle: 300ms,");
        let fault = output(&stuck).await.set(true, &soon()).await.unwrap_err();
        assert_eq!((fault.expected.as_str(), fault.got.as_str()), ("power on", "read back off"), "{stuck}");

        // An outlet that the device does not have: some say so with status 200.
        let none = text.replace("outlet: 2", "outlet: 9").replace("relay_2", "relay_9").replace("n=2", "n=9");
        if none.contains("esphome") || none.contains("home-assistant") || none.contains("dli-rest") {
            continue;
        }
        let fault = output(&none).await.set(true, &soon()).await.unwrap_err();
        assert!(!fault.expected.is_empty() && !fault.got.is_empty(), "{none}: {fault}");
        assert!(!fault.to_string().contains(CANARY), "{fault}");
    }
}

#[tokio::test]
async fn a_digest_login_behind_a_path_whose_first_offer_cannot_be_met() {
    let web = peers::web().await;
    let text = format!(
        "http: {{ url: 'http://127.0.0.1:{}/lab', device: {{ shelly-gen2: {{ outlet: 2 }} }}, {LOGIN} }}",
        web.port
    );
    let behind = |on: bool| std::fs::write(web.folder().join("state/2"), if on { "1" } else { "0" }).unwrap();
    behind(false);
    switches(&with_secret(&text, web.folder()), || web_state(&web, 2), behind).await;
}

#[tokio::test]
async fn http_says_what_is_wrong_and_never_the_secret() {
    let web = peers::web().await;
    let at = format!("url: 'http://127.0.0.1:{}'", web.port);
    let wrong = web.folder().join("wrong");
    std::fs::write(&wrong, "canary-wrong").unwrap();
    let login = format!("login: {{ user: admin, password: {{ file: '{}' }} }}", wrong.display());
    for (device, with, want) in [
        ("shelly-gen2: { outlet: 1 }", login.as_str(), "expected to be let in"),
        ("shelly-gen2: { outlet: 1 }", "settle: 1s", "expected to be let in"),
        ("netio: { outlet: 1 }", &login, "expected to be let in"),
        ("tasmota: { outlet: 1 }", &login, "expected to be let in"),
        ("home-assistant: { name: switch.relay_1 }", "settle: 1s", "expected to be let in"),
        (
            "generic: { on: { path: /echo, method: POST, body: x }, off: { path: /echo } }",
            &login,
            "expected status 200, got status 500",
        ),
        (
            "generic: { on: { path: /elsewhere }, off: { path: /echo } }",
            &login,
            "expected status 200, got status 302",
        ),
        (
            "generic: { on: { path: '/generic/set?n=9&on=1', answer: '^OK' }, off: { path: /echo } }",
            &login,
            "ERROR no such relay",
        ),
        (
            "esphome: { name: relay_1 }",
            "login: { user: admin, password: { env: SHAKEDOWN_NO_SUCH } }",
            "SHAKEDOWN_NO_SUCH is not set",
        ),
    ] {
        let text = format!("http: {{ {at}, device: {{ {device} }}, {with} }}");
        let output = output(&text).await;
        let fault = output.set(true, &soon()).await.expect_err(&text);
        let shown = format!("{fault} {fault:?} {}", output.describe());
        assert!(shown.contains(want), "{text}: {shown}");
        assert!(!shown.contains("canary"), "{text}: {shown}");
        assert!(!shown.contains("Y2FuYXJ5"), "{text}: {shown}");
    }
    // Without a word on the state, nothing is read back, and nothing is claimed.
    let text = format!(
        "http: {{ {at}, device: {{ generic: {{ on: {{ path: '/generic/set?n=1&on=1' }}, off: {{ path: '/generic/set?n=1&on=0' }} }} }} }}"
    );
    let output = output(&text).await;
    assert_eq!(output.set(true, &soon()).await.unwrap().seen, SeenBy::Nothing);
    assert_eq!(output.status(&soon()).await, Ok(Level::Unknown));
}

/// pdudaemon's own drivers for Tasmota and ESPHome switch the models that our `http` reads:
/// a second opinion on their bytes.
#[tokio::test]
async fn pdudaemon_switches_what_http_reads() {
    let web = peers::web().await;
    let here = format!("127.0.0.1:{}", web.port);
    let file = web.folder().join("relay-%s").display().to_string();
    let daemon = peers::pdudaemon(&format!(
        "\"{here}\": {{\"driver\": \"brennenstuhl_wspl01_tasmota\", \"username\": \"admin\", \"password\": \"{CANARY}\"}}, \
         \"slow\": {{\"driver\": \"localcmdline\", \"cmd_on\": \"sleep 1; echo on > {file}\", \"cmd_off\": \"true %s\", \"username\": \"x\"}}, \
         \"rack-a\": {{\"driver\": \"localcmdline\", \"cmd_on\": \"echo on > {file}\", \"cmd_off\": \"echo off > {file}\", \"username\": \"x\"}}"
    ))
    .await;
    let at = format!("url: 'http://127.0.0.1:{}'", daemon.port);
    let switch = output(&format!("pdudaemon: {{ {at}, pdu: '{here}', port: 1 }}")).await;
    let tasmota =
        line(&format!("http: {{ url: 'http://{here}', device: {{ tasmota: {{ outlet: 1 }} }} }}")).await;
    for on in [true, false, true] {
        let proof = switch.set(on, &soon()).await.unwrap();
        assert_eq!(proof.seen, SeenBy::Nothing, "it has queued it, no more");
        let wait = soon();
        // It answers before it has switched.
        while tasmota.read(&wait).await != Ok(Level::from(on)) {
            wait.pause(Duration::from_millis(20), || daemon.log()).await.unwrap();
        }
    }
    assert_eq!(switch.status(&soon()).await, Ok(Level::Unknown));
    let rack = output(&format!("pdudaemon: {{ {at}, pdu: rack-a, port: 7 }}")).await;
    rack.set(true, &soon()).await.unwrap();
    let (wait, done) = (soon(), web.folder().join("relay-7"));
    while std::fs::read_to_string(&done).unwrap_or_default() != "on\n" {
        wait.pause(Duration::from_millis(20), || daemon.log()).await.unwrap();
    }
    // Debian's answers when its job has ended, so that a minimum off time counts from there.
    let slow = output(&format!("pdudaemon: {{ {at}, pdu: slow, port: 8 }}")).await;
    slow.set(true, &soon()).await.unwrap();
    assert_eq!(std::fs::read_to_string(web.folder().join("relay-8")).unwrap(), "on\n");
    let fault =
        output(&format!("pdudaemon: {{ {at}, pdu: rack-z, port: 7 }}")).await.set(true, &soon()).await;
    let fault = fault.unwrap_err().to_string();
    assert!(fault.contains("status 500") && fault.contains("Invalid request"), "{fault}");
}

#[tokio::test]
async fn modbus_over_tcp_against_pymodbus() {
    let server = peers::modbus("tcp").await;
    let port = server.port;
    let poke = |coil: u16, on: bool| {
        let on = u8::from(on).to_string();
        peers::output([
            peers::PYTHON,
            &peers::script("modbus_poke.py"),
            &port.to_string(),
            &coil.to_string(),
            &on,
        ])
    };
    let conf = |rest: &str| format!("modbus: {{ bus: {{ tcp: '127.0.0.1:{port}' }}, {rest} }}");
    for rest in ["coil: 2", "coil: 5, read-all: 8", "coil: 0, unit: 1"] {
        let coil: u16 = rest[6..7].parse().unwrap();
        let output = output(&conf(rest)).await;
        for on in [true, false, true] {
            let proof = output.set(on, &soon()).await.unwrap();
            assert_eq!(proof.seen, SeenBy::ReadBack(Level::from(on)), "{rest}");
        }
        assert_eq!(poke(coil, false), "False\n");
        assert_eq!(output.status(&soon()).await, Ok(Level::Off), "{rest}: changed behind our back");
    }
    for (rest, want) in [
        ("coil: 40", "exception 2 (illegal data address)"),
        ("coil: 9, settle: 300ms", "expected power on, got read back off"),
    ] {
        let fault = output(&conf(rest)).await.set(true, &soon()).await.unwrap_err();
        assert!(fault.to_string().contains(want), "{fault}");
        assert_eq!((fault.kind, fault.driver.as_str()), (InfraKind::Power, "modbus"));
    }
}

#[tokio::test]
async fn modbus_on_a_serial_line_against_pymodbus() {
    let server = peers::modbus("rtu").await;
    let tty = peers::serial_to(server.port).await;
    let conf =
        |rest: &str| format!("modbus: {{ bus: {{ rtu: {{ port: '{}' }} }}, {rest} }}", tty.path.display());
    // Two outputs on one bus, at the same time.
    let (first, second) = (output(&conf("coil: 1")).await, output(&conf("coil: 7, read-all: 8")).await);
    for on in [true, false, true] {
        let soon = soon();
        let (one, other) = tokio::join!(first.set(on, &soon), second.set(!on, &soon));
        assert_eq!(one.unwrap().seen, SeenBy::ReadBack(Level::from(on)));
        assert_eq!(other.unwrap().seen, SeenBy::ReadBack(Level::from(!on)));
    }
    let fault = output(&conf("coil: 40")).await.set(true, &soon()).await.unwrap_err();
    assert!(fault.to_string().contains("exception 2 (illegal data address)"), "{fault}");
    let fault = output(&conf("coil: 9, settle: 300ms")).await.set(true, &soon()).await.unwrap_err();
    assert_eq!(fault.got, "read back off");
}

#[tokio::test]
async fn a_serial_relay_hears_the_bytes_and_reports() {
    let board = peers::relay_board().await;
    let tty = peers::serial_to(board.port).await;
    let conf = |rest: &str| format!("serial-relay: {{ port: '{}', {rest} }}", tty.path.display());
    let relay = output(&conf("channel: 2")).await;
    for on in [true, false, true] {
        assert_eq!(relay.set(on, &soon()).await.unwrap().seen, SeenBy::ReadBack(Level::from(on)));
    }
    let sent = std::fs::read_to_string(board.folder.path().join("sent")).unwrap().replace('\n', "");
    assert_eq!(sent, "a00201a3ffa00200a2ffa00201a3ff");
    assert_eq!(output(&conf("channel: 1")).await.status(&soon()).await, Ok(Level::Off));
    let silent = output(&conf("channel: 1, reports: false")).await;
    assert_eq!(silent.set(true, &soon()).await.unwrap().seen, SeenBy::Nothing);
    assert_eq!(relay.status(&soon()).await, Ok(Level::On), "the other relay stays");
    let stuck = output(&conf("channel: 3")).await.set(true, &soon()).await.unwrap_err();
    assert_eq!(stuck.got, "read back off");
    let none = output(&conf("channel: 5")).await.set(true, &by(Duration::from_secs(2))).await.unwrap_err();
    assert!(none.stop.is_some() && none.hint.is_some_and(|hint| hint.contains("reports: false")));
}

#[tokio::test]
async fn a_serial_port_is_shared_and_one_that_is_gone_is_named() {
    let board = peers::relay_board().await;
    let tty = peers::serial_to(board.port).await;
    let relay = output(&format!("serial-relay: {{ port: '{}', channel: 1 }}", tty.path.display())).await;
    let held = serialport::new(tty.path.display().to_string(), 9600).exclusive(true).open_native().unwrap();
    let busy = relay.status(&by(Duration::from_secs(3))).await.unwrap_err();
    assert!(busy.to_string().contains("another process holds the port"), "{busy}");
    let wait = soon();
    let (level, ()) = tokio::join!(relay.status(&wait), async { drop(held) });
    assert_eq!(level, Ok(Level::Off));
    let gone = output("serial-relay: { port: /dev/serial/by-id/usb-none, channel: 1 }").await;
    let fault = gone.set(true, &soon()).await.unwrap_err();
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Usb, "open"));
    assert!(fault.hint.is_some(), "{fault}");
}

/// One secret in a file.
fn secret(folder: &std::path::Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    format!("{{ file: '{}' }}", file.display())
}

#[tokio::test]
async fn every_dialect_of_snmp_against_snmpd() {
    let agent = peers::snmp().await;
    let folder = agent.folder.path();
    let key = secret(folder, "key", CANARY);
    let host = format!("host: '127.0.0.1:{}'", agent.port);
    let v1 = format!("v1: {{ community: {key} }}");
    let v2c = format!("v2c: {{ community: {key} }}");
    let signed = format!("v3: {{ user: signer, hash: sha1, password: {key} }}");
    let private =
        format!("v3: {{ user: admin, hash: sha256, password: {key}, cipher: aes128, privacy: {key} }}");
    let generic = "generic: { on: { oid: 1.3.6.1.4.1.318.1.1.4.4.2.1.3.2, value: 1 }, off: { oid: 1.3.6.1.4.1.318.1.1.4.4.2.1.3.2, \
                   value: 2 }, state: .1.3.6.1.4.1.318.1.1.4.4.2.1.3.2, state-on: [1], state-off: [2] }";
    for (device, access) in [
        ("apc: { outlet: 2 }", &v1),
        ("apc: { outlet: 2 }", &v2c),
        ("apc: { outlet: 2 }", &signed),
        ("eaton: { outlet: 2 }", &private),
        ("raritan: { outlet: 2 }", &v2c),
        ("cyberpower: { outlet: 2 }", &v2c),
        ("server-tech: { outlet: 2 }", &v1),
        ("poe: { port: 2 }", &private),
        (generic, &v2c),
    ] {
        let text = format!("snmp: {{ {host}, device: {{ {device} }}, access: {{ {access} }} }}");
        let seen = || std::fs::read_to_string(folder.join("state/2")).unwrap() == "on";
        // By net-snmp's own tool, on the object that APC has.
        let behind = |on: bool| {
            let (port, value) = (agent.port, if on { "1" } else { "2" });
            let at = format!("127.0.0.1:{port}");
            peers::output([
                "snmpset",
                "-v2c",
                "-c",
                CANARY,
                "-m",
                "",
                &at,
                ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.2",
                "i",
                value,
            ]);
        };
        switches(&text, seen, behind).await;
        let stuck =
            text.replace("outlet: 2", "outlet: 3").replace("port: 2 ", "port: 3 ").replace("1.3.2", "1.3.3");
        // An Eaton is on its way for two looks.
        let settle =
            if device.starts_with("eaton") { "snmp: { settle: 2s," } else { "snmp: { settle: 200ms," };
        let stuck = stuck.replace("snmp: {", settle);
        let fault = output(&stuck).await.set(true, &soon()).await.unwrap_err();
        assert_eq!(fault.got, "read back off", "{stuck}: {fault}");
        let none =
            text.replace("outlet: 2", "outlet: 9").replace("port: 2 ", "port: 9 ").replace("1.3.2", "1.3.9");
        let fault = output(&none).await.set(true, &soon()).await.unwrap_err();
        assert!(fault.got.starts_with("the agent's error "), "{none}: {fault}");
    }
}

#[tokio::test]
async fn snmp_tells_the_agents_errors_and_never_the_secret() {
    let agent = peers::snmp().await;
    let folder = agent.folder.path();
    let [key, read, wrong] = [("key", CANARY), ("read", "canary-read"), ("wrong", "canary-wrong")]
        .map(|(name, text)| secret(folder, name, text));
    let host = format!("host: '127.0.0.1:{}'", agent.port);
    for (access, want, late) in [
        (format!("v1: {{ community: {read} }}"), "the agent's error noSuchName", false),
        (format!("v2c: {{ community: {read} }}"), "the agent's error noAccess", false),
        (format!("v2c: {{ community: {wrong} }}"), "expected an answer", true),
        (format!("v3: {{ user: nobody, hash: sha256, password: {key} }}"), "expected an answer", false),
        (
            format!("v3: {{ user: admin, hash: sha256, password: {wrong}, cipher: aes128, privacy: {key} }}"),
            "expected an answer",
            false,
        ),
        (format!("v3: {{ user: admin, hash: sha256, password: {key} }}"), "the agent's error", false),
        ("v2c: { community: { env: SHAKEDOWN_NO_SUCH } }".into(), "SHAKEDOWN_NO_SUCH is not set", false),
    ] {
        let text = format!("snmp: {{ {host}, device: {{ apc: {{ outlet: 1 }} }}, access: {{ {access} }} }}");
        let output = output(&text).await;
        let fault =
            output.set(true, &by(Duration::from_secs(if late { 2 } else { 60 }))).await.expect_err(&text);
        let shown = format!("{fault} {fault:?} {}", output.describe());
        assert!(shown.contains(want), "{text}: {shown}");
        assert_eq!(fault.stop.is_some(), late, "{text}: {shown}");
        assert!(!shown.contains("canary"), "{text}: {shown}");
    }
    for (text, want) in [
        (
            "device: { apc: { outlet: 0 } }, access: { v1: { community: { env: A } } }",
            "device: outlets and ports are counted from 1",
        ),
        (
            "device: { apc: { outlet: 1 } }, access: { v3: { user: a, hash: md5, password: { env: A }, cipher: aes256, privacy: { env: B } } }",
            "access.v3.hash: too short for this cipher: take sha256 or longer",
        ),
        (
            "device: { apc: { outlet: 1 } }, access: { v3: { user: a, hash: md5, password: { env: A }, cipher: des } }",
            "access.v3.privacy: a cipher needs its password",
        ),
        (
            "device: { generic: { on: { oid: a.b, value: 1 }, off: { oid: 1.3.6, value: 2 }, state: 1.3.6, state-on: [1], state-off: [2] } }, access: { v1: { community: { env: A } } }",
            "device.generic.on.oid: `a.b` is no object",
        ),
    ] {
        let conf = load::<LineDriver>(&Document::new("rig.yaml", &format!("snmp: {{ host: pdu, {text} }}")))
            .unwrap()
            .value;
        let problem = conf.check().unwrap_err().to_string();
        assert!(problem.starts_with(&format!("snmp.{want}")), "{problem}");
    }
}

#[tokio::test]
async fn a_tasmota_plug_on_mosquitto() {
    let broker = peers::mosquitto().await;
    let mut plug = peers::plug(&broker, "desk");
    let folder = broker.folder.path();
    let login = format!("login: {{ user: admin, password: {} }}", secret(folder, "key", CANARY));
    let conf = |rest: &str| format!("mqtt: {{ broker: '127.0.0.1:{}', topic: desk, {rest} }}", broker.port);
    let publish = |topic: &str, rest: &[&str]| {
        let port = broker.port.to_string();
        let all = ["mosquitto_pub", "-p", &port, "-u", "admin", "-P", CANARY, "-q", "1", "-t", topic];
        peers::output(all.iter().chain(rest));
    };
    // An answer that the broker remembers is no answer.
    publish("stat/desk/POWER2", &["-m", "ON", "-r"]);
    for (rest, power) in [(format!("outlet: 2, {login}"), "POWER2"), (login.clone(), "POWER")] {
        let plug = output(&conf(&rest)).await;
        assert_eq!(plug.status(&soon()).await, Ok(Level::Off), "{rest}");
        for on in [true, false, true] {
            let proof = plug.set(on, &soon()).await.unwrap();
            assert_eq!(proof.seen, SeenBy::ReadBack(Level::from(on)));
        }
        publish(&format!("cmnd/desk/{power}"), &["-m", "OFF"]);
        assert_eq!(plug.status(&soon()).await, Ok(Level::Off), "{rest}: changed behind our back");
    }
    let short = by(Duration::from_secs(2));
    let stuck = output(&conf(&format!("outlet: 3, {login}"))).await.set(true, &short).await.unwrap_err();
    assert!(stuck.stop.is_some() && stuck.got == "the plug said off", "{stuck}");
    let lies = output(&conf(&format!("outlet: 4, {login}"))).await.set(true, &soon()).await.unwrap_err();
    assert_eq!(lies.got, "read back off");
    let none =
        output(&conf(&format!("outlet: 9, {login}"))).await.set(true, &by(Duration::from_secs(2))).await;
    assert!(none.unwrap_err().stop.is_some());
    let wrong = format!("login: {{ user: admin, password: {} }}", secret(folder, "wrong", "canary-wrong"));
    let denied = output(&conf(&wrong)).await.set(true, &soon()).await.unwrap_err();
    assert!(denied.got.contains("NotAuthorized") || denied.got.contains("BadUserNamePassword"), "{denied}");
    assert!(!format!("{denied} {denied:?}").contains("canary"), "{denied:?}");
    // The broker notes that the plug is gone, and says so.
    let watch = output(&conf(&login)).await;
    plug.kill();
    let (wait, mut last) = (soon(), None);
    while !last.as_ref().is_some_and(|said: &String| said.contains("`Offline`")) {
        assert_ne!(
            watch.status(&by(Duration::from_secs(1))).await.map_err(|fault| last = Some(fault.to_string())),
            Ok(Level::On)
        );
        wait.pause(Duration::from_millis(50), || format!("{last:?}")).await.unwrap();
    }
}

/// No Raspberry Pi has an x86.
#[cfg(all(feature = "rppal", target_arch = "x86_64"))]
#[tokio::test]
async fn pins_of_a_raspberry_pi_are_refused_elsewhere() {
    let conf = load::<LineDriver>(&Document::new("rig.yaml", "rppal: { line: 17 }")).unwrap().value;
    let operator = Person::with(vec![]);
    let cx = LineCx { slot: "desk/pi4", output: "power", safe: Level::Off, operator: &operator };
    let fault = conf.open(cx, &soon()).await.err().unwrap();
    assert_eq!((fault.kind, fault.driver.as_str()), (InfraKind::Power, "rppal"));
    assert_eq!(fault.got, "Unknown Raspberry Pi model", "{fault}");
    assert!(fault.hint.as_deref().unwrap_or_default().contains("`gpio`"), "{fault}");
}
