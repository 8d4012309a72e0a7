//! Slots with micro guests: every way in which a machine can live and end.
//!
//! `cargo test -p shakedown-qemu --features micro --test micro`. Boots QEMU; one machine at a
//! time, but for the test of two.

mod bench;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bench::{Bench, Counted, by, kit, scratch};
use libtest_mimic::{Arguments, Failed, Trial};
use shakedown_conf::Bytes;
use shakedown_core::{
    Arch, Board, Cursor, Event, InfraKind, Level, Loader, NetPath, ProcessState, Prompt, SeenBy, Side,
    WaitEnd,
};
use shakedown_host::bootloader::Dialogue;
use shakedown_host::{Tool, warden};
use shakedown_qemu::doc::{DiskBus, DiskDoc, FirmwareName, MachineName, WatchdogName};
use shakedown_qemu::micro::Kind;
use shakedown_qemu::qmp::{Qmp, QmpError};
use shakedown_qemu::{MachineDoc, Snapshot, open_restored, open_with_handle};

/// The program again, as the harness that is killed.
const VICTIM: &str = "SHAKEDOWN_MICRO_VICTIM";

fn main() {
    warden::serve_if_asked();
    if std::env::var_os(VICTIM).is_some() {
        run(victim());
        return;
    }
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let tests = vec![
        trial("a_prompt_in_seconds_and_a_cut_that_is_proven", || run(prompt_and_cut())),
        trial("panic_loop_silence_and_mute_look_as_they_are", || run(bad_boots())),
        trial("a_flood_loses_no_line", || run(flood())),
        trial("reset_restarts_the_guest_in_the_same_process", || run(reset())),
        trial("sysrq_reaches_the_kernel", || run(sysrq())),
        trial("a_guest_that_powers_off_is_off", || run(power_off())),
        trial("a_qemu_killed_from_outside_is_named", || run(killed())),
        trial("the_network_tells_speaking_mute_refused_and_silent_apart", || run(network())),
        trial("two_slots_at_once_do_not_meet", || run(two())),
        trial("the_disk_is_the_hosts_only_without_power", || run(storage())),
        trial("a_screen_gives_a_picture", || run(screen())),
        trial("a_snapshot_goes_on_where_it_was_on_disks_of_its_own", || run(snapshot())),
        trial("every_firmware_starts", || run(firmwares())),
        trial("a_boot_loader_is_interrupted_told_and_left", || run(dialogue())),
        trial("a_boot_loader_that_is_missed_or_says_no_is_a_typed_fault", || run(dialogue_missed())),
        trial("dropped_qmp_calls_cost_nothing", || run(dropped_calls())),
        trial("the_guest_reaches_the_hosts_time", || run(time())),
        trial("a_qemu_that_cannot_start_says_why", || run(cannot_start())),
        trial("a_killed_harness_leaves_no_qemu", || run(harness_killed())),
    ];
    let ended = libtest_mimic::run(&args, tests);
    // Folders of tests that passed hold nothing of interest.
    if !ended.has_failed() {
        let _ = std::fs::remove_dir_all(
            std::env::temp_dir().join(format!("shakedown-micro-{}", std::process::id())),
        );
    }
    ended.exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

async fn prompt_and_cut() {
    let bench = Bench::with("prompt", Kind::Login).await;
    let mut cursor = Cursor::default();
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Off);
    let proof = bench.power(true).await.unwrap();
    assert_eq!(proof.seen, SeenBy::ReadBack(Level::On));
    let began = std::time::Instant::now();
    let first = bench.see(&mut Cursor::default(), "Linux version ", 60).await.unwrap();
    bench.log_in(&mut cursor).await;
    let took = began.elapsed();
    assert!(first.start < 4096, "the kernel's first line is there: {first:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let pid = bench.handle.pid().unwrap();
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Running);

    let proof = bench.power(false).await.unwrap();
    assert_eq!(proof.seen, SeenBy::ReadBack(Level::Off));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the process is gone");
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Off);
    let switched = |event: &Event| matches!(event, Event::Switched { .. });
    assert_eq!(bench.events.0.lock().unwrap().iter().filter(|event| switched(event)).count(), 2);
    // A board without power is silent; its console is not closed.
    let silence = bench.see(&mut bench.slot.log().unwrap().here(), "x", 1).await.unwrap_err();
    assert!(matches!(silence, WaitEnd::Stopped(_)), "{silence:?}");

    bench.power(true).await.unwrap();
    bench.log_in(&mut cursor).await;
}

