//! Tools of a rig file: real processes that behave and misbehave. The programs are shell scripts of ours that
//! print what the vendors' tools print; none of those ran here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_core::{Clock, Deadline, Fault, Fut, InfraKind, Mono, Pace, RealClock, Rig, Stop, ToolJob};
use shakedown_host::group;
use shakedown_rigs::ToolDoc;
use tokio_util::sync::CancellationToken;

fn by(seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new("send", span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

/// Jumps by an hour when the log of the tool in this folder has [`RUNS`] in it: so its time is over then,
/// however slow the host is.
#[derive(Debug)]
struct Jumps {
    real: Arc<dyn Clock>,
    log: PathBuf,
}

const RUNS: &str = "waiting for the board";

impl Clock for Jumps {
    fn now(&self) -> Mono {
        let said = std::fs::read(&self.log).unwrap_or_default();
        let runs = said.windows(RUNS.len()).any(|part| part == RUNS.as_bytes());
        self.real.now() + Duration::from_secs(if runs { 3600 } else { 0 })
    }

    fn wall(&self) -> jiff::Timestamp {
        self.real.wall()
    }

    fn sleep_until(&self, at: Mono) -> Fut<'static, ()> {
        let clock = Self { real: self.real.clone(), log: self.log.clone() };
        Box::pin(async move {
            while clock.now() < at {
                clock.real.sleep_until(clock.real.now() + Duration::from_millis(20)).await;
            }
        })
    }
}

/// Over when the tool has said [`RUNS`].
fn until_it_runs(folder: &Path) -> Deadline {
    let clock = Arc::new(Jumps { real: RealClock::start(), log: folder.join("log") });
    Deadline::new("send", Duration::from_secs(120), Pace::Rig, clock, CancellationToken::new())
}

fn doc(yaml: &str) -> ToolDoc {
    serde_yaml::from_str(yaml).unwrap()
}

/// A tool that runs this script, with `$1` the image and `$2` a name that no other run has.
fn scripted(script: &str, more: &str) -> ToolDoc {
    let version = "version: { run: [sh, -c, 'echo; echo flash 1.2.3'], is: 'flash 1\\.2' }";
    let mut doc = doc(&format!("run: []\n{version}\ndone: flashed\nfailed: ['^Error: .*']\n{more}"));
    doc.run = ["sh", "-c", script, "flash", "{image}", "{name}"].map(str::to_owned).into();
    doc
}

struct Ran {
    ended: Rig<String>,
    log: Vec<u8>,
    percents: Vec<u64>,
}

impl Ran {
    fn fault(&self) -> &Fault {
        self.ended.as_ref().expect_err("it failed")
    }
}

async fn run(folder: &Path, doc: &ToolDoc, by: &Deadline) -> Ran {
    let tool = doc.open("flash").unwrap();
    let percents = Arc::new(Mutex::new(Vec::new()));
    let far = percents.clone();
    let log = folder.join("log");
    let job = ToolJob { image: Some(folder.join("an image")), folder: folder.to_owned(), log: log.clone() };
    let ended = tool.run(job, Arc::new(move |percent| far.lock().unwrap().push(percent)), by).await;
    let percents = percents.lock().unwrap().clone();
    Ran { ended, log: std::fs::read(log).unwrap_or_default(), percents }
}

#[tokio::test]
async fn what_it_prints_is_kept_as_bytes_and_its_own_word_is_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("an image"), "the image").unwrap();
    let script =
        "cat \"$1\"; printf '\\n\\377\\r10%%\\r55%%\\r'; echo 'to the other' >&2; echo it is flashed";
    let ran = run(folder.path(), &scripted(script, "progress: '^([0-9]+)%'"), &by(60)).await;
    assert_eq!(ran.ended, Ok("it is flashed".to_owned()));
    assert!(ran.log.starts_with(b"the image\n\xff\r10%\r55%\r"), "{}", ran.log.escape_ascii());
    assert!(ran.log.windows(12).any(|part| part == b"to the other"), "{}", ran.log.escape_ascii());
    assert_eq!(ran.percents.last(), Some(&55));
}

