//! The kernel's own model of an HDMI grabber, `vivid`, beside `v4l2-ctl`.

use std::process::Child;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Fault, InfraKind, Rig};
use shakedown_rigs::{CaptureDriver, Picture};

use crate::support::lab::{command, oracle};
use crate::support::{Place, by, micro};

const DEVICE: &str = "/dev/video0";
const WIDTH: usize = 640;
const HEIGHT: usize = 360;
const SIZE: &str = "size: { width: 640, height: 360 }";

/// Sets controls of the model.
fn set(controls: &str) {
    let (code, said) = oracle(&["v4l2-ctl", "-d", DEVICE, "-c", controls]);
    assert_eq!(code, Some(0), "{controls}: {said}");
}

/// A picture by our driver.
async fn picture(settings: &str, seconds: u64) -> Rig<Picture> {
    let text = format!("v4l2: {{ {settings} }}");
    let conf = load::<CaptureDriver>(&Document::new("rig.yaml", &text));
    let conf = conf.unwrap_or_else(|error| panic!("{error:#}")).value;
    conf.check().unwrap();
    let by = by("a picture", seconds);
    let png = conf.open((), &by).await?.screenshot(&by).await?;
    Ok(Picture::from_png(&png).unwrap())
}

/// A picture by the other program.
fn theirs(place: &Place) -> Picture {
    let file = place.path("frame").display().to_string();
    let format = format!("--set-fmt-video=width={WIDTH},height={HEIGHT},pixelformat=RGB3");
    let to = format!("--stream-to={file}");
    let argv = ["v4l2-ctl", "-d", DEVICE, &format, "--stream-mmap", "--stream-count=1", &to];
    let (code, said) = oracle(&argv);
    assert_eq!(code, Some(0), "{said}");
    Picture::new(WIDTH, HEIGHT, std::fs::read(&file).unwrap()).unwrap()
}

/// Colour bars of 100 %, computed: white, yellow, cyan, green, magenta, red, blue, black.
fn bars() -> Picture {
    let bar = |x: usize| {
        let lit = 7 - x * 8 / WIDTH;
        [lit & 2, lit & 4, lit & 1].map(|lit| if lit > 0 { 255 } else { 0 })
    };
    Picture::new(WIDTH, HEIGHT, (0..WIDTH).flat_map(bar).collect::<Vec<u8>>().repeat(HEIGHT)).unwrap()
}

const RIG: &str = "rig: tests
slots:
  one:
    board: micro-board
    consoles: { main: { command: { run: [sleep, '3600'] } } }
    capture: { v4l2: { device: /dev/video0 } }
";

pub(crate) async fn seen() {
    let place = Place::new();
    micro::documents(&place, "2s");
    place.file("rig.yaml", RIG);
    set("osd_text_mode=2,test_pattern=1");
    let golden = theirs(&place);
    assert!(golden.unlike(&bars()) < 0.1, "{} % of theirs", golden.unlike(&bars()));
    for format in ["rgb24", "bgr24", "yuyv"] {
        let ours = picture(&format!("device: {DEVICE}, format: {format}, {SIZE}"), 60).await.unwrap();
        assert!(ours.unlike(&golden) < 0.1, "{format}: {} %", ours.unlike(&golden));
    }
    // As it is set: the size is what the other program has set.
    place.file("golden.png", golden.to_png().unwrap());
    let like = ["--path", "private", "screen", "one", "--like", "golden.png"];
    let near = place.run(&[&like[..], &["--within", "0"]].concat()).await;
    near.says(0, &["tests/one: a picture of 640x360: screen.png", " 0.0 % look other than golden.png"]);
    // Black, so that only the black bar is as before.
    set("test_pattern=5");
    place.run(&like).await.says(1, &["tests/one: 87.5 % look other than golden.png (allowed: 5 %)"]);
    set("test_pattern=0,dv_timings_signal_mode=1");
    let doctor = place.run(&["--path", "private", "rigs", "doctor", "--no-toggle"]).await;
    let none = "v4l2: cannot take a picture from /dev/video0: expected a signal, got none on its input";
    doctor.says(0, &[&format!("tests/one capture: not proven: {none}"), "0 wrong"]);
    set("dv_timings_signal_mode=0");
}

async fn fault(settings: &str, seconds: u64) -> Fault {
    let fault = picture(settings, seconds).await.expect_err("no picture");
    println!("{fault}");
    fault
}

/// Waits until a process has the device's buffers.
async fn streams(process: &str) {
    let maps = || std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let limit = by("the stream", 60);
    while !maps().contains(DEVICE) {
        limit.pause(Duration::from_millis(10), String::new).await.unwrap();
    }
}

/// Another program that streams, until it is dropped.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn faults() {
    let usual = format!("device: {DEVICE}, format: rgb24, {SIZE}");
    for (settings, got) in [
        ("device: /dev/video7".into(), "No such file or directory (os error 2)"),
        ("device: /dev/video1".into(), "one that puts video out"),
        (format!("device: {DEVICE}, format: mjpeg, {SIZE}"), "640x360 as YUYV"),
        (format!("device: {DEVICE}, format: yuyv, size: {{ width: 3, height: 3 }}"), "16x16 as YUYV"),
    ] {
        let fault = fault(&settings, 60).await;
        assert_eq!((fault.kind, &*fault.got), (InfraKind::Capture, got));
    }
    for (mode, got) in [
        (1, "none on its input"),
        (2, "one that its input cannot lock to"),
        (3, "one that its input cannot lock to"),
    ] {
        set(&format!("dv_timings_signal_mode={mode}"));
        let fault = fault(&usual, 60).await;
        assert_eq!((fault.kind, &*fault.got), (InfraKind::Screen, got));
    }
    set("dv_timings_signal_mode=0,percentage_of_dropped_buffers=100");
    let late = fault(&usual, 3).await;
    assert!(late.stop.is_some() && late.got == "0 whole frames and 0 damaged ones", "{late:?}");
    set("percentage_of_dropped_buffers=0");
    {
        let mut other = command(["v4l2-ctl", "-d", DEVICE, "--stream-mmap", "--stream-to=/dev/null"]);
        let other = Other(other.spawn().unwrap());
        streams(&other.0.id().to_string()).await;
        assert_eq!(fault(&usual, 60).await.got, "another process has it");
    }
    // In the middle of a picture that takes five seconds and more.
    let long = format!("{usual}, skip: 300");
    let broken = "the device is gone, or its stream has broken off";
    for (control, seconds, got) in [
        ("inject_v4l2_buf_flag_error", 4, " whole frames and 1 damaged ones"),
        ("inject_fatal_streaming_error", 60, broken),
        ("disconnect", 60, broken),
    ] {
        let inject = async {
            streams("self").await;
            set(&format!("{control}=1"));
        };
        let (fault, ()) = tokio::join!(fault(&long, seconds), inject);
        assert!(fault.got.ends_with(got), "{control}: {fault}");
        // And it works again.
        picture(&usual, 60).await.unwrap();
    }
}
