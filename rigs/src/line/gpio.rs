//! A line of a GPIO chip, by the kernel's character device.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gpiocdev::line::{Offset, Value};
use gpiocdev::request::Config;
use gpiocdev::{Chip, Request};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx};
use crate::wiring::WiringProblem;
use crate::worker::Worker;

const NAME: &str = "gpio";

/// A line of a GPIO chip of the rig host, by the kernel's character device: the header of a
/// Raspberry Pi or a Jetson, a USB GPIO adapter. Opening it changes nothing, also not the line's
/// direction; the first switching makes it an output, at the level that is asked, without another
/// one in between. What is read back is the level that the kernel reads at the line. The line is
/// ours alone while the slot is open: the keeper holds it as long as it is on. When it is let go, also
/// by a killed process, some chips keep its level and others make it an input again: wire the relay so that
/// an input means off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Gpio")]
pub struct Conf {
    /// The chip by its device or by its label, as `gpioinfo` shows them: `gpiochip0`,
    /// `pinctrl-bcm2711`. Labels last; the numbers of devices do not. It may be left out where `name`
    /// is found on one chip only.
    #[serde(default)]
    pub chip: Option<String>,
    /// The line by its number on the chip: on a Raspberry Pi, 17 is GPIO17.
    #[serde(default)]
    pub line: Option<u32>,
    /// The line by the name that the board's device tree gives it: `GPIO17`.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether a low level is on, as with most relay boards (default: false).
    #[serde(default)]
    pub active_low: bool,
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        match (&self.chip, self.line, &self.name) {
            (_, Some(_), Some(_)) => {
                Err(WiringProblem::new("name", "a line has a number or a name, not both"))
            }
            (_, None, None) => Err(WiringProblem::new("line", "the line's number or its `name` is needed")),
            (None, Some(_), None) => Err(WiringProblem::new("chip", "a number needs its chip")),
            _ => Ok(()),
        }
    }

    fn open<'a>(&'a self, cx: LineCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        let (conf, consumer) = (self.clone(), format!("shakedown {}", cx.output));
        Box::pin(async move {
            let endpoint = conf.endpoint();
            // Chips behind USB and I2C take their time.
            let worker = Worker::of(NAME, conf.chip.as_deref().unwrap_or("any chip"))?;
            let request = worker.run("open", by, move |_| conf.request(&consumer)).await?;
            let held = Held { request, active_low: self.active_low };
            Ok(Arc::new(Gpio { endpoint, worker, held: Arc::new(Mutex::new(held)) }) as Arc<dyn Line>)
        })
    }
}

impl Conf {
    fn endpoint(&self) -> String {
        let chip = self.chip.as_deref().unwrap_or("any chip");
        match (&self.name, self.line) {
            (Some(name), _) => format!("{chip} line {name}"),
            (None, line) => format!("{chip} line {}", line.unwrap_or_default()),
        }
    }

    fn fault(&self) -> Fault {
        Fault::new(InfraKind::Power, NAME, "open", self.endpoint())
    }

    /// The line, held as it is.
    fn request(&self, consumer: &str) -> Rig<Request> {
        let (path, line) = self.find()?;
        let mut request = Request::builder();
        request.on_chip(&path).with_consumer(consumer).with_line(line).as_is();
        request.request().map_err(|error| {
            let fault = self.fault().expected("a line that is free", error.to_string());
            match holder(&path, line) {
                Some(holder) => fault.hint(format!("it is held by `{holder}`")),
                None => fault,
            }
        })
    }

    /// The chip's device, and the line's number on it.
    fn find(&self) -> Rig<(PathBuf, Offset)> {
        let wrong = |error: gpiocdev::Error| self.fault().expected("a GPIO chip", error.to_string());
        let mut there = Vec::new();
        let mut found = Vec::new();
        for path in gpiocdev::chip::chips().map_err(wrong)? {
            let chip = Chip::from_path(&path).map_err(wrong)?;
            let info = chip.info().map_err(wrong)?;
            there.push(format!("{} ({})", info.name, info.label));
            let named = |wanted: &str| {
                wanted == info.name || wanted == info.label || Path::new(wanted) == path.as_path()
            };
            if !self.chip.as_deref().is_none_or(named) {
                continue;
            }
            match (&self.name, self.line) {
                (Some(name), _) => {
                    let lines = chip.line_info_iter().map_err(wrong)?.flatten();
                    found.extend(
                        lines.filter(|line| line.name == *name).map(|line| (path.clone(), line.offset)),
                    );
                }
                (None, Some(line)) if line >= info.num_lines => {
                    let lines = format!("a chip with {} lines", info.num_lines);
                    return Err(self.fault().expected(format!("line {line}"), lines));
                }
                (None, line) => found.push((path, line.unwrap_or_default())),
            }
        }
        let chips = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let chips = format!("the chips that may be opened are: {chips}");
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(self.fault().expected("this line on one chip", "no such line").hint(chips)),
            several => {
                let got = format!("{} such lines", several.len());
                Err(self.fault().expected("this line on one chip", got).hint(chips))
            }
        }
    }
}

/// Who holds a line, as the kernel tells it.
fn holder(path: &Path, line: Offset) -> Option<String> {
    let info = Chip::from_path(path).ok()?.line_info(line).ok()?;
    info.used.then_some(info.consumer)
}

struct Held {
    request: Request,
    active_low: bool,
}

impl Held {
    fn set(&self, on: bool) -> Result<(), gpiocdev::Error> {
        let mut config = Config::default();
        // Direction and level in one call: the kernel sets the level before it drives the line.
        config.with_line(self.line()).as_output(Value::from(on != self.active_low));
        self.request.reconfigure(&config)
    }

    fn read(&self) -> Result<bool, gpiocdev::Error> {
        Ok((self.request.lone_value()? == Value::Active) != self.active_low)
    }

    fn line(&self) -> Offset {
        self.request.config().lines().first().copied().unwrap_or_default()
    }
}

struct Gpio {
    endpoint: String,
    worker: Arc<Worker>,
    held: Arc<Mutex<Held>>,
}

impl Gpio {
    async fn on_thread<T: Send + 'static>(
        &self,
        op: &'static str,
        by: &Deadline,
        act: fn(&Held, bool) -> Result<T, gpiocdev::Error>,
        on: bool,
    ) -> Rig<T> {
        let (held, endpoint) = (self.held.clone(), self.endpoint.clone());
        let job = move |_: &Deadline| {
            act(&held.lock().unwrap_or_else(PoisonError::into_inner), on).map_err(|error| {
                Fault::new(InfraKind::Power, NAME, op, endpoint)
                    .expected("the kernel to do so", error.to_string())
                    .hint("was its chip unplugged?")
            })
        };
        self.worker.run(op, by, job).await
    }
}

impl Line for Gpio {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        let op = if on { "switch on" } else { "switch off" };
        Box::pin(self.on_thread(op, by, Held::set, on))
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let on = self.on_thread("read back", by, |held, _| held.read(), false).await?;
            Ok(Level::from(on))
        })
    }

    fn when_dropped(&self) -> Level {
        // The chip's driver in the kernel decides: kept by some, an input again by others.
        Level::Unknown
    }
}
