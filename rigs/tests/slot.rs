//! A whole slot of hardware drivers, with real programs and a real file behind them.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Capability, Cursor, Level, NetPath, NoFence, RealClock, SeenBy, Side, Slot};
use shakedown_rigs::{Answer, SlotRequest, Wiring, drivers, open};
use support::{Person, board, by, nowhere};

fn parse(text: &str) -> Wiring {
    load::<Wiring>(&Document::new("rig.yaml", text)).unwrap_or_else(|error| panic!("{error:#}")).value
}

fn request(folder: &Path) -> SlotRequest {
    SlotRequest {
        id: "desk/test".into(),
        board: board(),
        folder: folder.to_owned(),
        clock: RealClock::start(),
        sink: nowhere(),
        fence: Arc::new(NoFence),
        operator: Person::with(vec![Answer::Yes, Answer::Yes]),
        safe_by: None,
        given: shakedown_rigs::Given::default(),
    }
}

async fn slot(text: &str, folder: &Path) -> Slot {
    open(&parse(text), request(folder), &by(Duration::from_secs(10))).await.unwrap()
}

#[tokio::test]
async fn a_relay_that_is_a_file_switches_and_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let level = folder.path().join("level").display().to_string();
    std::fs::write(&level, "0").unwrap();
    let text = format!(
        "power:\n  command:\n    on: [cp, /dev/stdin, '{level}']\n    off: [truncate, -s, '0', '{level}']\n    \
         status: {{ run: [stat, -c, 'size=%s', '{level}'], on: '=[1-9]', off: '=0' }}\n\
         outputs:\n  reset: {{ manual: {{ what: the reset button }} }}\n\
         consoles:\n  main: {{ command: {{ run: [cat] }} }}\n\
         limits:\n  power: {{ max-cycles-per-minute: 3 }}\n"
    );
    let text = text.replace("[cp, /dev/stdin,", "[cp, /proc/version,");
    let slot = slot(&text, &folder.path().join("slot")).await;
    let power = slot.power.as_ref().unwrap();
    let by = by(Duration::from_secs(10));
    assert_eq!(power.limits().min_off, Duration::from_millis(50), "the board's own need");
    for _ in 0..3 {
        let (off, on) = power.cycle(&by).await.unwrap();
        assert_eq!((off.seen, on.seen), (SeenBy::ReadBack(Level::Off), SeenBy::ReadBack(Level::On)));
    }
    let too_often = power.cycle(&by).await.unwrap_err();
    assert_eq!(too_often.expected, "at most 3 cycles a minute");
    let pressed = slot.outputs["reset"].set(true, &by).await.unwrap();
    assert_eq!(pressed.seen, SeenBy::Operator("said that the reset button is on".into()));
    for (capability, offered) in
        [("power-cut", true), ("console-input", true), ("reset", false), ("network", false)]
    {
        assert_eq!(slot.offers.contains(&Capability::new(capability)), offered, "{capability}");
    }
    assert_eq!(slot.facts["outputs.reset"], "manual");
}

