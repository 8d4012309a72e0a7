//! Commands on one slot and the keeper behind them, through the real binary, on small guests.
//!
//! `cargo test -p shakedown --test keeper`. Boots QEMU, one machine at a time.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_console::{BootSpecFile, Expectation, Expected, Recording, replay};
use shakedown_core::{Chunk, ConsoleLog, Mark, Mono, RealClock};
use shakedown_host::{Child, KeyPair, Tool, group, pump};
use shakedown_qemu::micro::Kind;
use shakedown_rigs::Picture;
use support::keeper::{all_ended, keeper, on, until, until_said};
use support::{Place, by, guest, micro, one_by_one, sshd, trial};

fn main() {
    one_by_one(|| {
        vec![
            trial("what_was_switched_on_stays_on_after_the_command", stays_on),
            trial("a_run_is_refused_while_the_slot_is_in_use_and_says_by_whom", run_refused),
            trial("several_follow_a_console_and_one_types", several_readers),
            trial("a_person_logs_in_on_a_terminal_and_leaves", terminal),
            trial("a_killed_keeper_leaves_nothing_and_the_next_one_starts", keeper_killed),
            trial("a_killed_command_leaves_keeper_and_slot_sane", command_killed),
            trial("a_hold_gives_handles_and_ends_safe", hold),
            trial("a_pressed_reset_starts_over", press),
            trial("a_screen_is_looked_at_while_its_machine_is_on", screen),
            trial("flashed_is_what_boots", flash),
            trial("ssh_into_a_dut", ssh),
            trial("a_changed_rig_file_is_told", rig_changed),
            trial("a_recorded_boot_comes_to_the_same_again", record),
            trial("a_relay_that_cannot_be_read_back_is_proven_by_the_console", no_read_back),
        ]
    });
}

/// What a recording in `records/` is expected to come to, which it does, also byte by byte.
fn recorded(place: &Place, name: &str) -> (Recording, Expected) {
    let read = |name: &str| std::fs::read_to_string(place.path(&format!("records/{name}"))).unwrap();
    let expectation = Expectation::parse(&read(&format!("{name}.expect.json"))).unwrap();
    let spec = BootSpecFile::parse(&read(&expectation.spec)).unwrap();
    let recording = Recording::from_cast(read(&format!("{name}.cast")).as_bytes()).unwrap();
    let bytes = recording.chunks.iter().flat_map(|chunk| {
        let each = chunk.bytes.iter().enumerate();
        each.map(|(n, byte)| Chunk { at: chunk.at, off: chunk.off + n as u64, bytes: [*byte].into() })
    });
    for chunks in [recording.chunks.clone(), bytes.collect()] {
        let outcome = replay(&spec, &expectation.allowed(), recording.start(), &chunks).unwrap();
        expectation.check(&outcome).unwrap();
    }
    (recording, expectation.expect)
}

fn said(recording: &Recording) -> String {
    let said: Vec<u8> = recording.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    String::from_utf8_lossy(&said).into_owned()
}

