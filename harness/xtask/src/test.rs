//! The second command: what CI runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::cross;
use crate::fuzz;
use crate::lanes;
use crate::packages;
use crate::shell::{Background, Line, cargo, line, shakedown, target_dir};
use crate::stages::{FEATURES, Run, STAGES, Stage, Tier};
use crate::tidy;

/// `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Everything, without a cap; what passed on this commit is not run again.
    #[arg(long)]
    full: bool,
    /// Only the stages whose names contain this, or those of this tier (T0 to T4).
    #[arg(long)]
    only: Option<String>,
}

/// For the whole, in seconds on 2 cores from a fresh clone: what the README promises.
const WHOLE: u64 = 40 * 60;

/// What became of the chosen stages.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    spent: BTreeMap<Tier, Duration>,
    /// With `--full`: what it passed on this commit.
    book: Option<Passed>,
}

/// What `--full` passed on this commit.
#[derive(Default, Serialize, Deserialize)]
struct Passed {
    commit: String,
    stages: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut needed =
        vec![packages::BUILD, packages::IMAGE, packages::QEMU, packages::QEMU_MORE, packages::TEST];
    if args.full {
        needed.extend([packages::EXAMPLES, packages::ARM64, packages::PROBE, packages::FUZZ]);
    }
    packages::install(&needed)?;
    let began = Instant::now();
    let mut tally = Tally { book: args.full.then(Passed::read), ..Tally::default() };
    let mut images = None;
    let named = |stage: &&Stage, only: &String| {
        stage.name.contains(only) || format!("{:?}", stage.tier).eq_ignore_ascii_case(only)
    };
    let chosen = STAGES.iter().filter(|stage| args.full || !stage.full);
    let chosen: Vec<_> =
        chosen.filter(|stage| args.only.as_ref().is_none_or(|only| named(stage, only))).collect();
    for part in chosen.chunk_by(|one, next| one.tier == next.tier) {
        let tier = part[0].tier;
        let start = Instant::now();
        let left: Vec<_> = part.iter().copied().filter(|stage| !tally.passed_before(stage)).collect();
        let (beside, alone) = lanes::split(left);
        lanes::run(&beside, |stage, result| tally.add(stage, result))?;
        for stage in alone {
            println!("\n== {tier:?}: {}", stage.name);
            tally.add(stage, one(stage, &mut images))?;
            if stage.name == "build" && images.is_none() && tally.failed.is_empty() && args.only.is_none() {
                images = Some(build_images()?);
            }
            if tally.build_is_broken() {
                break;
            }
        }
        *tally.spent.entry(tier).or_default() += start.elapsed();
        if tally.build_is_broken() {
            break;
        }
    }
    summary(&tally, chosen.len(), began.elapsed(), args.full)
}

impl Tally {
    fn passed_before(&mut self, stage: &Stage) -> bool {
        let passed = self.book.as_ref().is_some_and(|book| book.stages.iter().any(|name| name == stage.name));
        if passed {
            println!("\n== {} passed before on this commit", stage.name);
            self.passed += 1;
        }
        passed
    }

    fn add(&mut self, stage: &'static Stage, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match result {
            Ok(()) => {
                self.passed += 1;
                if let Some(book) = &mut self.book {
                    book.add(stage.name)?;
                }
            }
            Err(error) => {
                println!("FAILED {}: {error:#}", stage.name);
                self.failed.push(stage.name);
            }
        }
        Ok(())
    }

    /// Nothing below a broken build means anything.
    fn build_is_broken(&self) -> bool {
        STAGES.iter().any(|stage| stage.tier == Tier::Build && self.failed.contains(&stage.name))
    }
}

