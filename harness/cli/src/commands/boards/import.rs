//! `shakedown boards import`: descriptors from an outside document. What stands there already is a
//! person's: it is compared, never written over.

use std::collections::BTreeSet;
use std::path::PathBuf;

use shakedown_boards::{Catalogue, import};
use shakedown_core::ExitCode;

use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown boards import`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The document (JSON).
    file: PathBuf,
    /// The folder for the descriptors (below its `catalogue/`). A file that is there stays as it is.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Write nothing: only tell what would be new, and what differs.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let shown = args.file.display();
    let refuse = |error: std::io::Error| CliError::refused(format!("{shown}: cannot be read: {error}"));
    let json = std::fs::read(&args.file).map_err(refuse)?;
    let families = Catalogue::with_paths(paths)?;
    let imported = import::device_types(&json, &families)
        .map_err(|error| CliError::refused(format!("{shown}: {error}")))?;
    let folder = args.into.join("catalogue");
    let mut paths = paths.to_vec();
    if folder.is_dir() {
        paths.push(args.into.clone());
    }
    let existing = Catalogue::with_paths(&paths)?;
    let (mut new, mut same, mut differ) = (0, 0, 0);
    for board in &imported {
        for left in &board.left_out {
            err!("left out: {left}");
        }
        let path = folder.join(format!("{}.yaml", board.slug));
        if path.exists() {
            let differences = differences(&existing, board)?;
            if differences.is_empty() {
                same += 1;
            } else {
                differ += 1;
            }
            for difference in differences {
                out!("{}: {difference}", board.slug);
            }
            continue;
        }
        new += 1;
        if !args.dry_run {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(&path, &board.text)?;
        }
    }
    let verb = if args.dry_run { "would be new" } else { "written" };
    out!("{new} {verb}, {same} as they are, {differ} kept by hand with other facts");
    Ok(ExitCode::Ok)
}

/// What the file that is there says otherwise.
fn differences(existing: &Catalogue, board: &import::Imported) -> Result<Vec<String>, CliError> {
    let there = existing.resolved(&board.slug)?;
    let plain = |text: &str| text.trim_matches('"').to_owned();
    let says: BTreeSet<_> =
        there.origins.iter().map(|origin| (origin.field.clone(), plain(&origin.value))).collect();
    let stated = board.facts.iter().map(|(field, text)| (field.clone(), plain(text)));
    let other = |field: &str| {
        let values = says.iter().filter(|(name, _)| name == field).map(|(_, value)| value.clone());
        let values: Vec<_> = values.collect();
        if values.is_empty() { "nothing".to_owned() } else { values.join(", ") }
    };
    Ok(stated
        .filter(|fact| !says.contains(fact))
        .map(|(field, value)| format!("{field}: the file says {}, the document {value}", other(&field)))
        .collect())
}
