//! `shakedown probe` with a build that has it: probe-rs, a model of a Black Magic probe, and QEMU's nRF51 behind
//! it, which is looked at from outside by QEMU's monitor.
//!
//! `cargo test -p shakedown --features probe --test probe`. From Debian: qemu-system-arm, binutils-arm-none-eabi.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

#[path = "probe/bmp.rs"]
mod bmp;
#[path = "probe/chip.rs"]
mod chip;
#[path = "probe/gdb.rs"]
mod gdb;
mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bmp::Bmp;
use chip::{Chip, Wrong};
use gdb::Gdb;
use shakedown_host::{Child, Tool};
use support::keeper::{Person, on, until};
use support::{Place, Ran, Run, by, guest, micro, one_by_one, trial};

fn main() {
    one_by_one(|| {
        vec![
            trial("a_program_is_written_read_back_and_runs", written),
            trial("a_core_is_halted_let_go_and_reset_with_proof", halted),
            trial("a_faulted_core_tells_what_it_was_doing", post_mortem),
            trial("a_run_that_fails_looks_into_the_core", run_fails),
            trial("what_a_program_says_in_its_memory_is_a_console", rtt),
            trial("what_goes_wrong_is_named_in_time", faults),
            trial("a_pulled_probe_is_named_with_how_far_it_was", pulled),
            trial("what_the_rig_file_says_wrong_is_refused", refused),
        ]
    });
}

/// Where the programs put their mark, and count.
const MARKED: u32 = 0x2000_0100;

/// A chip on a bench with a probe.
struct Bench {
    place: Place,
    monitor: UnixStream,
    bmp: Bmp,
    _qemu: Child,
}

impl Bench {
    async fn new() -> Self {
        let place = Place::new();
        let socket = |name: &str| place.path(name).display().to_string();
        let (gdb, monitor) = (socket("gdb"), socket("monitor"));
        let listen = |id: &str, path: &str| format!("socket,id={id},path={path},server=on,wait=off");
        let args = ["-M", "microbit", "-display", "none", "-serial", "null", "-S", "-chardev"];
        let qemu =
            Tool::new("qemu-system-arm").args(args).arg(listen("gdb", &gdb)).args(["-gdb", "chardev:gdb"]);
        let qemu = qemu.arg("-chardev").arg(listen("hmp", &monitor)).args(["-mon", "chardev=hmp"]);
        let qemu = qemu.start().unwrap();
        until("QEMU", 120, || place.path("gdb").exists() && place.path("monitor").exists()).await;
        let bmp = Bmp::start(Chip::new(Gdb::connect(&place.path("gdb"))));
        let mut monitor = UnixStream::connect(monitor).unwrap();
        monitor.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        read_prompt(&mut monitor);
        let bench = Self { place, monitor, bmp, _qemu: qemu };
        bench.rig("");
        bench
    }

    /// Its rig file, with more settings of the probe.
    fn rig(&self, more: &str) {
        let chips = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rigs/chips/nrf51822.yaml");
        self.place.file(
            "rig.yaml",
            format!(
                "rig: tests\nslots:\n  one:\n    board: micro-board\n    probes:\n      mcu:\n        probe-rs:\n          \
                 probe: '{}'\n          chip: nRF51822_xxAA\n          description: {chips}\n{more}",
                self.bmp.id()
            ),
        );
    }

    async fn probe(&self, args: &[&str]) -> Ran {
        let args = [&["probe", args[0], "one"], &args[1..]].concat();
        self.place.run_within(support::SHAKEDOWN, &args, 600).await
    }

    /// What QEMU's monitor says.
    fn outside(&mut self, command: &str) -> String {
        writeln!(self.monitor, "{command}").unwrap();
        read_prompt(&mut self.monitor)
    }

    /// Words of memory, past probe and debug server.
    fn words(&mut self, at: u32, count: usize) -> Vec<u32> {
        let said = self.outside(&format!("xp /{count}wx {at:#x}"));
        let words = said.split_whitespace().filter_map(|word| word.strip_prefix("0x"));
        let words = words.filter(|word| word.len() == 8).map(|word| u32::from_str_radix(word, 16).unwrap());
        words.collect()
    }

    fn word(&mut self, at: u32) -> u32 {
        self.words(at, 1)[0]
    }

    /// Whether the program of this mark runs: it counts.
    async fn runs(&mut self, mark: u32) {
        until("the mark of the program", 120, || self.word(MARKED) == mark).await;
        let before = self.word(MARKED + 4);
        until("the program to count", 120, || self.word(MARKED + 4) != before).await;
    }

