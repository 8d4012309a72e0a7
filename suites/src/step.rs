//! One step of a case, complete, and what runs it.

use std::time::Duration;

use shakedown_core::event::Measure;
use shakedown_core::{Cmd, Cut, Deadline, Dut, Evidence, Failure, Stop};

use crate::expect::{self, Expect};
use crate::facts;
use crate::program::Program;
use crate::template::{Template, Values};

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub act: Act,
    /// The sentence of its failure.
    pub says: String,
    /// Its limit at pace 1.
    pub within: Duration,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Runs a command once.
    Run {
        /// The line of shell.
        line: Template,
        /// What it must do.
        expect: Box<Expect>,
    },
    /// Asks a command again until the expectation holds: a wait for a level.
    WaitFor {
        /// What is waited for, as a noun phrase.
        what: String,
        /// The line of shell; it only looks.
        line: Template,
        /// What it must do.
        expect: Box<Expect>,
    },
    /// Edits the configuration document.
    Config {
        /// The key, by meaning.
        key: String,
        /// JSON; `None` removes the key.
        value: Option<Template>,
    },
    /// Runs an executable of ours.
    Program(Program),
}

/// How often a level is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The longest time for one look at a level.
const LOOK: Duration = Duration::from_secs(30);

impl Step {
    /// The facts that it uses.
    pub fn facts(&self) -> Vec<&str> {
        match &self.act {
            Act::Run { line, expect } | Act::WaitFor { line, expect, .. } => {
                let texts = expect.equals.iter().chain(&expect.contains);
                let patterns = expect.matches.iter().chain(&expect.not_matches);
                let number = expect.number.iter().filter_map(|number| number.from.as_ref());
                line.facts()
                    .chain(texts.flat_map(Template::facts))
                    .chain(patterns.chain(number).flat_map(|pattern| pattern.template().facts()))
                    .collect()
            }
            Act::Config { value, .. } => value.iter().flat_map(Template::facts).collect(),
            Act::Program(program) => {
                program.args.iter().flat_map(Template::facts).chain(["scratch"]).collect()
            }
        }
    }