#[tokio::test]
async fn a_programs_output_is_the_console_and_it_ends_with_the_slot() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > {}; echo U-Boot 2023.01; exec cat", pid.display());
    let text = format!("consoles: {{ main: {{ command: {{ run: [sh, -c, '{script}'] }} }} }}\n");
    let slot = slot(&text, &folder.path().join("slot")).await;
    let by = by(Duration::from_secs(10));
    let (log, mut cursor) = (slot.log().unwrap().clone(), Cursor(0));
    let first = by.run(|| log.last_line(), log.next(&mut cursor)).await.unwrap().unwrap();
    assert!(first.bytes.starts_with(b"U-Boot"));
    slot.console().unwrap().tx.as_ref().unwrap().send(b"printenv\n", &by).await.unwrap();
    let echo = by.run(|| log.last_line(), log.next(&mut cursor)).await.unwrap().unwrap();
    assert_eq!(&*echo.bytes, b"printenv\n");
    let pid: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    drop(slot);
    let gone = || !shakedown_host::group::ProcStat::of(pid).is_some_and(|stat| stat.lives());
    while !gone() {
        by.pause(Duration::from_millis(10), || format!("process {pid} lives")).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_belongs_to_one_side_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let text = "consoles: { main: { command: { run: [cat] } } }\nmedia: { main: { file: { path: disk.img, size: 1MiB } } }\n";
    let slot = slot(text, folder.path()).await;
    let by = by(Duration::from_secs(5));
    let disk = &slot.media["main"];
    assert_eq!(disk.side(&by).await, Ok(Side::Host));
    let mut medium = disk.open(&by).await.unwrap();
    assert_eq!(medium.len(), 1 << 20);
    medium.write_at(512, b"EFI PART").unwrap();
    let held = disk.switch(Side::Dut, &by).await.unwrap_err();
    assert_eq!(held.op, "lock", "a medium that is being written was given away: {held}");
    drop(medium);
    assert_eq!(disk.switch(Side::Dut, &by).await, Ok(Side::Dut));
    let given = disk.open(&by).await.map(|medium| medium.len()).unwrap_err();
    assert_eq!(given.got, "it was given to the DUT");
    assert_eq!(disk.switch(Side::Host, &by).await, Ok(Side::Host));
    std::fs::write(folder.path().join("disk.img"), b"short").unwrap();
    let short = disk.open(&by).await.map(|medium| medium.len()).unwrap_err();
    assert_eq!((short.expected.as_str(), short.got.as_str()), ("1048576 bytes (`size`)", "5 bytes"));
}

#[tokio::test]
async fn a_file_of_another_size_is_somebodys_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("important");
    let text = format!(
        "consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\nmedia: {{ main: {{ file: {{ path: '{}', size: 4KiB }} }} }}\n",
        file.display()
    );
    std::fs::write(&file, [7; 5000]).unwrap();
    let limit = by(Duration::from_secs(10));
    let fault = open(&parse(&text), request(folder.path()), &limit).await.map(|slot| slot.id).unwrap_err();
    assert_eq!((fault.expected.as_str(), fault.got.as_str()), ("4096 bytes (`size`)", "5000 bytes"));
    assert_eq!(std::fs::read(&file).unwrap(), [7; 5000]);
    // One that holds nothing is made so large, like one that is missing.
    std::fs::write(&file, []).unwrap();
    open(&parse(&text), request(folder.path()), &limit).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 4096);
}

#[tokio::test]
async fn the_network_tells_refused_mute_and_speaking_apart() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let text = "consoles: { main: { command: { run: [cat] } } }\nnetwork: { address: { host: localhost } }\n";
    let slot = slot(text, folder.path()).await;
    let network = slot.network.as_ref().unwrap();
    let by = by(Duration::from_secs(20));
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    assert_eq!(network.tcp(port, &by).await.unwrap().port(), port);
    let greet = async {
        let (mut stream, _) = server.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        // Hung up before its first byte; the next is held, and nothing is said.
        drop(server.accept().await.unwrap());
        server.accept().await.unwrap()
    };
    let brief = self::by(Duration::from_millis(300));
    let ask = async {
        let first = [network.path(port, &by).await, network.path(port, &by).await];
        (first, network.path(port, &brief).await)
    };
    let (held, (first, last)) = tokio::join!(greet, ask);
    assert_eq!((first, last), ([NetPath::Speaks, NetPath::Refused], NetPath::Mute));
    drop(held);
    drop(server);
    assert_eq!(network.path(port, &by).await, NetPath::Refused);
    assert_eq!(network.look(&by).await.unwrap(), "localhost is at 127.0.0.1");
}