    fn pc(&mut self) -> u32 {
        let said = self.outside("info registers");
        let pc = said.split("R15=").nth(1).expect("a program counter");
        u32::from_str_radix(&pc[..8], 16).unwrap()
    }

    /// Assembles a program; its ELF file, and its bytes as they are.
    async fn program(&self, what: u32, mark: u32) -> (String, Vec<u8>) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/firmware.s");
        let path = |name: &str| self.place.path(name).display().to_string();
        let (object, elf, plain) = (path("program.o"), path("program.elf"), path("program.bin"));
        let (what, mark) = (format!("WHAT={what}"), format!("MARK={mark:#x}"));
        let lines: [&[&str]; 3] = [
            &["as", "-mcpu=cortex-m0", "--defsym", &what, "--defsym", &mark, "-o", &object, source],
            &["ld", "-Ttext=0", "-e", "reset", "-o", &elf, &object],
            &["objcopy", "-O", "binary", &elf, &plain],
        ];
        for line in lines {
            let done = self.place.run_program(&format!("arm-none-eabi-{}", line[0]), &line[1..]).await;
            assert_eq!(done.code, Some(0), "{}", done.all());
        }
        (elf, std::fs::read(plain).unwrap())
    }
}

fn read_prompt(monitor: &mut UnixStream) -> String {
    let mut said = Vec::new();
    let mut more = [0; 4096];
    while !said.ends_with(b"(qemu) ") {
        let count = monitor.read(&mut more).expect("QEMU's monitor answers");
        assert!(count > 0, "QEMU is gone");
        said.extend(&more[..count]);
    }
    // What was typed is said back, drawn anew with each letter.
    let text = String::from_utf8_lossy(&said).into_owned();
    text.split_once("\r\n").map_or(text.clone(), |(_, answer)| answer.to_owned())
}

fn words_of(bytes: &[u8]) -> Vec<u32> {
    let padded: Vec<_> = bytes.chunks(4).map(|word| [word, &[0xFF; 4]].concat()).collect();
    padded.iter().map(|word| u32::from_le_bytes(word[..4].try_into().unwrap())).collect()
}

async fn written() {
    let mut bench = Bench::new().await;
    let list = bench.place.run(&["probe", "list"]).await;
    // A probe may be plugged into the machine of the test.
    assert!(matches!(list.code, Some(0 | 5)), "{}", list.all());
    let (elf, plain) = bench.program(1, 0x42).await;
    let flashed = bench.probe(&["flash", &elf]).await;
    let bytes =
        format!("tests/one: nRF51822_xxAA behind {}: {} bytes at 0x00000000..", bench.bmp.id(), plain.len());
    flashed
        .says(0, &[&bytes, "read back, equal", "caught at its first instruction, 0x000000c0", "now running"]);
    bench.runs(0x42).await;
    assert_eq!(bench.words(0, plain.len() / 4), words_of(&plain), "flash, from outside");
    // The same ways for the other kinds of files.
    let (elf, plain) = bench.program(1, 0x43).await;
    let hex = bench.place.path("program.hex").display().to_string();
    let copied = bench.place.run_program("arm-none-eabi-objcopy", &["-O", "ihex", &elf, &hex]).await;
    assert_eq!(copied.code, Some(0), "{}", copied.all());
    bench.probe(&["flash", &hex]).await.says(0, &["read back, equal"]);
    bench.runs(0x43).await;
    assert_eq!(bench.words(0, plain.len() / 4), words_of(&plain), "flash, from outside");
    let data = bench
        .place
        .file("data.bin", b"somewhere else in the flash, and no whole words")
        .display()
        .to_string();
    bench.probe(&["flash", &data, "--at", "0x8000"]).await.says(0, &["47 bytes at 0x00008000..0x0000802f"]);
    assert_eq!(bench.words(0x8000, 12), words_of(b"somewhere else in the flash, and no whole words"));
    bench.runs(0x43).await;
}

async fn halted() {
    let mut bench = Bench::new().await;
    let (elf, _) = bench.program(1, 0x42).await;
    bench.probe(&["flash", &elf]).await.says(0, &["now running"]);
    bench.probe(&["status"]).await.says(0, &[": running"]);
    bench.runs(0x42).await;
    let halt = bench.probe(&["halt"]).await;
    let pc = format!("halted at {:#010x}", bench.pc());
    halt.says(0, &[&pc]);
    let count = bench.word(MARKED + 4);
    // Another process finds it where it was left.
    bench.probe(&["status"]).await.says(0, &[&pc]);
    assert_eq!(bench.word(MARKED + 4), count, "halted, and counts");
    bench.probe(&["resume"]).await.says(0, &[": running"]);
    bench.runs(0x42).await;
    bench.probe(&["reset", "--halt"]).await.says(0, &["reset: caught at its first instruction, 0x000000c0"]);
    assert_eq!(bench.pc(), 0xC0);
    bench.probe(&["status"]).await.says(0, &["halted at 0x000000c0"]);
    bench.probe(&["reset"]).await.says(0, &["0x000000c0, as the vector table says; now running"]);
    bench.runs(0x42).await;
}