async fn record() {
    let place = of_kind(Kind::Login).await;
    // A busy machine may be slow: it is not the time that this is about.
    for document in ["private/catalogue/micro-board.yaml", "private/os/micro.yaml"] {
        let text = std::fs::read_to_string(place.path(document)).unwrap();
        place.file(document, text.replace("within: 1", "within: 50").replace("within: 2", "within: 50"));
    }
    let up = ["--to", "records/up.cast", "--os", "micro", "--about", "A micro guest.", "--after", "1s"];
    let ran = place.run(&on("record", &up)).await;
    ran.says(
        0,
        &["tests/one: power off: read back off\n", "micro login:", "up, as far as a console shows it"],
    );
    let (recording, expected) = recorded(&place, "up");
    let stages = ["kernel", "userspace", "login"].map(str::to_owned).to_vec();
    assert_eq!(expected, Expected::Up { stages, banners: 1 });
    assert_eq!(recording.marks, [(Mono(0), 0, Mark::PowerOn)]);
    let whole = said(&recording);
    assert!(whole.contains("Linux version") && whole.contains("micro login: "), "{whole}");
    let text = std::fs::read_to_string(place.path("records/up.expect.json")).unwrap();
    assert!(text.contains("\"about\": \"A micro guest.\""), "{text}");
    assert_eq!(place.qemus(), [0_u32; 0]);
    place.run(&on("record", &up)).await.says(2, &["records/up.cast is there already"]);

    // Given up by the person: what was said is kept, and nothing is claimed about it.
    let child = place.start(&on("record", &["--to", "records/part.cast", "--os", "micro", "--after", "1h"]));
    let part = place.path("records/part.cast");
    until("the login to be on the recording", 300, || {
        let recording = std::fs::File::open(&part).ok().and_then(|file| Recording::from_cast(file).ok());
        recording.is_some_and(|recording| said(&recording).contains("micro login: "))
    })
    .await;
    support::interrupt(child.pid());
    let status = child.wait(&by("the end of the command", 60)).await.unwrap();
    assert_eq!(status.code(), Some(130), "{}", child.tail());
    assert!(child.tail().contains("tests/one: power off: read back off"), "{}", child.tail());
    assert!(Recording::from_cast(std::fs::File::open(&part).unwrap()).unwrap().end() > 0);
    assert!(!part.with_extension("expect.json").exists());
    assert_eq!(place.qemus(), [0_u32; 0]);
    all_ended(&place).await;

    micro::guest_rig(&place, Kind::Panic).await;
    let panic = place.run(&on("record", &["--to", "records/panic.cast", "--os", "micro"])).await;
    panic.says(1, &["failed: the kernel panicked (after ", "known-bad line `kernel-panic`"]);
    let Expected::Bad { id, line, .. } = recorded(&place, "panic").1 else { panic!("no known-bad line") };
    assert_eq!(id, "kernel-panic");
    assert!(line.contains("Kernel panic - not syncing"), "{line}");
    all_ended(&place).await;
}

async fn screen() {
    let place = of_kind(Kind::Login).await;
    let rig = std::fs::read_to_string(place.path("rig.yaml")).unwrap();
    place.file("rig.yaml", rig.replace("machine: q35", "machine: q35\n      screen: true"));
    place.run(&on("screen", &[])).await.says(3, &["expected a machine that is on, got it is off"]);
    place.run(&on("power", &["on"])).await.says(0, &["tests/one: power on: read back on"]);
    place.run(&on("screen", &[])).await.says(0, &["tests/one: a picture of ", ": screen.png"]);
    // A text screen is mostly black, whatever stands on it by now.
    let flat = |colour: u8| Picture::new(8, 8, vec![colour; 8 * 8 * 3]).unwrap().to_png().unwrap();
    place.file("black.png", flat(0));
    place.file("white.png", flat(255));
    let like = |file: &'static str| on("screen", &["--out", "now.png", "--like", file, "--within", "40"]);
    place.run(&like("black.png")).await.says(0, &[" % look other than black.png (allowed: 40 %)"]);
    place.run(&like("white.png")).await.says(1, &[" % look other than white.png (allowed: 40 %)"]);
    assert!(Picture::from_png(&std::fs::read(place.path("now.png")).unwrap()).is_ok());
    place.run(&on("power", &["off"])).await.says(0, &["tests/one: power off: read back off"]);
    all_ended(&place).await;
}

async fn of_kind(kind: Kind) -> Place {
    let place = Place::new();
    micro::documents(&place, "2s");
    micro::guest_rig(&place, kind).await;
    place
}

