//! Drivers of outputs: the supply, buttons, jumpers, USB VBUS.

pub(crate) mod command;
pub(crate) mod gpio;
pub(crate) mod http;
pub(crate) mod manual;
pub(crate) mod modbus;
pub(crate) mod mqtt;
pub(crate) mod pdudaemon;
pub(crate) mod rppal;
pub(crate) mod serial_relay;
pub(crate) mod sispm;
pub(crate) mod snmp;
pub(crate) mod usb_hid_relay;
pub(crate) mod usb_hub;
pub(crate) mod warded;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serialport::{Parity, TTYPort};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use crate::operator::Operator;
use crate::wire::{self, Opened};
use crate::wiring::WiringProblem;
use crate::worker::Worker;

/// What a driver of an output gets when it is opened.
pub struct LineCx<'a> {
    /// The slot: `desk/pi4`.
    pub slot: &'a str,
    /// The output's name in the slot: `power`, `reset`.
    pub output: &'a str,
    /// The level to leave behind when the harness dies.
    pub safe: Level,
    /// The person at the bench.
    pub operator: &'a Arc<dyn Operator>,
}

/// Settings of a driver of outputs.
pub trait LineConf {
    /// Finds what is wrong with the settings without touching the hardware.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Opens the output and leaves it as it is.
    fn open<'a>(&'a self, cx: LineCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>>;
}

/// How long a PDU may take from its word to its relay, unless the settings say otherwise.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

/// Between two looks at an output that moves.
const TICK: Duration = Duration::from_millis(100);

/// Waits until an output that was switched reads as asked: PDUs confirm before their relay has
/// moved. When the time is up this is no fault; the read-back of who switched judges.
pub(crate) async fn settle(line: &dyn Line, on: bool, within: Duration, by: &Deadline) -> Rig<()> {
    let wait = by.child("the output to follow", within).at_rig_pace();
    loop {
        let level = line.read(by).await?;
        if level == Level::from(on) || level == Level::Unknown {
            return Ok(());
        }
        if wait.pause(TICK, || format!("it is {level}")).await.is_err() {
            return Ok(());
        }
    }
}

/// A serial port that is opened for each exchange and closed after it: others may share it, and an
/// adapter that was plugged again is found again.
pub(crate) struct PortTurn {
    driver: &'static str,
    path: PathBuf,
    baud: u32,
    parity: Parity,
    worker: Arc<Worker>,
}

impl PortTurn {
    pub(crate) fn new(driver: &'static str, path: &Path, baud: u32, parity: Parity) -> Rig<Self> {
        let worker = Worker::of(driver, &path.display().to_string())?;
        Ok(Self { driver, path: path.to_owned(), baud, parity, worker })
    }

    /// One exchange, once no other process holds the port.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        op: &'static str,
        by: &Deadline,
        exchange: impl FnOnce(&mut TTYPort, &Deadline) -> Rig<T> + Send + 'static,
    ) -> Rig<T> {
        let mut exchange = exchange;
        loop {
            let (driver, path, baud, parity) = (self.driver, self.path.clone(), self.baud, self.parity);
            let job = move |by: &Deadline| match wire::serial(&path, baud, parity) {
                Ok(Opened::Port(mut port)) => exchange(&mut port, by).map(Ok),
                Ok(Opened::Held) => Ok(Err(exchange)),
                Err(error) => Err(wire::not_opened(driver, &path, &error)),
            };
            exchange = match self.worker.run(op, by, job).await? {
                Ok(done) => return Ok(done),
                Err(exchange) => exchange,
            };
            by.pause(TICK, || "another process holds the port".into()).await.map_err(|stop| {
                Fault::new(InfraKind::Usb, self.driver, op, self.path.display().to_string())
                    .expected("a port that is free", stop.to_string())
                    .stopped(stop)
            })?;
        }
    }
}
