//! Puts policy, catalogue, history and journals together and asks the gate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_boards::Catalogue;
use shakedown_core::{Ledger, Sha};
use shakedown_gate::{Answer, Evidence, Known, Policy, Source, judge, manual};
use shakedown_history::{AttemptRow, Filter, RunRow};
use shakedown_suites::{Ask, Suites};

use super::Args;
use crate::commands::history;
use crate::compose::evidence;
use crate::{CliError, CliResult};

/// No release has more runs.
const MOST: usize = 100_000;

pub(super) fn ask(
    paths: &[PathBuf],
    args: &Args,
    policy: &Path,
    image: Sha,
    path: Option<&Path>,
) -> CliResult<Answer> {
    let known = known(paths)?;
    let policy = Policy::read(policy, &known)?;
    let history = rows(args, &policy, image)?;
    if history.is_empty() && args.journals.is_empty() && args.history.is_none() {
        return Err(CliError::refused("there is nothing to judge by").hint(format!(
            "name run folders with --journals, a history with --history or {}",
            evidence::VARIABLE
        )));
    }
    let results = |ledger: &Ledger| ("results.json", shakedown_reports::json::json(ledger));
    let source = Source { journals: evidence::journals(&args.journals)?, history, results: &results };
    let names: Vec<String> = policy.doc.trust.iter().map(|trust| trust.name.clone()).collect();
    let evidence = Evidence::read(&source, &policy.keys(), &names);
    let records = match &args.records {
        Some(folder) => manual::read(folder, &policy.keys())?,
        None => Vec::new(),
    };
    let path = path.map(|path| path.display().to_string());
    let now = jiff::Timestamp::now();
    Ok(judge(&policy, &known, image, path.as_deref(), &evidence, &records, now))
}

/// Boards, suites and selections of this program and its `--path` folders.
fn known(paths: &[PathBuf]) -> CliResult<Known> {
    let suites = Suites::with_paths(paths)?;
    let catalogue = Catalogue::with_paths(paths)?;
    let cases = |ask: Ask| -> CliResult<Vec<String>> {
        let plan = suites.select(&ask)?;
        Ok(plan.entries.iter().map(|entry| entry.spec().id.0.clone()).collect())
    };
    let mut known = Known {
        version: suites.hash(),
        boards: catalogue.list().into_iter().map(|listed| listed.slug).collect(),
        suites: BTreeMap::new(),
        selections: BTreeMap::new(),
    };
    for name in suites.names() {
        known.suites.insert(name.clone(), cases(Ask { suite: Some(name), ..Ask::default() })?);
    }
    for selection in suites.selections() {
        let name = selection.name.clone();
        known.selections.insert(name.clone(), cases(Ask { selection: Some(name), ..Ask::default() })?);
    }
    Ok(known)
}

/// What the history knows of the image and of the baselines.
fn rows(args: &Args, policy: &Policy, image: Sha) -> CliResult<Vec<(RunRow, Vec<AttemptRow>)>> {
    let Some(file) = &args.history else { return Ok(Vec::new()) };
    let history = history::open(Some(file), false)?;
    let baselines = policy.doc.limits.iter().filter_map(|limit| limit.baseline.as_ref());
    let wanted: Vec<String> =
        baselines.map(|baseline| baseline.image.clone()).chain([image.to_string()]).collect();
    let mut rows = Vec::new();
    // Whether simulated runs count is the policy's to say.
    for run in history.runs(&Filter { simulated: true, ..Filter::default() }, MOST)? {
        let of = |hash: &String| run.image.payload.starts_with(hash) || run.image.file.starts_with(hash);
        if wanted.iter().any(of) {
            let filter = Filter { run: Some(run.run.clone()), ..Filter::default() };
            let attempts = history.attempts(&filter, MOST)?;
            rows.push((run, attempts));
        }
    }
    Ok(rows)
}
