//! The warden's own process.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use shakedown_core::{Deadline, Pace, RealClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{MARK, message::Message};
use crate::{Tool, dirs, group, lock};

/// What it says when it can be relied upon.
pub(super) const READY: &str = "watching";
/// The longest it goes on killing. A process that survives this hangs in the kernel.
const KILL: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(10);

/// Everything that is registered when the pipe ends.
#[derive(Debug, Default)]
pub(super) struct Wards {
    groups: BTreeMap<u64, u32>,
    safe: BTreeMap<u64, (String, Vec<String>, Duration)>,
    holders: BTreeMap<u64, PathBuf>,
}

impl Wards {
    fn note(&mut self, message: Message) {
        match message {
            Message::Group { id, group } => drop(self.groups.insert(id, group)),
            Message::Safe { id, name, argv, within } => drop(self.safe.insert(id, (name, argv, within))),
            Message::Holder { id, file } => drop(self.holders.insert(id, file)),
            Message::Done { id } => {
                self.groups.remove(&id);
                self.safe.remove(&id);
                self.holders.remove(&id);
            }
        }
    }
}

/// Runs until the harness has died and all is clean; returns the exit code: 0 clean, 1 not.
pub(super) fn serve(mark: &str) -> i32 {
    // Its own session: no signal of the harness's terminal or group reaches it. It fails only
    // for a group's leader, which a child of the harness is not.
    let own = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(_), Ok(runtime)) = (own, runtime) else { return 2 };
    let _held = std::env::set_current_dir("/");
    runtime.block_on(async {
        // Handlers that do nothing: who asks for an end must end the harness.
        let deaf =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let _deaf: Vec<_> = deaf.into_iter().filter_map(|kind| signal(kind).ok()).collect();
        let mut stdout = std::io::stdout();
        if writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).is_err() {
            return 2;
        }
        let mut wards = Wards::default();
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            // A line cut short by the harness's death holds nothing that was started.
            if let Ok(message) = serde_json::from_str(&line) {
                wards.note(message);
            }
        }
        let complaints = clean_up(&wards, mark).await;
        for file in wards.holders.values() {
            lock::release(file, &complaints);
        }
        report(mark, &complaints);
        i32::from(!complaints.is_empty())
    })
}

/// Kills, verifies, makes safe. Returns what did not work.
pub(super) async fn clean_up(wards: &Wards, mark: &str) -> Vec<String> {
    let clock = RealClock::start();
    let limit =
        |name: String, span| Deadline::new(name, span, Pace::Rig, clock.clone(), CancellationToken::new());
    let mut complaints = Vec::new();
    let killing = limit("the end of all that was started".into(), KILL);
    let assignment = format!("{MARK}={mark}");
    let mut quiet = 0;
    // Twice nobody: a process between its fork and its exec shows only in the second look.
    while quiet < 2 {
        let mut left: Vec<u32> = wards.groups.values().flat_map(|group| group::members(*group)).collect();
        wards.groups.values().for_each(|group| group::kill(*group));
        for pid in group::with_env(&assignment) {
            left.push(pid);
            group::kill_one(pid);
        }
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        left.dedup();
        if let Err(stop) = killing.pause(TICK, || format!("still running: {left:?}")).await {
            complaints.push(stop.to_string());
            break;
        }
    }
    for (name, argv, within) in wards.safe.values() {
        let Some((program, args)) = argv.split_first() else { continue };
        let by = limit(format!("the safe state of {name}"), *within);
        if let Err(fault) = Tool::new(program).args(args).run_ok(&by).await {
            complaints.push(format!("{name} is not in its safe state: {fault}"));
        }
    }
    complaints
}

/// Leaves a note for people where something did not work.
fn report(mark: &str, complaints: &[String]) {
    if complaints.is_empty() {
        return;
    }
    let Ok(folder) = dirs::runtime() else { return };
    let _ = std::fs::write(folder.join(format!("warden-{mark}.txt")), complaints.join("\n") + "\n");
}
