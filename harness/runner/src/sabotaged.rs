//! A case under a sabotage that it declares: it must fail, with the words that it declares.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Case, CaseId, CaseSpec, Cmd, Cut, Deadline, Dut, Edit, Effect, Evidence, Failure, Fut, Reboot, Sabotage,
};

/// Passes when the case fails as declared, and an unrelated case still passes.
pub struct Sabotaged {
    spec: CaseSpec,
    case: Arc<dyn Case>,
    sabotage: Sabotage,
    unrelated: Arc<dyn Case>,
}

impl Sabotaged {
    /// `None` when one of the edits can only be made on the medium, before the boot.
    pub fn new(case: Arc<dyn Case>, sabotage: Sabotage, unrelated: Arc<dyn Case>) -> Option<Self> {
        if sabotage.edits.iter().any(|edit| !matches!(edit, Edit::Shell(_))) {
            return None;
        }
        let of = case.spec();
        let spec = CaseSpec {
            id: CaseId(format!("sabotage::{}::{}", of.id, sabotage.id)),
            title: format!("{} fails under `{}`", of.id, sabotage.id),
            needs: of.needs.clone(),
            effect: of.effect.max(Effect::Dirties),
            within: of.within * 2 + unrelated.spec().within + Duration::from_secs(60),
            after: Vec::new(),
            sabotage: Vec::new(),
        };
        Some(Self { spec, case, sabotage, unrelated })
    }

    async fn edit(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        for edit in &self.sabotage.edits {
            if let Edit::Shell(line) = edit {
                shell(dut, "sabotage", line, by).await?;
            }
        }
        Ok(())
    }

    fn judge(&self, result: Result<(), Cut>) -> Result<String, Cut> {
        let must = &self.sabotage.must_say;
        match result {
            Ok(()) => Err(Failure::new(
                "the case passed although it was sabotaged",
                format!("a failure with `{must}`"),
                "pass",
            )
            .into()),
            Err(Cut::Fail(failure)) => {
                let text = failure.to_string();
                if text.contains(must.as_str()) {
                    return Ok(text);
                }
                Err(Failure::new("the case failed with other words", format!("`{must}`"), text).into())
            }
            Err(other) => Err(other),
        }
    }
}

async fn shell(dut: &dyn Dut, what: &str, line: &str, by: &Deadline) -> Result<(), Cut> {
    let ran = dut.run(&Cmd::sh(line), by).await?;
    if ran.exit.is_ok() {
        return Ok(());
    }
    let got = format!("{}: {}", ran.exit, String::from_utf8_lossy(&ran.err).trim());
    Err(Cut::Broken(format!("the {what} `{line}` did not work: {got}")))
}

impl Case for Sabotaged {
    fn spec(&self) -> &CaseSpec {
        &self.spec
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            if self.case.spec().effect == Effect::SharesReboot {
                self.case.prepare(dut, by).await?;
                dut.reboot(Reboot::Clean, by).await?;
            }
            self.edit(dut, by).await?;
            let result = self.case.run(dut, by).await;
            // Taken back whatever came of it, so that the next one starts clean.
            let undone = match &self.sabotage.undo {
                Some(line) => shell(dut, "undo", line, by).await,
                None => dut.reboot(Reboot::Clean, by).await.map(drop),
            };
            let said = self.judge(result)?;
            undone?;
            dut.evidence(Evidence::Note(format!("failed as declared: {said}")));
            match self.unrelated.run(dut, by).await {
                Ok(()) => Ok(()),
                Err(cut) => Err(Cut::Fail(Failure::new(
                    format!("{} fails too", self.unrelated.spec().id),
                    "only the sabotaged case to fail",
                    format!("{cut:?}"),
                ))),
            }
        })
    }
}
