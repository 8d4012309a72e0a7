//! HDMI grabbers, and cameras that look at a screen: Video4Linux.
//!
//! Asked by the crate `linuxvideo`: `v4l` and `v4l2r` run bindgen, and so need libclang, in each build.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use linuxvideo::format::{Format as Set, PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Device, InputStatus};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Capture, Deadline, Fault, Fut, InfraKind, Rig};

use super::CaptureConf;
pub use super::frame::Format;
use super::frame::{Shape, picture};
use crate::picture::Picture;
use crate::wiring::WiringProblem;
use crate::worker::{Worker, left};

const NAME: &str = "v4l2";
const OP: &str = "take a picture from";
/// At a frame a second the rest of a picture's time is left.
const MOST_SKIPPED: u32 = 300;

/// A video device of Linux (V4L2) that sees the DUT's screen: an HDMI grabber, or a camera in front of it. It is
/// opened for each picture and then let go. Grabbers begin with what they still had in their memory, often a black
/// or an old frame: the first ones are thrown away. The input that is selected is taken, with its timings
/// (`v4l2-ctl` sets both). Where the device says that there is no signal, so do we; most USB grabbers send a
/// picture of their own then, which only a look at it tells from the DUT's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "V4l2")]
pub struct Conf {
    /// The device; best by its place or number: `/dev/v4l/by-path/…`, `/dev/v4l/by-id/…`.
    pub device: PathBuf,
    /// What it is asked for: `yuyv`, `rgb24`, `bgr24` or `mjpeg` (default: what it is set to; where that is another
    /// one, the first of these that it offers).
    #[serde(default)]
    pub format: Option<Format>,
    /// The size in pixels (default: what it is set to).
    #[serde(default)]
    pub size: Option<Size>,
    /// How many frames are thrown away before the one that counts (default: 4).
    #[serde(default = "four")]
    pub skip: u32,
}

/// The size of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "V4l2Size")]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

const fn four() -> u32 {
    4
}

impl CaptureConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if !self.device.is_absolute() {
            let what = format!("`{}` is no absolute path", self.device.display());
            return Err(WiringProblem::new("device", what));
        }
        if self.size.is_some_and(|size| size.width == 0 || size.height == 0) {
            return Err(WiringProblem::new("size", "a picture has a pixel at least"));
        }
        if self.skip > MOST_SKIPPED {
            return Err(WiringProblem::new("skip", format!("more than {MOST_SKIPPED} never end in time")));
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: (), _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Capture>>> {
        Box::pin(async move {
            let worker = Worker::for_capture(NAME, &self.device.display().to_string())?;
            Ok(Arc::new(Grabber { conf: self.clone(), worker }) as Arc<dyn Capture>)
        })
    }
}

struct Grabber {
    conf: Conf,
    worker: Arc<Worker>,
}

impl Capture for Grabber {
    fn screenshot<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Vec<u8>>> {
        Box::pin(async move {
            let conf = self.conf.clone();
            let take =
                move |by: &Deadline| conf.take(by)?.to_png().map_err(|error| conf.fault().because(&error));
            self.worker.run(OP, by, take).await
        })
    }
}

impl Conf {
    fn fault(&self) -> Fault {
        Fault::new(InfraKind::Capture, NAME, OP, self.device.display().to_string())
    }

    /// The kernel said no.
    fn refused(&self, expected: &str, error: &io::Error) -> Fault {
        let fault = self.fault();
        match Errno::from_io_error(error) {
            Some(Errno::BUSY) => {
                let who = format!("`fuser -v {}` shows which", self.device.display());
                fault.expected("a device that is free", "another process has it").hint(who)
            }
            Some(Errno::NODEV | Errno::NXIO) => fault.expected(expected, "the device is gone"),
            _ => fault.expected(expected, error.to_string()),
        }
    }

    /// Blocks.
    fn take(&self, by: &Deadline) -> Rig<Picture> {
        let device = self.device()?;
        self.signal(&device)?;
        let (shape, mut stream) = self.stream(device)?;
        let (mut whole, mut damaged) = (0, 0);
        loop {
            self.wait(&stream, by, whole, damaged)?;
            let wanted = whole == self.skip;
            let frame = stream.dequeue(|frame| {
                let fine = !frame.is_error();
                Ok(fine.then(|| if wanted { frame.to_vec() } else { Vec::new() }))
            });
            match frame.map_err(|error| self.refused("a frame", &error))? {
                Some(frame) if wanted => {
                    let wrong = |wrong: super::frame::Wrong| self.fault().expected(wrong.expected, wrong.got);
                    return picture(shape, &frame).map_err(wrong);
                }
                Some(_) => whole += 1,
                None => damaged += 1,
            }
        }
    }

