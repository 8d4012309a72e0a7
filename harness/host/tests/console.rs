//! The console shell on real shells, over real terminals, also bad ones.

mod support;

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Chunk, Cmd, Console, ConsoleLog, Exit, Mark, Mono, RealClock, Shell, ShellError, Tap, Unreachable,
};
use shakedown_host::{Child, ConsoleShell, Pump, Tool, bench, pump};
use support::within;

const BASH: &[&str] = &["bash", "--noprofile", "--norc", "-i"];
const ASH: &[&str] = &["busybox", "sh"];
const DASH: &[&str] = &["dash", "-i"];

fn profile() -> LoginProfile {
    LoginProfile {
        prompt: "dut login: $".into(),
        user: "root".into(),
        password: Some(("Password: $".into(), "secret".into())),
        shell: r"root@dut:.*# $".into(),
    }
}

fn start(argv: &[&str]) -> (Child, OwnedFd) {
    let tool = Tool::new(argv[0]).args(&argv[1..]).env("PS1", "root@dut:~# ").env("HOME", "/nowhere");
    tool.package(argv[0]).start_on_terminal().unwrap_or_else(|fault| panic!("{fault}: {:?}", fault.hint))
}

fn on(fd: OwnedFd) -> Pump {
    pump::fd(fd, "tty", Arc::new(ConsoleLog::new(RealClock::start()))).unwrap()
}

async fn shell(argv: &[&str]) -> (Child, Pump, ConsoleShell) {
    let (child, fd) = start(argv);
    let pump = on(fd);
    let shell = ConsoleShell::log_in(&pump.console(), &profile(), &within(20.0, "login")).await;
    let shell = shell.unwrap_or_else(|error| panic!("{argv:?}: {error}: {}", said(&pump.console())));
    (child, pump, shell)
}

fn said(console: &Console) -> String {
    String::from_utf8_lossy(&console.log.tail(4000)).into_owned()
}

#[tokio::test]
async fn commands_on_every_shell_give_their_output_and_exit() {
    for argv in [BASH, ASH, DASH] {
        let (_child, _pump, shell) = shell(argv).await;
        let by = within(20.0, "commands");
        let long = format!("echo {}", "long ".repeat(1000));
        let words = "long ".repeat(1000);
        let cases: [(&str, &str, Exit); 13] = [
            ("echo hello", "hello\n", Exit::Code(0)),
            ("printf 'no line end'", "no line end", Exit::Code(0)),
            ("true", "", Exit::Code(0)),
            ("exit 3", "", Exit::Code(3)),
            ("cd /; pwd; false", "/\n", Exit::Code(1)),
            ("sh -c 'kill -9 $$'", "", Exit::Signal("KILL".into())),
            ("printf '%s\\n' \"a  'b'\" '!x \\t' $((1+1))", "a  'b'\n!x \\t\n2\n", Exit::Code(0)),
            ("printf '\\033[31mred\\033[0m\\n'", "red\n", Exit::Code(0)),
            ("echo one\necho two # comment", "one\ntwo\n", Exit::Code(0)),
            ("echo grüße", "grüße\n", Exit::Code(0)),
            ("echo '\u{1e}e1:0:'", "\u{1e}e1:0:\n", Exit::Code(0)),
            ("cat", "", Exit::Code(0)),
            (&long, words.trim_end(), Exit::Code(0)),
        ];
        for (line, out, exit) in cases {
            let ran = shell
                .run(&Cmd::sh(line), &by)
                .await
                .unwrap_or_else(|error| panic!("{argv:?} {line}: {error}"));
            // Some shells say on the terminal that a child was killed.
            let said = String::from_utf8_lossy(&ran.out).replace("Killed", "");
            assert_eq!((said.trim_end(), ran.exit), (out.trim_end(), exit), "{argv:?} {line}");
            let ends = out.ends_with('\n') || line.starts_with("echo long") || said.len() != ran.out.len();
            assert_eq!(ran.out.ends_with(b"\n"), ends, "{argv:?} {line}");
        }
        let broken = shell.run(&Cmd::sh("if ("), &by).await.unwrap();
        assert!(!broken.exit.is_ok(), "{argv:?}: a syntax error");
        let ran = shell.run(&Cmd::sh("cat; echo").stdin(b"in\0put".to_vec()), &by).await.unwrap();
        assert_eq!(ran.text(), "input", "{argv:?}: a terminal's NUL is taken out");
        let ran = shell.run(&Cmd { limit: 10, ..Cmd::sh("echo 0123456789abc") }, &by).await.unwrap();
        assert_eq!((&ran.out[..], ran.truncated), (&b"0123456789"[..], true), "{argv:?}");
    }
}

