//! `shakedown boards show` and `diff`: what is known about a board, and from where.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_boards::{Catalogue, Origin, Resolved};
use shakedown_core::ExitCode;

use crate::CliResult;
use crate::say::out;

/// `shakedown boards show`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Its slug, or another name of it.
    slug: String,
    /// Every value of the merged descriptor, with the line where it was written.
    #[arg(long, conflicts_with = "sources")]
    resolved: bool,
    /// Every value of the merged descriptor, with the outside source that it was imported from.
    #[arg(long)]
    sources: bool,
}

pub(super) fn run(catalogue: &Catalogue, args: &Args) -> CliResult {
    let shown = catalogue.resolved(&args.slug)?;
    if !args.resolved && !args.sources {
        brief(&shown);
        return Ok(ExitCode::Ok);
    }
    let width = shown.origins.iter().map(|origin| origin.field.len()).max().unwrap_or(0);
    for origin in &shown.origins {
        let from = match &origin.source {
            Some(source) if args.sources => source.clone(),
            _ => origin.from(),
        };
        out!("{:<width$}  {:<40}  # {from}", origin.field, origin.value);
    }
    Ok(ExitCode::Ok)
}

fn brief(of: &Resolved) {
    let (board, facts) = (&of.board, &of.facts);
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    out!("{} ({})", board.name, board.slug);
    out!("  arch          {}", board.arch);
    out!("  soc           {}", board.soc.as_deref().unwrap_or("unknown"));
    out!("  provision     {}", board.provision.word());
    out!("  console       {} baud{}", board.baud, if facts.baud_known { "" } else { " (assumed)" });
    out!("  min off time  {:?}", board.min_off);
    out!("  capabilities  {}", list(board.capabilities.iter().map(ToString::to_string).collect()));
    out!("  boot stages   {}", list(board.stages.iter().map(|stage| stage.name.clone()).collect()));
    out!("  known-bad     {}", list(board.bad.iter().map(|bad| bad.id.clone()).collect()));
    out!("  support       {}", facts.lifecycle.support.map_or("unknown", |support| support.word()));
    if !facts.disputed.is_empty() {
        out!("  disputed      {}", list(facts.disputed.keys().cloned().collect()));
    }
    out!("`--resolved` shows every value and where it was written, `--sources` where it was read.");
}

/// Values by field; lists item by item.
fn values(origins: &[Origin]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for origin in origins {
        all.entry(origin.field.as_str()).or_default().insert(origin.value.as_str());
    }
    all
}

pub(super) fn diff(catalogue: &Catalogue, a: &str, b: &str) -> CliResult {
    let (a, b) = (catalogue.resolved(a)?, catalogue.resolved(b)?);
    let (of_a, of_b) = (values(&a.origins), values(&b.origins));
    let fields: BTreeSet<_> = of_a.keys().chain(of_b.keys()).collect();
    let none = BTreeSet::new();
    for field in fields {
        let (left, right) = (of_a.get(*field).unwrap_or(&none), of_b.get(*field).unwrap_or(&none));
        if left == right {
            continue;
        }
        out!("{field}");
        for value in left.difference(right) {
            out!("  - {value}");
        }
        for value in right.difference(left) {
            out!("  + {value}");
        }
    }
    Ok(ExitCode::Ok)
}