async fn bad_boots() {
    let bench = Bench::with("panic", Kind::Panic).await;
    bench.power(true).await.unwrap();
    bench.see(&mut Cursor::default(), "Kernel panic - not syncing: sysrq", 60).await.unwrap();
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Running, "a panic ends no process");
    drop(bench);

    let bench = Bench::with("loop", Kind::Loop).await;
    bench.power(true).await.unwrap();
    let (mut cursor, pid) = (Cursor::default(), bench.handle.pid());
    for _ in 0..2 {
        bench.see(&mut cursor, "micro: init loop", 60).await.unwrap();
    }
    assert_eq!(bench.handle.pid(), pid, "the guest reboots in the same process");
    drop(bench);

    let bench = Bench::with("silent", Kind::Silent).await;
    bench.power(true).await.unwrap();
    let silence = bench.see(&mut Cursor::default(), "[^\\s]", 6).await.unwrap_err();
    assert!(matches!(silence, WaitEnd::Stopped(_)), "{silence:?}");
    drop(bench);

    let bench = Bench::with("mute", Kind::MuteAfterKernel).await;
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.see(&mut cursor, "micro: init mute", 60).await.unwrap();
    bench.see(&mut cursor, "login", 2).await.unwrap_err();
}

async fn flood() {
    const LINES: u32 = 60_000;
    let bench = Bench::with("flood", Kind::Flood { lines: LINES }).await;
    let kept = Counted::default();
    bench.slot.log().unwrap().attach(Box::new(kept.clone()));
    bench.power(true).await.unwrap();
    bench.see(&mut Cursor::default(), "micro: flood ended", 240).await.unwrap();
    bench.power(false).await.unwrap();
    let bytes = kept.0.lock().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let mut next = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("flood ")) {
        let wanted = format!("{next:09} 0123456789abcdefghijklmnopqrstuvwxyz");
        assert_eq!(line.trim_end(), wanted, "line {next}");
        next += 1;
    }
    assert_eq!(next, LINES);
}

async fn reset() {
    let bench = Bench::with("reset", Kind::Login).await;
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.log_in(&mut cursor).await;
    let pid = bench.handle.pid();
    let button = &bench.slot.outputs["reset"];
    let (down, up) = button.press(Duration::from_millis(200), &by("reset", 20)).await.unwrap();
    assert_eq!((down.seen, up.seen), (SeenBy::ReadBack(Level::On), SeenBy::ReadBack(Level::Off)));
    bench.see(&mut cursor, "Linux version ", 60).await.unwrap();
    bench.log_in(&mut cursor).await;
    assert_eq!(bench.handle.pid(), pid);
    bench.power(false).await.unwrap();
    let fault = button.press(Duration::ZERO, &by("reset", 20)).await.unwrap_err();
    assert!(fault.to_string().contains("expected a machine that is on, got it is off"), "{fault}");
}

async fn sysrq() {
    let bench = Bench::with("sysrq", Kind::Login).await;
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.log_in(&mut cursor).await;
    let tx = bench.slot.console().unwrap().tx.clone().unwrap();
    tx.sysrq(b'h', &by("sysrq", 20)).await.unwrap();
    bench.see(&mut cursor, "sysrq: HELP", 20).await.unwrap();
}

async fn power_off() {
    let bench = Bench::with("off", Kind::Login).await;
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.log_in(&mut cursor).await;
    bench.type_in("poweroff -f\n").await;
    let end = bench.see(&mut cursor, "no such line", 30).await.unwrap_err();
    assert!(matches!(&end, WaitEnd::Closed(closed) if closed.why == "guest powered off"), "{end:?}");
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Off);
    let power = bench.slot.power.as_ref().unwrap();
    assert_eq!(power.status(&by("status", 5)).await.unwrap(), Level::Off);
    bench.power(true).await.unwrap();
    bench.see(&mut cursor, "micro login: ", 60).await.unwrap();
}

