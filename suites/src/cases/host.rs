//! What plots share: commands with facts filled in, waits for levels, failures with their evidence.

use std::time::Duration;

use shakedown_core::{Cmd, Cut, Deadline, Dut, Exit, Failure, Ran, Stop};

use crate::expect::printed;
use crate::facts;
use crate::template::{Template, Values};

/// The DUT with the facts of a plot at hand.
pub(crate) struct Host<'a> {
    pub(crate) dut: &'a dyn Dut,
    values: Values,
}

/// The longest time for one command of a plot.
const COMMAND: Duration = Duration::from_secs(60);
/// How often a level is looked at.
const EVERY: Duration = Duration::from_secs(1);

impl<'a> Host<'a> {
    /// With the facts that the plot declares.
    pub(crate) async fn new(dut: &'a dyn Dut, names: &[&str], by: &Deadline) -> Result<Self, Cut> {
        let values = facts::resolve(dut, names.iter().map(|name| (*name).to_owned()).collect(), by).await?;
        Ok(Self { dut, values })
    }

    /// A fact's value.
    pub(crate) fn fact(&self, name: &str) -> Result<&str, Cut> {
        self.values.get(name).map(String::as_str).ok_or_else(|| Cut::Broken(format!("no fact `{name}`")))
    }

    /// A line of shell with its facts filled in, whatever comes of it.
    pub(crate) async fn ask(&self, line: &str, by: &Deadline) -> Result<Ran, Cut> {
        self.ask_slowly(line, &by.child(format!("`{line}`"), COMMAND)).await
    }

    /// The same for a command that needs longer: the deadline is its own.
    pub(crate) async fn ask_slowly(&self, line: &str, by: &Deadline) -> Result<Ran, Cut> {
        let line = Template::parse(line)
            .fill(&self.values)
            .map_err(|name| Cut::Broken(format!("no fact `{name}`")))?;
        Ok(self.dut.run(&Cmd::sh(line), by).await?)
    }

    /// A line of shell that must return 0, or the failure `says`. Returns what it printed.
    pub(crate) async fn must(&self, says: &str, line: &str, by: &Deadline) -> Result<String, Cut> {
        let ran = self.ask(line, by).await?;
        if ran.exit == Exit::Code(0) {
            return Ok(ran.text());
        }
        let got = format!("{}, {}", ran.exit, printed(&ran));
        Err(Failure::new(says, format!("exit code 0 of `{line}`"), got).into())
    }

    /// Asks again, once a second, until the line of shell returns 0: a wait for a level.
    pub(crate) async fn until(
        &self,
        what: &str,
        says: &str,
        line: &str,
        within: Duration,
        by: &Deadline,
    ) -> Result<String, Cut> {
        let wait = by.child(what, within);
        loop {
            let ran = self.ask(line, by).await?;
            if ran.exit.is_ok() {
                return Ok(ran.text());
            }
            let seen = format!("{}, {}", ran.exit, printed(&ran));
            match wait.pause(EVERY, || seen.clone()).await {
                Ok(()) => {}
                Err(Stop::Late(waited)) => {
                    let got = format!("{seen} after {:.0} s", waited.waited.as_secs_f64());
                    return Err(Failure::new(says, what, got).into());
                }
                Err(stop) => return Err(stop.into()),
            }
        }
    }

    /// The number that identifies this boot: it changes with every start of the kernel.
    pub(crate) async fn boot_id(&self, by: &Deadline) -> Result<String, Cut> {
        self.must("the kernel does not tell its boot id", "cat /proc/sys/kernel/random/boot_id", by).await
    }
}