async fn post_mortem() {
    let mut bench = Bench::new().await;
    let (elf, _) = bench.program(2, 0x44).await;
    bench.probe(&["flash", &elf]).await.says(0, &["read back, equal"]);
    until("the fault", 120, || bench.word(MARKED) == 0x44).await;
    let symbols = bench.place.run_program("arm-none-eabi-nm", &[&elf]).await.out;
    let address = |name: &str| {
        let line = symbols.lines().find(|line| line.ends_with(name)).expect("the symbol");
        line[..8].to_owned()
    };
    let (fault, culprit) = (address(" fault"), address(" culprit"));
    let looked = bench.probe(&["post-mortem"]).await;
    // The frame that the exception left: r0 to r3, r12, lr, pc, xpsr; and what was pushed before.
    looked.says(
        0,
        &[
            "was: running\nnow: running\nexception: 3: HardFault\n",
            &format!("R15      0x{fault}"),
            "R14      0xfffffff9",
            "MSP      not read: ",
            "this core has no such registers",
            "0x20003fd8: 20000100 00000044 12345678 deadbee0",
            &format!(" {culprit} "),
        ],
    );
    bench.probe(&["status"]).await.says(0, &[": running"]);
}

/// A DUT that says nothing, with a microcontroller that ended in a fault.
async fn run_fails() {
    let mut bench = Bench::new().await;
    let (elf, _) = bench.program(2, 0x45).await;
    bench.probe(&["flash", &elf]).await.says(0, &["read back, equal"]);
    until("the fault", 120, || bench.word(MARKED) == 0x45).await;
    micro::documents(&bench.place, "20s");
    let powered = bench.place.path("powered").display().to_string();
    let text = std::fs::read_to_string(bench.place.path("rig.yaml")).unwrap();
    let rest = format!(
        "    consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\n    \
         media: {{ main: {{ file: {{ path: main.img, size: 8MiB }} }} }}\n    power:\n      command:\n        \
         on: [touch, {powered}]\n        off: [rm, -f, {powered}]\n        \
         status: {{ run: [sh, -c, 'test -e {powered} && echo yes || echo no'], on: 'yes', off: 'no' }}\n"
    );
    bench.place.file("rig.yaml", text + &rest);
    let image = bench.place.file("image", guest::versioned("")).display().to_string();
    let args = ["--path", "private", "run", "--slot", "one", "--image", &image, "--os", "micro"];
    let ran = bench.place.run_within(support::SHAKEDOWN, &args, 900).await;
    assert!(!matches!(ran.code, Some(0 | 2)), "{}", ran.all());
    let run = Run::read(&bench.place.last());
    let file = run.ledger.files.iter().find(|file| file.role == "post-mortem").expect("a post-mortem");
    assert_eq!(file.path, "probe/mcu.txt", "{}", ran.all());
    let told = std::fs::read_to_string(run.folder.join(&file.path)).unwrap();
    for text in ["was: running\nnow: running\nexception: 3: HardFault\n", " deadbee0\n", "fault status"] {
        assert!(told.contains(text), "missing `{text}` in {told}");
    }
    let report = std::fs::read_to_string(run.folder.join("report.html")).unwrap();
    for text in ["probe/mcu.txt", "post-mortem of mcu", "3: HardFault"] {
        assert!(report.contains(text), "missing `{text}` in the report");
    }
}

/// A ring of a program, followed and typed on through the keeper. Its place is said: flashing leaves a copy of its
/// table in the RAM.
async fn rtt() {
    let mut bench = Bench::new().await;
    let text = std::fs::read_to_string(bench.place.path("rig.yaml")).unwrap();
    let rest = "    consoles: { main: { command: { run: [cat] } }, mcu: { rtt: { probe: mcu, at: 0x20000200 } } }\n    power: { manual: {} }\n";
    bench.place.file("rig.yaml", text + rest);
    micro::documents(&bench.place, "20s");
    let (elf, _) = bench.program(3, 0x46).await;
    bench.probe(&["flash", &elf]).await.says(0, &["read back, equal"]);
    until("the table of rings", 120, || bench.word(0x2000_0200) == u32::from_le_bytes(*b"SEGG")).await;
    let (console, terminal) = bench.place.on_terminal(&on("console", &["mcu"]));
    let person = Person::at(terminal);
    person.is_asked("tests/one mcu: Ctrl-] leaves").await;
    // More than the ring of 16 bytes holds.
    person.tx.send(b"GDKKN ENQ @KK VGN QD@C SGHR", &by("typing", 60)).await.unwrap();
    person.is_asked("HELLO!FOR!ALL!WHO!READ!THIS").await;
    person.tx.send(b"\x1d", &by("typing", 60)).await.unwrap();
    console.wait(&by("the end of the command", 120)).await.unwrap();
}