async fn killed() {
    let bench = Bench::with("killed", Kind::Login).await;
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.see(&mut cursor, "micro login: ", 60).await.unwrap();
    kill(bench.handle.pid().unwrap());
    let end = bench.see(&mut cursor, "no such line", 30).await.unwrap_err();
    let WaitEnd::Closed(closed) = end else { panic!("{end:?}") };
    assert_eq!(closed.why, "QEMU was killed by signal 9 (KILL)");
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Died(closed.why));
    let power = bench.slot.power.as_ref().unwrap();
    assert_eq!(power.status(&by("status", 5)).await.unwrap(), Level::Off);
    let tx = bench.slot.console().unwrap().tx.clone().unwrap();
    let fault = tx.send(b"x", &by("typing", 5)).await.unwrap_err();
    assert!(fault.to_string().contains("it is off"), "{fault}");
    bench.power(true).await.unwrap();
    bench.see(&mut cursor, "micro login: ", 60).await.unwrap();
}

async fn network() {
    let bench = Bench::with("network", Kind::Login).await;
    let net = bench.slot.network.clone().unwrap();
    assert_eq!(net.path(1001, &by("path", 10)).await, NetPath::Silent, "no power");
    assert!(net.tcp(1001, &by("address", 10)).await.is_err());
    bench.power(true).await.unwrap();
    assert_eq!(net.path(1001, &by("path", 10)).await, NetPath::Silent, "no network yet");
    let mut cursor = Cursor::default();
    bench.log_in(&mut cursor).await;
    // The guest's shell may be there before those that it started to serve.
    for (port, want) in [(1001, NetPath::Speaks), (1000, NetPath::Mute)] {
        let serving = by("the guest's service", 120);
        while net.path(port, &by("path", 20)).await != want {
            serving.pause(Duration::from_millis(100), || format!("not {want:?}")).await.unwrap();
        }
    }
    assert_eq!(net.path(22, &by("path", 20)).await, NetPath::Refused);
    let addr = net.tcp(1001, &by("address", 10)).await.unwrap();
    assert_eq!(net.tcp(1001, &by("address", 10)).await.unwrap(), addr, "one forward a port");
    let mut text = String::new();
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert_eq!(text, "hello\n");
    bench.type_in("ip link set eth0 down\n").await;
    bench.see(&mut cursor, "micro# ", 20).await.unwrap();
    assert_eq!(net.path(1001, &by("path", 10)).await, NetPath::Silent, "link down");
    assert_eq!(net.path(22, &by("path", 10)).await, NetPath::Silent, "link down, closed port");
}

async fn two() {
    // SAFETY-free way to have two tokens whatever the cores: the variable is read at open.
    let first = Bench::with("first", Kind::Login).await;
    let second = Bench::with("second", Kind::Login).await;
    first.power(true).await.unwrap();
    second.power(true).await.unwrap();
    let (mut one, mut other) = (Cursor::default(), Cursor::default());
    first.log_in(&mut one).await;
    second.log_in(&mut other).await;
    let port = |bench: &Bench| bench.slot.network.clone().unwrap();
    let addrs = [
        port(&first).tcp(1001, &by("address", 10)).await.unwrap(),
        port(&second).tcp(1001, &by("address", 10)).await.unwrap(),
    ];
    assert_ne!(addrs[0], addrs[1]);
    kill(first.handle.pid().unwrap());
    first.see(&mut one, "no such line", 30).await.unwrap_err();
    second.type_in("echo still-$((40+2))\n").await;
    second.see(&mut other, "still-42", 20).await.unwrap();
}

async fn storage() {
    let bench = Bench::with("storage", Kind::Login).await;
    let disk = bench.slot.media["main"].clone();
    let limit = by("storage", 60);
    assert_eq!(disk.side(&limit).await.unwrap(), Side::Host);
    let mut medium = disk.open(&limit).await.unwrap();
    assert_eq!(medium.len(), 64 << 20);
    medium.write_at(1 << 20, b"written by the host").unwrap();
    let refused = bench.power(true).await.unwrap_err();
    assert!(refused.to_string().contains("lock"), "no start while the image is written: {refused}");
    drop(medium);

    assert_eq!(disk.switch(Side::Dut, &limit).await.unwrap(), Side::Dut);
    assert!(disk.open(&limit).await.is_err());
    bench.power(true).await.unwrap();
    assert_eq!(disk.side(&limit).await.unwrap(), Side::Dut);
    let Err(fault) = disk.open(&limit).await else { panic!("opened under a running machine") };
    assert!(fault.to_string().contains("QEMU runs on it"), "{fault}");
    assert!(disk.switch(Side::Host, &limit).await.is_err());
    bench.power(false).await.unwrap();
    assert_eq!(disk.switch(Side::Host, &limit).await.unwrap(), Side::Host);
    let mut read = [0; 19];
    disk.open(&limit).await.unwrap().read_at(1 << 20, &mut read).unwrap();
    assert_eq!(&read, b"written by the host");
}

