//! From an image file to a powered DUT. Only a proven write can be booted, by type.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{BootReport, Cut, Event, Fault, InfraKind, Mark, Resets, Side, Storage};
use shakedown_media::{EditError, FsError, Identity as Identified, ImageSource, Select, WriteError, Written};

use crate::climb::{self, Ascent};
use crate::dut::LiveDut;
use crate::thread::on_thread;

/// A mux settles within 5 s (USB-SD-Mux: 1 s by its protocol; SDWire: 2-3 s until the reader is back).
/// A person at a bench supply needs longer.
const SWITCH: Duration = Duration::from_secs(120);
/// 20 MB/s is a slow card; 64 GiB at that speed is an hour.
const WRITE: Duration = Duration::from_secs(3600);
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
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let verb = if written.wrote() { "wrote and read back" } else { "read" };
        format!(
            "{verb} {} MiB ({} MiB of data, the rest zeros), equal to payload SHA-256 {}",
            mib(written.bytes()),
            mib(written.data_bytes()),
            written.payload()
        )
    }
}

/// Why provisioning ended early.
#[derive(Debug)]
pub(crate) enum ProvisionError {
    /// The image is not fit: exit code 2.
    Refused(String),
    /// The rig broke.
    Fault(Box<Fault>),
    /// The run was interrupted.
    Cancelled,
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

/// Writes the image onto the main medium and proves it; or only proves that it is there.
pub(crate) async fn write(
    dut: &LiveDut,
    image: &Arc<Identified>,
    only_prove: bool,
) -> Result<Provisioned, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the medium on the host's side", SWITCH).at_rig_pace();
    to_side(storage.as_ref(), Side::Host, &by).await?;
    let by = dut.wait("write image", WRITE).at_rig_pace();
    let mut medium = storage.open(&by).await?;
    let (sink, image) = (dut.sink.clone(), image.clone());
    let (clock, cancel) = (by.clock().clone(), by.cancel().clone());
    let work = move || -> Result<Written, WriteError> {
        let mut source = ImageSource::open_identified(&image)?;
        let mut last = clock.now();
        let mut progress = |progress: &shakedown_media::Progress| {
            if clock.now().since(last) >= PROGRESS {
                last = clock.now();
                sink.emit(Event::Progress {
                    step: "write image".into(),
                    done: progress.done,
                    total: progress.total,
                });
            }
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        if only_prove {
            shakedown_media::prove_holds(&mut source, medium.as_mut(), &mut progress)
        } else {
            shakedown_media::write_image(&mut source, medium.as_mut(), &mut progress)
        }
    };
    let written = dut.waiting.on(on_thread("writer", work)).await??;
    Ok(Provisioned { written })
}

/// Puts this run's identity into the configuration document on the boot partition; returns what proves it.
pub(crate) async fn inject(dut: &LiveDut, extra: &[(String, String)]) -> Result<String, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the medium on the host's side", SWITCH).at_rig_pace();
    let mut medium = storage.open(&by).await?;
    let edits = dut.identity.edits(&dut.profile, extra);
    let boot = Select::Label(dut.profile.partitions.get("boot").cloned().unwrap_or_default());
    let file = dut.profile.config.file.clone();
    let work = move || {
        let keys: Vec<_> = edits.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        shakedown_media::edit_config(medium.as_mut(), &boot, &file, &keys)
    };
    let placed = dut.waiting.on(on_thread("identity", work)).await??;
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
    power_up(dut, how).await
}

async fn power_up(dut: &LiveDut, how: &str) -> Result<BootReport, Cut> {
    let storage = medium(dut)?;
    let switch = dut.wait("the medium on the DUT's side", SWITCH).at_rig_pace();
    to_side(storage.as_ref(), Side::Dut, &switch).await?;
    let Some(power) = &dut.slot.power else {
        return Err(Cut::Rig(
            Fault::new(InfraKind::Config, "slot", "switch on", &dut.slot.id)
                .expected("a power output", "none in the rig file")
                .hint("add `power: { manual: {} }` to be asked to switch by hand"),
        ));
    };
    dut.drop_shells().await;
    let by = dut.wait("power on", SWITCH).at_rig_pace();
    let since = dut.console.log.here();
    dut.console.log.mark(&Mark::PowerOn);
    let began = by.clock().now();
    dut.waiting.on(power.set(true, &by)).await?;
    let whole: Duration = dut.spec.stages.iter().map(|stage| stage.within).sum();
    let by = dut.wait("ready", whole);
    climb::climb(dut, &Ascent { how, since, began, from_power: true, allowed: &Resets::default() }, &by).await
}

/// Recovery: off, on, up. For a DUT that a case left dead.
pub(crate) async fn power_cycle(dut: &LiveDut) -> Result<BootReport, Cut> {
    power_down(dut).await?;
    power_up(dut, "recovery").await
}

/// Off, with its proof: read back, or the console's silence.
pub(crate) async fn power_down(dut: &LiveDut) -> Result<(), Fault> {
    let Some(power) = &dut.slot.power else { return Ok(()) };
    let by = dut.must("power off", SWITCH);
    dut.waiting.on(power.set(false, &by)).await?;
    dut.console.log.mark(&Mark::PowerOff);
    Ok(())
}

fn medium(dut: &LiveDut) -> Result<Arc<dyn Storage>, Fault> {
    dut.slot.media.get("main").cloned().ok_or_else(|| {
        Fault::new(InfraKind::Config, "slot", "find the medium of", &dut.slot.id)
            .expected("a medium named `main`", format!("{:?}", dut.slot.media.keys().collect::<Vec<_>>()))
    })
}

async fn to_side(storage: &dyn Storage, side: Side, by: &shakedown_core::Deadline) -> Result<(), Fault> {
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
