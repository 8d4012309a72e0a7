//! What can be seen around a case that ended early.

use serde::{Deserialize, Serialize};
use shakedown_core::{
    Blame, BootFailure, Cut, Level, NetPath, PaceGauge, ProcessState, ShellError, Stop, Unreachable,
    VitalSigns,
};

/// What the console does while nobody types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsoleState {
    /// It answered, or it spoke since the case began.
    Alive,
    /// It spoke before, and not since.
    Quiet,
    /// It has said nothing that can be read since the last boot began, and does not answer.
    NeverSpoke,
    /// The line is closed.
    Closed,
}

/// A known-bad line that the console showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadLine {
    /// Its id in the descriptor.
    pub id: String,
    /// Whose fault it is when nothing else speaks against it.
    pub blame: Blame,
    /// The line.
    pub line: String,
}

/// Everything around the cut, looked at just after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The console.
    pub console: ConsoleState,
    /// What the power output reads back; `None` on a rig without power control.
    pub power: Option<Level>,
    /// The network, without logging in.
    pub path: NetPath,
    /// The process behind the DUT and the rig host.
    pub vitals: VitalSigns,
    /// A bootloader or kernel banner came since the case began, unasked.
    pub rebooted: Option<String>,
    /// A known-bad line came since the case began.
    pub bad: Option<BadLine>,
    /// Only a tool's own word says that the image under test is on the board.
    #[serde(default)]
    pub unproven: bool,
}

impl Observed {
    /// Nothing unusual: the DUT is up and everything answers.
    pub fn healthy() -> Self {
        Self {
            console: ConsoleState::Alive,
            power: Some(Level::On),
            path: NetPath::Speaks,
            vitals: VitalSigns { process: ProcessState::None, starved: 1.0, host: None },
            rebooted: None,
            bad: None,
            unproven: false,
        }
    }

    /// What was seen, for people: the row's words, the cut, then the signs.
    pub fn seen(&self, says: &str, cut: &Cut) -> Vec<String> {
        let mut seen = vec![says.to_owned(), describe(cut)];
        seen.push(match &self.console {
            ConsoleState::Alive => "the console is alive".into(),
            ConsoleState::Quiet => "the console is quiet".into(),
            ConsoleState::NeverSpoke => "the console said nothing since the boot began".into(),
            ConsoleState::Closed => "the console line is closed".into(),
        });
        match self.power {
            Some(level) => seen.push(format!("power reads {level}")),
            None => seen.push("power cannot be read".into()),
        }
        match &self.path {
            NetPath::Speaks => seen.push("an SSH server speaks".into()),
            NetPath::Mute => seen.push("the SSH port accepts and stays mute".into()),
            NetPath::Refused => seen.push("the SSH port is refused".into()),
            NetPath::Silent => seen.push("the SSH port does not answer".into()),
            NetPath::RigDown(what) => seen.push(format!("the rig's network is down: {what}")),
            NetPath::Unknown => {}
        }
        if let ProcessState::Died(how) = &self.vitals.process {
            seen.push(format!("the process behind the DUT ended: {how}"));
        }
        if self.vitals.process == ProcessState::Off {
            seen.push("the DUT is switched off".into());
        }
        if self.vitals.starved > 1.5 {
            seen.push(format!(
                "the rig host was short of CPU: everything took {:.1} times as long",
                self.vitals.starved
            ));
        }
        seen.extend(self.vitals.host.iter().map(|what| format!("rig host: {what}")));
        // A boot is a start: only in a case it is news.
        let anew = self.rebooted.iter().filter(|_| !matches!(cut, Cut::Boot(_)));
        seen.extend(anew.map(|line| format!("the DUT started anew: {line}")));
        seen.extend(self.bad.iter().map(|bad| format!("the console said: {}", bad.line)));
        let unproven = self.unproven.then(|| "only the tool says that it wrote the image".to_owned());
        seen.extend(unproven);
        seen
    }
}

/// The kinds of cut that rows tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// A case's own judgement.
    Fail,
    /// The case is broken.
    Broken,
    /// The run was asked to stop.
    Cancelled,
    /// A driver's fault, also one met by a shell.
    Rig,
    /// Connection refused.
    Refused,
    /// No answer to the connection.
    NoRoute,
    /// Connected, then silent.
    Mute,
    /// Closed in the middle.
    Closed,
    /// Not SSH.
    Garbage,
    /// Not let in.
    Denied,
    /// Let in, and an answer that is no.
    Refusal,
    /// Other bytes arrived than were sent.
    Mangled,
    /// Another key.
    WrongHostKey,
    /// The command did not end.
    Hung,
    /// Another wait ended.
    Late,
    /// A known-bad line at boot.
    BootBad,
    /// A stage did not come.
    BootLate,
    /// A stage came too early.
    BootOrder,
    /// The DUT started over at boot.
    BootReset,
    /// The console ended at boot.
    BootClosed,
}

