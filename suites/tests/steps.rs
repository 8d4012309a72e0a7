//! What the interpreter makes of answers: each feature with a pass and a failure.

mod fake;

use std::path::PathBuf;
use std::time::Duration;

use fake::{Answer, Fake};
use shakedown_core::{Cut, Failure};
use shakedown_suites::Suites;

const HEAD: &str = "module: test::it
cases:
  - id: case
    title: The case under test holds
    effect: read-only
    within: 20s
    sabotage: [{ id: none, edits: [{ shell: 'true' }], must-say: wrong }]
";

/// A folder with one suite file; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, body: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("shakedown-suites-{}-{name}", std::process::id()));
        let suite = folder.join("suites/test");
        std::fs::create_dir_all(&suite).unwrap();
        std::fs::write(suite.join("it.yaml"), format!("{HEAD}{body}")).unwrap();
        let programs = folder.join("suites/programs");
        std::fs::create_dir_all(&programs).unwrap();
        std::fs::write(programs.join("probe"), "#!/bin/sh\n").unwrap();
        Self(folder)
    }

    fn load(&self) -> Result<Suites, String> {
        Suites::with_paths(std::slice::from_ref(&self.0)).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn run(name: &str, body: &str, script: &[(&'static str, &[Answer])]) -> (Result<(), Cut>, Fake) {
    let suites = Folder::new(name, body).load().unwrap();
    let fake = Fake::new(script);
    let case = suites.get("test::it::case").unwrap().for_profile(&fake::profile());
    let by = fake.deadline(Duration::from_secs(10));
    let result = case.run(&fake, &by).await;
    (result, fake)
}

fn failure(result: Result<(), Cut>) -> Failure {
    match result {
        Err(Cut::Fail(failure)) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// Each expectation on an output that it holds for, and on one that it does not.
#[tokio::test]
async fn each_expectation_passes_and_fails() {
    let table: &[(&str, Answer, Answer, &str)] = &[
        ("{ exit: 3 }", (3, ""), (0, "out"), "exit code 3"),
        ("{ equals: 'a b' }", (0, "a b\n"), (0, "a b c\n"), "`a b c`"),
        ("{ equals: '' }", (0, "\n"), (0, "x"), "`x`"),
        ("{ equals: '{hostname}' }", (0, "shake-1a2b"), (0, "other"), "`shake-1a2b`"),
        ("{ contains: ['b c'] }", (0, "a b c d"), (0, "a b d"), "`b c` in the output"),
        ("{ matches: ['^x=\\d+$'] }", (0, "y\nx=12\nz"), (0, "x=y"), "a match of"),
        ("{ matches: ['^{hostname}$'] }", (0, "shake-1a2b"), (0, "shakeX1a2b"), "a match of"),
        ("{ contains: [a], not-matches: ['^bad'] }", (0, "a"), (0, "a\nbad line\n"), "bad line"),
        ("{ lines: { at-least: 2, at-most: 2 } }", (0, "a\n\nb\n"), (0, "a\n"), "2 lines"),
        ("{ number: { at-most: 10, unit: MiB } }", (0, " 9.5 \n"), (0, "10.5"), "at most 10 MiB"),
        ("{ number: { at-least: 1, unit: s } }", (0, "1"), (0, "soon"), "a number of s"),
        (
            "{ number: { from: 'load (\\S+)', at-most: 1, unit: '' } }",
            (0, "up, load 0.5"),
            (0, "up"),
            "nothing that matches",
        ),
        ("{ exit: 0 }", (0, ""), (1, "why"), "printed `why`"),
    ];
    // One file with a case for each: suites are read once.
    let mut body = "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n".to_owned();
    let head = HEAD.lines().skip(2).collect::<Vec<_>>().join("\n");
    for (index, (expect, ..)) in table.iter().enumerate() {
        let head = head.replace("id: case", &format!("id: case-{index}"));
        body.push_str(&head);
        body.push_str("\n    check: [{ run: look, says: it is wrong, expect: ");
        body.push_str(expect);
        body.push_str(" }]\n");
    }
    let suites = Folder::new("each", &body).load().unwrap();
    for (index, (expect, good, bad, says)) in table.iter().enumerate() {
        let case = suites.get(&format!("test::it::case-{index}")).unwrap().case();
        for (answer, passes) in [(*good, true), (*bad, false)] {
            let fake = Fake::new(&[("look", &[answer])]);
            let result = case.run(&fake, &fake.deadline(Duration::from_secs(5))).await;
            if passes {
                assert_eq!(result, Ok(()), "{expect}");
                continue;
            }
            let failure = failure(result);
            assert_eq!(failure.what, "it is wrong");
            assert!(failure.to_string().contains(says), "{expect}: {failure}");
        }
    }
}

#[tokio::test]
async fn a_level_is_waited_for_and_its_last_value_told() {
    let wait = |within: &str| {
        format!(
            "    check: [{{ run: state, wait-for: the unit to be active, within: {within}, \
             says: the unit is not active, expect: {{ equals: active }} }}]\n"
        )
    };
    let (result, fake) =
        run("level", &wait("10s"), &[("state", &[(0, "starting"), (3, ""), (0, "active")])]).await;
    assert_eq!(result, Ok(()));
    assert_eq!(fake.ran().len(), 3);
    let (result, _) = run("level-late", &wait("1500ms"), &[("state", &[(0, "starting")])]).await;
    let failure = failure(result);
    assert!(failure.got.starts_with("`starting` after "), "{failure}");
}

#[tokio::test]
async fn cleanup_runs_after_a_failure_and_its_own_failure_counts() {
    let body = "    check: [{ run: look, says: it is wrong, expect: { exit: 0 } }]
    cleanup: [{ run: first, expect: { exit: 0 } }, { run: second, expect: { exit: 0 } }]
";
    let (result, fake) =
        run("clean", body, &[("look", &[(1, "")]), ("first", &[(1, "")]), ("second", &[(0, "")])]).await;
    assert_eq!(failure(result).what, "it is wrong");
    assert_eq!(fake.ran(), ["look", "first", "second"]);
    assert!(fake.notes.lock().unwrap()[0].contains("cleanup failed"));

    let (result, _) =
        run("clean-fails", body, &[("look", &[(0, "")]), ("first", &[(1, "")]), ("second", &[(0, "")])])
            .await;
    assert!(failure(result).what.starts_with("cleanup: "));
}

#[tokio::test]
async fn a_measure_is_reported_and_held_to_the_profiles_budget() {
    let body = "    check:
      - { run: used, says: too much memory is used, expect: { number: { at-least: 1, unit: MiB } }, measure: { name: memory.rest, better: lower } }
";
    let (result, fake) = run("measure", body, &[("used", &[(0, "299.5")])]).await;
    assert_eq!(result, Ok(()));
    let measure = fake.measures.lock().unwrap()[0].clone();
    assert_eq!((measure.name.as_str(), measure.unit.as_str()), ("memory.rest", "MiB"));
    assert!((measure.value - 299.5).abs() < f64::EPSILON);
    let (result, fake) = run("budget", body, &[("used", &[(0, "300.5")])]).await;
    assert!(failure(result).expected.contains("the budget of the reference OS"));
    // What is over its budget is on record as well, and with it the budget.
    let told = |fake: &Fake| -> Vec<(String, f64)> {
        let measures = fake.measures.lock().unwrap();
        measures.iter().map(|measure| (measure.name.clone(), measure.value)).collect()
    };
    let record = |value| vec![("memory.rest".to_owned(), value), ("memory.rest.budget".to_owned(), 300.0)];
    assert_eq!(told(&fake), record(300.5));
    let wait = body.replace("run: used,", "run: used, wait-for: the memory to be given back, within: 10ms,");
    let (result, fake) = run("budget-late", &wait, &[("used", &[(0, "300.5"), (0, "301.5")])]).await;
    assert!(matches!(result, Err(Cut::Fail(_))));
    assert_eq!(told(&fake), record(300.5), "one measure, not one for each look");
}

#[tokio::test]
async fn an_edit_of_the_configuration_is_read_back() {
    let body = "    check: [{ config: { key: ssh-keys, value: '[\"{hostname}\"]' } }]\n";
    let (result, fake) = run("config", body, &[("sh -c", &[(0, "true\n\0[\"old\"]")])]).await;
    assert_eq!(result, Ok(()));
    let line = &fake.ran()[0];
    assert!(line.contains(r#"'["os","sshKeys"]'"#) && line.contains(r#"'["shake-1a2b"]'"#), "{line}");
    assert!(fake.notes.lock().unwrap()[0].contains("old"));
    assert!(fake.names.lock().unwrap().is_empty());
    let named = "    check: [{ config: { key: hostname, value: '\"{hostname}-b\"' } }]\n";
    let (result, fake) = run("config-name", named, &[("sh -c", &[(0, "true")])]).await;
    assert_eq!((result, fake.names.lock().unwrap().as_slice()), (Ok(()), &["shake-1a2b-b".to_owned()][..]));
    for answer in [(0, "false\n\0[\"old\"]"), (1, "")] {
        let (result, _) = run("config-fails", body, &[("sh -c", &[answer])]).await;
        assert!(failure(result).what.contains("`os.sshKeys` of /mnt/boot/config.json"));
    }
    let body = "    check: [{ config: { key: ssh-keys, value: '[' } }]\n";
    let (result, _) = run("config-json", body, &[]).await;
    assert!(matches!(result, Err(Cut::Broken(what)) if what.contains("is not JSON")));
}

#[tokio::test]
async fn programs_report_as_tap_or_by_their_exit_code() {
    let body = |format: &str| {
        format!(
            "    check: [{{ program: {{ file: probe, format: {format} }}, says: the probe found a fault }}]\n"
        )
    };
    let table: &[(&str, Answer, &str)] = &[
        ("tap", (0, "1..2\nok 1\nok 2\n"), ""),
        ("tap", (1, "1..2\nok 1\nnot ok 2 - disk\n# too slow\n"), "not ok 2 disk / too slow"),
        ("tap", (0, "1..2\nok 1\n"), "2 tests were planned, 1 reported"),
        ("tap", (2, "1..1\nok 1\n"), "exit code 2"),
        ("ktap", (0, "KTAP version 1\n1..1\nok 1 suite\n"), ""),
        ("exit", (0, "anything"), ""),
        ("exit", (4, "oh"), "exit code 4"),
    ];
    for (format, answer, says) in table {
        let (result, fake) =
            run("program", &body(format), &[("mkdir", &[(0, "")]), ("sh -c", &[*answer])]).await;
        assert_eq!(fake.put.lock().unwrap()[0].0, "/mnt/data/shakedown/probe");
        if says.is_empty() {
            assert_eq!(result, Ok(()));
        } else {
            assert!(failure(result).got.contains(says));
        }
    }
    for skipped in ["1..0 # SKIP no hardware\n", "1..1\nok 1 # SKIP no hardware\n", "1..0\n"] {
        let (result, _) =
            run("skips", &body("tap"), &[("mkdir", &[(0, "")]), ("sh -c", &[(0, skipped)])]).await;
        assert!(matches!(result, Err(Cut::Broken(_))), "{skipped}: {result:?}");
    }
}

/// A pattern that cannot be compiled once a fact is in it is the case's defect, not the OS's.
#[tokio::test]
async fn a_pattern_that_breaks_at_run_time_is_an_error_of_the_case() {
    let body =
        "    check: [{ run: look, says: it is wrong, expect: { matches: ['^(x{hostname}){1,65535}'] } }]\n";
    let folder = Folder::new("late-pattern", body);
    match folder.load() {
        // The stand-in is already too much: refused when loaded.
        Err(error) => assert!(error.contains("is not a pattern"), "{error}"),
        Ok(suites) => {
            let fake = Fake::new(&[("look", &[(0, "x")])]);
            let by = fake.deadline(Duration::from_secs(5));
            let result = suites.get("test::it::case").unwrap().case().run(&fake, &by).await;
            assert!(matches!(result, Err(Cut::Broken(what)) if what.contains("is not a pattern")));
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (body, says) in [
        (
            "    check: [{ run: 'echo {hostnaem}', says: it is wrong, expect: { exit: 0 } }]\n",
            "it.yaml:8:20: cases[0].check[0].run: unknown fact `hostnaem`; did you mean `hostname`?",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { matches: ['('] } }]\n",
            "cases[0].check[0].expect.matches[0]: `(` is not a pattern",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { matches: ['^x*'] } }]\n",
            "also matches an empty output",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { not-matches: ['bad'] } }]\n",
            "alone it holds for an empty output",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { lines: { at-least: 0 } } }]\n",
            "any number of lines would do",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { contains: [''] } }]\n",
            "contains an empty text",
        ),
        ("    check: [{ run: x, says: it is wrong, expect: {} }]\n", "nothing is expected"),
        ("    check: [{ run: x, says: it is wrong }]\n", "a command without `expect` says nothing"),
        ("    check: [{ run: x, expect: { exit: 0 } }]\n", "says what its failure means"),
        ("    check: []\n", "a case without a check cannot fail"),
        ("    plot: engine-tpc\n", "unknown plot `engine-tpc`; did you mean `engine-tcp`?"),
        (
            "    check: [{ program: { file: prob, format: tap }, says: it is wrong }]\n",
            "unknown program `prob`; did you mean `probe`?",
        ),
        ("    check: [{ runs: x }]\n", "unknown field `runs`; did you mean `run`?"),
        (
            "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n    after: ['os::swap::zarm-size']\n",
            "did you mean `os::swap::zram-size`?",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n    prepare: [{ run: x, expect: { exit: 0 } }]\n",
            "only `shares-reboot` cases",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { matches: ['^({hostname})?'] } }]\n",
            "also matches an empty output",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }, { run: x, says: all is wrong, expect: { exit: 0 } }]\n",
            "cases[0].sabotage[0].must-say: it fits several failures of this case: `all is wrong`, `it is wrong`",
        ),
        (
            "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n    after: ['os::reboot::purge']\n",
            "cases[0].after[0]: `os::reboot::purge` has a heavier effect, so it always runs later",
        ),
    ] {
        let error = Folder::new("wrong", body).load().unwrap_err();
        assert!(error.contains(says), "{body}: {error}");
        assert!(error.contains("suites/test/it.yaml:"), "{error}");
    }
}

