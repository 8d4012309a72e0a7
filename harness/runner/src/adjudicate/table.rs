//! The table of symptoms. Order matters: the first row that fits decides; only the one about a tool's word
//! gives way to a row of the rig's behind it.

use shakedown_core::{Blame, InfraKind};

use super::signs::CutKind::{
    BootBad, BootClosed, BootLate, BootOrder, BootReset, Broken, Cancelled, Closed, Denied, Fail, Garbage,
    Hung, Late, Mangled, Mute, NoRoute, Refusal, Refused, Rig, WrongHostKey,
};
use super::signs::Sign::{
    BadLine, ConsoleAlive, ConsoleClosed, ConsoleNeverSpoke, HostSick, Outside, PathMute, PathRefused,
    PathSpeaks, PowerOff, PowerOn, ProcessDied, Rebooted, RigNetworkDown, Starved, SwitchedOff, Unproven,
};
use super::{CutKind, NO_KIND, Sign};

/// What a row decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Failed; whose fault.
    Fail(Blame),
    /// Failed, and the known-bad line's own blame counts.
    AsTheLineSays,
    /// The rig broke.
    Infra,
    /// It cannot be told.
    Undetermined,
    /// The case or the harness is broken.
    Error,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Symptom {
    /// Kebab-case; in the journal as `because`.
    pub id: &'static str,
    /// Kinds of cut that it is about.
    pub cut: &'static [CutKind],
    /// Signs that must all hold.
    pub all: &'static [Sign],
    /// What it decides.
    pub verdict: Verdict,
    /// The kind of rig failure, where the verdict is infra and no driver named one.
    pub infra: InfraKind,
    /// One sentence for people.
    pub says: &'static str,
}

const ANY: &[CutKind] = &[
    Fail,
    Refused,
    NoRoute,
    Mute,
    Closed,
    Garbage,
    Denied,
    Mangled,
    WrongHostKey,
    Hung,
    Late,
    BootBad,
    BootLate,
    BootOrder,
    BootReset,
    BootClosed,
];
/// The DUT did not answer, in whatever way: what a dead rig can look like.
const DARK: &[CutKind] = &[Refused, NoRoute, Mute, Closed, Hung, Late, BootLate, BootClosed];
/// What a board that still holds another image can look like.
const NOT_OURS: &[CutKind] = &[
    BootBad,
    BootLate,
    BootOrder,
    BootReset,
    Refused,
    NoRoute,
    Mute,
    Closed,
    Garbage,
    Denied,
    Refusal,
    Mangled,
    WrongHostKey,
    Hung,
    Late,
];
const SHELL: &[CutKind] =
    &[Refused, NoRoute, Mute, Closed, Garbage, Denied, Mangled, WrongHostKey, Hung, Late];

const fn row(
    id: &'static str,
    cut: &'static [CutKind],
    all: &'static [Sign],
    verdict: Verdict,
    says: &'static str,
) -> Symptom {
    Symptom { id, cut, all, verdict, infra: NO_KIND, says }
}

const fn rig(
    id: &'static str,
    cut: &'static [CutKind],
    all: &'static [Sign],
    infra: InfraKind,
    says: &'static str,
) -> Symptom {
    Symptom { id, cut, all, verdict: Verdict::Infra, infra, says }
}

/// What makes a case that passed something else: what the console said while it ran.
pub const ON_A_PASS: &[Symptom] = &[
    row(
        "bad-line-in-passing-case",
        &[],
        &[BadLine],
        Verdict::AsTheLineSays,
        "the case passed, and the console showed a known-bad line while it ran",
    ),
    row(
        "rebooted-in-passing-case",
        &[],
        &[Rebooted],
        Verdict::Fail(Blame::Os),
        "the case passed, and the DUT rebooted by itself while it ran",
    ),
];

/// What decides when no row fits.
pub(super) const NO_ROW: Symptom =
    row("no-row", ANY, &[], Verdict::Undetermined, "no symptom in the table fits what was seen");

