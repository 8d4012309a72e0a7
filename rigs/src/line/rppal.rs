//! A pin of a Raspberry Pi's header, by the registers of its GPIO block.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fut, Line, Rig};

use super::{LineConf, LineCx};

const NAME: &str = "rppal";

/// A pin of the Raspberry Pi that is the rig host, written in the registers of its GPIO block and not by
/// the kernel. Opening it changes nothing; the first switching sets the level and then makes the pin an
/// output, so that it never shows the other level. What is read back is the level that the
/// chip reads at the pin. A pin keeps its level and stays an output when the process ends, however it ends, and also
/// when the kernel would let go of it: that is why one takes this driver and not `gpio`. For the same reason
/// nothing keeps another program from writing the same pin: a pin that has another function (serial, I2C,
/// SPI) is refused. It needs leave to open `/dev/gpiomem`, which the group `gpio` has. Its library is no longer
/// looked after by its author: it knows the models up to the Raspberry Pi 5, and no later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Rppal")]
pub struct Conf {
    /// The pin by its GPIO number, not by its place on the header: 17 is GPIO17.
    pub line: u8,
    /// Whether a low level is on, as with most relay boards (default: false).
    #[serde(default)]
    pub active_low: bool,
}

impl LineConf for Conf {
    #[cfg(feature = "rppal")]
    fn open<'a>(&'a self, _: LineCx<'a>, _: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        // Registers are read and written in no time: it needs no thread.
        Box::pin(async { Ok(Arc::new(pin::Held::take(self)?) as Arc<dyn Line>) })
    }

    #[cfg(not(feature = "rppal"))]
    fn open<'a>(&'a self, _: LineCx<'a>, _: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async { Err(crate::registry::not_built(NAME, "rppal")) })
    }
}

#[cfg(feature = "rppal")]
mod pin {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rppal::gpio::{Error, Gpio, IoPin, Mode};
    use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

    use super::{Conf, NAME};

    /// A pin that nobody else of this process has.
    pub(super) struct Held {
        endpoint: String,
        active_low: bool,
        pin: Mutex<IoPin>,
    }

    impl Held {
        /// The pin, as it is.
        pub(super) fn take(conf: &Conf) -> Rig<Self> {
            let endpoint = format!("GPIO{}", conf.line);
            let fault = || Fault::new(InfraKind::Power, NAME, "open", &endpoint);
            let pin = Gpio::new().and_then(|gpio| gpio.get(conf.line));
            let pin = pin.map_err(|error| {
                let got = error.to_string();
                match error {
                    Error::UnknownModel => fault()
                        .expected("a Raspberry Pi that the library knows", got)
                        .hint("on another rig host, and on a newer Raspberry Pi, take the driver `gpio`"),
                    Error::PermissionDenied(_) => fault()
                        .expected("leave to write the pins", got)
                        .hint("`/dev/gpiomem` is open to the group `gpio`"),
                    Error::PinNotAvailable(_) => fault().expected("a pin that this Raspberry Pi has", got),
                    Error::PinUsed(_) => fault().expected("a pin that is free", got),
                    Error::Io(_) | Error::ThreadPanic => fault().expected("the registers of the pins", got),
                }
            })?;
            let mode = pin.mode();
            if !matches!(mode, Mode::Input | Mode::Output) {
                let got = format!("one with its function {mode}");
                return Err(fault().expected("a pin that is an input or an output", got).hint(
                    "something else on this host has the pin: take another one, or free it in `config.txt`",
                ));
            }
            let mut pin = pin.into_io(mode);
            // What is on stays on: making it safe is the keeper's and its warden's, and not left to how a process ends.
            pin.set_reset_on_drop(false);
            Ok(Self { endpoint, active_low: conf.active_low, pin: Mutex::new(pin) })
        }

        fn pin(&self) -> MutexGuard<'_, IoPin> {
            self.pin.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Line for Held {
        fn driver(&self) -> &'static str {
            NAME
        }

        fn endpoint(&self) -> String {
            self.endpoint.clone()
        }

        fn set<'a>(&'a self, on: bool, _: &'a Deadline) -> Fut<'a, Rig<()>> {
            Box::pin(async move {
                let mut pin = self.pin();
                // An input keeps what is written to it until it is an output (BCM2835 ARM Peripherals, 6.1).
                pin.write((on != self.active_low).into());
                // Written once: the register holds the functions of ten pins, and the kernel writes it too.
                if pin.mode() != Mode::Output {
                    pin.set_mode(Mode::Output);
                }
                Ok(())
            })
        }

        fn read<'a>(&'a self, _: &'a Deadline) -> Fut<'a, Rig<Level>> {
            Box::pin(async { Ok(Level::from(self.pin().is_high() != self.active_low)) })
        }

        fn when_dropped(&self) -> Level {
            // It keeps the level that it has.
            Level::Unknown
        }
    }
}
