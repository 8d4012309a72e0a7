//! What a proof of a sabotage does, on a DUT that answers from a script.

#[path = "../../../suites/tests/fake/mod.rs"]
mod fake;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fake::Fake;
use shakedown_core::{Case, CaseId, CaseSpec, Cmd, Cut, Deadline, Dut, Edit, Effect, Failure, Fut, Sabotage};
use shakedown_runner::Sabotaged;

/// Fails when its command does.
struct Runs(CaseSpec, &'static str);

impl Case for Runs {
    fn spec(&self) -> &CaseSpec {
        &self.0
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            let ran = dut.run(&Cmd::sh(self.1), by).await?;
            if ran.exit.is_ok() {
                Ok(())
            } else {
                Err(Failure::new("it is gone", "there", "not there").into())
            }
        })
    }
}

fn case(id: &str, line: &'static str) -> Arc<dyn Case> {
    let (needs, after, sabotage) = (BTreeSet::new(), Vec::new(), Vec::new());
    let (id, title, within) = (CaseId(id.into()), id.into(), Duration::from_secs(1));
    Arc::new(Runs(CaseSpec { id, title, needs, effect: Effect::ReadOnly, within, after, sabotage }, line))
}

async fn prove(sabotaged: &'static str, other: i32) -> (Result<(), Cut>, Vec<String>) {
    let first: i32 = i32::from(sabotaged == "works");
    let dut = Fake::new(&[
        ("break", &[(0, "")]),
        ("look", &[(first, "")]),
        ("other", &[(other, "")]),
        ("mend", &[(0, "")]),
    ]);
    let sabotage = Sabotage {
        id: "broken".into(),
        edits: vec![Edit::Shell("break".into())],
        undo: Some("mend".into()),
        must_say: "it is gone".into(),
    };
    let proof = Sabotaged::new(case("a::b::one", "look"), sabotage, case("a::c::two", "other"));
    let by = dut.deadline(Duration::from_secs(5));
    (proof.run(&dut, &by).await, dut.ran())
}

#[tokio::test]
async fn the_unrelated_case_is_looked_at_while_the_os_is_sabotaged() {
    let (result, ran) = prove("works", 0).await;
    assert_eq!((result, ran), (Ok(()), ["break", "look", "other", "mend"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_sabotage_that_breaks_everything_proves_nothing_and_is_taken_back() {
    let (result, ran) = prove("works", 1).await;
    let Err(Cut::Fail(failure)) = result else { panic!("{result:?}") };
    assert!(failure.to_string().contains("a::c::two fails too"), "{failure}");
    assert_eq!(ran, ["break", "look", "other", "mend"]);
}

#[tokio::test]
async fn a_sabotage_that_the_case_does_not_notice_is_a_failure() {
    let (result, ran) = prove("does nothing", 0).await;
    let Err(Cut::Fail(failure)) = result else { panic!("{result:?}") };
    assert!(failure.to_string().contains("the case passed although it was sabotaged"), "{failure}");
    assert_eq!(ran, ["break", "look", "mend"]);
}
