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
    assert_eq!((code, text.as_str()), (Some(0), "1 run, 5 new attempts\n"));
    let (code, text) = history(&["add", path(&real)]);
    assert_eq!((code, text.as_str()), (Some(0), "1 run, 0 new attempts\n"));
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
    let told = "0 new attempts\n1 run is in the history by itself: nothing was added of it\n";
    assert_eq!(history(&["import", "kcidb", path(&report)]).1, told);
    let (code, text) = history(&["--case", "os::release::slug"]);
    assert!(code == Some(0) && text.matches("pass").count() == 1, "{text}");
}

#[test]
fn what_history_cannot_use_is_refused_with_its_place() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("history.sqlite");
    let history = |args: &[&str]| {
        let output = shakedown(&[&["history", "--history", path(&file)], args].concat());
        (output.status.code(), said(&output))
    };
    history(&["add", path(&corpus().join("real-amd64.jsonl"))]);
    let bad = place.path().join("bad.jsonl");
    std::fs::write(&bad, "").unwrap();
    let (code, text) = history(&["add", path(&bad)]);
    assert!(code == Some(2) && text.contains("bad.jsonl: run "), "{text}");
    for (args, says) in [
        (&["flakes", "--bad", "pass"][..], "flakes cannot use pass or skip"),
        (&["flakes", "--outcome", "fail"], "flakes cannot use outcome"),
        (&["trend", "boot.kernel", "--case", "os::release::slug"], "cannot use case"),
        (&["diff", "1.0.0", "1.0.0", "--case", "os::*"], "diff cannot use case"),
    ] {
        let (code, text) = history(args);
        assert!(code == Some(2) && text.contains(says), "{args:?}: {text}");
    }
    let drawing = place.path().join("none.svg");
    let (code, text) = history(&["trend", "boot.kernel", "--of", "nothing", "--svg", path(&drawing)]);
    assert!(code == Some(0) && text.contains("no values") && text.contains("no drawing"), "{text}");
    assert!(!drawing.exists());
}

/// A bench of simulated runs. They are sealed by hand here: what a simulated slot says is never
/// sealed by itself.
struct Bench {
    place: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { place: tempfile::tempdir().unwrap() };
        bench.shakedown(&["gate", "key", path(&bench.at("lab.key")), "--new"]);
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the program as a person calls it; only tests start it")]
    fn shakedown(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
        command.args(args).current_dir(self.place.path()).env("SHAKEDOWN_CACHE", self.at("cache"));
        command.env("SHAKEDOWN_RUNTIME", self.at("runtime")).env("XDG_CONFIG_HOME", self.at("config"));
        let output = command.env_remove("SHAKEDOWN_HISTORY").env_remove("GITHUB_ACTIONS").output().unwrap();
        (output.status.code(), said(&output))
    }

    /// A run on a simulated slot whose slot follows these rules.
    fn run(&self, rules: &str) -> Option<i32> {
        let slot = format!("{{ board: generic-amd64, simulated: {{ seed: 3, rules: [{rules}] }} }}");
        std::fs::write(self.at("rig.yaml"), format!("rig: sim\nslots:\n  one: {slot}\n")).unwrap();
        let ask = [
            "run",
            "--selection",
            "quick",
            "--rig",
            "rig.yaml",
            "--out",
            "out",
            "--history",
            "history.sqlite",
        ];
        self.shakedown(&ask).0
    }

    fn image(&self) -> String {
        let run = std::fs::read_to_string(self.at("out/latest/journal.jsonl")).unwrap();
        let entry: shakedown_core::Entry = serde_json::from_str(run.lines().next().unwrap()).unwrap();
        let shakedown_core::Event::RunStarted(head) = entry.event else { panic!("{run}") };
        head.image.payload.to_string()
    }

    fn policy(&self, repeats: u32) {
        let key = self.shakedown(&["gate", "key", "lab.key"]).1;
        let text = format!(
            "policy: release\nexpires: 2099-01-01\nmax-age: 14d\naccept-simulated: true\ntrust:\n  - {{ name: lab, key: '{}' }}\n\
             require:\n  - {{ boards: [generic-amd64], selections: [quick], repeats: {repeats} }}\n",
            key.trim()
        );
        std::fs::write(self.at("policy.yaml"), text).unwrap();
    }

    fn gate(&self, more: &[&str]) -> (Option<i32>, String) {
        let image = self.image();
        let ask = ["gate", "policy.yaml", "--image", &image, "--history", "history.sqlite", "--out", "gate"];
        self.shakedown(&[&ask[..], more].concat())
    }
}

