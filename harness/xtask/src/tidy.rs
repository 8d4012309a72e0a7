//! The rules of the workspace that the compiler does not check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::shell::{cargo, line, root};
use crate::stages::{Run, STAGES};

/// Who may depend on whom inside the workspace; DESIGN.md section 2.
const MAY_USE: &[(&str, &[&str])] = &[
    ("shakedown-core", &[]),
    ("shakedown-conf", &["core"]),
    ("shakedown-console", &["core"]),
    ("shakedown-media", &["core"]),
    ("shakedown-host", &["core", "console"]),
    ("shakedown-boards", &["core", "conf"]),
    ("shakedown-suites", &["core", "conf"]),
    ("shakedown-rigs", &["core", "conf", "console", "media", "host"]),
    ("shakedown-campaign", &["core", "conf"]),
    ("shakedown-simulated", &["core", "conf"]),
    ("shakedown-qemu", &["core", "conf", "console", "media", "host"]),
    ("shakedown-os", &["core", "media", "host"]),
    ("shakedown-runner", &["core", "console", "media"]),
    ("shakedown-reports", &["core"]),
    ("shakedown-history", &["core"]),
    ("shakedown-gate", &["core", "conf", "history"]),
    // Test support: for tests and benches alone.
    ("shakedown-pinned", &[]),
    ("xtask", &["pinned"]),
];

/// The root of everything may use all of them.
const COMPOSITION_ROOT: &str = "shakedown";

/// A hard look above this many lines.
const LONG: usize = 600;

/// Words that a file may not have, and the folders that may.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("Command::new(", &["harness/host/", "harness/xtask/", "harness/pinned/"], "only harness/host spawns"),
    ("println!(", &["harness/cli/", "harness/xtask/"], "only cli and xtask print"),
    ("eprint!(", &["harness/cli/", "harness/xtask/"], "only cli and xtask print"),
    ("thread::sleep(", &[], "waits have a name and a deadline"),
    ("time::sleep(", &["harness/core/src/time.rs"], "waits have a name and a deadline"),
    ("todo!(", &[], "no stubs"),
    ("unimplemented!(", &[], "no stubs"),
    ("#[ignore]", &[], "an ignored test says why and who runs it"),
    ("serde(flatten", &[], "errors would lose their place"),
    ("serde(untagged", &[], "errors would lose their place"),
    ("serde(tag", &[], "errors would lose their place"),
];

/// Folders whose Rust may name boards.
const NAMES_BOARDS: &[&str] = &["boards/", "rigs/", "qemu/", "harness/xtask/"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

/// Checks all rules; the error lists every breach.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut breaches = directions()?;
    let slugs = slugs()?;
    for file in sources()? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(root())?.display().to_string();
        breaches.extend(words(&name, &text));
        breaches.extend(not_run(&name));
        if !NAMES_BOARDS.iter().any(|folder| name.starts_with(folder)) && !is_test(&name) {
            breaches.extend(boards_named(&name, &text, &slugs));
        }
        let lines = text.lines().count();
        if lines > LONG && !is_test(&name) {
            breaches.push(format!("{name}: {lines} lines, more than {LONG}: split it"));
        }
    }
    if breaches.is_empty() {
        println!("tidy: every rule holds");
        return Ok(());
    }
    bail!("{} breach(es) of the workspace's rules:\n  {}", breaches.len(), breaches.join("\n  "))
}

fn directions() -> anyhow::Result<Vec<String>> {
    let text = cargo(["metadata", "--no-deps", "--offline", "--format-version", "1"]).read()?;
    let metadata: Metadata = serde_json::from_str(&text)?;
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        if package.name == COMPOSITION_ROOT {
            continue;
        }
        let Some(may) = allowed.get(package.name.as_str()) else {
            breaches.push(format!("{}: not on the map in harness/xtask/src/tidy.rs", package.name));
            continue;
        };
        let ours = package
            .dependencies
            .iter()
            .filter(|dep| dep.path.is_some() && dep.kind.as_deref() != Some("dev"));
        for dependency in ours {
            let short = dependency.name.trim_start_matches("shakedown-");
            if !may.contains(&short) {
                breaches.push(format!("{} may not depend on {}", package.name, dependency.name));
            }
        }
    }
    Ok(breaches)
}

fn sources() -> anyhow::Result<Vec<PathBuf>> {
    let files = line(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).read()?;
    Ok(files.lines().map(|file| root().join(file)).filter(|file| file.exists()).collect())
}

/// An integration test that no stage names is never run. A file of unit tests is no such: no folder
/// `tests` leads to it.
fn not_run(name: &str) -> Option<String> {
    let (_, file) = name.rsplit_once("tests/")?;
    let test =
        file.strip_suffix(".rs").filter(|test| !test.contains('/')).or(file.strip_suffix("/main.rs"))?;
    let run = STAGES
        .iter()
        .any(|stage| matches!(stage.run, Run::Tests(words) | Run::Arm64(words) | Run::Cargo(words) if words.contains(&test)));
    (!run).then(|| format!("{name}: no stage of the test command runs it"))
}

fn slugs() -> anyhow::Result<Vec<String>> {
    let mut slugs = Vec::new();
    for file in std::fs::read_dir(root().join("boards/catalogue"))? {
        if let Some(stem) = file?.path().file_stem().and_then(|stem| stem.to_str()) {
            slugs.push(stem.to_owned());
        }
    }
    Ok(slugs)
}

/// Tests speak of boards, spawn counterparts and show what they do.
fn is_test(name: &str) -> bool {
    let parts = ["/tests/", "/examples/"].iter().any(|part| name.contains(part));
    // A build script speaks to cargo by printing.
    parts || Path::new(name).ends_with("tests.rs") || Path::new(name).ends_with("build.rs")
}

fn words(name: &str, text: &str) -> Vec<String> {
    if is_test(name) || name.ends_with("xtask/src/tidy.rs") {
        return Vec::new();
    }
    let code = before_tests(text);
    let mut found = Vec::new();
    for (word, leave, why) in WORDS {
        if leave.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        for (index, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if line.contains(word) && !is_comment {
                found.push(format!("{name}:{}: `{word}`: {why}", index + 1));
            }
        }
    }
    found
}

fn boards_named(name: &str, text: &str, slugs: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in before_tests(text).lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for slug in slugs.iter().filter(|slug| line.contains(&format!("\"{slug}\""))) {
            found.push(format!("{name}:{}: names the board `{slug}`", index + 1));
        }
    }
    found
}

/// The part of a file above its test module.
fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        std::env::set_current_dir(root()).unwrap();
        if let Err(breaches) = run() {
            panic!("{breaches}");
        }
    }

    #[test]
    fn a_breach_is_named() {
        let text = "fn main() {\n    println!(\"x\");\n    let b = \"some-board\";\n}\n";
        assert_eq!(
            words("harness/core/src/a.rs", text),
            ["harness/core/src/a.rs:2: `println!(`: only cli and xtask print"]
        );
        assert!(words("harness/cli/src/a.rs", text).is_empty());
        assert_eq!(boards_named("reports/src/a.rs", text, &["some-board".into()]).len(), 1);
    }
}
