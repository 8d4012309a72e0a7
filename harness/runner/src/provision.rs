//! From an image file to a powered DUT. Only a proven write can be booted, by type.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shakedown_core::{
    BootReport, Cursor, Cut, Deadline, Dut as _, Event, Fault, Guarded, InfraKind, Level, Mark, Medium, Mono,
    OsProfile, Payload, Proof, Resets, Rig, SeenBy, Side, Stop, Storage,
};
use shakedown_media::{
    EditError, FsError, Identity as Identified, ImageSource, Mutable, Select, WriteError, Written,
};

use crate::climb::{self, Ascent};
use crate::dut::LiveDut;
use crate::identity::HOSTNAME;
use crate::installer;
use crate::thread::on_thread;
use crate::waiting::Timed;

/// A mux settles within 5 s (USB-SD-Mux: 1 s by its protocol; SDWire: 2-3 s until the reader is back).
/// A person at a bench supply needs longer.
pub(crate) const SWITCH: Duration = Duration::from_secs(120);
/// 20 MB/s is a slow card; 64 GiB at that speed is an hour.
pub(crate) const WRITE: Duration = Duration::from_secs(3600);
/// A few sectors of the boot partition; a slow card needs a second for them.
pub(crate) const EDIT: Duration = Duration::from_secs(60);
/// A console that is silent for so long behind a line break belongs to a DUT that is off: a login
/// answers within 1.5 s even when starved, and what is in the cable's buffer is there at once.
const SILENT: Duration = Duration::from_secs(5);
/// A board lives on its capacitors for a second or two, and may talk in that time.
const FADING: Duration = Duration::from_secs(15);
/// Between two progress events.
const PROGRESS: Duration = Duration::from_millis(500);

/// A medium that holds the image, with this run's identity in it.
#[derive(Debug)]
pub(crate) struct Provisioned {
    /// The proof of the write.
    pub(crate) written: Written,
}

impl Provisioned {
    /// How it is known that the medium holds the image.
    pub(crate) fn proof(&self) -> String {
        let written = &self.written;
        if let Some(kept) = written.kept() {
            return format!(
                "read {} MiB, not written: partition table, {} and {} file(s) of the boot partition are as in \
                 payload SHA-256 {}; not compared, for the OS writes them: {}",
                written.bytes().div_ceil(1 << 20),
                kept.equal.join(", "),
                kept.files,
                written.payload(),
                kept.left_out.join(", ")
            );
        }
        let verb = if written.wrote() { "wrote and read back" } else { "read" };
        format!("{verb} {}, equal to payload SHA-256 {}", written.amount(), written.payload())
    }
}

/// Why provisioning ended early.
#[derive(Debug)]
pub(crate) enum ProvisionError {
    /// The image is not fit: exit code 2.
    Refused(String),
    /// The medium does not hold the image, and was not to be written: exit code 2.
    NotHeld(String),
    /// The rig broke.
    Fault(Box<Fault>),
    /// The DUT's own part did not come about: the adjudicator looks at what the console said since.
    Dut(Box<(Cut, Cursor)>),
    /// The run was interrupted.
    Cancelled,
}

impl ProvisionError {
    pub(crate) fn dut(cut: Cut, since: Cursor) -> Self {
        Self::Dut(Box::new((cut, since)))
    }
}

impl std::fmt::Display for ProvisionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) | Self::NotHeld(why) => f.write_str(why),
            Self::Fault(fault) => fault.fmt(f),
            Self::Dut(ended) => write!(f, "{:?}", ended.0),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl From<Fault> for ProvisionError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<WriteError> for ProvisionError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Fault(fault) => fault.into(),
            WriteError::Cancelled { .. } => Self::Cancelled,
            WriteError::Differs { .. } => Self::NotHeld(error.to_string()),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

impl From<EditError> for ProvisionError {
    fn from(error: EditError) -> Self {
        let medium = |got: String| {
            Fault::new(InfraKind::Medium, "media", "edit", "the boot partition")
                .expected("what was written", got)
        };
        match error {
            EditError::NotHeld { .. } | EditError::Fs(FsError::Io { .. }) => medium(error.to_string()).into(),
            // The medium holds the image as proven: what does not fit is in the image.
            refused => Self::Refused(refused.to_string()),
        }
    }
}

/// How much of the image is written onto its medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writing {
    /// All of it.
    #[default]
    Whole,
    /// What the medium does not hold yet: it is read and compared first.
    Delta,
    /// Nothing: what the medium holds is proven.
    Nothing,
}

