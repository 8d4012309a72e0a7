//! Running a tool: its version, its words, its end.

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nusb::MaybeFuture;
use shakedown_console::Capture;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, OnPercent, Pace, Rig, RigTool, ToolJob, UsbDevice};
use shakedown_host::process::{Stream, describe};
use shakedown_host::{Tool, warden};
use tokio_util::sync::CancellationToken;

use super::said::{Lines, Said};
use super::{FOLDER, IMAGE, NAME, ToolDoc};
use crate::usb::place;
use crate::wiring::WiringProblem;

/// A program says its version at once; a container may have to be unpacked first.
const VERSION: Duration = Duration::from_secs(60);
/// What ends a tool that does not end with its processes: docker needs 10 s at most for a kill.
const STOP: Duration = Duration::from_secs(30);
/// Of what a program printed that a person is shown.
const SHOWN: usize = 300;

/// A tool of a rig file.
pub(super) struct Program {
    name: String,
    doc: ToolDoc,
    lines: Lines,
    version: Capture,
}

/// A tool's words in its arguments.
struct Words<'a> {
    job: &'a ToolJob,
    /// Of this run of it.
    name: String,
}

impl Words<'_> {
    fn fill(&self, argv: &[String]) -> Vec<String> {
        let image = self.job.image.as_ref().map(|image| image.display().to_string()).unwrap_or_default();
        let folder = self.job.folder.display().to_string();
        let fill =
            |word: &String| word.replace(IMAGE, &image).replace(FOLDER, &folder).replace(NAME, &self.name);
        argv.iter().map(fill).collect()
    }
}

impl Program {
    pub(super) fn new(name: &str, doc: &ToolDoc) -> Result<Self, WiringProblem> {
        Ok(Self {
            name: name.to_owned(),
            doc: doc.clone(),
            lines: Lines::compile(name, doc)?,
            version: Lines::pattern("version.is", &doc.version.is)?,
        })
    }

    fn fault(&self, op: &str, endpoint: impl Into<String>) -> Fault {
        Fault::new(InfraKind::Tool, &self.name, op, endpoint)
    }

    async fn is_right(&self, by: &Deadline) -> Rig<String> {
        let Some((program, args)) = self.doc.version.run.split_first() else {
            return Err(self.fault("look at", "its version").expected("a program that tells it", "none"));
        };
        let by = by.child(format!("the version of {}", self.name), VERSION).at_rig_pace();
        let ran = Tool::new(program).args(args).run(&by).await?;
        let said = [ran.out.as_slice(), b"\n", &ran.err].concat();
        let said = shakedown_console::clean(&said);
        let lines =
            || said.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let shown = |line: &[u8]| String::from_utf8_lossy(line).chars().take(SHOWN).collect::<String>();
        match lines().find(|line| self.version.first(line).is_some()) {
            Some(line) => Ok(shown(line)),
            None => Err(self
                .fault("look at", "its version")
                .expected(
                    format!("a line with `{}`", self.doc.version.is),
                    lines().next().map_or_else(|| format!("nothing, and {}", describe(ran.status)), shown),
                )
                .hint("install the version that the rig file demands, or correct `version.is` when another one is meant")),
        }
    }

