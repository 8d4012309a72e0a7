//! What is left when the harness is killed: nothing. This binary starts itself again as the
//! harness that dies.

#[path = "support/mod.rs"]
mod support;

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use shakedown_core::Deadline;
use shakedown_host::lock::{self, LockError};
use shakedown_host::warden::{self, State};
use shakedown_host::{Child, Tool, group};
use support::within;

const PROBE: &str = "__probe";
/// Every process of a probe carries this variable.
const TEST: &str = "SHAKEDOWN_WARDEN_TEST";

fn main() {
    warden::serve_if_asked();
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|first| first == PROBE) {
        return on_runtime(probe(&args[2], Path::new(&args[3])));
    }
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test);
    let trials = vec![
        trial("killed_harness_leaves_nothing_and_outputs_are_safe", killed),
        trial("signals_to_the_harness_s_group_do_not_reach_the_warden", signalled),
        trial("a_returning_harness_leaves_nothing", returned),
        trial("the_death_of_the_warden_is_noticed", orphaned),
        trial("a_held_slot_is_refused_with_its_holder", held),
        trial("a_dead_holder_s_slot_is_taken_over_when_it_is_safe", taken_over),
        trial("what_a_dead_holder_and_its_dead_warden_started_is_killed_by_the_next", both_killed),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// The harness that dies.
async fn probe(how: &str, dir: &Path) {
    let warden = warden::start().expect("a warden");
    let State::Watching { pid } = warden.state() else { panic!("{:?}", warden.state()) };
    let by = within(20.0, "probe");
    // Double forks inside the group, one that left it, one that is the group's leader.
    let line = "(sleep 500 & (sleep 501 &)) & setsid sleep 502 & exec sleep 503";
    let sleepers = Tool::new("sh").args(["-c", line]).start().expect("sleepers");
    let safe = format!("sleep 0.7; touch {}", dir.join("safe").display());
    let argv = ["sh", "-c", &safe].map(str::to_owned);
    let _safe = warden.safe_state("relay", &argv, Duration::from_secs(3)).expect("a safe state");
    let _lock = lock::acquire(dir, "rig", "slot", "probe --of lock", &by).await.expect("the lock");
    std::fs::write(dir.join("pids"), format!("{pid} {}", sleepers.pid())).expect("the pids");
    std::fs::rename(dir.join("pids"), dir.join("ready")).expect("ready");
    match how {
        "killed" => kill_process(getpid(), Signal::KILL).expect("the end"),
        "orphaned" => {
            kill_process(Pid::from_raw(pid as i32).expect("a pid"), Signal::KILL).expect("no warden");
            let fault = loop {
                match Tool::new("true").run(&by).await {
                    Err(fault) => break fault,
                    Ok(_) => by.pause(Duration::from_millis(5), String::new).await.expect("it is noticed"),
                }
            };
            std::fs::write(dir.join("noticed"), fault.to_string()).expect("a note");
        }
        _ => {
            // Returns when it is told to, unless it is killed before.
            let _ = std::io::stdin().read(&mut [0]);
        }
    }
}

struct Probe {
    child: Child,
    stdin: Option<std::process::ChildStdin>,
    dir: tempfile::TempDir,
    mark: String,
    warden: u32,
}

impl Probe {
    async fn start(how: &str, by: &Deadline) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = format!("{TEST}={}", dir.path().display());
        let (name, value) = mark.split_once('=').expect("two parts");
        let own = std::env::current_exe().expect("this program");
        // Whoever started the tests may ignore an interrupt, and a child takes that over.
        let tool = Tool::new("env")
            .arg("--default-signal=INT,TERM,HUP")
            .arg(own)
            .arg(PROBE)
            .arg(how)
            .arg(dir.path())
            .env(name, value);
        let piped = tool.start_piped().expect("a probe");
        let ready = dir.path().join("ready");
        while !ready.exists() {
            by.pause(Duration::from_millis(5), || piped.child.tail()).await.expect("the probe is ready");
        }
        let pids = std::fs::read_to_string(ready).expect("pids");
        let warden = pids.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
        Self { child: piped.child, stdin: Some(piped.stdin), dir, mark, warden }
    }

    /// Processes of the probe, its warden included.
    fn survivors(&self) -> Vec<u32> {
        group::with_env(&self.mark)
    }

    /// How long it took from now until nobody of it was left.
    async fn until_clean(&self, by: &Deadline) -> Duration {
        let began = Instant::now();
        while !self.survivors().is_empty() {
            let left = || format!("{:?}", self.survivors());
            by.pause(Duration::from_millis(5), left).await.expect("nobody is left");
        }
        began.elapsed()
    }
}

fn check(good: bool, what: impl Into<String>) -> Result<(), Failed> {
    if good { Ok(()) } else { Err(what.into().into()) }
}

fn killed() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let probe = Probe::start("killed", &by).await;
        let took = probe.until_clean(&by).await;
        check(took < Duration::from_secs(5), format!("nobody was left after {took:?}"))?;
        check(probe.dir.path().join("safe").exists(), "the safe state was not reached")
    })
}