async fn screen() {
    let mut doc = kit().await.machine(Kind::Login);
    doc.screen = true;
    let bench = Bench::of("screen", &doc).await;
    let capture = bench.slot.capture.clone().unwrap();
    let off = capture.screenshot(&by("picture", 20)).await.unwrap_err();
    assert_eq!(off.kind, shakedown_core::InfraKind::Screen, "{off}");
    bench.power(true).await.unwrap();
    bench.see(&mut Cursor::default(), "micro login: ", 60).await.unwrap();
    let picture = capture.screenshot(&by("picture", 20)).await.unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 100);
}

async fn snapshot() {
    let doc = kit().await.machine(Kind::Login);
    let bench = Bench::of("saved", &doc).await;
    let limit = by("snapshot", 60);
    bench.slot.media["main"].open(&limit).await.unwrap().write_at(4096, b"on the disk").unwrap();
    bench.power(true).await.unwrap();
    let mut cursor = Cursor::default();
    bench.log_in(&mut cursor).await;
    bench.type_in("secret=$((6*7)); echo set-$secret\n").await;
    bench.see(&mut cursor, "set-42", 20).await.unwrap();
    let payload = shakedown_core::Sha::of(b"image");
    let folder = scratch("snapshots").join(bench.handle.snapshot_key(&payload).to_string());
    assert_ne!(
        bench.handle.snapshot_key(&payload),
        bench.handle.snapshot_key(&shakedown_core::Sha::of(b"x"))
    );
    let taken = bench.handle.snapshot(&folder, &limit).await.unwrap();
    assert_eq!(Snapshot::at(&folder), Some(taken.clone()));
    bench.type_in("echo goes-on-$secret\n").await;
    bench.see(&mut cursor, "goes-on-42", 20).await.unwrap();
    drop(bench);

    let began = std::time::Instant::now();
    let (slot, handle) = open_restored(&doc, Bench::request("restored"), &taken, &limit).await.unwrap();
    let took = began.elapsed();
    let bench = Bench { slot, handle, events: Arc::default() };
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Running);
    let mut cursor = Cursor::default();
    bench.type_in("echo restored-$secret\n").await;
    bench.see(&mut cursor, "restored-42", 20).await.unwrap();
    let net = bench.slot.network.clone().unwrap();
    assert_eq!(net.path(1001, &by("path", 20)).await, NetPath::Speaks);
    assert!(took < Duration::from_secs(8), "{took:?}");
    bench.power(false).await.unwrap();
    let mut read = [0; 11];
    bench.slot.media["main"].open(&limit).await.unwrap().read_at(4096, &mut read).unwrap();
    assert_eq!(&read, b"on the disk");
    // Power on again is a cold start.
    bench.power(true).await.unwrap();
    bench.see(&mut cursor, "Linux version ", 60).await.unwrap();
}

async fn time() {
    let bench = Bench::with("time", Kind::Login).await;
    let server = bench.slot.services.clone().unwrap().ntp(&by("ntp", 10)).await.unwrap();
    let second = bench.slot.services.clone().unwrap().ntp(&by("ntp", 10)).await.unwrap();
    assert_eq!(server, second, "one server a slot");
    // A busybox has no NTP client for a port of ours: the server is asked on the host, and the
    // guest's way to the host's loopback is shown by a datagram of its TFTP client.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut question = [0; 48];
    question[0] = 0x23;
    socket.send_to(&question, (Ipv4Addr::LOCALHOST, server.port())).unwrap();
    let mut answer = [0; 512];
    assert_eq!(socket.recv(&mut answer).unwrap(), 48);
    bench.power(true).await.unwrap();
    bench.log_in(&mut Cursor::default()).await;
    let port = socket.local_addr().unwrap().port();
    bench.type_in(&format!("tftp -g -r from-the-guest {} {port}\n", server.ip())).await;
    let length = socket.recv(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).contains("from-the-guest"));
}