/// Writes the image onto the main medium and proves it; or only proves that it is there.
/// `step` is the name under which its progress is told.
pub(crate) async fn write(
    dut: &LiveDut,
    image: &Arc<Identified>,
    writing: Writing,
    step: &str,
    within: Duration,
) -> Result<Provisioned, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the medium on the host's side", SWITCH).at_rig_pace();
    to_side(storage.as_ref(), Side::Host, &by).await?;
    let by = dut.wait(step, within).at_rig_pace();
    let medium = storage.open(&by).await?;
    write_onto(dut, medium, image, writing, step, &by).await
}

/// The same, onto a medium that is open.
pub(crate) async fn write_onto(
    dut: &LiveDut,
    medium: Box<dyn Medium>,
    image: &Arc<Identified>,
    writing: Writing,
    step: &str,
    by: &Deadline,
) -> Result<Provisioned, ProvisionError> {
    let endpoint = medium.identity().path.clone();
    let mut medium = Timed { medium, waiting: dut.waiting.clone() };
    let (sink, image, limit, name) = (dut.sink.clone(), image.clone(), by.clone(), step.to_owned());
    let mutable = mutable(&dut.profile);
    let far = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let so_far = far.clone();
    let work = move || -> Result<Written, WriteError> {
        let mut source = ImageSource::open_identified(&image)?;
        let mut last = limit.clock().now();
        let mut progress = |progress: &shakedown_media::Progress| {
            let (done, total) = (progress.done, progress.total);
            so_far[0].store(done, Ordering::Relaxed);
            so_far[1].store(total, Ordering::Relaxed);
            if limit.clock().now().since(last) >= PROGRESS {
                last = limit.clock().now();
                sink.emit(Event::Progress { step: name.clone(), done, total });
            }
            if limit.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match writing {
            Writing::Nothing => {
                shakedown_media::prove_kept(&mut source, &mut medium, &mutable, &mut progress)
            }
            Writing::Delta => shakedown_media::write_delta(&mut source, &mut medium, &mut progress),
            Writing::Whole => shakedown_media::write_image(&mut source, &mut medium, &mut progress),
        }
    };
    let last_seen = || {
        let [done, total] = [0, 1].map(|index: usize| far[index].load(Ordering::Relaxed) >> 20);
        format!("{done} of {total} MiB")
    };
    match on_thread("writer", by, last_seen, work).await? {
        Ok(written) => Ok(Provisioned { written }),
        // It saw the end of its time before we did.
        Err(WriteError::Cancelled { .. }) if !dut.cancel.is_cancelled() => {
            let fault = Fault::new(InfraKind::Medium, "runner", step, endpoint);
            Err(fault.stopped(by.stop(last_seen())).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the OS writes on its medium: all but its roots, the configuration document, and what it
/// keeps on the boot partition for itself.
fn mutable(profile: &OsProfile) -> Mutable {
    let own = profile.partitions.iter().filter(|(role, _)| {
        !["boot", installer::BOOT_ROLE].contains(&role.as_str()) && !role.starts_with("root")
    });
    let kept = profile.evidence.iter().filter_map(|place| place.strip_prefix("boot:"));
    let files: BTreeSet<_> = kept
        .chain(profile.config.as_ref().map(|config| config.file.as_str()))
        .map(|path| path.trim_start_matches('/').to_owned())
        .collect();
    Mutable {
        partitions: own.map(|(_, label)| label.clone()).collect(),
        boot: profile.partitions.get("boot").cloned().unwrap_or_default(),
        files: files.into_iter().collect(),
    }
}

/// Puts this run's identity into the configuration document on the boot partition; returns what proves it,
/// or that the OS has no such document.
pub(crate) async fn inject(
    dut: &LiveDut,
    payload: Payload,
    extra: &[(String, String)],
    within: Duration,
) -> Result<String, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the medium on the host's side", SWITCH).at_rig_pace();
    let medium = storage.open(&by).await?;
    let by = dut.wait("the configuration on the medium", within).at_rig_pace();
    configure(dut, medium, payload, extra, &by).await
}

/// The same, on a medium that is open.
pub(crate) async fn configure(
    dut: &LiveDut,
    medium: Box<dyn Medium>,
    payload: Payload,
    extra: &[(String, String)],
    by: &Deadline,
) -> Result<String, ProvisionError> {
    let Some(config) = &dut.profile.config else {
        let way =
            if dut.profile.ssh.authorized_keys.is_some() { "the run's key goes in" } else { "the way in is" };
        let name = &dut.profile.name;
        return Ok(format!("nothing to set: {name} has no configuration document; {way} over the console"));
    };
    let mut medium = Timed { medium, waiting: dut.waiting.clone() };
    let edits = dut.identity.edits(&dut.profile, extra);
    if dut.profile.config_key(HOSTNAME).is_some() {
        dut.renamed(&dut.identity.hostname);
    }
    let partitions = &dut.profile.partitions;
    // An installer hands its own document over to what it installs.
    let own = partitions.get(installer::BOOT_ROLE).filter(|_| payload == Payload::Installer);
    let boot = Select::Label(own.or(partitions.get("boot")).cloned().unwrap_or_default());
    let file = config.file.clone();
    let work = move || {
        let keys: Vec<_> = edits.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        shakedown_media::edit_config(&mut medium, &boot, &file, &keys)
    };
    let placed = on_thread("identity", by, String::new, work).await??;
    Ok(format!(
        "{} on partition {}: {} keys set, read back SHA-256 {}",
        placed.path(),
        placed.partition(),
        placed.changes().len(),
        placed.read_back().short()
    ))
}

/// Switches on and watches the way up. The proof of the write is what makes it bootable.
pub(crate) async fn boot(dut: &LiveDut, provisioned: &Provisioned, how: &str) -> Result<BootReport, Cut> {
    let Provisioned { written: _ } = provisioned;
    match dut.net.take_begun() {
        // Its boot loader was told to boot: it is on its way.
        Some((since, began)) => ascend(dut, how, since, began).await,
        None => power_up(dut, how).await,
    }
}

async fn power_up(dut: &LiveDut, how: &str) -> Result<BootReport, Cut> {
    // A medium of its own stays with the DUT; the installer's stays away.
    if !dut.own_storage {
        to_dut(dut, SWITCH).await?;
    }
    let Some(power) = &dut.slot.power else {
        return Err(Cut::Rig(
            Fault::new(InfraKind::Config, "slot", "switch on", &dut.slot.id)
                .expected("a power output", "none in the rig file")
                .hint("add `power: { manual: {} }` to be asked to switch by hand"),
        ));
    };
    let began = dut.console.log.clock().now();
    let (since, _) = switch_on(dut, power, SWITCH).await?;
    ascend(dut, how, since, began).await
}

/// On: a boot begins. Where it does so on the console, and the proof.
pub(crate) async fn switch_on(dut: &LiveDut, power: &Guarded, within: Duration) -> Rig<(Cursor, Proof)> {
    dut.drop_shells().await;
    let by = dut.wait("power on", within).at_rig_pace();
    let since = dut.console.log.here();
    dut.ascend(since);
    dut.console.log.mark(&Mark::PowerOn);
    let proof = dut.waiting.on(power.set(true, &by)).await?;
    Ok((since, proof))
}

/// Watches a DUT that was switched on.
async fn ascend(dut: &LiveDut, how: &str, since: Cursor, began: Mono) -> Result<BootReport, Cut> {
    let whole: Duration = dut.spec.stages.iter().map(|stage| stage.within).sum();
    let by = dut.wait("ready", whole);
    climb::climb(dut, &Ascent { how, since, began, from_power: true, allowed: &Resets::default() }, &by).await
}

/// The main medium to the DUT.
pub(crate) async fn to_dut(dut: &LiveDut, within: Duration) -> Result<String, Fault> {
    let storage = medium(dut)?;
    let by = dut.wait("the medium on the DUT's side", within).at_rig_pace();
    to_side(storage.as_ref(), Side::Dut, &by).await?;
    Ok(format!("{} {} is on the DUT's side", storage.driver(), storage.endpoint()))
}

/// Recovery: off, on, up. For a DUT that a case left dead.
pub(crate) async fn power_cycle(dut: &LiveDut) -> Result<BootReport, Cut> {
    power_down(dut).await?;
    power_up(dut, "recovery").await
}

/// Off, with its proof: read back, or the console's silence. `None`: there is nothing to switch.
pub(crate) async fn power_down(dut: &LiveDut) -> Result<Option<Proof>, Fault> {
    power_down_within(dut, SWITCH).await
}

/// The same, with the time that a procedure gives it.
pub(crate) async fn power_down_within(dut: &LiveDut, within: Duration) -> Result<Option<Proof>, Fault> {
    let Some(power) = &dut.slot.power else { return Ok(None) };
    let by = dut.must("power off", within);
    let mut proof = dut.waiting.on(power.set(false, &by)).await?;
    dut.console.log.mark(&Mark::PowerOff);
    if proof.seen == SeenBy::Nothing {
        let silent = dut.waiting.on(silence(dut, &power.describe())).await?;
        (proof.seen, proof.at) = (SeenBy::Silence(silent), by.clock().now());
        dut.sink.emit(Event::Switched { proof: proof.clone() });
    }
    Ok(Some(proof))
}

/// How it is known that the DUT is off.
pub(crate) fn how_off(proof: Option<&Proof>) -> String {
    proof.map_or_else(|| "not switched: the slot has no power output".to_owned(), ToString::to_string)
}

/// Hardware that cannot say what it switched is judged by the DUT: one that is off says nothing.
async fn silence(dut: &LiveDut, output: &str) -> Result<Duration, Fault> {
    let log = &dut.console.log;
    let whole = dut.must("the console to fall silent", FADING);
    let mut here = log.here();
    if let Some(tx) = &dut.console.tx {
        tx.send(b"\n", &whole).await?;
    }
    let fault = || {
        Fault::new(InfraKind::Power, "slot", "switch off", output)
            .hint("the output cannot be read back and the console goes on: is it this DUT's outlet?")
    };
    loop {
        match whole.child("silence", SILENT).run(|| log.last_line(), log.next(&mut here)).await {
            Ok(Ok(_)) => {}
            Ok(Err(closed)) => return Err(fault().expected("a silent console", closed.why)),
            Err(_) if whole.is_over() => return Err(fault().stopped(whole.stop(log.last_line()))),
            Err(Stop::Late(waited)) => return Ok(waited.waited),
            Err(stop @ Stop::Cancelled(_)) => return Err(fault().stopped(stop)),
        }
    }
}

/// A jumper, button or switch of the slot.
pub(crate) async fn set_output(
    dut: &LiveDut,
    name: &str,
    on: bool,
    within: Duration,
) -> Result<String, Fault> {
    let Some(output) = dut.slot.outputs.get(name) else {
        return Err(Fault::new(InfraKind::Config, "slot", "switch", name)
            .expected("an output of this name in the rig file", "none"));
    };
    let by = dut.wait(name, within).at_rig_pace();
    Ok(dut.waiting.on(output.set(on, &by)).await?.to_string())
}

/// Every output at the level that its limits call safe, and what proves it.
pub(crate) async fn make_safe(dut: &LiveDut, keep: bool) -> Result<String, Fault> {
    let mut proofs = Vec::new();
    // Buttons and jumpers first: a recovery jumper that is held counts when power comes back.
    for output in dut.slot.outputs.values() {
        let by = dut.must("safe state", SWITCH);
        match dut.waiting.on(output.make_safe(&by)).await? {
            Some(proof) => proofs.push(proof.to_string()),
            None => proofs.push(format!("{} left as it is: no level of it is called safe", output.name())),
        }
    }
    match &dut.slot.power {
        Some(_) if keep => proofs.push("power left on, as asked for".into()),
        Some(power) => match power.limits().safe {
            Level::Off => proofs.push(how_off(power_down(dut).await?.as_ref())),
            Level::On => {
                let by = dut.must("safe state", SWITCH);
                let proof = dut.waiting.on(power.make_safe(&by)).await?;
                proofs.extend(proof.map(|proof| proof.to_string()));
            }
            Level::Unknown => proofs.push("power left as it is: no level of it is called safe".into()),
        },
        None => proofs.push(how_off(None)),
    }
    Ok(proofs.join("; "))
}

pub(crate) fn medium(dut: &LiveDut) -> Result<Arc<dyn Storage>, Fault> {
    dut.slot.media.get("main").cloned().ok_or_else(|| {
        Fault::new(InfraKind::Config, "slot", "find the medium of", &dut.slot.id)
            .expected("a medium named `main`", format!("{:?}", dut.slot.media.keys().collect::<Vec<_>>()))
    })
}

pub(crate) async fn to_side(storage: &dyn Storage, side: Side, by: &Deadline) -> Result<(), Fault> {
    if storage.side(by).await? == side {
        return Ok(());
    }
    let got = storage.switch(side, by).await?;
    if got == side {
        return Ok(());
    }
    Err(Fault::new(InfraKind::Storage, storage.driver(), "switch", storage.endpoint())
        .expected(format!("{side:?}"), format!("{got:?}")))
}

/// The image's companion files that lie beside it: `IMAGE-NAME.companions/ROLE`.
pub fn companions(image: &Path) -> Vec<(String, PathBuf)> {
    let mut folder = image.as_os_str().to_owned();
    folder.push(".companions");
    let Ok(files) = std::fs::read_dir(PathBuf::from(folder)) else { return Vec::new() };
    let mut found: Vec<_> = files
        .flatten()
        .filter_map(|file| Some((file.file_name().to_str()?.to_owned(), file.path())))
        .collect();
    found.sort();
    found
}