#[tokio::test]
async fn every_way_to_fail_is_a_fault_of_the_tool() {
    for (script, words) in [
        ("echo Error: no such board; echo more; exit 3", "exit code 3: Error: no such board"),
        ("echo flashed; exit 1", "exit code 1, and last: flashed"),
        ("exit 1", "exit code 1, and nothing printed"),
        (
            "echo flashed; echo Error: verify failed >&2",
            "expected no word of a failure, got exit code 0: Error: verify",
        ),
        (
            "echo waiting for the board",
            "a line with `flashed`, by which it says that it did its work, got exit code 0",
        ),
        ("true", "exit code 0, and nothing printed"),
        ("kill -9 $$", "signal 9 (KILL)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ran = run(folder.path(), &scripted(script, ""), &by(60)).await;
        let fault = ran.fault();
        assert_eq!((fault.kind, fault.driver.as_str()), (InfraKind::Tool, "flash"), "{fault:?}");
        assert!(fault.to_string().contains(words), "{script}: {fault}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut missing = scripted("", "");
    missing.run[0] = "no-such-program-at-all".into();
    let ran = run(folder.path(), &missing, &by(60)).await;
    assert!(ran.fault().to_string().contains("No such file"), "{}", ran.fault());
}

/// A process that is gone, or was just killed.
async fn gone(pid: u32) {
    let by = by(30);
    while group::processes().iter().any(|process| process.pid == pid) {
        by.pause(Duration::from_millis(20), || format!("{pid} lives")).await.expect("it was killed");
    }
}

fn pid(file: &Path) -> u32 {
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn one_that_hangs_is_killed_at_its_deadline_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > child; echo waiting for the board; wait";
    let ran = run(folder.path(), &scripted(script, ""), &until_it_runs(folder.path())).await;
    let fault = ran.fault();
    assert!(matches!(fault.stop, Some(Stop::Late(_))), "{fault:?}");
    assert!(fault.to_string().contains("for send; last seen: waiting for the board"), "{fault}");
    gone(pid(&folder.path().join("child"))).await;
}

/// As a container does, it goes on without the process that started it.
#[tokio::test]
async fn what_leaves_its_group_is_ended_by_its_own_command() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let script =
        "setsid sh -c 'echo $$ > $0; echo waiting for the board; exec sleep 1000' \"$2\" & sleep 1000";
    let more = format!("stop: [sh, -c, 'kill $(cat {place}/$0)', '{{name}}']");
    let ran = run(folder.path(), &scripted(script, &more), &until_it_runs(folder.path())).await;
    let fault = ran.fault();
    assert!(fault.stop.is_some() && fault.causes.is_empty(), "{fault:?}");
    let names = std::fs::read_dir(folder.path()).unwrap().flatten();
    let named = names.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("/shakedown-"));
    gone(pid(&named.expect("a name of its own"))).await;
    // A stop that does not work is told.
    let folder = tempfile::tempdir().unwrap();
    let no_daemon =
        scripted("echo waiting for the board; sleep 1000", "stop: [sh, -c, 'echo no daemon; exit 1']");
    let ran = run(folder.path(), &no_daemon, &until_it_runs(folder.path())).await;
    assert!(ran.fault().causes.iter().any(|cause| cause.contains("no daemon")), "{:?}", ran.fault());
}

#[tokio::test]
async fn what_a_tool_that_failed_by_itself_leaves_behind_is_ended_too() {
    // The one that goes on has left the group before its parent ends.
    let leaves = "setsid sh -c 'echo $$ > $0.new; mv $0.new $0; exec sleep 1000' \"$2\" & \
                  until [ -e \"$2\" ]; do sleep 0.05; done; cp \"$2\" left";
    for end in ["exit 3", "kill -9 $$"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let more = format!("stop: [sh, -c, 'kill $(cat {place}/$0)', '{{name}}']");
        let ran = run(folder.path(), &scripted(&format!("{leaves}; {end}"), &more), &by(60)).await;
        let fault = ran.fault();
        assert!(fault.stop.is_none() && fault.causes.is_empty(), "{fault:?}");
        gone(pid(&folder.path().join("left"))).await;
    }
    // What a stop says that does not work; and one that did well is not stopped.
    let folder = tempfile::tempdir().unwrap();
    let broken = "stop: [sh, -c, 'echo no daemon; exit 1']";
    let ran = run(folder.path(), &scripted("exit 3", broken), &by(60)).await;
    assert!(ran.fault().causes.iter().any(|cause| cause.contains("no daemon")), "{:?}", ran.fault());
    let ran = run(folder.path(), &scripted("echo flashed", broken), &by(60)).await;
    assert_eq!(ran.ended, Ok("flashed".to_owned()));
}

#[tokio::test]
async fn the_version_is_looked_at_and_a_missing_program_is_named() {
    let right = scripted("", "");
    assert_eq!(right.open("flash").unwrap().check(&by(60)).await, Ok("flash 1.2.3".to_owned()));
    for (change, words) in [
        (
            "version: { run: [sh, -c, 'echo flash 1.3.0'], is: 'flash 1\\.2' }",
            "`flash 1\\.2`, got flash 1.3.0",
        ),
        ("version: { run: ['false'], is: 'flash 1\\.2' }", "got nothing, and exit code 1"),
        ("version: { run: [no-such-program-at-all], is: '1' }", "cannot find no-such-program-at-all"),
    ] {
        let other = doc(&format!("run: [sh]\ndone: x\n{change}"));
        let fault = other.open("flash").unwrap().check(&by(60)).await.unwrap_err();
        assert_eq!(fault.kind, InfraKind::Tool);
        assert!(fault.to_string().contains(words), "{fault}");
    }
    assert_eq!(doc("run: [/no/such]\nversion: { run: [sh], is: '1' }\ndone: x\n").missing(), ["/no/such"]);
}

#[test]
fn what_is_wrong_with_a_tool_is_told_with_its_field() {
    let version = "version: { run: [x], is: '1' }";
    for (yaml, name, copies, want) in [
        (
            "run: []\nversion: { run: [x], is: '1' }".to_owned(),
            "uuu",
            true,
            "run: a program with its arguments",
        ),
        ("run: [x]\nversion: { run: [''], is: '1' }".into(), "uuu", false, "version.run: a program"),
        ("run: [x]\nversion: { run: [x], is: '(' }".into(), "uuu", false, "version.is: "),
        (format!("run: [x]\n{version}"), "uuu", true, "run: nothing hands it the image"),
        (
            format!("run: [x, '{{image}}']\n{version}"),
            "rpiboot",
            false,
            "run: `{image}`: this board's procedure",
        ),
        (
            format!("run: [x, '{{imgae}}']\n{version}"),
            "uuu",
            false,
            "run: `{imgae}` is no placeholder: {image}",
        ),
        (
            format!("run: [x]\n{version}\nstop: [x, '{{image}}']"),
            "uuu",
            false,
            "stop: `{image}` is no placeholder",
        ),
        (
            format!("run: [x]\n{version}"),
            "edison",
            false,
            "done: what edison says when it did its work is not",
        ),
        (format!("run: [x]\n{version}\nfailed: [a, '[']"), "uuu", false, "failed[1]: "),
        (format!("run: [x]\n{version}\nport: usb1"), "uuu", false, "port: `usb1` is no place"),
    ] {
        let problem = doc(&yaml).check(name, copies).expect_err(&yaml).to_string();
        assert!(problem.starts_with(want), "{problem}");
    }
    let braces = doc(&format!("run: [x, '${{HOME}}', '{{}}', '{{image}}']\n{version}"));
    assert_eq!(braces.check("tegra", true), Ok(()), "a shell's braces are not ours");
}