    async fn whole(&self, job: &ToolJob, far: OnPercent, by: &Deadline) -> Rig<String> {
        static BEFORE: AtomicU32 = AtomicU32::new(0);
        let number = BEFORE.fetch_add(1, Ordering::Relaxed);
        let words = Words { job, name: format!("shakedown-{}-{number}", std::process::id()) };
        let argv = words.fill(&self.doc.run);
        let Some((program, args)) = argv.split_first() else {
            return Err(self.fault("run", &self.name).expected("a program", "none"));
        };
        let log = OpenOptions::new().create(true).append(true).open(&job.log);
        let log = log.map_err(|error| {
            Fault::new(InfraKind::Host, &self.name, "open", job.log.display().to_string()).because(&error)
        })?;
        let said = Arc::new(Mutex::new(Said::new(self.lines.clone(), log)));
        let listener = said.clone();
        let tool = Tool::new(program).args(args).dir(&job.folder).on_bytes(move |stream, bytes| {
            let mut said = listener.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(percent) = said.take(stream == Stream::Err, bytes) {
                far(percent);
            }
        });
        let stop = words.fill(&self.doc.stop);
        // Should this process die, the warden runs it.
        let _ward = match stop.as_slice() {
            [] => None,
            argv => Some(warden::start()?.safe_state(&words.name, argv, STOP)?),
        };
        let (ended, leaves_nothing) = match tool.run(by).await {
            Ok(ran) => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.end();
                (self.judge(&said, &tool, ran.status), ran.status.success())
            }
            Err(fault) => (Err(Fault { driver: self.name.clone(), ..fault }), false),
        };
        match ended {
            // Also one that ended by itself may have left behind what does not end with its processes.
            Err(mut fault) if !leaves_nothing => {
                fault.causes.extend(self.stop(&stop, by).await.err().map(|left| left.to_string()));
                Err(fault)
            }
            ended => ended,
        }
    }

    /// Its exit code, and its own words, which must agree.
    fn judge(&self, said: &Said, tool: &Tool, status: std::process::ExitStatus) -> Rig<String> {
        if let Some(error) = &said.broken {
            return Err(self.fault("write", "its log").because(error).hint("is the disk full?"));
        }
        let fault = || self.fault("run", format!("`{tool}`"));
        let words = || match (&said.failed, said.last.as_str()) {
            (Some(failed), _) => format!(": {failed}"),
            (None, "") => ", and nothing printed".to_owned(),
            (None, last) => format!(", and last: {last}"),
        };
        let got = || format!("{}{}", describe(status), words());
        if !status.success() {
            return Err(fault().expected("exit code 0", got()));
        }
        if said.failed.is_some() {
            return Err(fault().expected("no word of a failure", got()));
        }
        said.done.clone().ok_or_else(|| {
            fault()
                .expected(
                    format!("a line with `{}`, by which it says that it did its work", self.lines.wanted),
                    got(),
                )
                .hint("its exit code alone is no proof; what it printed is in the run's folder")
        })
    }

    /// Ends what does not end with its processes. The run may be over already.
    async fn stop(&self, argv: &[String], by: &Deadline) -> Rig<()> {
        let Some((program, args)) = argv.split_first() else { return Ok(()) };
        let clock = by.clock().clone();
        let by =
            Deadline::new(format!("{} to stop", self.name), STOP, Pace::Rig, clock, CancellationToken::new());
        Tool::new(program).args(args).run_ok(&by).await.map(drop)
    }

    fn devices(&self) -> Rig<Vec<UsbDevice>> {
        let listed = nusb::list_devices()
            .wait()
            .map_err(|error| Fault::new(InfraKind::Usb, &self.name, "list", "USB devices").because(&error))?;
        let here = |device: &UsbDevice| self.doc.port.as_ref().is_none_or(|port| *port == device.place);
        let device = |info: nusb::DeviceInfo| UsbDevice {
            vendor: info.vendor_id(),
            product: info.product_id(),
            place: place(&info),
            number: info.device_address(),
        };
        Ok(listed.map(device).filter(here).collect())
    }
}

impl RigTool for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn check<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            if let Some(missing) = self.doc.missing().first() {
                return Err(self
                    .fault("find", *missing)
                    .expected("a program of this host", "none")
                    .hint(format!("install {missing}, or name it with its whole path in the rig file")));
            }
            self.is_right(by).await
        })
    }

    fn run<'a>(&'a self, job: ToolJob, far: OnPercent, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move { self.whole(&job, far, by).await })
    }

    fn usb<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Vec<UsbDevice>>> {
        Box::pin(async move { self.devices() })
    }
}
