//! A vendor's tool, and the disk or the device that a board becomes on USB: what is handed to the tool,
//! what it says, and what is waited for on the rig host.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Attached, Deadline, Event, Fault, InfraKind, Payload, Rig, RigTool, ToolJob, UsbDevice,
};
use shakedown_media::{FileMedium, Identity as Identified};

use crate::dut::LiveDut;
use crate::folder::RunFolder;
use crate::provision::{ProvisionError, Provisioned, Writing, configure, medium, write_onto};

/// Between two looks at the host's devices: they come within seconds.
const TICK: Duration = Duration::from_millis(200);
/// The copy's name in the run's folder. Tools tell a raw image by its ending.
const COPY: &str = "image-for-the-tool.img";

/// The slot's tool of this name.
pub(crate) fn tool(dut: &LiveDut, name: &str) -> Rig<Arc<dyn RigTool>> {
    dut.slot.tools.get(name).cloned().ok_or_else(|| {
        Fault::new(InfraKind::Config, "slot", "find the tool of", &dut.slot.id)
            .expected(format!("`tools.{name}` in the rig file"), "none")
    })
}

/// Whether the tool is there, in the version that is demanded. Nothing is switched for it.
pub(crate) async fn check(dut: &LiveDut, name: &str, within: Duration) -> Result<String, ProvisionError> {
    let tool = tool(dut, name)?;
    let by = dut.wait("the version of the tool", within).at_rig_pace();
    let version = dut.waiting.on(tool.check(&by)).await?;
    Ok(format!("{name} is {version}"))
}

/// The image with this run's names and keys, for a tool that takes a file. Dropped, it is removed: it is
/// as large as the image, and the run's folder is kept.
pub(crate) struct Copy {
    path: PathBuf,
}