async fn stays_on() {
    let place = of_kind(Kind::Login).await;
    place
        .run(&on("power", &["status"]))
        .await
        .says(0, &["tests/one: power off: read back from qemu tests/one"]);
    place.run(&on("power", &["on"])).await.says(0, &["tests/one: power on: read back on"]);
    assert_eq!(place.qemus().len(), 1, "the machine of a command that has ended");
    place.run(&on("power", &["status"])).await.says(0, &["tests/one: power on: read back"]);
    let status = place.run(&["keep", "--status"]).await;
    status.says(0, &["tests/one\n  power was switched on by ", "`shakedown --path private power one on`"]);
    let socket = place.path("runtime/tests@keeper.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // The same machine, whoever asks.
    let first = place.qemus();
    place.run(&on("power", &["on"])).await.says(0, &["power on: read back on"]);
    assert_eq!(place.qemus(), first);
    let cycled = place.run(&on("power", &["cycle"])).await;
    cycled.says(0, &["power off: read back off\ntests/one: power on: read back on"]);
    assert_ne!(place.qemus(), first, "it was off in between");
    // A guest that is gone is seen, not remembered: as soon as the keeper has heard of its child's end.
    support::kill(place.qemus()[0]);
    until("the end of the machine", 20, || place.qemus().is_empty()).await;
    let limit = by("the status to be off", 20);
    loop {
        let status = place.run(&on("power", &["status"])).await;
        if !status.out.contains("power on") {
            break status.says(0, &["tests/one: power off: read back"]);
        }
        limit.pause(Duration::from_millis(20), || status.out.clone()).await.unwrap();
    }
    place.run(&on("power", &["on"])).await.says(0, &["power on: read back on"]);
    place.run(&on("power", &["off"])).await.says(0, &["tests/one: power off: read back off"]);
    assert_eq!(place.qemus(), [0_u32; 0]);
    place
        .run(&on("power", &["on", "--output", "resett"]))
        .await
        .refused(2, "error: no output `resett`\n hint: did you mean `reset`? There are: power, reset");
    all_ended(&place).await;
    place.run(&["keep", "--status"]).await.says(5, &["tests has no keeper"]);
    place.run(&on("power", &["on"])).await.says(0, &["power on: read back on"]);
    place
        .run(&["keep", "--stop"])
        .await
        .says(0, &["reset off: read back off\npower off: read back off", "has ended"]);
    all_ended(&place).await;
}

async fn run_refused() {
    let place = of_kind(Kind::Login).await;
    let image = place.file("image", guest::image(guest::HALT)).display().to_string();
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let run =
        ["--path", "private", "run", "--slot", "one", "--image", &image, "--os", "micro", "--suite", "micro"];
    let refused = place.run(&run).await;
    refused.says(3, &["tests/one is in use, by the keeper of tests (process ", "power was switched on by "]);
    refused.says(3, &["`shakedown power tests/one off` gives it back"]);
    assert_eq!(place.qemus().len(), 1, "the refused run touched it");
    // Switched off by the DUT itself: nobody uses it any more, and the keeper gives it up.
    support::kill(place.qemus()[0]);
    until("the end of the machine", 20, || place.qemus().is_empty()).await;
    assert!(keeper(&place).is_some());
    // It has the lock before it looks at the image, which is none.
    place.file("image", "no image");
    place.run(&run).await.says(2, &["not a disk image"]);
    all_ended(&place).await;
}

async fn several_readers() {
    let place = of_kind(Kind::Login).await;
    let writer = place.start(&on("console", &[]));
    until_said(&writer, "tests/one main: ").await;
    let reader = place.start(&on("console", &[]));
    until_said(&reader, "you read only").await;
    assert!(!writer.tail().contains("you read only"), "{}", writer.tail());
    // Both were there before the machine was.
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    until_said(&writer, "micro login: ").await;
    until_said(&reader, "micro login: ").await;
    let text = |child: &Child| {
        let tail = child.tail();
        tail.split_once("leaves\n").map(|(_, text)| text.to_owned()).unwrap()
    };
    let same = by("both to have the same", 20);
    while text(&writer) != text(&reader) {
        same.pause(Duration::from_millis(20), String::new).await.unwrap();
    }
    // One who comes later is shown what was said last.
    let late = place.start(&on("console", &["--tail", "100000"]));
    until_said(&late, "Linux version").await;
    until_said(&late, "micro login: ").await;
    place.run(&on("power", &["off"])).await.says(0, &["power off: read back off"]);
    place
        .run(&on("console", &["uart1"]))
        .await
        .refused(2, "error: no console `uart1`\n hint: There are: main");
    place.run(&["keep", "--stop"]).await.says(0, &["has ended"]);
    for reader in [writer, reader, late] {
        let status = reader.wait(&by("the end of a reader", 20)).await.unwrap();
        assert_eq!(status.code(), Some(3), "{}", reader.tail());
        assert!(reader.tail().contains("[the keeper ends]"), "{}", reader.tail());
    }
    all_ended(&place).await;
}

async fn terminal() {
    let place = of_kind(Kind::Login).await;
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let (child, terminal) = place.on_terminal(&on("console", &[]));
    let mode = |fd: &std::os::fd::OwnedFd| rustix::termios::tcgetattr(fd).unwrap().local_modes;
    let before = mode(&terminal);
    let ours = terminal.try_clone().unwrap();
    let log = Arc::new(ConsoleLog::new(RealClock::start()));
    let pump = pump::fd(terminal, "terminal", log.clone()).unwrap();
    let tx = pump.console().tx.unwrap();
    let says = async |text: &str| {
        let limit = by(text, 120);
        while !String::from_utf8_lossy(&log.tail(1 << 20)).contains(text) {
            limit.pause(Duration::from_millis(20), || log.last_line()).await.unwrap();
        }
    };
    let limit = by("typing", 60);
    says("Ctrl-] leaves").await;
    says("micro login: ").await;
    assert_ne!(mode(&ours), before, "each key goes to the DUT");
    tx.send(b"root\r", &limit).await.unwrap();
    says("micro# ").await;
    // Ctrl-C is the DUT's, not ours.
    tx.send(b"\x03", &limit).await.unwrap();
    tx.send(b"echo up$((6 * 7))\r", &limit).await.unwrap();
    says("up42").await;
    assert_eq!(child.try_status().unwrap(), None);
    tx.send(b"\x1d", &limit).await.unwrap();
    let status = child.wait(&by("the end of the command", 20)).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(mode(&ours), before, "the terminal is as it was");
    assert_eq!(place.qemus().len(), 1, "leaving switches nothing");
    place.run(&on("power", &["off"])).await.says(0, &["power off"]);
    all_ended(&place).await;
}

/// By SIGKILL; its warden has 5 s.
async fn keeper_killed() {
    let place = of_kind(Kind::Login).await;
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let reader = place.start(&on("console", &[]));
    until_said(&reader, "micro login: ").await;
    let first = keeper(&place).expect("a keeper");
    support::kill(first);
    let limit = by("the end of what the keeper started", 5);
    while !place.qemus().is_empty() {
        limit.pause(Duration::from_millis(10), || format!("{:?}", place.qemus())).await.unwrap();
    }
    let status = reader.wait(&by("the end of a reader", 20)).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", reader.tail());
    assert!(reader.tail().contains("is gone, and the console with it"), "{}", reader.tail());
    // Socket and locks of the dead one are in nobody's way.
    place.run(&on("power", &["on"])).await.says(0, &["power on: read back on"]);
    assert_ne!(keeper(&place), Some(first));
    place.run(&on("power", &["off"])).await.says(0, &["power off"]);
    all_ended(&place).await;
}

async fn command_killed() {
    let place = of_kind(Kind::Login).await;
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let machine = place.qemus();
    let reader = place.start(&on("console", &[]));
    until_said(&reader, "micro login: ").await;
    support::kill(reader.pid());
    reader.wait(&by("its end", 20)).await.unwrap();
    // What it held is given back: the next one types.
    let limit = by("the right to type", 20);
    loop {
        let next = place.start(&on("console", &[]));
        until_said(&next, "main: ").await;
        if !next.tail().contains("you read only") {
            break;
        }
        limit.pause(Duration::from_millis(50), || next.tail()).await.unwrap();
    }
    assert_eq!(place.qemus(), machine);
    // A hold that is killed leaves a safe slot that anybody may have.
    let marker = place.path("held").display().to_string();
    let script = format!("touch {marker}; exec sleep 999");
    let hold = place.start(&on("hold", &["--", "sh", "-c", &script]));
    until("the held program", 60, || Path::new(&marker).exists()).await;
    let refused = place.run(&on("power", &["off"])).await;
    refused.says(3, &["tests/one is in use", "it is held by ", "hold one -- sh -c"]);
    let hold_pid = hold.pid();
    support::kill(hold_pid);
    until("a safe slot", 20, || place.qemus().is_empty()).await;
    until("the end of the held program", 20, || {
        let sleeps = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x00999"))
        };
        !place.processes().iter().any(sleeps)
    })
    .await;
    // The keeper gives the slot away when it has seen all of that itself.
    let limit = by("the slot to be free", 20);
    let switched = loop {
        let switched = place.run(&on("power", &["on"])).await;
        if switched.code != Some(3) || !switched.err.contains("tests/one is in use") {
            break switched;
        }
        limit.pause(Duration::from_millis(50), || switched.err.clone()).await.unwrap();
    };
    switched.says(0, &["power on: read back on"]);
    place.run(&on("power", &["off"])).await.says(0, &["power off"]);
    all_ended(&place).await;
}