/// Every firmware starts on the machine it is for. (SeaBIOS says nothing on a serial line.)
/// U-Boot on an empty disk: it counts down, finds nothing and waits.
async fn u_boot(name: &str) -> Bench {
    let mut doc = MachineDoc::new(MachineName::Virt);
    doc.firmware = Some(FirmwareName::UBoot);
    doc.memory = Bytes(256 << 20);
    doc.disk.size = Bytes(1 << 20);
    let mut request = Bench::request(name);
    request.board = Arc::new(Board { arch: Arch::Aarch64, ..shakedown_qemu::micro::board() });
    Bench::at(request, &doc).await
}

async fn dialogue() {
    let bench = u_boot("dialogue").await;
    let console = bench.slot.console().unwrap();
    bench.power(true).await.unwrap();
    let (limit, loader) = (by("the dialogue", 120), Loader::u_boot());
    let mut dialogue = Dialogue::interrupt(console, &loader, Cursor::default(), &limit).await.unwrap();
    let version = dialogue.run("version", &limit).await.unwrap();
    assert!(version.starts_with("U-Boot 20"), "{version}");
    // Longer than the buffer of any UART, with everything that a command line of a kernel has.
    let args =
        format!("console=ttyAMA0,115200 root=PARTUUID=5d0f3c52 {}", "word=value ".repeat(12).trim_end());
    dialogue.set("bootargs", &args, &limit).await.unwrap();
    assert_eq!(dialogue.must("echo well", &limit).await.unwrap(), "well");
    assert_eq!(dialogue.run("echo $bootargs", &limit).await.unwrap(), args);
    // What it is told to boot with is what starts: here its own memory, anew.
    let mut left = Box::new(dialogue).leave("reset", &limit).await.unwrap();
    bench.see(&mut left, "U-Boot 20[0-9]{2}", 60).await.unwrap();
}

async fn dialogue_missed() {
    let bench = u_boot("dialogue-missed").await;
    let console = bench.slot.console().unwrap();
    bench.power(true).await.unwrap();
    let (limit, loader) = (by("the dialogue", 120), Loader::u_boot());
    let mut dialogue = Dialogue::interrupt(console, &loader, Cursor::default(), &limit).await.unwrap();
    // It answered, and not with what was asked for.
    let fault = dialogue.must("load virtio 0 0x40400000 none", &limit).await.unwrap_err();
    assert_eq!((fault.kind, fault.op.as_str()), (InfraKind::Console, "run"), "{fault}");
    assert!(fault.expected.contains("`load virtio 0 0x40400000 none` to succeed"), "{fault}");
    let fault = dialogue.set("bootargs", "it's", &limit).await.unwrap_err();
    assert_eq!(fault.kind, InfraKind::Config, "{fault}");
    // Its countdown is over for this boot: bounded, and with what was seen last.
    let late = console.log.here();
    let short = by("the countdown", 2);
    let fault = Dialogue::interrupt(console, &loader, late, &short).await.unwrap_err();
    assert_eq!((fault.kind, fault.expected.as_str()), (InfraKind::Console, "its countdown"), "{fault}");
    assert!(fault.stop.is_some(), "{fault}");
    // Another prompt than it has.
    let left = Box::new(dialogue).leave("reset", &limit).await.unwrap();
    let other = Loader { prompt: "barebox> $".into(), ..loader };
    let fault = Dialogue::interrupt(console, &other, left, &limit).await.unwrap_err();
    assert_eq!((fault.kind, fault.expected.as_str()), (InfraKind::Console, "its prompt"), "{fault}");
    assert!(fault.stop.is_some_and(|stop| stop.to_string().contains("=>")), "the last line is told");
    // A DUT that is off takes no word.
    bench.power(false).await.unwrap();
    let gone = Dialogue::interrupt(console, &Loader::u_boot(), console.log.here(), &by("off", 1)).await;
    assert_eq!(gone.unwrap_err().kind, InfraKind::Console);
}

