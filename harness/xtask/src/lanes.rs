//! Stages that wait more than they work, two at a time.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Instant;

use crate::shell::{Ended, target_dir};
use crate::stages::{Run, Stage, Tier};
use crate::test;

/// On 2 cores. The tests of these tiers wait for devices, deadlines and guests nine tenths of their time.
const LANES: usize = 2;

/// Tests that run beside others.
#[derive(Clone, Copy)]
pub(crate) struct Beside {
    stage: &'static Stage,
    tests: &'static [&'static str],
}

/// Which of these stages of one tier run beside each other, and which alone: what measures CPU time,
/// and the reference OS, which has a machine's cores to itself.
pub(crate) fn split(stages: Vec<&'static Stage>) -> (Vec<Beside>, Vec<&'static Stage>) {
    let fits = |stage: &'static Stage| match stage.run {
        Run::Tests(tests) if matches!(stage.tier, Tier::T1 | Tier::T2) => Some(Beside { stage, tests }),
        _ => None,
    };
    let beside: Vec<_> = stages.iter().copied().filter_map(fits).collect();
    if beside.len() < 2 {
        return (Vec::new(), stages);
    }
    (beside, stages.into_iter().filter(|stage| fits(stage).is_none()).collect())
}

/// Runs them all, in order as a lane gets free, and tells each result with what was printed.
pub(crate) fn run(
    stages: &[Beside],
    mut tell: impl FnMut(&'static Stage, anyhow::Result<()>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let waiting = Mutex::new(stages.iter().copied());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..LANES.min(stages.len()) {
            let done = done.clone();
            scope.spawn(|| {
                let done = done;
                while let Some(beside) = next() {
                    let Stage { tier, name, .. } = beside.stage;
                    println!("\n== {tier:?}: {name} begins beside others");
                    let began = Instant::now();
                    let ended = beside.run();
                    if done.send((beside.stage, ended, began.elapsed())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        for (stage, ended, took) in results {
            println!("\n== {:?}: {}\n{}", stage.tier, stage.name, ended.printed);
            println!("  {} took {:.1} s", stage.name, took.as_secs_f64());
            tell(stage, ended.result)?;
        }
        Ok(())
    })
}

impl Beside {
    fn run(self) -> Ended {
        let log = target_dir().join(format!("xtask/{}.log", self.stage.name));
        // A machine of QEMU's for each lane.
        let tests = test::tests(self.tests).env("SHAKEDOWN_QEMUS", LANES.to_string());
        let shown = tests.shown();
        match tests.background(&log) {
            Ok(started) => {
                let Ended { result, printed } = started.ended();
                Ended { result, printed: format!("$ {shown}\n{printed}") }
            }
            Err(error) => Ended { result: Err(error), printed: format!("$ {shown}") },
        }
    }
}
