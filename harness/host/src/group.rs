//! Process groups and /proc: who is in a group, who still lives, since when.

use std::path::Path;

use rustix::process::{Pid, Signal};

/// What `/proc/<pid>/stat` says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcStat {
    /// Its id.
    pub pid: u32,
    /// `R`, `S`, `Z` …
    pub state: char,
    /// Its process group.
    pub group: u32,
    /// Clock ticks from the host's boot to its start: with the pid, it names a process for good.
    pub start: u64,
}

impl ProcStat {
    /// Reads a process; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself contain spaces and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it still runs: a zombie does not.
    pub fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// This very process.
pub fn me() -> ProcStat {
    let pid = std::process::id();
    ProcStat::of(pid).unwrap_or(ProcStat { pid, state: 'R', group: pid, start: 0 })
}

/// Whether the process with this id and start time still runs.
pub fn lives(pid: u32, start: u64) -> bool {
    ProcStat::of(pid).is_some_and(|stat| stat.start == start && stat.lives())
}

/// All processes of the host that we can see, living ones only.
pub fn processes() -> Vec<ProcStat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(ProcStat::of).filter(ProcStat::lives).collect()
}

/// The living members of a process group.
pub fn members(group: u32) -> Vec<u32> {
    processes().into_iter().filter(|stat| stat.group == group).map(|stat| stat.pid).collect()
}

/// Processes that were started with this `NAME=value` in their environment, as far as we may look.
pub fn with_env(assignment: &str) -> Vec<u32> {
    let found = |pid: &u32| {
        let environ = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        environ.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == assignment.as_bytes()))
    };
    processes().into_iter().map(|stat| stat.pid).filter(found).collect()
}

/// Sends SIGKILL to a group and to its leader, which may not have made the group yet.
/// A group that is gone is what was wanted; the caller looks at who is left.
pub fn kill(group: u32) {
    signal(group, Signal::KILL);
}

/// Sends a signal to a group and, where there is no group, to the process of that id.
pub(crate) fn signal(group: u32, signal: Signal) {
    // 0 and 1 would mean our own group and every process.
    let Some(pid) = i32::try_from(group).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw) else { return };
    if rustix::process::kill_process_group(pid, signal).is_err() {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends SIGKILL to one process.
pub(crate) fn kill_one(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}