#[tokio::test]
async fn a_wiring_that_cannot_work_is_refused_by_its_field() {
    let board = board();
    let main = "consoles: { main: { command: { run: [cat] } } }\n";
    let known = format!("SHA256:{}", "A".repeat(43));
    let jump = |through: &str, key: &str| {
        format!(
            "{main}network: {{ jump: {{ host: dut, through: '{through}', user: rig, host-key: '{key}' }} }}"
        )
    };
    assert_eq!(parse(&jump("rig.lab", &known)).check(&board), Ok(()));
    assert_eq!(parse(&jump("fd00::1", &known)).check(&board), Ok(()));
    assert_eq!(parse(&jump("[fd00::1]:2222", &known)).check(&board), Ok(()));
    for (text, want) in [
        ("{}", "consoles: `main` is missing: boots are watched on it"),
        (
            "consoles: { main: { command: { run: [] } } }",
            "consoles.main.command.run: a program with its arguments is needed: `[program, argument]`",
        ),
        (
            &format!("{main}power: {{ command: {{ on: [a], off: [''] }} }}"),
            "power.command.off: a program with its arguments is needed: `[program, argument]`",
        ),
        (
            &format!(
                "{main}power: {{ command: {{ on: [a], off: [b], status: {{ run: [c], on: '(', off: x }} }} }}"
            ),
            "power.command.status.on: ",
        ),
        (
            &format!("{main}outputs: {{ power: {{ manual: {{}} }} }}"),
            "outputs.power: the supply is the slot's own `power`",
        ),
        (
            &format!("{main}limits: {{ reset: {{ min-off: 1s }} }}"),
            "limits.reset: this slot has no such output",
        ),
        (
            &format!("{main}network: {{ address: {{ host: 'a b' }} }}"),
            "network.address.host: `a b` is no host name and no address",
        ),
        (
            &format!("{main}network: {{ link: {{ interface: /dev/eth0 }} }}"),
            "network.link.interface: `/dev/eth0` is no name of an interface: `eth1`",
        ),
        (
            &format!("{main}network: {{ link: {{ interface: eth1, mac: dc:a6:32, leases: /a }} }}"),
            "network.link.mac: `dc:a6:32` is no hardware address `dc:a6:32:01:02:03`",
        ),
        (
            &format!("{main}network: {{ link: {{ interface: eth1, mac: 'dc:a6:32:01:02:03' }} }}"),
            "network.link.mac: it is looked for in `leases`, which is not given",
        ),
        (
            &format!("{main}network: {{ link: {{ interface: eth1, hostname: pi.local }} }}"),
            "network.link.hostname: `pi.local` is no host name without a domain",
        ),
        (&jump("rig host", &known), "network.jump.through: `rig host` is no `host` and no `host:port`"),
        (&jump("rig:ssh", &known), "network.jump.through: `rig:ssh` is no `host` and no `host:port`"),
        (
            &jump("rig:22", "SHA256:short"),
            "network.jump.host-key: `SHA256:short` is no fingerprint `SHA256:…` and no public key",
        ),
        (
            &format!("{main}media: {{ main: {{ file: {{ path: a, size: 0B }} }} }}"),
            "media.main.file.size: nothing fits on a medium of 0 bytes",
        ),
    ] {
        let problem = parse(text).check(&board).unwrap_err().to_string();
        assert!(problem.starts_with(want), "{problem}");
    }
    let slip = load::<Wiring>(&Document::new("rig.yaml", "outputs: { reset: { comand: { on: [a] } } }\n"))
        .unwrap_err();
    assert_eq!(
        slip.to_string(),
        "rig.yaml:1:21: outputs.reset: unknown choice `comand`; did you mean `command`?"
    );
    let slip =
        load::<Wiring>(&Document::new("rig.yaml", "outputs:\n  reset: { command: { on: [a], of: [b] } }\n"))
            .unwrap_err();
    assert_eq!(
        slip.to_string(),
        "rig.yaml:2:32: outputs.reset.command.of: unknown field `of`; did you mean `off`?"
    );
}

#[test]
fn each_driver_explains_itself() {
    for info in drivers() {
        assert!(
            info.doc.len() > 40 && info.doc.ends_with('.'),
            "{} {}: {:?}",
            info.family,
            info.name,
            info.doc
        );
        let built = match info.feature {
            None => true,
            Some("probe") => cfg!(feature = "probe"),
            Some("rppal") => cfg!(feature = "rppal"),
            Some(other) => panic!("no feature `{other}`"),
        };
        assert_eq!(info.built, built, "{}", info.name);
    }
}

#[test]
fn the_page_of_drivers_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/docs/drivers.md");
    let page =
        shakedown_rigs::page().unwrap_or_else(|without| panic!("no word in src/proven.rs on {without:?}"));
    if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, page, "{} is old: cargo xtask generate", path.display());
}
