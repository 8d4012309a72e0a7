//! Programs and their groups, and the time server, with real programs.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shakedown_core::{Deadline, InfraKind, Stop};
use shakedown_host::process::Stream;
use shakedown_host::{NtpServer, Tool, group, warden};
use support::within;

/// A shell line whose processes all carry a variable that finds them again.
fn marked(line: &str) -> (Tool, String) {
    let mark = format!("SHAKEDOWN_TEST={}-{:?}", std::process::id(), Instant::now());
    let (name, value) = mark.split_once('=').unwrap();
    (Tool::new("sh").args(["-c", line]).env(name, value), mark)
}

async fn until_gone(mark: &str, by: &Deadline) {
    while !group::with_env(mark).is_empty() {
        let left = || format!("{:?}", group::with_env(mark));
        by.pause(Duration::from_millis(5), left).await.expect("all of the group are gone");
    }
}

#[tokio::test]
async fn outputs_are_apart_and_bounded_and_input_arrives() {
    let by = within(20.0, "sh");
    let ran =
        Tool::new("sh").args(["-c", "cat; echo err >&2; exit 3"]).stdin(b"in\0put").run(&by).await.unwrap();
    assert_eq!((&ran.out[..], &ran.err[..], ran.status.code()), (&b"in\0put"[..], &b"err\n"[..], Some(3)));
    let line = "head -c 67108864 /dev/zero & head -c 67108864 /dev/zero >&2; wait";
    let ran = Tool::new("sh").args(["-c", line]).limit(1000).run_ok(&by).await.unwrap();
    assert_eq!((ran.out.len(), ran.err.len(), ran.truncated), (1000, 1000, true));
    let unread = Tool::new("true").stdin(vec![b'x'; 1 << 20]).run_ok(&by).await.unwrap();
    assert!(!unread.truncated);
}

#[tokio::test]
async fn a_failure_shows_its_last_lines_and_no_secret() {
    let by = within(5.0, "sh");
    let tool =
        Tool::new("sh").args(["-c", "echo no such token: hunter2 >&2; exit 4", "hunter2"]).secret("hunter2");
    let fault = tool.run_ok(&by).await.unwrap_err();
    assert_eq!(fault.got, "exit code 4: no such token: ***");
    assert!(!format!("{fault:?} {tool:?} {tool}").contains("hunter2"), "{fault:?}");
    let fault = Tool::new("no-such-program").package("hello").run(&by).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.hint.as_deref()),
        (InfraKind::Tool, Some("install it: apt-get install hello"))
    );
    let fault = Tool::new("true").dir("/no/such/folder").run(&by).await.unwrap_err();
    assert!(fault.to_string().contains("/no/such/folder"), "{fault}");
}

#[tokio::test]
async fn lines_are_seen_as_they_come() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    let tool = Tool::new("sh").args(["-c", "echo one; printf 'two\\r\\nthree'"]);
    let tool = tool.on_line(move |stream, line| into.lock().unwrap().push((stream, line.to_owned())));
    tool.run_ok(&within(5.0, "sh")).await.unwrap();
    let expected = ["one", "two", "three"].map(|line| (Stream::Out, line.to_owned()));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn at_the_deadline_and_on_drop_the_whole_group_ends() {
    let line = "(sleep 500 & sleep 501) & echo started; exec sleep 502";
    let (tool, mark) = marked(line);
    let fault = tool.run(&within(0.3, "a long sleep")).await.unwrap_err();
    let Some(Stop::Late(waited)) = fault.stop else { panic!("{fault}") };
    assert_eq!((waited.name.as_str(), waited.last_seen.as_str()), ("a long sleep", "started"));
    let by = within(2.0, "the end of the group");
    until_gone(&mark, &by).await;
    let (tool, mark) = marked(line);
    let (long, brief) = (within(60.0, "sleep"), within(0.3, "patience"));
    assert!(brief.run(String::new, tool.run(&long)).await.is_err());
    until_gone(&mark, &by).await;
}