    /// The key of the configuration document that it edits, by meaning.
    pub fn config_key(&self) -> Option<&str> {
        match &self.act {
            Act::Config { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The measure that it reports, if it does.
    pub fn measure(&self) -> Option<&str> {
        match &self.act {
            Act::Run { expect, .. } | Act::WaitFor { expect, .. } => {
                expect.number.as_ref()?.measure.as_ref().map(|(name, _)| name.as_str())
            }
            Act::Config { .. } | Act::Program(_) => None,
        }
    }

    /// Runs it.
    pub async fn run(&self, dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
        let values = facts::resolve(dut, self.facts().into_iter().map(str::to_owned).collect(), by).await?;
        match &self.act {
            Act::Run { line, expect } => {
                let line = fill(line, &values)?;
                let by = by.child(format!("`{}`", head(&line)), self.within);
                let ran = dut.run(&Cmd::sh(line), &by).await?;
                let seen = expect::check(expect, &ran, &self.says, &values, dut.profile())?;
                report(dut, expect, seen.value);
                seen.held?;
            }
            Act::WaitFor { what, line, expect } => {
                self.wait_for(dut, what, &fill(line, &values)?, expect, &values, by).await?;
            }
            Act::Config { key, value } => {
                let value = value.as_ref().map(|value| fill(value, &values)).transpose()?;
                edit_config(
                    dut,
                    key,
                    value.as_deref(),
                    &by.child("the edit of the configuration", self.within),
                )
                .await?;
            }
            Act::Program(program) => {
                let by = by.child(format!("program {}", program.file), self.within);
                program.run(dut, &self.says, &values, &by).await?;
            }
        }
        Ok(())
    }

    async fn wait_for(
        &self,
        dut: &dyn Dut,
        what: &str,
        line: &str,
        expect: &Expect,
        values: &Values,
        by: &Deadline,
    ) -> Result<(), Cut> {
        let wait = by.child(what, self.within);
        let cmd = Cmd::sh(line);
        loop {
            // A look that began in time may end: so the last thing seen is always a whole answer.
            let ran = dut.run(&cmd, &by.child(format!("a look at {what}"), LOOK)).await?;
            let seen = expect::check(expect, &ran, &self.says, values, dut.profile())?;
            let Err(failure) = seen.held else {
                report(dut, expect, seen.value);
                return Ok(());
            };
            match wait.pause(EVERY, || failure.got.clone()).await {
                Ok(()) => {}
                Err(Stop::Late(waited)) => {
                    report(dut, expect, seen.value);
                    let got = format!("{} after {:.0} s", failure.got, waited.waited.as_secs_f64());
                    return Err(Failure { got, ..failure }.into());
                }
                Err(stop) => return Err(stop.into()),
            }
        }
    }
}

/// The measure of a step, and beside it the budget that it is held to as `X.budget`: before it
/// is judged, so that one over its budget is on record as well.
fn report(dut: &dyn Dut, expect: &Expect, value: Option<f64>) {
    if let (Some(value), Some(number)) = (value, &expect.number)
        && let Some((name, better)) = &number.measure
    {
        let measure =
            |name: String, value| Measure { name, value, unit: number.unit.clone(), better: *better };
        dut.measure(measure(name.clone(), value));
        if let Some(budget) = dut.profile().budgets.get(name) {
            dut.measure(measure(format!("{name}.budget"), *budget));
        }
    }
}

fn fill(template: &Template, values: &Values) -> Result<String, Cut> {
    template.fill(values).map_err(|name| Cut::Broken(format!("no fact `{name}`")))
}

/// The beginning of a line of shell, for names.
fn head(line: &str) -> String {
    let line = line.trim();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

/// Sets (or removes) a key of the DUT's configuration document, by its meaning. The document
/// is replaced whole, flushed, and read back; what stood there before becomes evidence.
pub async fn edit_config(dut: &dyn Dut, key: &str, value: Option<&str>, by: &Deadline) -> Result<(), Cut> {
    let (file, dotted) = {
        let profile = dut.profile();
        let known = profile.config.as_ref().and_then(|config| Some((&config.mounted, config.keys.get(key)?)));
        let (mounted, dotted) = known.ok_or_else(|| {
            Cut::Broken(format!("the OS profile `{}` has no configuration key for `{key}`", profile.id))
        })?;
        (mounted.clone(), dotted.clone())
    };
    let not_json = |what: &str, error: serde_json::Error| Cut::Broken(format!("{what} is not JSON: {error}"));
    let path: Vec<_> = dotted.split('.').collect();
    let path = serde_json::to_string(&path).map_err(|error| not_json(&dotted, error))?;
    let wanted = value.unwrap_or("null");
    serde_json::from_str::<serde::de::IgnoredAny>(wanted).map_err(|error| not_json(wanted, error))?;
    let edit = if value.is_some() { "setpath($path; $value)" } else { "delpaths([$path])" };
    // What stood there goes to stderr: each start of jq costs an emulated DUT half a second. A
    // serial console has one stream for both, so the answer has a line of its own.
    let script = format!(
        "set -e; file=$1; new=$file.shakedown; \
         jq --argjson path \"$2\" --argjson value \"$3\" '(getpath($path) | stderr | empty), {edit}' \
         \"$file\" > \"$new\"; \
         sync \"$new\"; mv \"$new\" \"$file\"; sync \"$file\"; echo; \
         jq --argjson path \"$2\" --argjson value \"$3\" 'getpath($path) == $value' \"$file\""
    );
    // Before it is known whether it worked: it may have.
    if let (facts::HOSTNAME, Ok(name)) = (key, serde_json::from_str::<String>(wanted)) {
        dut.renamed(&name);
    }
    let ran = dut.run(&Cmd::argv(["sh", "-c", &script, "sh", &file, &path, wanted]), by).await?;
    let text = ran.text();
    let (above, answer) = text.rsplit_once('\n').unwrap_or(("", &text));
    if !ran.exit.is_ok() || answer.trim() != "true" {
        let got = format!("{}, {}", ran.exit, expect::printed(&ran));
        let what = format!("`{dotted}` of {file} cannot be changed");
        return Err(Failure::new(what, format!("{wanted} read back"), got).into());
    }
    let err = String::from_utf8_lossy(&ran.err);
    let before = if err.trim().is_empty() { above } else { &err };
    dut.evidence(Evidence::Note(format!("{dotted} of {file}: {} → {wanted}", before.trim())));
    Ok(())
}