fn one(stage: &Stage, images: &mut Option<Background>) -> anyhow::Result<()> {
    match stage.run {
        Run::Cargo(args) => cargo(args).run(),
        Run::Build => built("build", &[]),
        Run::BuildTests => built("test", &["--no-run"]),
        Run::Clippy => built("clippy", &["--all-targets", "--", "-D", "warnings"]),
        Run::Unit => built("test", &["--lib", "--bins"]),
        Run::Tests(names) => tests(names).run(),
        Run::Ignored(names) => built("test", &ignored(names)),
        Run::Arm64(names) => {
            let kit = cross::kit()?;
            with_features("test", &ignored(names)).env("SHAKEDOWN_ARM64", kit).run()
        }
        Run::Shakedown(args, wanted) => {
            let argv =
                [shakedown().display().to_string()].into_iter().chain(args.iter().map(ToString::to_string));
            let code = line(argv).code()?;
            if code != wanted {
                bail!("exit code {code}, expected {wanted}");
            }
            Ok(())
        }
        Run::Tidy => tidy::run(),
        Run::Fuzz => fuzz::run(),
        Run::Images => match images.take() {
            Some(images) => images.join(),
            None => build_images()?.join(),
        },
    }
}

fn built(verb: &str, rest: &[&str]) -> anyhow::Result<()> {
    with_features(verb, rest).run()
}

fn with_features(verb: &str, rest: &[&str]) -> Line {
    cargo([verb].iter().chain(FEATURES).chain(rest))
}

/// These integration tests.
pub(crate) fn tests(names: &[&'static str]) -> Line {
    with_features("test", &named(names))
}

fn ignored(names: &[&'static str]) -> Vec<&'static str> {
    [named(names), vec!["--", "--ignored"]].concat()
}

/// Both architectures and what updates them, while cargo compiles the tests.
fn build_images() -> anyhow::Result<Background> {
    let log = target_dir().join("xtask/images.log");
    let shakedown = shakedown().display().to_string();
    let build = line([shakedown.as_str(), "image", "build", "--arch", "all", "--updates"]);
    println!("$ {} > {} &", build.shown(), log.display());
    build.background(&log)
}

fn summary(tally: &Tally, chosen: usize, took: Duration, full: bool) -> anyhow::Result<()> {
    println!("\n== time by tier (budget on 2 cores from a fresh clone)");
    let mut problems: Vec<String> = tally.failed.iter().map(|name| (*name).to_owned()).collect();
    let mut line = |name: &str, time: Duration, budget: u64| {
        let over = time.as_secs() > budget && !full;
        let mark = if over { "  OVER BUDGET" } else { "" };
        println!("  {name:<7} {:>7.1} s of {budget:>4} s{mark}", time.as_secs_f64());
        if over {
            problems.push(format!("{name} is over its budget"));
        }
    };
    for tier in Tier::ALL {
        if let Some(time) = tally.spent.get(&tier) {
            line(&format!("{tier:?}"), *time, tier.budget());
        }
    }
    // Said, not failed: what is over has failed in its tier, and a slow host is no defect.
    let over = if took.as_secs() > WHOLE && !full { "  more than the README promises" } else { "" };
    println!("  all     {:>7.1} s of {WHOLE:>4} s{over}", took.as_secs_f64());
    let failed = tally.failed.len();
    let not_run = chosen - tally.passed - failed;
    println!("\nstages: {} passed, {failed} failed, {not_run} not run", tally.passed);
    if problems.is_empty() && not_run == 0 {
        return Ok(());
    }
    bail!("{}", problems.join("; "))
}

impl Passed {
    fn path() -> PathBuf {
        target_dir().join("xtask/full.json")
    }

    /// What passed on the commit and the work tree as they are now.
    fn read() -> Self {
        let commit = Self::commit();
        let read = || -> Option<Self> { serde_json::from_slice(&std::fs::read(Self::path()).ok()?).ok() };
        match read() {
            Some(passed) if passed.commit == commit => passed,
            _ => Self { commit, stages: Vec::new() },
        }
    }

    fn commit() -> String {
        let head = line(["git", "rev-parse", "HEAD"]).read().unwrap_or_default();
        let changes = line(["git", "diff", "HEAD"]).read().unwrap_or_default();
        let mut hash = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&changes, &mut hash);
        format!("{} {:x}", head.trim(), std::hash::Hasher::finish(&hash))
    }

    fn add(&mut self, stage: &str) -> anyhow::Result<()> {
        self.stages.push(stage.to_owned());
        let path = Self::path();
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, serde_json::to_vec(self)?)?)
    }
}

/// As Cargo wants integration tests named.
fn named(tests: &[&'static str]) -> Vec<&'static str> {
    tests.iter().flat_map(|name| ["--test", name]).collect()
}
