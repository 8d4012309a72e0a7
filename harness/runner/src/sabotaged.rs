//! A case under a sabotage that it declares: it must fail, with the words that it declares.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Case, CaseId, CaseSpec, Cmd, Cut, Deadline, Dut, Edit, Effect, Evidence, Failure, Fut, Reboot, Sabotage,
};

/// Passes when the case fails as declared while an unrelated case still passes.
pub struct Sabotaged {
    spec: CaseSpec,
    case: Arc<dyn Case>,
    sabotage: Sabotage,
    unrelated: Arc<dyn Case>,
}

impl Sabotaged {
    /// The case under this sabotage, and the case that must not notice.
    pub fn new(case: Arc<dyn Case>, sabotage: Sabotage, unrelated: Arc<dyn Case>) -> Self {
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
        Self { spec, case, sabotage, unrelated }
    }

    async fn edit(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        for Edit::Shell(line) in &self.sabotage.edits {
            shell(dut, "sabotage", line, by).await?;
        }
        Ok(())
    }

    async fn others(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        self.unrelated.run(dut, by).await.map_err(|cut| {
            Cut::Fail(Failure::new(
                format!("{} fails too", self.unrelated.spec().id),
                "only the sabotaged case to fail",
                format!("{cut:?}"),
            ))
        })
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
            let said = self.judge(self.case.run(dut, by).await);
            // While the OS is sabotaged: an edit that breaks everything shows nothing about the case.
            let others = match &said {
                Ok(_) => self.others(dut, by).await,
                Err(_) => Ok(()),
            };
            // Taken back whatever came of it, so that the next one starts clean.
            let undone = match &self.sabotage.undo {
                Some(line) => shell(dut, "undo", line, by).await,
                None => dut.reboot(Reboot::Clean, by).await.map(drop),
            };
            let said = said?;
            others?;
            undone?;
            dut.evidence(Evidence::Note(format!("failed as declared: {said}")));
            Ok(())
        })
    }
}