async fn faults() {
    let bench = Bench::new().await;
    let (elf, _) = bench.program(1, 0x42).await;
    let flash = ["flash", elf.as_str()];
    let table: [(Wrong, &[&str], &[&str]); 5] = [
        (Wrong::NoReset, &["reset"], &["cannot reset", "last seen: running before the reset"]),
        (
            Wrong::NoChip,
            &["status"],
            &["expected an answer from nRF51822_xxAA, got none; last seen: the probe open"],
        ),
        (
            Wrong::OtherCore,
            &flash,
            &[
                "expected a core of Armv6m (nRF51822_xxAA), got CPUID 0x410fc241: Cortex-M4",
                "another chip is wired",
            ],
        ),
        (Wrong::Flipped(0x1003), &flash, &["at 0x00001003, as written, got 0x"]),
        (Wrong::Mute, &["status"], &["waited", "for probe-rs to look at; last seen: the probe not open yet"]),
    ];
    for (wrong, args, texts) in table {
        bench.bmp.goes(wrong);
        let ran = bench.probe(args).await;
        println!("     {wrong:?}: {}", ran.err.trim_end());
        ran.says(3, texts);
        ran.says(3, &[&bench.bmp.id()]);
    }
    // That it stands is no reset.
    bench.bmp.goes(Wrong::Nothing);
    bench.probe(&["halt"]).await.says(0, &["halted at "]);
    bench.bmp.goes(Wrong::NoReset);
    let ran = bench.probe(&["reset"]).await;
    ran.says(3, &["expected a core that is caught as it leaves the reset", "no reset was caught"]);
}

async fn pulled() {
    let bench = Bench::new().await;
    let (elf, _) = bench.program(1, 0x42).await;
    bench.bmp.goes(Wrong::Pulled(14));
    let ran = bench.probe(&["flash", &elf]).await;
    println!("     {}", ran.err.trim_end());
    ran.says(
        3,
        &[
            "cannot flash",
            "got no probe any more (an error; last seen: ",
            " bytes written)",
            "still plugged in?",
        ],
    );
    bench.probe(&["status"]).await.says(3, &["got none that opens", "`shakedown probe list` shows"]);
}

async fn refused() {
    let mut bench = Bench::new().await;
    let before = bench.words(0, 4);
    let large = bench.place.file("large.bin", vec![1; 0x40001]).display().to_string();
    bench.probe(&["flash", &large]).await.says(2, &["flash at 0x00000000..0x00040000"]);
    let small = bench.place.file("small.bin", vec![1; 8]).display().to_string();
    let ram = ["flash", &small, "--at", "0x20000000"];
    bench.probe(&ram).await.says(2, &["got a piece at 0x20000000..0x20000008"]);
    let empty = bench.place.file("empty.bin", b"").display().to_string();
    bench.probe(&["flash", &empty]).await.says(2, &["expected a program of 1 to"]);
    let broken = bench.place.file("broken.elf", b"\x7fELF and no more").display().to_string();
    bench.probe(&["flash", &broken]).await.says(2, &["expected a program for nRF51822_xxAA"]);
    assert_eq!(bench.words(0, 4), before, "refused, and written");
    bench.probe(&["halt", "--probe", "other"]).await.says(2, &["one has no probe `other`", "there are: mcu"]);
    bench.rig("          identity: { address: 0x1000005c, mask: 0xffff, value: 0x77 }\n");
    bench.probe(&["status"]).await.says(3, &["expected 0x00000077 at 0x1000005c (nRF51822_xxAA), got 0x"]);
    bench.rig("          identity: { address: 0x10000010, value: 0x400 }\n");
    // The page size of the chip's own table.
    bench.probe(&["status"]).await.says(0, &[": running"]);
    let text = std::fs::read_to_string(bench.place.path("rig.yaml")).unwrap();
    bench.place.file("rig.yaml", text.replace("chip: nRF51822_xxAA", "chip: nRF51"));
    bench.probe(&["status"]).await.says(2, &["expected the chip nRF51 in ", "got only nRF51822_xxAA"]);
}