impl CutKind {
    /// The kind of this cut.
    pub fn of(cut: &Cut) -> Self {
        let stop =
            |stop: &Stop, late| if matches!(stop, Stop::Cancelled(_)) { Self::Cancelled } else { late };
        match cut {
            Cut::Fail(_) => Self::Fail,
            Cut::Broken(_) => Self::Broken,
            Cut::Rig(fault) | Cut::Shell(ShellError::Rig(fault)) => match &fault.stop {
                Some(Stop::Cancelled(_)) => Self::Cancelled,
                _ => Self::Rig,
            },
            Cut::Late(ended) => stop(ended, Self::Late),
            Cut::Shell(ShellError::Dut(unreachable)) => match unreachable {
                Unreachable::Refused(_) => Self::Refused,
                Unreachable::NoRoute(_) => Self::NoRoute,
                Unreachable::Mute(ended) => stop(ended, Self::Mute),
                Unreachable::Closed(_) | Unreachable::NotSent(_) => Self::Closed,
                Unreachable::Garbage(_) => Self::Garbage,
                Unreachable::Denied(_) => Self::Denied,
                Unreachable::Refusal(_) => Self::Refusal,
                Unreachable::Mangled(_) => Self::Mangled,
                Unreachable::WrongHostKey { .. } => Self::WrongHostKey,
                Unreachable::Hung(ended) => stop(ended, Self::Hung),
            },
            Cut::Boot(failure) => match failure {
                BootFailure::Bad { .. } => Self::BootBad,
                BootFailure::Late { stop: ended, .. } => stop(ended, Self::BootLate),
                BootFailure::OutOfOrder { .. } => Self::BootOrder,
                BootFailure::Reset { .. } => Self::BootReset,
                BootFailure::Closed(_) => Self::BootClosed,
            },
        }
    }
}

/// A condition of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The process behind the DUT ended by itself or by another's hand.
    ProcessDied,
    /// The DUT switched itself off.
    SwitchedOff,
    /// The rig host is sick.
    HostSick,
    /// The rig host had so little CPU that even stretched deadlines are worth nothing.
    Starved,
    /// Power reads back off, and the DUT did not switch itself off.
    PowerOff,
    /// Power reads back on.
    PowerOn,
    /// The console answered or spoke.
    ConsoleAlive,
    /// The console said nothing since the boot began, and does not answer.
    ConsoleNeverSpoke,
    /// The console line is closed.
    ConsoleClosed,
    /// The rig's own network is down.
    RigNetworkDown,
    /// An SSH server speaks.
    PathSpeaks,
    /// The DUT refuses the port.
    PathRefused,
    /// The port accepts and stays mute.
    PathMute,
    /// The DUT started anew, unasked.
    Rebooted,
    /// The console showed a known-bad line.
    BadLine,
    /// Only a tool's own word says that the image under test is on the board. A row of the rig's that fits
    /// too goes before the one of this sign.
    Unproven,
    /// The stage that did not come is seen over the network, and the console had shown those before it.
    Outside,
}

impl Sign {
    /// Whether it holds.
    pub fn holds(self, cut: &Cut, observed: &Observed) -> bool {
        let path = &observed.path;
        match self {
            Self::ProcessDied => matches!(observed.vitals.process, ProcessState::Died(_)),
            Self::SwitchedOff => observed.vitals.process == ProcessState::Off,
            Self::HostSick => observed.vitals.host.is_some(),
            Self::Starved => observed.vitals.starved >= PaceGauge::MAX,
            Self::PowerOff => {
                observed.power == Some(Level::Off) && observed.vitals.process != ProcessState::Off
            }
            Self::PowerOn => observed.power == Some(Level::On),
            Self::ConsoleAlive => observed.console == ConsoleState::Alive,
            Self::ConsoleNeverSpoke => observed.console == ConsoleState::NeverSpoke,
            Self::ConsoleClosed => observed.console == ConsoleState::Closed,
            Self::RigNetworkDown => matches!(path, NetPath::RigDown(_)),
            Self::PathSpeaks => *path == NetPath::Speaks,
            Self::PathRefused => *path == NetPath::Refused,
            Self::PathMute => *path == NetPath::Mute,
            Self::Rebooted => observed.rebooted.is_some(),
            Self::BadLine => observed.bad.is_some(),
            Self::Unproven => observed.unproven,
            Self::Outside => matches!(cut, Cut::Boot(BootFailure::Late { outside: true, .. })),
        }
    }
}

/// The known-bad line that a cut carries or that was observed.
pub(super) fn bad_line(cut: &Cut, observed: &Observed) -> Option<BadLine> {
    match cut {
        Cut::Boot(BootFailure::Bad { id, blame, lines, says, .. }) => Some(BadLine {
            id: id.clone(),
            blame: *blame,
            line: lines.first().cloned().unwrap_or_else(|| says.clone()),
        }),
        _ => observed.bad.clone(),
    }
}

/// The cut in one line.
pub(super) fn describe(cut: &Cut) -> String {
    match cut {
        Cut::Fail(failure) => failure.to_string(),
        Cut::Shell(error) => error.to_string(),
        Cut::Rig(fault) => fault.to_string(),
        Cut::Late(stop) => stop.to_string(),
        Cut::Boot(failure) => failure.headline(),
        Cut::Broken(what) => what.clone(),
    }
}

/// What a boot did instead.
pub(super) fn got_of(failure: &BootFailure, observed: &Observed) -> String {
    match failure {
        // Its lines begin before the bad one; what was observed knows which it is.
        BootFailure::Bad { id, lines, says, .. } => {
            let hit = observed.bad.as_ref().filter(|bad| bad.id == *id).map(|bad| &bad.line);
            hit.or(lines.first()).unwrap_or(says).clone()
        }
        BootFailure::Late { stop, .. } if stop.waited().last_seen.is_empty() => {
            "nothing on the console".into()
        }
        BootFailure::Late { stop, .. } => stop.waited().last_seen.clone(),
        BootFailure::OutOfOrder { line, .. } | BootFailure::Reset { line, .. } => line.clone(),
        BootFailure::Closed(closed) => format!(
            "{} ({})",
            closed.why,
            match observed.power {
                Some(level) => format!("power reads {level}"),
                None => "power cannot be read".into(),
            }
        ),
    }
}
