//! An installer that runs on the DUT: its start, its end, and the proof of what it, or a vendor's tool,
//! left behind.
//!
//! What it wrote cannot be read by the rig: the board's own storage hangs on the board. So the system
//! that boots afterwards, without the installer's medium, says itself what it runs from.

use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::{
    BadSpec, Blame, BootFailure, BootSpec, Cmd, Cursor, Cut, Deadline, Dut, Failure, Fault, InfraKind,
    Matcher, OsProfile, ProcessState, Seen, Side, Stop, WaitEnd,
};

use crate::dut::LiveDut;
use crate::observe::last_lines;
use crate::provision::{ProvisionError, SWITCH, how_off, medium, power_down_within, switch_on, to_side};

/// Facts of an OS profile: what its installer prints once when it begins, and when it gives up.
const BEGAN: &str = "installer-began";
const FAILED: &str = "installer-failed";
/// The role of the installer's boot partition in an OS profile.
pub(crate) const BOOT_ROLE: &str = "installer-boot";
/// What a Linux kernel says last, whatever switched it off (kernel/reboot.c).
const POWER_DOWN: &str = "reboot: Power down";
/// Capacitors may let a board talk on for a second or two; one that starts anew says so within this.
const STAYS_OFF: Duration = Duration::from_secs(10);
/// The system is up and lets us in: a login under emulation takes 2 s, the answer none.
const ASK: Duration = Duration::from_secs(30);
/// In the spec of the boot after it.
const RAN_AGAIN: &str = "installer-ran-again";
/// The stage that is waited for.
const STAGE: &str = "installed and off";

/// The boot after an installer: should it run again, its medium was not taken away.
pub(crate) fn expects_no_installer(spec: &mut BootSpec, profile: &OsProfile) {
    let Some(pattern) = profile.facts.get(BEGAN) else { return };
    spec.bad.push(BadSpec {
        id: RAN_AGAIN.to_owned(),
        pattern: pattern.clone(),
        says: "the installer ran again although its medium was taken away".to_owned(),
        blame: Blame::Rig,
        drain: Duration::ZERO,
    });
}

/// Switches on; what comes on the console from here on is the installer's.
pub(crate) async fn start(dut: &LiveDut, within: Duration) -> Result<(Cursor, String), ProvisionError> {
    let Some(power) = &dut.slot.power else {
        return Err(Fault::new(InfraKind::Config, "slot", "switch on", &dut.slot.id)
            .expected("a power output", "none in the rig file")
            .into());
    };
    let (since, proof) = switch_on(dut, power, within).await?;
    Ok((since, proof.to_string()))
}

/// Waits until the installer has switched the DUT off, and sees that it stays off.
pub(crate) async fn await_off(
    dut: &LiveDut,
    since: Cursor,
    within: Duration,
) -> Result<String, ProvisionError> {
    let by = dut.wait(STAGE, within);
    let watched = dut.waiting.on(Box::pin(watch(dut, since, &by))).await;
    watched.map_err(|cut| ProvisionError::dut(cut, since))
}

async fn watch(dut: &LiveDut, since: Cursor, by: &Deadline) -> Result<String, Cut> {
    let known: Vec<_> = dut.spec.bad.iter().filter(|bad| bad.id != RAN_AGAIN).collect();
    let failed = dut.profile.facts.get(FAILED);
    let starts = dut.spec.stages.iter().filter(|stage| stage.once).flat_map(|stage| match &stage.seen {
        Seen::Console(patterns) => patterns.as_slice(),
        Seen::Shell | Seen::Engine => &[],
    });
    let mut patterns = vec![POWER_DOWN];
    patterns.extend(known.iter().map(|bad| bad.pattern.as_str()));
    let first_failed = patterns.len();
    patterns.extend(failed.map(String::as_str));
    let first_start = patterns.len();
    patterns.extend(starts.map(String::as_str));
    let patterns = Patterns::compile(&patterns).map_err(|error| Cut::Broken(error.to_string()))?;
    let mut finder = Finder::new(&patterns);
    let log = &dut.console.log;
    let (mut cursor, mut started) = (since, false);
    loop {
        let hit = match log.expect(&mut cursor, &mut finder as &mut dyn Matcher, by).await {
            Ok(hit) => hit,
            // Only a rig that knows that the DUT is off closes its console so.
            Err(WaitEnd::Closed(closed)) if dut.slot.vitals.look().process == ProcessState::Off => {
                return Ok(format!("the rig saw the DUT switch itself off: {}", closed.why));
            }
            Err(WaitEnd::Closed(closed)) => return Err(BootFailure::Closed(closed).into()),
            Err(WaitEnd::Stopped(stop @ Stop::Cancelled(_))) => return Err(stop.into()),
            Err(WaitEnd::Stopped(stop)) => {
                let after = if started { "the installer's kernel" } else { "power" }.to_owned();
                return Err(BootFailure::Late { stage: STAGE.into(), after, outside: false, stop }.into());
            }
        };
        let stage = || "the installer's start".to_owned();
        match hit.pattern {
            0 => return stays_off(dut, Cursor(hit.end), &hit.text, by).await,
            bad if bad < first_failed => {
                let bad = known[bad - 1];
                let (id, says, blame) = (bad.id.clone(), bad.says.clone(), bad.blame);
                // For the lines behind it; a console that ends meanwhile has said all.
                let _ = by.child("the lines after it", bad.drain).pause(bad.drain, String::new).await;
                let lines = last_lines(log, since, 20);
                return Err(BootFailure::Bad { id, says, blame, stage: stage(), lines }.into());
            }
            failed if failed < first_start => {
                let (id, says) = ("installer-failed".into(), "the installer gave up".into());
                // The rest of its line.
                let _ = by.child("the rest of the line", LINE).pause(LINE, String::new).await;
                let lines = last_lines(log, Cursor(hit.start), 1);
                let blame = Blame::Os;
                return Err(BootFailure::Bad { id, says, blame, stage: stage(), lines }.into());
            }
            _ if started => return Err(BootFailure::Reset { stage: stage(), line: hit.text }.into()),
            _ => started = true,
        }
    }
}

