//! `shakedown boards new`: a first descriptor, from a console's log where there is one.

use std::path::{Path, PathBuf};

use shakedown_boards::{Catalogue, sketch};
use shakedown_console::Recording;
use shakedown_core::ExitCode;
use shakedown_core::names::is_slug;

use crate::say::{out, to_out};
use crate::{CliError, CliResult};

/// `shakedown boards new`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The new board's slug.
    slug: String,
    /// A family that it extends (repeatable). Else one is proposed by the boot stages of the log.
    #[arg(long = "family", value_name = "NAME")]
    families: Vec<String>,
    /// What its console said: text, an asciicast v2 (.cast) or a run's console.jsonl.
    #[arg(long, value_name = "FILE")]
    from_log: Option<PathBuf>,
    /// Write it below this folder's `catalogue/`, unless it is there. Else it is printed.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub(super) fn run(catalogue: &Catalogue, args: &Args) -> CliResult {
    if !is_slug(&args.slug) {
        let what = format!("`{}` is no slug: expected lower-case letters, digits and dashes", args.slug);
        return Err(CliError::refused(what));
    }
    if catalogue.board(&args.slug).is_ok() {
        let known = CliError::refused(format!("there is a board `{}` already", args.slug));
        return Err(known.hint(format!("`shakedown boards show {}` tells what it is", args.slug)));
    }
    let log = args.from_log.as_deref().map(said).transpose()?;
    let name = args.from_log.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    let log = name.as_deref().zip(log.as_deref());
    let text = sketch(&args.slug, &args.families, log, catalogue)?;
    let Some(into) = &args.into else {
        to_out(format_args!("{text}"));
        return Ok(ExitCode::Ok);
    };
    let path = into.join("catalogue").join(format!("{}.yaml", args.slug));
    if path.exists() {
        return Err(CliError::refused(format!("{} is there already", path.display())));
    }
    std::fs::create_dir_all(into.join("catalogue"))?;
    std::fs::write(&path, text)?;
    out!("{}: fill the gaps, then `shakedown --path {} boards check`", path.display(), into.display());
    Ok(ExitCode::Ok)
}

/// The bytes of a console, out of a recording or as they are.
fn said(path: &Path) -> Result<Vec<u8>, CliError> {
    let refuse = |error: &dyn std::fmt::Display| CliError::refused(format!("{}: {error}", path.display()));
    let recording = match path.extension().and_then(|end| end.to_str()) {
        Some("cast") => Recording::from_cast(std::fs::File::open(path).map_err(|error| refuse(&error))?),
        Some("jsonl") => Recording::from_jsonl(std::fs::File::open(path).map_err(|error| refuse(&error))?),
        _ => return std::fs::read(path).map_err(|error| refuse(&error)),
    };
    let recording = recording.map_err(|error| refuse(&error))?;
    Ok(recording.chunks.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect())
}
