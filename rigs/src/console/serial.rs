//! A serial port.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serialport::{Parity, SerialPort, TTYPort};
use shakedown_core::{Console, Deadline, Fault, Fut, InfraKind, Rig};

use super::link::{self, Dial, Ends, TICK, Typing};
use super::{ConsoleConf, ConsoleCx};
use crate::wire::{Opened, Wire, not_opened, serial};
use crate::wiring::WiringProblem;

const NAME: &str = "serial";

/// A serial port of the rig host, with 8 data bits, no parity, one stop bit and no flow control,
/// held for us alone. A port that is unplugged is opened again when it is back, and the gap is
/// marked. We never set DTR and RTS; Linux raises both when a port is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Serial")]
pub struct Conf {
    /// The port; best by its place or number: `/dev/serial/by-path/…`, `/dev/serial/by-id/…`.
    pub port: PathBuf,
    /// Its speed (default: the board's).
    #[serde(default)]
    pub baud: Option<u32>,
}

impl ConsoleConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        match self.baud {
            Some(0) => Err(WiringProblem::new("baud", "a line of 0 baud carries nothing")),
            _ => Ok(()),
        }
    }

    fn open<'a>(&'a self, cx: ConsoleCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Console>> {
        Box::pin(async move {
            let endpoint = self.port.display().to_string();
            let dial = Port { path: self.port.clone(), baud: self.baud.unwrap_or(cx.baud) };
            link::open(NAME, &endpoint, &cx, dial, by).await
        })
    }
}

/// The thread that read a port for a slot that was closed sees that within [`TICK`], later on a busy host.
const LETTING_GO: Duration = Duration::from_secs(2);
/// Between two looks at a port that is held.
const LOOK: Duration = Duration::from_millis(20);

struct Port {
    path: PathBuf,
    baud: u32,
}

impl Dial for Port {
    fn dial(&self, by: &Deadline) -> Rig<Ends> {
        let fault = |got: String| {
            Fault::new(InfraKind::Console, NAME, "open", self.path.display().to_string())
                .expected("a serial port for us alone", got)
        };
        let free = by.child("the port to be free", LETTING_GO).at_rig_pace();
        let mut port = loop {
            match serial(&self.path, self.baud, Parity::None) {
                Ok(Opened::Port(port)) => break port,
                Ok(Opened::Held) if free.is_over() => return Err(fault("another process holds it".into())),
                Ok(Opened::Held) => std::thread::park_timeout(LOOK),
                Err(error) => return Err(not_opened(NAME, &self.path, &error)),
            }
        };
        // A chip that cannot do this speed takes another one.
        let set = port.baud_rate().map_err(|error| fault(error.to_string()))?;
        if set != self.baud {
            return Err(fault(format!("one that took {set} baud for {}", self.baud)));
        }
        let writer = port.try_clone_native().map_err(|error| fault(error.to_string()))?;
        port.set_timeout(TICK).map_err(|error| fault(error.to_string()))?;
        Ok(Ends { reader: Box::new(port), writer: Box::new(Writer(writer)) })
    }
}

struct Writer(TTYPort);

impl Typing for Writer {
    fn write(&mut self, mut bytes: &[u8], by: &Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            if by.is_over() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.0.limit(by)?;
            match self.0.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_break(&mut self, on: bool, _by: &Deadline) -> io::Result<()> {
        let done = if on { self.0.set_break() } else { self.0.clear_break() };
        Ok(done?)
    }
}