/// A line at 9600 baud takes a tenth of a second.
const LINE: Duration = Duration::from_millis(200);

/// After the kernel's last words: silence, or a console that the rig closes.
async fn stays_off(dut: &LiveDut, mut here: Cursor, said: &str, by: &Deadline) -> Result<String, Cut> {
    let log = &dut.console.log;
    // Its own end of line may be under way.
    let silence = by.child("the DUT to stay off", STAYS_OFF);
    loop {
        match silence.run(|| log.last_line(), log.next(&mut here)).await {
            Ok(Ok(chunk)) if chunk.bytes.iter().all(u8::is_ascii_whitespace) => {}
            Ok(Ok(chunk)) => {
                let line = String::from_utf8_lossy(&shakedown_console::clean(&chunk.bytes)).trim().to_owned();
                return Err(BootFailure::Reset { stage: STAGE.into(), line }.into());
            }
            Ok(Err(closed)) if dut.slot.vitals.look().process == ProcessState::Off => {
                return Ok(format!("the console said `{said}`; the rig: {}", closed.why));
            }
            Ok(Err(closed)) => return Err(BootFailure::Closed(closed).into()),
            Err(stop @ Stop::Cancelled(_)) => return Err(stop.into()),
            Err(Stop::Late(waited)) => {
                let seconds = waited.waited.as_secs();
                return Ok(format!("the console said `{said}`, and nothing for {seconds} s after it"));
            }
        }
    }
}

/// The supply off, and its medium with the host.
pub(crate) async fn take_away(dut: &LiveDut, within: Duration) -> Result<String, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the installer's medium on the host's side", within).at_rig_pace();
    to_side(storage.as_ref(), Side::Host, &by).await?;
    Ok(format!("{} {} is on the host's side", storage.driver(), storage.endpoint()))
}

/// Lets the time pass, and looks that the supply is off at its end.
pub(crate) async fn drain(dut: &LiveDut, within: Duration) -> Result<String, ProvisionError> {
    let by = dut.wait("the capacitors to drain", within + SWITCH).at_rig_pace();
    let passed = dut.waiting.on(by.pause(within, String::new)).await;
    if let Err(stop) = passed {
        return Err(Fault::new(InfraKind::Power, "runner", "drain", &dut.slot.id).stopped(stop).into());
    }
    let proof = power_down_within(dut, SWITCH).await?;
    Ok(format!("{} s with the supply off: {}", within.as_secs(), how_off(proof.as_ref())))
}

/// Asks the running system what it runs from, and whether it is what the installer brought.
pub(crate) async fn prove(
    dut: &LiveDut,
    target: &[String],
    within: Duration,
) -> Result<String, ProvisionError> {
    let since = dut.console.log.here();
    let by = dut.wait("what the running system runs from", within.min(ASK));
    let ran = dut.quietly(&Cmd::sh(question(dut)), &by).await;
    let told = ran.map_err(Cut::from).and_then(|ran| {
        let said = Told::read(&ran.text());
        said.judge(dut, target)
    });
    if told.is_ok() {
        dut.is_proven();
    }
    told.map_err(|cut| ProvisionError::dut(cut, since))
}