async fn hold() {
    let place = of_kind(Kind::Login).await;
    // The program switches with the command, and reads and types on the raw socket.
    let script = "env | grep ^SHAKEDOWN_ | sort; shakedown --path private power $SHAKEDOWN_SLOT on; \
                  touch on; while [ ! -e done ]; do sleep 0.1; done; exit 7";
    let path = PathBuf::from(support::SHAKEDOWN).parent().unwrap().display().to_string();
    let script = format!("export PATH={path}:$PATH; {script}");
    let child = place.start(&on("hold", &["--", "sh", "-c", &script]));
    until("the slot to be on", 120, || place.path("on").exists()).await;
    let said = child.tail();
    for text in [
        "SHAKEDOWN_HOLD=hold-",
        "SHAKEDOWN_SLOT=tests/one\n",
        "SHAKEDOWN_OUTPUTS=power reset\n",
        "/rig.yaml\n",
        "SHAKEDOWN_MEDIUM_MAIN=/",
        "tests/one: power on: read back on",
    ] {
        assert!(said.contains(text), "missing `{text}` in {said}");
    }
    let socket =
        said.lines().find_map(|line| line.strip_prefix("SHAKEDOWN_CONSOLE_MAIN=")).unwrap().to_owned();
    let mut console = UnixStream::connect(&socket).unwrap();
    console.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut read_until = |text: &[u8]| {
        let mut got = Vec::new();
        while !got.windows(text.len()).any(|window| window == text) {
            let mut buffer = [0; 256];
            let count = console.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        console.write_all(b"root\n").unwrap();
    };
    read_until(b"micro login: ");
    read_until(b"micro# ");
    // Whoever does not belong to the hold is refused.
    place.run(&on("power", &["off"])).await.says(3, &["it is held by "]);
    place.run(&on("hold", &[])).await.says(3, &["it is held by "]);
    place.file("done", "");
    let status = child.wait(&by("the end of the hold", 60)).await.unwrap();
    let said = child.tail();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("sh: exit code 7") && said.contains("tests/one: power off: read back off"),
        "{said}"
    );
    assert!(place.qemus().is_empty() && !Path::new(&socket).exists(), "{said}");
    place.run(&on("hold", &["--", "true"])).await.says(0, &["power off: read back off"]);
    place.run(&on("hold", &["--", "no-such-program"])).await.says(2, &["no-such-program"]);
    // Interrupted, it still ends safe.
    let child = place.start(&on("hold", &[]));
    until_said(&child, "held until Ctrl-C").await;
    support::interrupt(child.pid());
    let status = child.wait(&by("the end of the hold", 60)).await.unwrap();
    assert_eq!(status.code(), Some(130), "{}", child.tail());
    assert!(child.tail().contains("tests/one: power off: read back off"), "{}", child.tail());
    all_ended(&place).await;
}

