//! The suites as a cargo test: `SHAKEDOWN_SLOT=amd64 cargo test -p shakedown --test dut -- os::`.
//!
//! Without that variable it lists the cases and runs nothing, so that a bare
//! `cargo test` boots no DUT. With it, the cases that the filter leaves are one
//! run on that slot, and each trial says what came of its case.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Parser;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use shakedown::commands::{Cli, run};
use shakedown_core::{CaseId, Ledger, Outcome};
use shakedown_suites::{Ask, Plan, Suites};

/// What came of each case that ran.
type Outcomes = BTreeMap<CaseId, Outcome>;

fn main() -> std::process::ExitCode {
    shakedown_host::warden::serve_if_asked();
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let suites = match Suites::embedded() {
        Ok(suites) => suites,
        Err(error) => return refuse(&error.to_string()),
    };
    let ask = Ask { selection: Some("all".to_owned()), ..Ask::default() };
    let plan = match suites.select(&ask) {
        Ok(plan) => plan,
        Err(error) => return refuse(&error.to_string()),
    };
    let slot = std::env::var("SHAKEDOWN_SLOT").ok().filter(|slot| !slot.is_empty());
    let mut outcomes = Outcomes::new();
    if let (Some(slot), false) = (&slot, args.list) {
        match run_on(slot, &args, &suites, &plan) {
            Ok(ledger) => outcomes = sum(&ledger),
            Err(error) => return refuse(&error.to_string()),
        }
    }
    let outcomes = Arc::new(outcomes);
    let trials = plan.entries.iter().map(|entry| {
        let (id, outcomes) = (entry.spec().id.clone(), outcomes.clone());
        let name = id.0.clone();
        Trial::ignorable_test(name, move || tell(&id, &outcomes)).with_ignored_flag(slot.is_none())
    });
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

fn run_on(slot: &str, args: &Arguments, suites: &Suites, plan: &Plan) -> Result<Ledger, shakedown::CliError> {
    let wanted = |name: &str| !args.is_filtered_out(&Trial::test(name, || Ok(())));
    let mut plan = plan.clone();
    plan.entries.retain(|entry| wanted(&entry.spec().id.0));
    if plan.entries.is_empty() {
        return Ok(Ledger::default());
    }
    let line = Cli::parse_from(["shakedown", "run", "--slot", slot]);
    let run_args = line.run_args().ok_or_else(|| shakedown::CliError::refused("not a run"))?;
    Ok(run::execute(&line.paths, suites, &plan, run_args)?.ledger)
}

/// The last attempt at each case counts.
fn sum(ledger: &Ledger) -> Outcomes {
    let ended =
        |attempt: &shakedown_core::ledger::Attempt| Some((attempt.case.clone(), attempt.outcome.clone()?));
    ledger.attempts.iter().filter_map(ended).collect()
}

fn tell(id: &CaseId, outcomes: &Outcomes) -> Result<Completion, Failed> {
    match outcomes.get(id) {
        Some(Outcome::Pass) => Ok(Completion::Completed),
        Some(Outcome::Skip { reason }) => Ok(Completion::ignored_with(reason)),
        Some(other) => Err(format!("{}: {}", other.word(), other.headline()).into()),
        None => Err("the run ended before this case".into()),
    }
}

#[expect(clippy::print_stderr, reason = "the front of a test binary")]
fn refuse(what: &str) -> std::process::ExitCode {
    eprintln!("{what}");
    std::process::ExitCode::FAILURE
}