/// All rows, in order.
pub const SYMPTOMS: &[Symptom] = &[
    row("interrupted", &[Cancelled], &[], Verdict::Undetermined, "the run was interrupted"),
    row("broken-case", &[Broken], &[], Verdict::Error, "the case itself is broken"),
    // A case that could compare its expectation with an answer has reached the DUT: nothing around it counts.
    row("assertion", &[Fail], &[], Verdict::Fail(Blame::Os), "the OS did not do what it should"),
    // Until the running system has said what it is, what boots may be what was on the board before.
    row(
        "written-by-a-tool",
        NOT_OURS,
        &[Unproven],
        Verdict::Undetermined,
        "a tool said that it wrote the image, and what booted has not shown that it did: it may be another one",
    ),
    row(
        "refusal",
        &[Refusal],
        &[],
        Verdict::Fail(Blame::Os),
        "the OS answered, and did not do what it was asked to",
    ),
    // What a driver reports itself is the rig's, whatever else is seen.
    rig("driver-fault", &[Rig], &[], InfraKind::Host, "a driver of the rig failed"),
    rig("host-sick", ANY, &[HostSick], InfraKind::Host, "the rig host is not able to run this"),
    rig(
        "process-died",
        ANY,
        &[ProcessDied],
        InfraKind::Host,
        "the process behind the DUT ended from outside",
    ),
    // Known-bad lines are the DUT's own words: they speak before all that follows from them.
    row(
        "bad-line-at-boot",
        &[BootBad],
        &[],
        Verdict::AsTheLineSays,
        "the console showed a known-bad line at boot",
    ),
    row("bad-line-in-case", SHELL, &[BadLine], Verdict::AsTheLineSays, "the console showed a known-bad line"),
    row("switched-itself-off", DARK, &[SwitchedOff], Verdict::Fail(Blame::Os), "the DUT switched itself off"),
    rig("power-lost", DARK, &[PowerOff], InfraKind::Power, "the supply is off although it was switched on"),
    rig("rig-network-down", SHELL, &[RigNetworkDown], InfraKind::Network, "the rig's own network is down"),
    row("rebooted-in-case", SHELL, &[Rebooted], Verdict::Fail(Blame::Os), "the DUT rebooted by itself"),
    rig("starved", DARK, &[Starved], InfraKind::Host, "the rig host had no CPU for the DUT"),
    row("reset-at-boot", &[BootReset], &[], Verdict::Fail(Blame::Os), "the DUT started over while booting"),
    row("stage-missing", &[BootOrder], &[], Verdict::Fail(Blame::Os), "a boot stage was left out"),
    rig("console-closed", &[BootClosed], &[ConsoleClosed], InfraKind::Console, "the console line was closed"),
    row(
        "no-ssh-after-login",
        &[BootLate],
        &[Outside, PathRefused],
        Verdict::Fail(Blame::Os),
        "the DUT is up and its SSH port is refused",
    ),
    row(
        "mute-ssh-after-login",
        &[BootLate],
        &[Outside, PathMute],
        Verdict::Fail(Blame::Os),
        "the DUT is up, and its SSH server accepts and stays mute",
    ),
    rig(
        "no-network-at-boot",
        &[BootLate],
        &[Outside, RigNetworkDown],
        InfraKind::Network,
        "the DUT is up and the rig's own network is down",
    ),
    row(
        "not-ready-after-login",
        &[BootLate],
        &[Outside, PathSpeaks],
        Verdict::Fail(Blame::Os),
        "the DUT is up and SSH answers, but it does not become ready",
    ),
    // An OS whose console is silent by design has answered above, if its network does.
    row(
        "dark-from-power-on",
        &[BootLate],
        &[ConsoleNeverSpoke],
        Verdict::Undetermined,
        "nothing was seen on the console since the boot began: the DUT is dead, or its console is not connected",
    ),
    row(
        "no-network-after-login",
        &[BootLate],
        &[Outside],
        Verdict::Undetermined,
        "the DUT is up and its network does not answer: the DUT or the cable",
    ),
    row("stuck-at-boot", &[BootLate], &[], Verdict::Fail(Blame::Os), "the boot got stuck"),
    row(
        "ssh-refused",
        &[Refused, NoRoute, Closed, Hung, Mute],
        &[PathRefused, ConsoleAlive],
        Verdict::Fail(Blame::Os),
        "the SSH server is gone and the DUT lives",
    ),
    row(
        "ssh-mute",
        &[Mute, Closed, Hung],
        &[PathMute, ConsoleAlive],
        Verdict::Fail(Blame::Os),
        "the SSH server accepts and stays mute, and the DUT lives",
    ),
    row(
        "session-ended",
        &[Closed, Refused],
        &[PathSpeaks],
        Verdict::Fail(Blame::Os),
        "the DUT ended the session, and its SSH server speaks again",
    ),
    row("command-hung", &[Hung], &[PathSpeaks], Verdict::Fail(Blame::Os), "the command did not end"),
    row(
        "not-ssh",
        &[Garbage],
        &[],
        Verdict::Fail(Blame::Os),
        "what answers on the SSH port does not speak SSH",
    ),
    row(
        "locked-out",
        &[Denied],
        &[],
        Verdict::Fail(Blame::Os),
        "the DUT no longer accepts the key that was injected into its image",
    ),
    row(
        "mangled",
        &[Mangled],
        &[],
        Verdict::Undetermined,
        "other bytes arrived than were sent: the DUT's memory or medium, or the line to it",
    ),
    row(
        "other-host-key",
        &[WrongHostKey],
        &[],
        Verdict::Undetermined,
        "another host key than the one that is believed: another machine, or a key that nobody declared",
    ),
    row("too-late", &[Late], &[ConsoleAlive], Verdict::Fail(Blame::Os), "what was waited for did not come"),
    row(
        "too-late-over-ssh",
        &[Late],
        &[PathSpeaks],
        Verdict::Fail(Blame::Os),
        "what was waited for did not come, and SSH answers",
    ),
    row(
        "network-lost",
        &[NoRoute, Mute, Closed, Hung, Refused],
        &[ConsoleAlive],
        Verdict::Undetermined,
        "the DUT lives and its network does not answer: the DUT or the cable",
    ),
    row(
        "all-dark",
        &[NoRoute, Mute, Closed, Hung, Refused, Late],
        &[PowerOn],
        Verdict::Undetermined,
        "neither network nor console answer, and the supply is on: the DUT hangs, or both cables are out",
    ),
];