#[tokio::test]
async fn files_survive_the_console() {
    for argv in [BASH, ASH] {
        let (_child, _pump, shell) = shell(argv).await;
        let by = within(60.0, "files");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a file").display().to_string();
        let data: Vec<u8> =
            (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        shell.put(&path, &data, 0o600, &by).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == data, "{argv:?}");
        assert!(shell.get(&path, data.len() as u64, &by).await.unwrap() == data, "{argv:?}");
        let refused = shell.get(&path, 10, &by).await.unwrap_err().to_string();
        assert!(refused.contains("larger than 10 bytes"), "{refused}");
        let refused = shell.put("/no/such/folder/x", b"x", 0o600, &by).await.unwrap_err().to_string();
        assert!(refused.contains("/no/such/folder"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{argv:?}: nothing is left beside it");
    }
}

/// A getty that asks again for an empty name, a login that wants a password, and then a shell.
const GETTY: &str = r#"while :; do printf 'dut login: '; read -r user; [ "$user" ] || continue; stty -echo; printf 'Password: '; read -r word
stty echo; echo; [ "$user:$word" = root:secret ] && break; echo Login incorrect; done
echo Welcome; exec bash --noprofile --norc -i"#;

#[tokio::test]
async fn a_login_with_a_password_gets_in_and_a_wrong_one_is_denied() {
    let (_child, pump, shell) = shell(&["sh", "-c", GETTY]).await;
    assert_eq!(shell.run(&Cmd::sh("echo in"), &within(5.0, "echo")).await.unwrap().text(), "in");
    assert!(!said(&pump.console()).contains("secret"), "the password is not echoed");
    let (_child, fd) = start(&["sh", "-c", GETTY]);
    let pump = on(fd);
    let wrong = LoginProfile { password: Some(("Password: $".into(), "guess".into())), ..profile() };
    let denied = ConsoleShell::log_in(&pump.console(), &wrong, &within(20.0, "login")).await.unwrap_err();
    assert!(matches!(denied, ShellError::Dut(Unreachable::Denied(_))), "{denied}");
}

#[tokio::test]
async fn a_silent_or_closed_console_is_said_to_be_so() {
    let (_child, fd) = start(&["sleep", "60"]);
    let pump = on(fd);
    let error = ConsoleShell::log_in(&pump.console(), &profile(), &within(0.5, "login")).await.unwrap_err();
    assert!(matches!(error, ShellError::Dut(Unreachable::Mute(_))), "{error}");
    let (child, pump, shell) = shell(BASH).await;
    child.kill_group(&within(5.0, "kill")).await.unwrap();
    let error = shell.run(&Cmd::sh("true"), &within(5.0, "true")).await.unwrap_err();
    let fits = matches!(error, ShellError::Dut(Unreachable::Closed(_)) | ShellError::Rig(_));
    assert!(fits, "{error}: {}", said(&pump.console()));
    let only_read = Console { tx: None, ..pump.console() };
    let error = ConsoleShell::log_in(&only_read, &profile(), &within(1.0, "login")).await.unwrap_err();
    assert!(matches!(error, ShellError::Rig(_)), "{error}");
}

#[tokio::test]
async fn after_a_command_that_hung_the_next_one_runs() {
    for argv in [BASH, ASH] {
        let (_child, _pump, shell) = shell(argv).await;
        let error = shell.run(&Cmd::sh("echo started; sleep 60"), &within(0.5, "sleep")).await.unwrap_err();
        assert!(matches!(&error, ShellError::Dut(Unreachable::Hung(_))), "{argv:?} {error}");
        let ran = shell.run(&Cmd::sh("echo alive"), &within(60.0, "echo")).await;
        assert_eq!(ran.unwrap_or_else(|error| panic!("{argv:?}: {error}")).text(), "alive");
    }
}

/// A shell with job control does not see the interrupt of a command that ends well by it: the loop
/// lives, says so, and is used on as it is.
#[tokio::test]
async fn a_loop_that_outlives_the_interrupt_takes_the_next_command() {
    let (_child, pump, shell) = shell(BASH).await;
    let hangs = "sh -c 'trap \"exit 0\" INT; echo started; sleep 60 & wait'";
    shell.run(&Cmd::sh(hangs), &within(0.5, "sleep")).await.unwrap_err();
    let ran = shell.run(&Cmd::sh("echo alive"), &within(60.0, "echo")).await.unwrap();
    assert_eq!(ran.text(), "alive");
    let opened = said(&pump.console()).matches("_sdl;eval").count();
    assert_eq!(opened, 1, "the loop was started once: {}", said(&pump.console()));
}

/// A receiver of few bytes that a slow machine empties: what does not fit is lost.
struct Uart {
    fifo: Arc<Mutex<VecDeque<u8>>>,
    lost: Arc<AtomicU64>,
}

const FIFO: usize = 32;

impl Uart {
    /// Delivers at about 115200 baud.
    fn into(mut port: std::fs::File) -> Self {
        let fifo = Arc::new(Mutex::new(VecDeque::new()));
        let (taken, lost) = (Arc::downgrade(&fifo), Arc::default());
        let (never, pace) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let _open = never;
            while let Some(fifo) = taken.upgrade() {
                let byte = fifo.lock().unwrap().pop_front();
                if let Some(byte) = byte {
                    port.write_all(&[byte]).unwrap();
                }
                let _ = pace.recv_timeout(Duration::from_micros(87));
            }
        });
        Self { fifo, lost }
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut fifo = self.fifo.lock().unwrap();
        let fits = (FIFO - fifo.len()).min(bytes.len());
        fifo.extend(&bytes[..fits]);
        self.lost.fetch_add((bytes.len() - fits) as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_that_loses_bytes_is_typed_more_slowly_until_it_is_right() {
    let (_child, fd) = start(BASH);
    let port = std::fs::File::from(fd);
    let uart = Uart::into(port.try_clone().unwrap());
    let lost = uart.lost.clone();
    let log = Arc::new(ConsoleLog::new(RealClock::start()));
    let pump = pump::from(port, Some(Box::new(uart)), "uart", log).unwrap();
    let by = within(60.0, "a slow line");
    let shell = ConsoleShell::log_in(&pump.console(), &profile(), &by).await;
    let shell = shell.unwrap_or_else(|error| panic!("{error}: {}", said(&pump.console())));
    let line = format!("echo {}", "0123456789".repeat(60));
    assert_eq!(shell.run(&Cmd::sh(&line), &by).await.unwrap().text(), "0123456789".repeat(60));
    assert!(lost.load(Ordering::Relaxed) > 0, "the line was not bad at all");
}

#[tokio::test]
async fn kernel_messages_between_do_not_stop_a_command() {
    let (_child, pump, shell) = shell(BASH).await;
    let by = within(20.0, "commands under noise");
    // The terminal's other writer: straight to the device, as a kernel does.
    let noise =
        Cmd::sh("(while sleep 0.002; do echo '[ 12.3] usb 1-1: new device'; done) </dev/null & echo $!");
    let pid = shell.run(&noise, &by).await.unwrap();
    let digits = |text: String| text.lines().find_map(|line| line.trim().parse::<u32>().ok());
    let pid = digits(pid.text()).expect("a process");
    for index in 0..20 {
        let ran = shell.run(&Cmd::sh(format!("echo x{index}y")), &by).await;
        let ran = ran.unwrap_or_else(|error| panic!("{error}: {}", said(&pump.console())));
        assert!(ran.text().lines().any(|line| line.trim() == format!("x{index}y")), "{}", ran.text());
    }
    shell.run(&Cmd::sh(format!("kill {pid}")), &by).await.unwrap();
}

#[derive(Clone, Default)]
struct Sum(Arc<Mutex<(u64, u64)>>);

impl Tap for Sum {
    fn chunk(&mut self, chunk: &Chunk) {
        let mut sum = self.0.lock().unwrap();
        assert_eq!(sum.0, chunk.off, "no hole");
        sum.0 = chunk.end();
        sum.1 =
            chunk.bytes.iter().fold(sum.1, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    }

    fn mark(&mut self, _: Mono, _: u64, _: &Mark) {}
}

#[tokio::test]
async fn a_flood_of_100_mb_loses_nothing_and_stays_in_bounds() {
    const MB: usize = 100;
    let block: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let flood = block.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        (0..MB).for_each(|_| stream.write_all(&flood).unwrap());
    });
    let log = Arc::new(ConsoleLog::new(RealClock::start()));
    let sum = Sum::default();
    log.attach(Box::new(sum.clone()));
    let by = within(60.0, "the flood");
    let _pump = pump::unix_socket(&path, log.clone(), &by).await.unwrap();
    let mut cursor = log.here();
    let closed = loop {
        match by.run(String::new, log.next(&mut cursor)).await.unwrap() {
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert!(closed.why.contains("the end of the line"), "{}", closed.why);
    let expected = (0..MB)
        .flat_map(|_| &block)
        .fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    assert_eq!(*sum.0.lock().unwrap(), ((MB * block.len()) as u64, expected));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let kib: u64 = peak.split(' ').next().unwrap().parse().unwrap();
    assert!(kib < 150 << 10, "peak memory {peak}");
}

#[tokio::test]
async fn a_pump_over_tcp_waits_for_its_listener_and_ends_when_dropped() {
    let addr = support::free_port();
    let log = Arc::new(ConsoleLog::new(RealClock::start()));
    let late = pump::tcp(addr, log.clone(), &within(0.1, "a listener")).await.unwrap_err();
    assert!(late.to_string().contains("refused"), "{late}");
    let listener = std::net::TcpListener::bind(addr).unwrap();
    let by = within(5.0, "the console");
    let pump = pump::tcp(addr, log.clone(), &by).await.unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"hello").unwrap();
    let mut cursor = shakedown_core::Cursor(0);
    assert_eq!(&*log.next(&mut cursor).await.unwrap().bytes, b"hello");
    let tx = pump.console().tx.unwrap();
    tx.send(b"typed", &by).await.unwrap();
    let mut typed = [0; 5];
    std::io::Read::read_exact(&mut peer, &mut typed).unwrap();
    assert_eq!(&typed, b"typed");
    drop(pump);
    let closed = by.run(String::new, log.next(&mut cursor)).await.unwrap().unwrap_err();
    assert!(closed.why.contains("nobody wants to read on"), "{}", closed.why);
}

#[tokio::test]
async fn the_bench_of_the_shell_runs() {
    let mut spans = bench::shell_round_trip(200).await.unwrap();
    spans.sort();
    assert!(spans[100] < Duration::from_millis(20), "{:?}", spans[100]);
}
