//! Puts policy, catalogue, history and journals together and asks the gate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_boards::Catalogue;
use shakedown_core::{Ledger, Sha};
use shakedown_gate::{Answer, Evidence, Known, Policy, Source, gather, judge, manual};
use shakedown_history::{Filter, Rows};
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
    if args.journals.is_empty() && args.history.is_none() {
        return Err(CliError::refused("there is nothing to judge by").hint(format!(
            "name run folders with --journals, a history with --history or {}",
            evidence::VARIABLE
        )));
    }
    let (journals, history) = sources(args, &policy, image)?;
    let results = |ledger: &Ledger| ("results.json", shakedown_reports::json::json(ledger));
    let source = Source { journals, history, results: &results };
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

/// The journals of the image, and what the history knows of them, of the image and of the baselines.
fn sources(args: &Args, policy: &Policy, image: Sha) -> CliResult<(Vec<PathBuf>, Vec<Rows>)> {
    let history = args.history.as_deref().map(|file| history::open(Some(file), false)).transpose()?;
    let runs = match &history {
        // Whether simulated runs count is the policy's to say.
        Some(history) => history.runs(&Filter { simulated: true, ..Filter::default() }, MOST)?,
        None => Vec::new(),
    };
    let baselines = policy.doc.limits.iter().filter_map(|limit| limit.baseline.as_ref());
    let baselines: Vec<&str> = baselines.map(|baseline| baseline.image.as_str()).collect();
    let gathered = gather(&evidence::journals(&args.journals)?, runs, image, &baselines);
    let mut rows = Vec::new();
    for run in gathered.runs {
        rows.extend(history.as_ref().map(|history| history.rows_of_run(run)).transpose()?);
    }
    Ok((gathered.journals, rows))
}
