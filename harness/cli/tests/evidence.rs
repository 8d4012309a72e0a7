//! `shakedown history` and `shakedown gate` from the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/corpus")
}

#[expect(clippy::disallowed_methods, reason = "the program as a person calls it; only tests start it")]
fn shakedown(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
    command.args(args).env_remove("SHAKEDOWN_HISTORY").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_history_is_filled_and_asked() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("history.sqlite");
    let history = |args: &[&str]| {
        let output = shakedown(&[&["history", "--history", path(&file)], args].concat());
        (output.status.code(), said(&output))
    };
    let (code, text) = history(&[]);
    assert!(code == Some(2) && text.contains("shakedown history add"), "{text}");
    let real = corpus().join("real-amd64.jsonl");
    let (code, text) = history(&["add", path(&real)]);
    assert_eq!((code, text.as_str()), (Some(0), "1 runs, 5 new attempts\n"));
    let (code, text) = history(&["add", path(&real)]);
    assert_eq!((code, text.as_str()), (Some(0), "1 runs, 0 new attempts\n"));
    let (code, text) = history(&["add", path(&corpus().join("v1-edited.jsonl"))]);
    assert!(code == Some(2) && text.contains("the journal was edited"), "{text}");
    let (_, text) = history(&[]);
    assert!(text.contains("shakedown-reference 1.0.0") && text.contains("5 pass"), "{text}");
    let drawing = place.path().join("kernel.svg");
    let (code, text) =
        history(&["trend", "boot.kernel", "--board", "generic-amd64", "--svg", path(&drawing)]);
    assert!(code == Some(0) && text.contains("6.982"), "{text}");
    assert!(std::fs::read_to_string(drawing).unwrap().contains("<circle"));
    let (code, text) = history(&["trend", "boot.kernal"]);
    assert!(code == Some(2) && text.contains("no measure `boot.kernal`"), "{text}");
    let (code, text) = history(&["flakes", "--all"]);
    assert!(code == Some(0) && text.contains("0/1"), "{text}");
    let (code, text) = history(&["export"]);
    assert_eq!((code, text.lines().filter(|line| line.contains("\"attempt\":{")).count()), (Some(0), 5));
    let report = place.path().join("kcidb.json");
    let (_, text) = history(&["export", "--kcidb", "our_lab"]);
    std::fs::write(&report, text).unwrap();
    assert_eq!(history(&["import", "kcidb", path(&report)]).1, "5 new attempts\n");
    let (code, text) = history(&["--case", "os::release::slug"]);
    assert!(code == Some(0) && text.matches("pass").count() == 2, "{text}");
}