/// Kernel and shell built-ins only: whatever the OS is, it has these.
fn question(dut: &LiveDut) -> String {
    let root = dut.profile.facts.get("root-mount").map_or("/", String::as_str);
    let label = dut.profile.partitions.get(BOOT_ROLE).map_or("", String::as_str);
    // What has no configuration document is asked for none: its answer is not judged either.
    let config = dut.profile.config.as_ref().map_or("/dev/null", |config| config.mounted.as_str());
    let uuid = &dut.identity.uuid;
    format!(
        "root='{root}' label='{label}'\n\
         while read -r _ _ dev _ at _; do [ \"$at\" != \"$root\" ] || number=$dev; done < /proc/self/mountinfo\n\
         disk=$(readlink -f \"/sys/dev/block/$number\")\n\
         for under in \"$disk\"/slaves/*; do [ ! -e \"$under\" ] || disk=$(readlink -f \"$under\"); done\n\
         [ ! -e \"$disk/partition\" ] || disk=${{disk%/*}}\n\
         echo \"disk=${{disk##*/}}\"\n\
         while read -r line; do case $line in VERSION_ID=*) echo \"version=${{line#*=}}\" ;; esac; done < /etc/os-release\n\
         while read -r line; do case $line in *{uuid}*) echo ours=yes ;; esac; done < '{config}'\n\
         [ -z \"$label\" ] || for file in /sys/class/block/*/uevent; do\n\
         name=''; while read -r line; do case $line in DEVNAME=*) name=${{line#*=}} ;; PARTNAME=\"$label\") \
         echo \"installer=$name\" ;; esac; done < \"$file\"; done\n\
         [ -z \"$label\" ] || [ ! -e \"/dev/disk/by-label/$label\" ] || echo \"installer=$label\"\n"
    )
}

/// What the running system says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    disk: String,
    version: String,
    ours: bool,
    installer: Option<String>,
}

impl Told {
    fn read(text: &str) -> Self {
        let mut told = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            match key {
                "disk" => told.disk = value,
                "version" => told.version = value,
                "ours" => told.ours = true,
                "installer" => told.installer = Some(value),
                _ => {}
            }
        }
        told
    }

    fn judge(&self, dut: &LiveDut, target: &[String]) -> Result<String, Cut> {
        let version = dut.facts().get("version").map_or("", String::as_str);
        if let Some(seen) = &self.installer {
            let storage = medium(dut)?;
            let fault = Fault::new(InfraKind::Storage, storage.driver(), "take away", storage.endpoint());
            return Err(Cut::Rig(fault.expected(
                "a DUT that does not see the installer's medium",
                format!("it sees it as {seen}, and runs from {}", self.disk),
            )));
        }
        if self.version != version {
            let what = "what booted is not the image's version: the installer did not write it";
            let got = format!("{} on {}", or_none(&self.version), or_none(&self.disk));
            return Err(not_brought(dut, what, version, got));
        }
        if !target.is_empty() && !target.iter().any(|pattern| is_named(pattern, &self.disk)) {
            let what = "another medium than the board's internal one booted";
            return Err(not_brought(dut, what, target.join(" or "), or_none(&self.disk)));
        }
        if self.disk.is_empty() {
            let what = "the running system does not say what it runs from";
            return Err(not_brought(dut, what, "the name of a disk", "none"));
        }
        let has_uuid = dut.profile.config_key("uuid").is_some();
        if !self.ours && has_uuid {
            let what = "what booted does not have this run's configuration: the installer did not bring it";
            return Err(not_brought(dut, what, format!("uuid {}", dut.identity.uuid), "another, or none"));
        }
        let medium = if dut.writes_by.is_none() { "; the installer's medium is not there" } else { "" };
        let configured = if has_uuid { ", with this run's configuration" } else { "" };
        Ok(format!("{} runs version {}{configured}{medium}", self.disk, self.version))
    }
}

/// What booted is not what was to be brought: an installer's failure is the image's OS's, a tool's the rig's.
fn not_brought(dut: &LiveDut, what: &str, expected: impl Into<String>, got: impl Into<String>) -> Cut {
    let Some(tool) = &dut.writes_by else { return Failure::new(what, expected, got).into() };
    Cut::Rig(
        Fault::new(InfraKind::Tool, tool, "bring the image onto", &dut.slot.id)
            .expected(expected, format!("{} ({})", got.into(), what.replace("the installer", "the tool")))
            .hint("the tool ended with success; what it printed is in the run's folder"),
    )
}

/// Whether a kernel's name of a disk is one of these: `nvme0n1`, `sd?`.
fn is_named(pattern: &str, disk: &str) -> bool {
    let fits = |(wanted, got): (u8, u8)| wanted == b'?' || wanted == got;
    pattern.len() == disk.len() && pattern.bytes().zip(disk.bytes()).all(fits)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}
