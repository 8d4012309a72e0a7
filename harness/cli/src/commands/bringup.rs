//! `shakedown bringup`: the ladder of a new board type, rung by rung, to a conformance report.

use std::path::{Path, PathBuf};

use shakedown_core::ExitCode;
use shakedown_reports::conformance::{Conformance, FILES, RUNGS, Rung, Subject};
use shakedown_runner::Examine;
use shakedown_suites::{Ask, Suites};

use super::run as runs;
use crate::compose::rig::Rig as RigFile;
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown bringup`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The slot that the board sits in, by its name in the rig file.
    pub(super) slot: String,
    /// The rig file. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long, value_name = "FILE")]
    pub(super) rig: Option<PathBuf>,
    /// The image: raw, .gz, .xz, .zst or .zip. Else the reference OS, built when needed.
    #[arg(long, value_name = "FILE")]
    pub(super) image: Option<PathBuf>,
    /// The OS profile. Else the one that knows the image's os-release.
    #[arg(long, value_name = "ID")]
    pub(super) os: Option<String>,
    /// A file that belongs to the image, as ROLE=FILE (update, update-broken-init …; repeatable).
    #[arg(long = "companion", value_name = "ROLE=FILE")]
    pub(super) companions: Vec<String>,
    /// Only this rung (repeatable): wiring, power, provisioning, boot, console, shells, storage …
    #[arg(long, value_name = "RUNG")]
    only: Vec<String>,
    /// Leave out the rungs that passed already, for the same image and descriptor.
    #[arg(long)]
    resume: bool,
    /// How often the power is cut to see whether the board comes up each time.
    #[arg(long, value_name = "N", default_value_t = runs::COLD_BOOTS, value_parser = clap::value_parser!(u32).range(1..=runs::MOST_COLD_BOOTS))]
    pub(super) cold_boots: u32,
    /// How often the supply is cut before the first boot, to learn how long the board needs without it.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    power_cycles: u32,
    /// Where run folders are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// Read-only and quick: a run needs a case also where a rung is shown by the run's own steps, and
/// what is found is what the descriptor is compared with.
const SURVEY: &str = "hardware::found::survey";

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let wanted = rungs(&args.only)?;
    let rig = RigFile::find(args.rig.as_deref())?;
    let (slot, _) = rig.slot(Some(&args.slot), None)?;
    let name = shakedown_host::lock::file_name(&rig.doc.value.rig, slot);
    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let folder = out.join("bringup").join(name);
    let suites = Suites::with_paths(paths)?;
    let ask = |rungs: &[&Rung]| {
        let mut cases: Vec<String> = rungs.iter().flat_map(|rung| rung.patterns()).collect();
        cases.push(SURVEY.to_owned());
        let plan =
            suites.select(&Ask { selection: Some("bringup".into()), cases: cases.clone(), suite: None })?;
        let has = |name| rungs.iter().any(|rung| rung.name == name);
        let power_cycles = if has("power") { args.power_cycles } else { 0 };
        let examine = Examine { wiring: has("wiring"), power_cycles };
        Ok::<_, CliError>((plan, runs::Args::of_bringup(args, cases, examine)))
    };
    let mut earlier = if args.resume { Some(earlier(&folder)?) } else { None };
    if let Some(before) = &earlier {
        let (plan, args) = ask(&wanted)?;
        let subject = Subject::of(&runs::about(paths, &suites, &plan, &args)?);
        if before.subject.as_ref() != Some(&subject) {
            err!(
                "the earlier bring-up was of another image, descriptor or suite: what it showed does not count"
            );
            earlier = None;
        }
    }
    let done =
        |rung: &Rung| earlier.iter().flat_map(Conformance::passed).any(|passed| passed.name == rung.name);
    let open: Vec<&Rung> = wanted.into_iter().filter(|rung| !done(rung)).collect();
    if open.is_empty() {
        out!("{}", earlier.as_ref().map(ToString::to_string).unwrap_or_default());
        out!("every rung that was asked for has passed already");
        return Ok(ExitCode::Ok);
    }
    let (plan, run) = ask(&open)?;
    let ran = runs::execute(paths, &suites, &plan, &run)?;
    let mut shown = Conformance::of(&ran.ledger, &open);
    if let Some(earlier) = &earlier {
        shown = shown.after(earlier);
    }
    for place in [&folder, &ran.folder] {
        write(&shown, place)?;
    }
    out!("\n{shown}");
    out!("report: {}", ran.folder.join("report.html").display());
    out!("conformance: {}", folder.join(FILES[0]).display());
    // A rung that failed before and was not climbed now is failed still.
    Ok(if shown.has_failed() { ran.exit.and(ExitCode::Failed) } else { ran.exit })
}

fn rungs(only: &[String]) -> Result<Vec<&'static Rung>, CliError> {
    if only.is_empty() {
        return Ok(RUNGS.iter().collect());
    }
    let find = |name: &String| {
        Rung::named(name).ok_or_else(|| {
            let known: Vec<_> = RUNGS.iter().map(|rung| rung.name).collect();
            let error = CliError::refused(format!("there is no rung `{name}`"));
            let all = known.join(", ");
            match shakedown_conf::nearest(name, known.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`? The rungs are: {all}")),
                None => error.hint(format!("the rungs are: {all}")),
            }
        })
    };
    only.iter().map(find).collect()
}

fn earlier(folder: &Path) -> Result<Conformance, CliError> {
    let file = folder.join(FILES[1]);
    let refused = |what: String| {
        CliError::refused(format!("{}: {what}", file.display())).hint("run it once without --resume")
    };
    let text = std::fs::read(&file).map_err(|error| refused(format!("no earlier bring-up: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| refused(format!("not a conformance report: {error}")))
}

fn write(shown: &Conformance, folder: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in shown.render() {
        let file = folder.join(name);
        std::fs::write(&file, text)
            .map_err(|error| CliError::infra(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use shakedown_suites::{Ask, Suites};

    use super::{RUNGS, rungs};

    #[test]
    fn each_case_of_the_selection_stands_on_a_rung_and_each_rung_has_its_cases() {
        let suites = Suites::embedded().unwrap();
        let select = |cases| {
            let ask = Ask { selection: Some("bringup".into()), cases, suite: None };
            suites.select(&ask).unwrap().entries
        };
        for entry in select(Vec::new()) {
            let id = &entry.spec().id.0;
            assert_eq!(RUNGS.iter().filter(|rung| rung.has(id)).count(), 1, "{id}");
        }
        for pattern in RUNGS.iter().flat_map(super::Rung::patterns) {
            assert_ne!(select(vec![pattern.clone()]).len(), 0, "{pattern}");
        }
    }

    #[test]
    fn an_unknown_rung_is_refused_with_the_nearest_name() {
        let error = rungs(&["storgae".into()]).unwrap_err().to_string();
        assert!(error.contains("there is no rung `storgae`"), "{error}");
    }
}