fn signalled() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let probe = Probe::start("waits", &by).await;
            // The harness, its warden and four sleepers at least.
            while probe.survivors().len() < 6 {
                let seen = || format!("{:?}", probe.survivors());
                by.pause(Duration::from_millis(5), seen).await.map_err(|stop| stop.to_string())?;
            }
            let pid = Pid::from_raw(probe.child.pid() as i32).ok_or("a pid")?;
            kill_process_group(pid, signal)?;
            // Also to the warden itself: it goes on.
            kill_process(Pid::from_raw(probe.warden as i32).ok_or("a pid")?, signal)?;
            probe.until_clean(&by).await;
            check(
                probe.dir.path().join("safe").exists(),
                format!("{signal:?}: the safe state was not reached"),
            )?;
        }
        Ok(())
    })
}

fn returned() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let mut probe = Probe::start("waits", &by).await;
        drop(probe.stdin.take());
        let status = probe.child.wait(&by).await?;
        check(status.success(), format!("{status}: {}", probe.child.tail()))?;
        probe.until_clean(&by).await;
        check(!probe.dir.path().join("safe").exists(), "what was taken back was run all the same")
    })
}

fn orphaned() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let probe = Probe::start("orphaned", &by).await;
        let status = probe.child.wait(&by).await?;
        check(status.success(), format!("{status}: {}", probe.child.tail()))?;
        let noticed = std::fs::read_to_string(probe.dir.path().join("noticed"))?;
        check(noticed.contains("ended with signal 9"), noticed)?;
        // The one that left its group can be found by nobody else now.
        probe.survivors().into_iter().filter_map(|pid| Pid::from_raw(pid as i32)).for_each(|pid| {
            let _ = kill_process(pid, Signal::KILL);
        });
        Ok(())
    })
}

fn held() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let mut probe = Probe::start("waits", &by).await;
        let began = Instant::now();
        let Err(LockError::Held(held)) = lock::acquire(probe.dir.path(), "rig", "slot", "mine", &by).await
        else {
            return Err("the slot was given to two".into());
        };
        check(held.pid == probe.child.pid() && held.command == "probe --of lock", format!("{held:?}"))?;
        let said = held.to_string();
        let pid = format!("(process {}) since ", held.pid);
        check(said.starts_with("rig/slot is held by ") && said.contains(&pid), said)?;
        check(began.elapsed() < Duration::from_secs(1), "the refusal took long")?;
        lock::acquire(probe.dir.path(), "rig", "other", "mine", &by).await?;
        drop(probe.stdin.take());
        probe.child.wait(&by).await?;
        let mine = lock::acquire(probe.dir.path(), "rig", "slot", "mine", &by).await?;
        let twice = lock::acquire(probe.dir.path(), "rig", "slot", "again", &by).await;
        check(
            matches!(&twice, Err(LockError::Held(held)) if held.pid == std::process::id()),
            "held by ourselves",
        )?;
        drop(mine);
        lock::acquire(probe.dir.path(), "rig", "slot", "again", &by).await?;
        Ok(())
    })
}

fn taken_over() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let probe = Probe::start("killed", &by).await;
        while group::lives(
            probe.child.pid(),
            group::ProcStat::of(probe.child.pid()).map_or(0, |stat| stat.start),
        ) {
            by.pause(Duration::from_millis(1), String::new).await.map_err(|stop| stop.to_string())?;
        }
        let began = Instant::now();
        let lock = lock::acquire(probe.dir.path(), "rig", "slot", "mine", &by).await?;
        check(probe.dir.path().join("safe").exists(), "the slot was given away before it was safe")?;
        check(lock.left.is_empty(), format!("{:?}", lock.left))?;
        check(began.elapsed() < Duration::from_secs(5), format!("{:?}", began.elapsed()))
    })
}

/// `pkill -9` by name takes harness and warden together: nobody is left who would clean up.
fn both_killed() -> Result<(), Failed> {
    on_runtime(async {
        let by = within(20.0, "the test");
        let probe = Probe::start("waits", &by).await;
        // The harness, its warden and four sleepers at least.
        while probe.survivors().len() < 6 {
            let seen = || format!("{:?}", probe.survivors());
            by.pause(Duration::from_millis(5), seen).await.map_err(|stop| stop.to_string())?;
        }
        // The warden first: it must not see the end of the harness.
        for pid in [probe.warden, probe.child.pid()] {
            kill_process(Pid::from_raw(pid as i32).ok_or("a pid")?, Signal::KILL)?;
        }
        let gone = || {
            ![probe.warden, probe.child.pid()]
                .iter()
                .any(|pid| group::ProcStat::of(*pid).is_some_and(|stat| stat.lives()))
        };
        while !gone() {
            by.pause(Duration::from_millis(1), String::new).await.map_err(|stop| stop.to_string())?;
        }
        check(probe.survivors().len() >= 4, format!("{:?} were to survive", probe.survivors()))?;
        let lock = lock::acquire(probe.dir.path(), "rig", "slot", "mine", &by).await?;
        check(probe.survivors().is_empty(), format!("{:?} have the slot still", probe.survivors()))?;
        check(lock.left.is_empty(), format!("{:?}", lock.left))
    })
}