async fn press() {
    let place = of_kind(Kind::Login).await;
    place.run(&on("press", &["reset"])).await.says(3, &["a machine that is on", "it is off"]);
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let reader = place.start(&on("console", &["--tail", "1000000"]));
    until_said(&reader, "micro login: ").await;
    let pressed = place.run(&on("press", &["reset", "--for", "100ms"])).await;
    pressed.says(0, &["tests/one: reset on: read back on\ntests/one: reset off: read back off"]);
    let limit = by("the second boot", 120);
    while reader.tail().matches("micro login: ").count() < 2 {
        limit.pause(Duration::from_millis(20), || reader.tail()).await.unwrap();
    }
    place.run(&on("press", &["rest"])).await.says(2, &["no output `rest`", "did you mean `reset`?"]);
    place.run(&["keep", "--stop"]).await.says(0, &["power off: read back off"]);
    all_ended(&place).await;
}

async fn flash() {
    let place = Place::new();
    micro::documents(&place, "20s");
    micro::disk_rig(&place);
    let image = place.file("image", guest::image(&guest::good())).display().to_string();
    let flashed = place.run(&on("flash", &[&image])).await;
    flashed.says(
        0,
        &[
            "tests/one: power off: read back off",
            "tests/one: wrote and read back 5 MiB",
            "equal to payload SHA-256 ",
            "tests/one: main is on the DUT's side: read back from qemu ",
            "writing 5 of 5 MiB",
            "reading back 5 of 5 MiB",
        ],
    );
    let disk = std::fs::read(place.path("cache/slots/tests@one/main.img")).unwrap();
    let bytes = std::fs::read(&image).unwrap();
    assert!(disk[..bytes.len()] == bytes[..], "the medium holds the image");
    let reader = place.start(&on("console", &[]));
    until_said(&reader, "main: ").await;
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    until_said(&reader, "micro: ready").await;
    // A DUT that is on, or is looked at, is nobody's to write on.
    let other = place.file("other", guest::image(guest::HALT)).display().to_string();
    place
        .run(&on("flash", &[&other]))
        .await
        .says(3, &["tests/one is in use", "the console main is followed by"]);
    support::kill(reader.pid());
    reader.wait(&by("its end", 20)).await.unwrap();
    let refused = place.run(&on("flash", &[&other])).await;
    refused.says(3, &["tests/one is in use", "power was switched on by"]);
    place.run(&on("power", &["off"])).await.says(0, &["power off"]);
    let mut large = guest::image(guest::HALT);
    large.resize((guest::DISK + 512) as usize, 1);
    let large = place.file("large", large).display().to_string();
    place.run(&on("flash", &[&large])).await.says(2, &["does not fit"]);
    place.run(&on("flash", &["no-such-file"])).await.says(2, &["no-such-file"]);
    place
        .run(&on("flash", &[&image, "--medium", "sd"]))
        .await
        .says(2, &["has no medium `sd`", "there are: main"]);
    all_ended(&place).await;
}

