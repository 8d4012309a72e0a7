//! Executables of ours that run on the DUT and report as TAP, KTAP or by their exit code.
//!
//! Executables that run on the host, with the slot's handles in their environment, are not
//! understood yet.

use std::sync::Arc;

use shakedown_core::{Cmd, Cut, Deadline, Dut, Evidence, Failure};

use crate::doc::FormatDoc;
use crate::expect::{printed, quoted};
use crate::tap;
use crate::template::{Template, Values};

/// An executable of ours.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name under `programs/`.
    pub file: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its arguments.
    pub args: Vec<Template>,
    /// How it reports.
    pub format: FormatDoc,
}

impl Program {
    /// Puts it onto the DUT, runs it, removes it, and folds what it reports into one outcome.
    pub async fn run(&self, dut: &dyn Dut, says: &str, values: &Values, by: &Deadline) -> Result<(), Cut> {
        let broken = |name: String| Cut::Broken(format!("no fact `{name}`"));
        let name = self.file.replace('/', "-");
        let path = Template::parse(&format!("{{scratch}}/{name}")).fill(values).map_err(broken)?;
        let args: Result<Vec<_>, _> = self.args.iter().map(|arg| arg.fill(values)).collect();
        let folder = Template::parse("mkdir -p {scratch}").fill(values).map_err(broken)?;
        dut.run(&Cmd::sh(folder), by).await?;
        dut.put(&path, &self.bytes, by).await?;
        let script = "file=$1; chmod 755 \"$file\"; \"$@\"; code=$?; rm -f \"$file\"; exit $code";
        let mut argv = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned(), "sh".to_owned(), path];
        argv.extend(args.map_err(broken)?);
        let ran = dut.run(&Cmd::argv(argv), by).await?;
        let fail = |expected: &str, got: String| Err(Cut::Fail(Failure::new(says, expected, got)));
        if self.format == FormatDoc::Exit {
            return if ran.exit.is_ok() {
                Ok(())
            } else {
                fail("exit code 0", format!("{}, {}", ran.exit, printed(&ran)))
            };
        }
        if ran.truncated {
            return fail("a report that fits", format!("more than {} bytes", ran.out.len()));
        }
        let report = tap::parse(&ran.out);
        if let Some(why) = report.skipped_all() {
            return Err(Cut::Broken(format!(
                "{} skipped everything ({why}): what it needs belongs into `needs`",
                self.file
            )));
        }
        for skipped in &report.skipped {
            dut.evidence(Evidence::Note(format!("skipped: {skipped}")));
        }
        let problems = report.problems();
        if !problems.is_empty() {
            return fail("every test to pass", problems.join("; "));
        }
        if !ran.exit.is_ok() {
            return fail("exit code 0 beside tests that pass", format!("{}, {}", ran.exit, printed(&ran)));
        }
        if report.passed == 0 {
            return Err(Cut::Broken(format!("{} reported no test: {}", self.file, quoted(&ran.out))));
        }
        dut.evidence(Evidence::Note(format!("{} tests of {} passed", report.passed, self.file)));
        Ok(())
    }
}
