use std::time::Duration;

use shakedown_core::{Pace, RealClock};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::*;

fn by(span: Duration) -> Deadline {
    Deadline::new("test", span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

const SECONDS: Duration = Duration::from_secs(10);
const GREETING: &str = r#"{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7},"package":"Debian"},"capabilities":["oob"],"new":1}}"#;

/// A peer that plays lines: those that start with `<` wait for a line from us that has the text.
async fn peer(script: &'static [&'static str]) -> (Qmp, tokio::task::JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let play = tokio::spawn(async move {
        let (read, mut write) = theirs.into_split();
        let mut lines = BufReader::new(read).lines();
        for line in [GREETING, "<qmp_capabilities", r#"{"return":{},"id":1}"#].iter().chain(script) {
            if let Some(text) = line.strip_prefix('<') {
                let got = lines.next_line().await.unwrap().expect("a line from us");
                assert!(got.contains(text), "{got} has no {text}");
            } else {
                write.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    (Qmp::over(ours, &by(SECONDS)).await.unwrap(), play)
}

#[tokio::test]
async fn an_event_outside_the_schema_is_kept_and_ends_nothing() {
    let (qmp, play) = peer(&[
        r#"{"event":"QUANTUM_FLUX","data":{"x":[1]},"timestamp":{"seconds":1,"microseconds":2}}"#,
        r#"{"event":"RESUME","timestamp":{"seconds":1,"microseconds":2}}"#,
        "<query-status",
        r#"{"return":{"running":true,"singlestep":false,"status":"running"},"id":2}"#,
    ])
    .await;
    let status = qmp.execute(qapi::qmp::query_status {}, &by(SECONDS)).await.unwrap();
    assert!(status.running);
    play.await.unwrap();
    let flux = qmp.event("QUANTUM_FLUX", EventCursor::default(), &by(SECONDS)).await.unwrap();
    assert!(flux.known().is_none() && flux.line.contains("[1]"), "{flux:?}");
    let resumed = qmp.event("RESUME", EventCursor::default(), &by(SECONDS)).await.unwrap();
    assert!(matches!(resumed.known(), Some(qapi::qmp::Event::RESUME { .. })));
    assert_eq!(qmp.version(), (7, 2, 22));
}

#[tokio::test]
async fn an_answer_after_its_deadline_is_thrown_away_and_the_next_call_gets_its_own() {
    let (qmp, _play) = peer(&[
        "<query-name",
        "<query-status",
        r#"{"return":{"name":"late"},"id":2}"#,
        r#"{"return":{"running":false,"singlestep":false,"status":"prelaunch"},"id":3}"#,
    ])
    .await;
    let late = qmp.execute(qapi::qmp::query_name {}, &by(Duration::from_millis(30))).await.unwrap_err();
    assert!(matches!(&late, QmpError::Stopped(Stop::Late(w)) if w.name == "QMP query-name"), "{late}");
    let status = qmp.execute(qapi::qmp::query_status {}, &by(SECONDS)).await.unwrap();
    assert!(!status.running);
    assert!(qmp.shared.lock().pending.is_empty());
}

#[tokio::test]
async fn a_connection_that_ends_in_mid_command_says_so_at_once() {
    let (qmp, play) = peer(&["<system_reset"]).await;
    let error = qmp.execute(qapi::qmp::system_reset {}, &by(SECONDS)).await.unwrap_err();
    assert!(
        matches!(&error, QmpError::Closed { command: "system_reset", why } if why == "end of file"),
        "{error}"
    );
    play.await.unwrap();
    let after = qmp.execute(qapi::qmp::query_status {}, &by(SECONDS)).await.unwrap_err();
    assert!(matches!(after, QmpError::Closed { .. }), "{after}");
    assert!(qmp.event("RESET", qmp.here(), &by(SECONDS)).await.is_err());
}

#[tokio::test]
async fn garbage_lines_are_named_when_the_answer_does_not_come() {
    let (qmp, _play) = peer(&[
        "<query-name",
        "\u{1}\u{2}garbage{",
        r#"{"neither":"fish"}"#,
        r#"{"return":{"name":7},"id":2}"#,
        "<query-status",
        "<never",
    ])
    .await;
    let strange = qmp.execute(qapi::qmp::query_name {}, &by(SECONDS)).await.unwrap_err();
    assert!(matches!(&strange, QmpError::Strange { got, .. } if got.contains('7')), "{strange}");
    let late = qmp.execute(qapi::qmp::query_status {}, &by(Duration::from_millis(30))).await.unwrap_err();
    assert!(
        late.to_string().contains(r#"2 line(s) that are not QMP, the last: {"neither":"fish"}"#),
        "{late}"
    );
}

#[tokio::test]
async fn a_refusal_has_qemus_own_words() {
    let (qmp, _play) = peer(&[
        "<device_del",
        r#"{"error":{"class":"ClassOfTheFuture","desc":"Device 'x' not found"},"id":2}"#,
    ])
    .await;
    let error = qmp.execute(qapi::qmp::device_del { id: "x".into() }, &by(SECONDS)).await.unwrap_err();
    let fault = error.fault("unplug", "qemu/amd64");
    assert!(fault.to_string().contains("QEMU refused device_del: Device 'x' not found"), "{fault}");
}

#[tokio::test]
async fn a_greeting_that_never_comes_ends_with_the_deadline() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let error = Qmp::over(ours, &by(Duration::from_millis(20))).await.unwrap_err();
    assert!(matches!(error, QmpError::Stopped(_)), "{error}");
}