/// OpenSSH's server stands in for the DUT's: the micro guests have none.
async fn ssh() {
    let place = Place::new();
    micro::documents(&place, "20s");
    let key = KeyPair::generate().unwrap();
    let authorized = place.file("sshd/authorized", &key.public).display().to_string();
    let private = place.file("key", key.private.as_bytes());
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (config, free) = sshd::configured(&place, &authorized, "").await;
    let config = config.display().to_string();
    let _server = Tool::new("/usr/sbin/sshd").args(["-D", "-e", "-f", &config]).start().unwrap();
    sshd::listens(free).await;
    let user = sshd::user();
    let host_key = std::fs::read_to_string(place.path("sshd/host-key.pub")).unwrap();
    // The second slot is behind the same server: as a jump host it connects to itself.
    let slot = "board: micro-board\n    consoles: { main: { command: { run: [cat] } } }\n    network:";
    place.file(
        "rig.yaml",
        format!(
            "rig: tests\nslots:\n  one:\n    {slot} {{ address: {{ host: 127.0.0.1 }} }}\n  two:\n    {slot}\n      \
             jump:\n        host: 127.0.0.1\n        through: '{free}'\n        user: {user}\n        host-key: {}        \
             key: {{ file: {} }}\n",
            host_key,
            private.display(),
        ),
    );
    let (port, key) = (free.port().to_string(), private.display().to_string());
    let into = ["--port", &port, "--user", &user, "-i", &key];
    let said =
        place.run(&on("ssh", &[&into[..], &["--", "echo", "in;", "echo", "err", ">&2"]].concat())).await;
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(0), "in\n", "err\n"),
        "{}",
        said.all()
    );
    let failed = place.run(&on("ssh", &[&into[..], &["--", "exit 3"]].concat())).await;
    failed.refused(1, "ssh: exit code 3");
    let through = [&["ssh", "two"], &into[..], &["--", "echo", "behind"]].concat();
    place.run(&through).await.says(0, &["behind"]);
    let nobody = place.run(&on("ssh", &["--port", "1", "--user", &user, "--", "true"])).await;
    nobody.says(3, &["one: no way in at 127.0.0.1:1"]);
    let none = place.run(&on("power", &["on"])).await;
    none.refused(2, "error: no output `power`\n hint: There are: none");
    place.run(&["keep", "--stop"]).await.says(0, &[]);
    all_ended(&place).await;
}

