//! A case made of steps, or of a plot, with its preparation and cleanup around it.

use std::time::Duration;

use shakedown_core::{Case, CaseSpec, Cmd, Cut, Deadline, Dut, Evidence, Failure, Fut};

use crate::cases::Plot;
use crate::facts;
use crate::step::Step;
use crate::template::Template;

/// A case of a suite file.
#[derive(Debug)]
pub struct Check {
    /// What it is. `within` holds the check and its cleanup.
    pub spec: CaseSpec,
    /// Whether the small container image is loaded first.
    pub test_image: bool,
    /// Before the reboot that it shares.
    pub prepare: Vec<Step>,
    /// What is checked.
    pub body: Body,
    /// Run after the check, whatever came of it.
    pub cleanup: Vec<Step>,
    /// The cleanup's share of `spec.within`.
    pub cleanup_within: Duration,
}

/// What is checked.
#[derive(Debug)]
pub enum Body {
    /// In order.
    Steps(Vec<Step>),
    /// Written in Rust.
    Plot(&'static Plot),
}

impl Check {
    /// Every step of it.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let body = match &self.body {
            Body::Steps(steps) => steps.as_slice(),
            Body::Plot(_) => &[],
        };
        self.prepare.iter().chain(body).chain(&self.cleanup)
    }

    async fn body(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        // What was prepared needed the image before the reboot; that it is still there is the OS's part.
        if self.test_image && self.prepare.is_empty() {
            load_test_image(dut, by).await?;
        }
        match &self.body {
            Body::Steps(steps) => in_order(steps, dut, by).await,
            Body::Plot(plot) => (plot.run)(dut, by).await,
        }
    }

    /// All cleanup steps, also after one of them failed. The first failure counts.
    async fn clean_up(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        let mut first = Ok(());
        for step in &self.cleanup {
            if let Err(cut) = step.run(dut, by).await {
                dut.evidence(Evidence::Note(format!("cleanup failed: {}", told(&cut))));
                first = first.and(Err(cut));
            }
        }
        first
    }
}

async fn in_order(steps: &[Step], dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    for step in steps {
        step.run(dut, by).await?;
    }
    Ok(())
}

impl Case for Check {
    fn spec(&self) -> &CaseSpec {
        &self.spec
    }

    fn prepare<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            if self.test_image && !self.prepare.is_empty() {
                load_test_image(dut, by).await?;
            }
            let prepared = in_order(&self.prepare, dut, by).await;
            if prepared.is_err() {
                // The check will not come: what was half prepared is taken back now. What
                // cannot be taken back is told, but the first failure is the one that counts.
                let _told = self.clean_up(dut, &by.child("the cleanup", self.cleanup_within)).await;
            }
            prepared
        })
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            let share = self.spec.within.saturating_sub(self.cleanup_within);
            let checked = self.body(dut, &by.child("the check", share)).await;
            let cleaned = self.clean_up(dut, &by.child("the cleanup", self.cleanup_within)).await;
            checked.and(cleaned.map_err(|cut| match cut {
                Cut::Fail(failure) => {
                    Failure { what: format!("cleanup: {}", failure.what), ..failure }.into()
                }
                other => other,
            }))
        })
    }
}

/// The fact that names the file on the DUT from which the small image is loaded.
pub(crate) const TEST_IMAGE_FILE: &str = "test-image-file";

/// Makes sure that the small image of the OS profile is loaded: from the DUT where the
/// profile says that it lies there, else from the image's companion file `test-image`.
pub async fn load_test_image(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let mut values =
        facts::resolve(dut, ["engine", "test-image", "scratch"].map(str::to_owned).to_vec(), by).await?;
    let fill = |line: &str, values: &crate::template::Values| {
        Template::parse(line).fill(values).map_err(|name| Cut::Broken(format!("no fact `{name}`")))
    };
    // Asking the engine costs an emulated DUT a second, so what was found is noted until the next boot.
    let look = fill(
        "[ \"$(cat /run/shakedown-test-image 2> /dev/null)\" = {test-image} ] \
         || { {engine} image inspect --format ok {test-image} && echo {test-image} > /run/shakedown-test-image; }",
        &values,
    )?;
    let by = by.child("the test image to be loaded", Duration::from_secs(60));
    if dut.run(&Cmd::sh(look), &by).await?.exit.is_ok() {
        return Ok(());
    }
    if !values.contains_key(TEST_IMAGE_FILE) {
        let path = fill("{scratch}/test-image.tar", &values)?;
        dut.run(&Cmd::sh(fill("mkdir -p {scratch}", &values)?), &by).await?;
        dut.put_companion("test-image", &path, &by).await?;
        values.insert(TEST_IMAGE_FILE.to_owned(), path);
    }
    let load = fill(
        "{engine} load --quiet --input {test-image-file} && echo {test-image} > /run/shakedown-test-image",
        &values,
    )?;
    let ran = dut.run(&Cmd::sh(load), &by).await?;
    if ran.exit.is_ok() {
        return Ok(());
    }
    let got = format!("{}, {}", ran.exit, crate::expect::printed(&ran));
    Err(Failure::new("the engine cannot load an image from a file", "exit code 0", got).into())
}

/// A cut in one line, for notes.
fn told(cut: &Cut) -> String {
    match cut {
        Cut::Fail(failure) => failure.to_string(),
        Cut::Shell(error) => error.to_string(),
        Cut::Rig(fault) => fault.to_string(),
        Cut::Late(stop) => stop.to_string(),
        Cut::Boot(failure) => failure.headline(),
        Cut::Broken(what) => what.clone(),
    }
}