    fn device(&self) -> Rig<Device> {
        let device = Device::open(&self.device).map_err(|error| {
            let fault = self.refused("a video device", &error);
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => fault.hint("`shakedown rigs discover` shows those that are plugged in"),
                Some(Errno::ACCESS) => fault.hint("the group `video` may open it"),
                Some(Errno::NOTTY) => self.fault().expected("a video device", "another kind of device"),
                _ => fault,
            }
        })?;
        let can = device.capabilities().map_err(|error| self.refused("a video device", &error))?;
        let can = can.device_capabilities();
        if can.contains(CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::STREAMING) {
            return Ok(device);
        }
        let got = if can.contains(CapabilityFlags::VIDEO_CAPTURE_MPLANE) {
            "one that captures in several planes, which is not supported"
        } else if can.intersects(CapabilityFlags::VIDEO_OUTPUT | CapabilityFlags::VIDEO_OUTPUT_MPLANE) {
            "one that puts video out"
        } else {
            "one that does not capture video: a grabber may have several nodes, of which the first does"
        };
        Err(self.fault().expected("a device that captures video", got))
    }

    /// Of a device with one input: which of several is selected cannot be asked with this crate.
    fn signal(&self, device: &Device) -> Rig<()> {
        let inputs: io::Result<Vec<_>> = device.inputs().collect();
        let status = match inputs.map_err(|error| self.refused("a list of inputs", &error))?.as_slice() {
            [input] => input.status(),
            _ => return Ok(()),
        };
        let none = InputStatus::NO_POWER | InputStatus::NO_SIGNAL;
        let unlocked = InputStatus::NO_SYNC | InputStatus::NO_H_LOCK | InputStatus::NO_V_LOCK;
        let got = if status.intersects(none) {
            "none on its input"
        } else if status.intersects(unlocked) {
            "one that its input cannot lock to"
        } else {
            return Ok(());
        };
        let fault = Fault { kind: InfraKind::Screen, ..self.fault() };
        Err(fault.expected("a signal", got).hint("is the DUT on, and its cable plugged in?"))
    }

    /// Starts it. All its buffers are new: nothing is in them that came before.
    fn stream(&self, device: Device) -> Rig<(Shape, ReadStream)> {
        let set = device.format(BufType::VIDEO_CAPTURE).map_err(|error| self.refused("a format", &error))?;
        let Set::VideoCapture(set) = set else {
            return Err(self.fault().expected("a format of captured video", "another one"));
        };
        let format = self.format(&device, set.pixel_format())?;
        let size = self.size.unwrap_or(Size { width: set.width(), height: set.height() });
        let ask = PixFormat::new(size.width, size.height, PixelFormat::from_fourcc(format.fourcc()));
        let expected = format!("{}x{} as {format:?}", size.width, size.height);
        let capture = device.video_capture(ask).map_err(|error| self.refused(&expected, &error))?;
        let got = capture.format();
        let right = got.pixel_format().as_fourcc() == format.fourcc();
        if !right || (got.width(), got.height()) != (size.width, size.height) {
            let got = format!("{}x{} as {}", got.width(), got.height(), got.pixel_format());
            return Err(self.fault().expected(expected, got).hint("`v4l2-ctl --list-formats-ext` shows all"));
        }
        let shape = Shape {
            format,
            width: size.width as usize,
            height: size.height as usize,
            stride: got.bytes_per_line() as usize,
        };
        let stream = capture.into_stream().map_err(|error| self.refused("a stream of frames", &error))?;
        Ok((shape, stream))
    }

    fn format(&self, device: &Device, set: PixelFormat) -> Rig<Format> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let known =
            |is: &PixelFormat| Format::ALL.into_iter().find(|format| format.fourcc() == is.as_fourcc());
        let offered: io::Result<Vec<_>> =
            device.formats(BufType::VIDEO_CAPTURE).map(|offer| Ok(offer?.pixel_format())).collect();
        let offered = offered.map_err(|error| self.refused("a list of formats", &error))?;
        std::iter::once(&set).chain(&offered).find_map(known).ok_or_else(|| {
            let offered = offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.fault().expected("YUYV, RGB3, BGR3 or MJPG", format!("a device that offers {offered}"))
        })
    }

    /// Until there is a frame.
    fn wait(&self, stream: &ReadStream, by: &Deadline, whole: u32, damaged: u32) -> Rig<()> {
        let mut fds = [PollFd::new(stream, PollFlags::IN)];
        let within = rustix::event::Timespec::try_from(left(by)).ok();
        match poll(&mut fds, within.as_ref()) {
            Err(Errno::INTR) => self.wait(stream, by, whole, damaged),
            Err(error) => Err(self.refused("a frame", &error.into())),
            Ok(0) => {
                let far = format!("{whole} whole frames and {damaged} damaged ones");
                let wanted = format!("{} whole frames", self.skip + 1);
                Err(self.fault().expected(wanted, far.clone()).stopped(by.stop(far)))
            }
            Ok(_) if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                Err(self.fault().expected("a frame", "the device is gone, or its stream has broken off"))
            }
            Ok(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use shakedown_core::{Pace, RealClock};
    use tokio_util::sync::CancellationToken;

    fn of(device: &str) -> Conf {
        Conf { device: device.into(), format: None, size: None, skip: 4 }
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(of("/dev/video0").check(), Ok(()));
        let field = |conf: Conf| conf.check().unwrap_err().field;
        assert_eq!(field(of("video0")), "device");
        assert_eq!(field(Conf { size: Some(Size { width: 640, height: 0 }), ..of("/dev/video0") }), "size");
        assert_eq!(field(Conf { skip: 301, ..of("/dev/video0") }), "skip");
    }

    /// What needs no video device; the others are in `harness/cli/tests/lab/screen.rs`.
    #[tokio::test]
    async fn what_is_no_video_device_is_told() {
        let by = Deadline::new(
            "test",
            Duration::from_secs(20),
            Pace::Rig,
            RealClock::start(),
            CancellationToken::new(),
        );
        for (device, got) in [
            ("/dev/v4l/by-id/none", "No such file or directory (os error 2)"),
            ("/dev/null", "another kind of device"),
        ] {
            let conf = of(device);
            let fault = conf.open((), &by).await.unwrap().screenshot(&by).await.unwrap_err();
            assert_eq!((fault.kind, &*fault.got), (InfraKind::Capture, got), "{fault}");
        }
    }
}