async fn rig_changed() {
    let place = of_kind(Kind::Login).await;
    place.run(&on("power", &["on"])).await.says(0, &["power on"]);
    let text = std::fs::read_to_string(place.path("rig.yaml")).unwrap();
    place.file("rig.yaml", format!("{text}# another\n"));
    let refused = place.run(&on("power", &["off"])).await;
    refused.says(2, &["has another version of the rig file", "end it with `shakedown keep --stop`"]);
    assert_eq!(place.qemus().len(), 1);
    place.run(&["keep", "--stop"]).await.says(0, &["power off: read back off"]);
    place.run(&on("power", &["status"])).await.says(0, &["power off"]);
    let garbage = place.path("runtime/tests@keeper.sock");
    let mut raw = UnixStream::connect(garbage).unwrap();
    raw.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    raw.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // What was sent and not read resets the connection; else it just ends.
    if let Err(error) = raw.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(answer.len() < 200, "{answer:?}");
    place.run(&on("power", &["status"])).await.says(0, &["power off"]);
    all_ended(&place).await;
}

/// A rig of hardware drivers around a guest of another rig: its relay has no status.
async fn no_read_back() {
    let place = of_kind(Kind::Login).await;
    let inner = place.path("inner.yaml").display().to_string();
    std::fs::rename(place.path("rig.yaml"), &inner).unwrap();
    let text = std::fs::read_to_string(&inner).unwrap().replace("rig: tests", "rig: inner");
    std::fs::write(&inner, text).unwrap();
    let private = place.path("private").display().to_string();
    let inner = |words: &str| format!("[{}, --path, {private}, {words}, --rig, {inner}]", support::SHAKEDOWN);
    place.file(
        "rig.yaml",
        format!(
            "rig: tests\nslots:\n  one:\n    board: micro-board\n    power: {{ command: {{ on: {}, off: {} }} }}\n    \
             consoles: {{ main: {{ command: {{ run: {} }} }} }}\n",
            inner("power, one, 'on'"),
            inner("power, one, 'off'"),
            inner("console, one"),
        ),
    );
    let on_again = place.run(&on("power", &["on"])).await;
    on_again.says(0, &["tests/one: power on: the console said: "]);
    let off = place.run(&on("power", &["off"])).await;
    off.says(0, &["tests/one: power off: the console was silent for 5."]);
    all_ended(&place).await;
    assert!(group::with_env(&format!("SHAKEDOWN_RUNTIME={}", place.path("runtime").display())).is_empty());
}