#[test]
fn the_three_answers_have_their_codes_their_files_and_their_attestation() {
    let bench = Bench::new();
    assert_eq!((bench.run(""), bench.run("")), (Some(0), Some(0)));
    let history =
        |more: &[&str]| bench.shakedown(&[&["history", "--history", "history.sqlite"], more].concat()).1;
    let (without, with) = (history(&[]), history(&["--simulated"]));
    assert!(without.contains("no such run") && without.contains("2 runs on simulated slots"), "{without}");
    assert!(with.matches("(simulated)").count() == 2 && !with.contains("left out"), "{with}");
    bench.policy(2);
    let (code, text) = bench.gate(&[]);
    assert!(code == Some(4) && text.contains("no run signed its journal"), "{text}");
    let (code, text) = bench.shakedown(&["gate", "seal", "out", "--key", "lab.key"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = bench.gate(&["--attest", "lab.key"]);
    assert!(code == Some(0) && text.starts_with("SHIP "), "{text}");
    for file in ["gate.html", "gate.json", "summary.md"] {
        assert!(bench.at("gate").join(file).exists(), "{file}");
    }
    std::fs::write(bench.at("lab.pub"), bench.shakedown(&["gate", "key", "lab.key", "--pem"]).1).unwrap();
    let verify = ["gate", "verify", "gate/gate.intoto.json", "--key", "lab.pub", "--journals", "out"];
    let (code, text) = bench.shakedown(&verify);
    assert!(code == Some(0) && text.contains("2 journals are those"), "{text}");
    bench.policy(3);
    let (code, text) = bench.gate(&["--plan-out", "plan.yaml", "--github"]);
    assert!(code == Some(4) && text.contains("::error title=missing evidence::"), "{text}");
    let plan = std::fs::read_to_string(bench.at("plan.yaml")).unwrap();
    assert!(plan.contains("suites: ['quick'], repeats: 1"), "{plan}");
    // A journal of the ones that were attested is edited.
    let run = std::fs::read_link(bench.at("out/latest")).unwrap();
    let journal = bench.at("out").join(run).join("journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, whole.replacen("seed 3", "seed 4", 1)).unwrap();
    let (code, text) = bench.shakedown(&verify);
    assert!(code == Some(2) && text.contains("none of the journals has the SHA-256"), "{text}");
    bench.policy(1);
    let (code, text) = bench.gate(&[]);
    assert!(code == Some(4) && text.contains("the journal was edited"), "one stands in for it: {text}");
    std::fs::write(&journal, whole).unwrap();
    assert_eq!(bench.run("{ case: 'container::engine::healthy', does: { fail: no engine } }"), Some(1));
    bench.shakedown(&["gate", "seal", "out", "--key", "lab.key"]);
    let (code, text) = bench.gate(&[]);
    assert!(code == Some(1) && text.starts_with("DO NOT SHIP"), "{text}");
    assert!(text.contains("container::engine::healthy is flaky, and failed in 1 of 3 attempts"), "{text}");
}

#[test]
fn the_runs_that_a_gate_referred_to_outlive_gc_and_the_others_go() {
    let bench = Bench::new();
    assert_eq!((bench.run(""), bench.run("")), (Some(0), Some(0)));
    bench.policy(2);
    assert_eq!(bench.shakedown(&["gate", "seal", "out", "--key", "lab.key"]).0, Some(0));
    let runs = || {
        let entries = std::fs::read_dir(bench.at("out")).unwrap().flatten().map(|entry| entry.path());
        let mut runs: Vec<_> = entries.filter(|path| path.is_dir() && !path.is_symlink()).collect();
        runs.sort();
        runs
    };
    let used = runs();
    let (code, text) = bench.gate(&["--attest", "lab.key"]);
    assert!(code == Some(0) && text.starts_with("SHIP "), "{text}");
    // Newer ones, which nobody refers to.
    assert_eq!((bench.run(""), bench.run("")), (Some(0), Some(0)));
    let (_, listed) = bench.shakedown(&["runs", "list", "--out", "out"]);
    assert!(listed.matches("[pinned: ").count() == 2 && listed.contains("4 run(s)"), "{listed}");
    let (code, text) = bench.shakedown(&["runs", "gc", "--keep", "0", "--out", "out"]);
    assert!(code == Some(0) && text.contains("2 run(s) removed, 0 kept, 2 pinned"), "{text}");
    assert_eq!(runs(), used);
    // So what was attested can still be checked to its journals.
    std::fs::write(bench.at("lab.pub"), bench.shakedown(&["gate", "key", "lab.key", "--pem"]).1).unwrap();
    let verify = ["gate", "verify", "gate/gate.intoto.json", "--key", "lab.pub", "--journals", "out"];
    let (code, text) = bench.shakedown(&verify);
    assert!(code == Some(0) && text.contains("2 journals are those"), "{text}");
}