async fn firmwares() {
    for (name, machine, firmware, says) in [
        ("u-boot", MachineName::Virt, FirmwareName::UBoot, "U-Boot 20[0-9]{2}"),
        ("edk2", MachineName::Virt, FirmwareName::Edk2, "UEFI|BdsDxe"),
        ("ovmf", MachineName::Q35, FirmwareName::Ovmf, "BdsDxe"),
    ] {
        let mut doc = MachineDoc::new(machine);
        doc.firmware = Some(firmware);
        doc.memory = Bytes(512 << 20);
        doc.disk.size = Bytes(64 << 20);
        doc.watchdog = Some(WatchdogName::I6300esb);
        doc.screen = true;
        doc.extra_disks.insert("stick".into(), DiskDoc { bus: DiskBus::UsbStorage, size: Bytes(1 << 20) });
        let mut request = Bench::request(name);
        let arch = if machine == MachineName::Virt { Arch::Aarch64 } else { Arch::Amd64 };
        request.board = Arc::new(Board { arch, ..shakedown_qemu::micro::board() });
        let (slot, handle) = open_with_handle(&doc, request, &by("open", 60)).await.unwrap();
        let bench = Bench { slot, handle, events: Arc::default() };
        bench.power(true).await.unwrap();
        bench.see(&mut Cursor::default(), says, 90).await.unwrap();
        assert_eq!(bench.slot.media.len(), 2);
    }
}

/// Calls that are dropped at any moment leave the connection to a real QEMU as it was.
async fn dropped_calls() {
    let folder = std::env::temp_dir().join(format!("shakedown-qmp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let words = ["-machine", "none", "-display", "none", "-S", "-qmp", "unix:q,server=on,wait=off"];
    let child = Tool::new("qemu-system-x86_64").args(words).dir(&folder).start().unwrap();
    let limit = by("QMP", 30);
    let qmp = loop {
        match Qmp::connect(&folder.join("q"), &limit).await {
            Ok(qmp) => break qmp,
            Err(error) => limit.pause(Duration::from_millis(20), || error.to_string()).await.unwrap(),
        }
    };
    for span in 0..200 {
        let short = limit.child("a call that is dropped", Duration::from_micros(span * 5));
        let _ = short.run(String::new, qmp.execute(qapi::qmp::query_commands {}, &limit)).await;
    }
    let version = qmp.execute(qapi::qmp::query_version {}, &limit).await.unwrap().qemu;
    assert_eq!((version.major as u32, version.minor as u32, version.micro as u32), qmp.version());
    let refused = qmp.execute(qapi::qmp::device_del { id: "nobody".into() }, &limit).await.unwrap_err();
    assert!(matches!(&refused, QmpError::Refused { class, .. } if class == "DeviceNotFound"), "{refused}");
    child.kill_group(&limit).await.unwrap();
    // A killed peer ends the line in one way or the other; what counts is that it is seen.
    qmp.ended(&limit).await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

async fn cannot_start() {
    let mut doc = kit().await.machine(Kind::Login);
    doc.direct.as_mut().unwrap().kernel = "/nonexistent/vmlinuz".into();
    let bench = Bench::of("broken", &doc).await;
    let fault = bench.power(true).await.unwrap_err();
    assert!(fault.to_string().contains("/nonexistent/vmlinuz"), "{fault}");
    assert_eq!(bench.slot.vitals.look().process, ProcessState::Off);
}

/// Runs as a process of its own: boots, says who QEMU is, and waits to be killed.
async fn victim() {
    let bench = Bench::with("victim", Kind::Login).await;
    bench.power(true).await.unwrap();
    bench.see(&mut Cursor::default(), "micro login: ", 60).await.unwrap();
    let file = std::path::PathBuf::from(std::env::var_os(VICTIM).unwrap());
    std::fs::write(file.with_extension("new"), bench.handle.pid().unwrap().to_string()).unwrap();
    std::fs::rename(file.with_extension("new"), &file).unwrap();
    std::future::pending::<()>().await;
}

async fn harness_killed() {
    let file = scratch("victim-pid").join("pid");
    let child = Tool::new(std::env::current_exe().unwrap()).env(VICTIM, &file).start().unwrap();
    let limit = by("the victim's QEMU", 90);
    let pid = loop {
        if let Ok(text) = std::fs::read_to_string(&file) {
            break text;
        }
        limit.pause(Duration::from_millis(50), || child.tail()).await.unwrap();
    };
    assert!(alive(&pid), "QEMU runs");
    kill(child.pid());
    let limit = by("the end of the victim's QEMU", 5);
    while alive(&pid) {
        limit.pause(Duration::from_millis(20), || format!("QEMU {pid} lives")).await.unwrap();
    }
}

fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("qemu-system"))
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
