//! A program whose standard input and output are the console.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Console, ConsoleLog, ConsoleTx, Deadline, Fut, Rig};
use shakedown_host::{Child, Pump, Tool, pump};

use super::{ConsoleConf, ConsoleCx};
use crate::wiring::WiringProblem;

/// A program whose standard input and output are the console: `[ssh, rig, conserver, pi4]`,
/// `[picocom, -qrX, /dev/ttyUSB0]`. It is started with the slot, run without a shell, and ended
/// with the slot. When it ends by itself, the console is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ConsoleCommand")]
pub struct Conf {
    /// The program with its arguments.
    pub run: Vec<String>,
}

impl ConsoleConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        match self.run.first() {
            Some(program) if !program.is_empty() => Ok(()),
            _ => Err(WiringProblem::new(
                "run",
                "a program with its arguments is needed: `[program, argument]`",
            )),
        }
    }

    fn open<'a>(&'a self, cx: ConsoleCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Console>> {
        Box::pin(async move {
            let program = self.run.first().map(String::as_str).unwrap_or_default();
            let piped = Tool::new(program).args(self.run.iter().skip(1)).start_piped()?;
            let log = Arc::new(ConsoleLog::new(cx.clock.clone()));
            let pump = pump::from(piped.stdout, Some(Box::new(piped.stdin)), cx.name, log)?;
            let Console { log, tx } = pump.console();
            let held =
                tx.map(|tx| Arc::new(Held { tx, _pump: pump, _child: piped.child }) as Arc<dyn ConsoleTx>);
            Ok(Console { log, tx: held })
        })
    }
}

/// Keeps the program as long as the console is held.
struct Held {
    tx: Arc<dyn ConsoleTx>,
    _pump: Pump,
    _child: Child,
}

impl ConsoleTx for Held {
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.tx.send(bytes, by)
    }

    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.tx.sysrq(key, by)
    }
}