#[test]
fn a_suite_file_with_the_wrong_ending_is_not_left_out_in_silence() {
    let folder = Folder::new("ending", "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n");
    let suite = folder.0.join("suites/test");
    std::fs::rename(suite.join("it.yaml"), suite.join("it.yml")).unwrap();
    let error = folder.load().unwrap_err();
    assert!(error.ends_with("suites/test/it.yml: must end in `.yaml` to be found"), "{error}");
}

#[test]
fn a_second_case_with_the_same_id_is_refused() {
    let check = "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n";
    let again = HEAD.lines().skip(2).collect::<Vec<_>>().join("\n");
    let error = Folder::new("twice", &format!("{check}{again}\n{check}")).load().unwrap_err();
    assert!(error.contains("a case `test::it::case` already stands at"), "{error}");
}

#[test]
fn a_case_that_was_renamed_says_its_old_name_and_takes_nobody_elses() {
    let check = "    check: [{ run: x, says: it is wrong, expect: { exit: 0 } }]\n";
    let renamed = format!("{check}    was: ['test::it::first']\n");
    let suites = Folder::new("renamed", &renamed).load().unwrap();
    assert_eq!(suites.renames(), [("test::it::first".to_owned(), "test::it::case".to_owned())]);
    let taken = format!("{check}    was: ['os::release::slug']\n");
    let error = Folder::new("taken", &taken).load().unwrap_err();
    assert!(error.contains("cases[0].was[0]: `os::release::slug` is a case of today"), "{error}");
    let again = HEAD.lines().skip(2).collect::<Vec<_>>().join("\n").replace("id: case", "id: other");
    let error = Folder::new("claimed", &format!("{renamed}{again}\n{renamed}")).load().unwrap_err();
    assert!(error.contains("`test::it::first` is claimed by `test::it::case` too"), "{error}");
}
