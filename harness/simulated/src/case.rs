//! A case of a suite, with a simulated DUT behind it.

use std::sync::Arc;

use shakedown_core::{Case, CaseSpec, Cmd, Cut, Deadline, Dut, Effect, Failure, Fut, Reboot};

/// What the simulated DUT's shell knows.
pub(crate) const ASK: &str = "simulated-case ";
/// Before a reboot that is shared.
pub(crate) const PREPARE: &str = "simulated-preparation ";

struct Simulated(CaseSpec);

/// Keeps the case's name, needs, deadline and effect, and asks the DUT what comes of it: the case's
/// own commands mean nothing to a DUT that is not there.
pub fn case(of: &Arc<dyn Case>) -> Arc<dyn Case> {
    Arc::new(Simulated(of.spec().clone()))
}

impl Case for Simulated {
    fn spec(&self) -> &CaseSpec {
        &self.0
    }

    fn prepare<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            dut.run(&Cmd::sh(format!("{PREPARE}{}", self.0.id)), by).await?;
            Ok(())
        })
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            match self.0.effect {
                Effect::Reboots | Effect::Updates => drop(dut.reboot(Reboot::Clean, by).await?),
                Effect::CutsPower => drop(dut.reboot(Reboot::PowerCut, by).await?),
                Effect::ReadOnly | Effect::SharesReboot | Effect::Dirties | Effect::Reflashes => {}
            }
            let ran = dut.run(&Cmd::sh(format!("{ASK}{}", self.0.id)), by).await?;
            if ran.exit.is_ok() {
                return Ok(());
            }
            Err(Failure::new(ran.text(), "what the case asks for", "what its simulation was told to do")
                .into())
        })
    }
}