#[tokio::test]
async fn stragglers_of_the_group_end_with_it_and_others_delay_nothing() {
    let (tool, mark) = marked("sleep 500 & echo done");
    let ran = tool.run_ok(&within(5.0, "sh")).await.unwrap();
    assert_eq!(ran.text(), "done");
    until_gone(&mark, &within(2.0, "stragglers")).await;
    // One that left the group holds our pipe: it is read for a moment longer, not for ever.
    let (tool, mark) = marked("setsid sleep 5 & echo done");
    let ran = tool.run_ok(&within(20.0, "sh")).await.unwrap();
    assert!(ran.text() == "done" && ran.took < Duration::from_secs(3), "{ran:?}");
    until_gone(&mark, &within(10.0, "the one that left")).await;
}

#[tokio::test]
async fn a_started_program_can_be_looked_at_and_ends_with_its_group() {
    let by = within(10.0, "a started program");
    let (tool, mark) = marked("sleep 500 & echo out; echo err >&2; sleep 501");
    let child = tool.start().unwrap();
    while !child.tail().contains("err") {
        by.pause(Duration::from_millis(5), || child.tail()).await.unwrap();
    }
    assert!(child.tail().contains("out") && child.try_status().unwrap().is_none());
    let status = child.kill_group(&by).await.unwrap();
    assert_eq!(shakedown_host::process::describe(status), "signal 9 (KILL)");
    assert!(group::with_env(&mark).is_empty());
    assert!(child.epitaph().unwrap().starts_with("signal 9 (KILL)"));

    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let child = Tool::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]).log_to(&log).start().unwrap();
    assert_eq!(child.wait(&by).await.unwrap().code(), Some(3));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "out\nerr\n");

    let (tool, mark) = marked("trap '' TERM; sleep 500 & wait");
    drop(tool.start().unwrap());
    until_gone(&mark, &within(2.0, "the dropped child")).await;
}

#[tokio::test]
async fn starvation_shows_where_many_want_one_core() {
    let spin = "while :; do :; done";
    let by = within(10.0, "spinning");
    // All on one core: each gets a share, and waits for the rest.
    let pinned =
        || Tool::new("taskset").package("util-linux").args(["-c", "0", "sh", "-c", spin]).start().unwrap();
    let children = [pinned(), pinned(), pinned()];
    by.pause(Duration::from_millis(300), String::new).await.unwrap();
    for child in &children {
        child.starved();
    }
    by.pause(Duration::from_millis(900), String::new).await.unwrap();
    let worst = children.iter().map(shakedown_host::Child::starved).fold(0.0, f64::max);
    assert!(worst > 1.5, "{worst}");
}

#[tokio::test]
async fn a_test_binary_has_no_warden_and_says_so() {
    let state = warden::start().unwrap().state();
    assert!(matches!(&state, warden::State::Absent(why) if why.contains("SHAKEDOWN_WARDEN")), "{state:?}");
}

#[tokio::test]
async fn a_real_ntp_client_takes_our_time() {
    let server = NtpServer::start().unwrap();
    let source = format!("server 127.0.0.1 port {} iburst maxsamples 1", server.addr().port());
    let client = Tool::new("/usr/sbin/chronyd").package("chrony").args(["-Q", "-U", "-t", "10", &source]);
    let ran = client.run_ok(&within(20.0, "chronyd")).await;
    let ran = ran.unwrap_or_else(|fault| panic!("{fault}; {}", fault.hint.clone().unwrap_or_default()));
    let said = [ran.text(), String::from_utf8_lossy(&ran.err).into_owned()].concat();
    let (_, wrong) = said.split_once("System clock wrong by ").unwrap_or_else(|| panic!("{said}"));
    let wrong: f64 = wrong.split(' ').next().unwrap().parse().unwrap();
    assert!(wrong.abs() < 0.05, "{said}");
    assert!(server.answered() > 0);
}