impl Copy {
    /// For whoever reads what it holds.
    pub(crate) fn open(&self) -> Rig<FileMedium> {
        FileMedium::open_read_only(&self.path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // One that stays costs room and nothing else.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Makes the copy, proves it, and puts this run's identity into it; with it the proof that it held the
/// image, and that proof and the other one in words.
pub(crate) async fn copy(
    dut: &LiveDut,
    folder: &RunFolder,
    image: &Arc<Identified>,
    extra: &[(String, String)],
    step: &str,
    within: Duration,
) -> Result<(Copy, Provisioned, String), ProvisionError> {
    let path = whole(folder)?.join(COPY);
    let by = dut.wait(step, within).at_rig_pace();
    // From here on it is removed, whatever comes.
    let copy = Copy { path };
    let file = FileMedium::create(&copy.path, image.image().size)?;
    let provisioned = write_onto(dut, Box::new(file), image, Writing::Whole, step, &by).await?;
    let file = FileMedium::open(&copy.path)?;
    let placed = configure(dut, Box::new(file), Payload::Image, extra, &by).await?;
    let proof = format!("{}; {placed}", provisioned.proof());
    Ok((copy, provisioned, proof))
}

/// The run's folder by its whole path: the tool is in another one.
fn whole(folder: &RunFolder) -> Rig<PathBuf> {
    std::path::absolute(folder.path()).map_err(|error| {
        Fault::new(InfraKind::Host, "runner", "find", folder.path().display().to_string()).because(&error)
    })
}

/// Runs the tool to its end. What it prints goes to the run's folder.
pub(crate) async fn run(
    dut: &LiveDut,
    folder: &RunFolder,
    name: &str,
    copy: Option<&Copy>,
    step: &str,
    within: Duration,
) -> Result<String, ProvisionError> {
    let tool = tool(dut, name)?;
    // A tool runs on the rig host, and most of its time is the board's: it is not stretched, for what is
    // slow about an emulated board is not slow about a tool.
    let by = dut.wait(step, within).at_rig_pace();
    let log = format!("tool-{name}.log");
    let job = ToolJob {
        image: copy.map(|copy| copy.path.clone()),
        log: folder.path().join(&log),
        folder: whole(folder)?,
    };
    let (sink, told) = (dut.sink.clone(), step.to_owned());
    let far = Arc::new(move |percent| {
        sink.emit(Event::Progress { step: told.clone(), done: percent, total: 100 });
    });
    let ran = dut.waiting.on(tool.run(job, far, &by)).await;
    if folder.path().join(&log).exists() {
        // A failure is announced by the folder itself.
        drop(folder.announce(&log, "what the tool printed"));
    }
    let said = ran?;
    Ok(format!("{name} ended with success and said `{said}`; what it did is not proven by that"))
}

/// What was on the rig host before the first act that may make the board come: it was off then.
#[derive(Debug, Default)]
pub(crate) struct Before {
    looked: bool,
    medium: Option<Attached>,
    usb: Vec<UsbDevice>,
}

impl Before {
    /// Looks, once, for a procedure that waits for one or both.
    pub(crate) async fn look(&mut self, dut: &LiveDut, wants: Wants<'_>) -> Rig<()> {
        if std::mem::replace(&mut self.looked, true) {
            return Ok(());
        }
        let by = dut.wait("a look at what is on the rig host", TICK * 100).at_rig_pace();
        if wants.medium {
            self.medium = dut.waiting.on(medium(dut)?.attached(&by)).await?;
        }
        if let Some(name) = wants.usb {
            self.usb = dut.waiting.on(tool(dut, name)?.usb(&by)).await?;
        }
        Ok(())
    }
}

/// What a procedure waits for on the rig host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants<'a> {
    /// The main medium.
    pub(crate) medium: bool,
    /// A device on USB, where this tool's board shows up.
    pub(crate) usb: Option<&'a str>,
}

/// Waits until the main medium is attached anew. One that was there before is not the board's word.
pub(crate) async fn await_medium(
    dut: &LiveDut,
    before: &Before,
    within: Duration,
) -> Result<String, ProvisionError> {
    let storage = medium(dut)?;
    let by = dut.wait("the board's storage as a disk of the rig host", within).at_rig_pace();
    let mut seen = "no such disk";
    let came: Rig<Attached> = dut
        .waiting
        .on(async {
            loop {
                match storage.attached(&by).await? {
                    Some(now) if before.medium.as_ref() != Some(&now) => return Ok(now),
                    Some(_) => seen = "the disk that was there before the board was told to show its own",
                    None => seen = "no such disk",
                }
                let fault = || Fault::new(InfraKind::Storage, storage.driver(), "see", storage.endpoint());
                by.pause(TICK, || seen.to_owned())
                    .await
                    .map_err(|stop| fault().expected("a disk that was attached anew", seen).stopped(stop))?;
            }
        })
        .await;
    let now = came?;
    let serial = now.medium.serial.as_deref().unwrap_or("none");
    Ok(format!("attached anew as {}: {} bytes, serial number {serial}", now.as_what, now.medium.size))
}

/// Waits until a device of this id is on USB that was not there before.
pub(crate) async fn await_usb(
    dut: &LiveDut,
    name: &str,
    (what, id): (&str, &str),
    before: &Before,
    within: Duration,
) -> Result<String, ProvisionError> {
    let tool = tool(dut, name)?;
    let by = dut.wait(what, within).at_rig_pace();
    let came = dut.waiting.on(one_of(tool.as_ref(), id, before, &by)).await?;
    Ok(came.to_string())
}

async fn one_of(tool: &dyn RigTool, id: &str, before: &Before, by: &Deadline) -> Rig<UsbDevice> {
    loop {
        let now = tool.usb(by).await?;
        let (mut of_id, others): (Vec<_>, Vec<_>) = now.into_iter().partition(|device| device.is(id));
        let stale: Vec<_> = of_id.iter().filter(|device| before.usb.contains(device)).cloned().collect();
        of_id.retain(|device| !before.usb.contains(device));
        let fault = || Fault::new(InfraKind::Usb, tool.name(), "see", format!("{id} on USB"));
        let told =
            |devices: &[UsbDevice]| devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (of_id.pop(), of_id.is_empty()) {
            (Some(device), true) => return Ok(device),
            (Some(device), false) => {
                of_id.push(device);
                return Err(fault()
                    .expected("one board in this mode", told(&of_id))
                    .hint("say which port is this board's: `port` of the tool in the rig file"));
            }
            (None, _) => {}
        }
        let new: Vec<_> = others.into_iter().filter(|device| !before.usb.contains(device)).collect();
        let seen = match (stale.is_empty(), new.is_empty()) {
            (false, _) => format!("one that was there before: {}", told(&stale)),
            (true, false) => format!("another device that came: {}", told(&new)),
            (true, true) => "no device that was not there before".to_owned(),
        };
        by.pause(TICK, || seen.clone())
            .await
            .map_err(|stop| fault().expected(format!("a device {id}"), seen.clone()).stopped(stop))?;
    }
}
