//! Keys, seals, records and the check of attestations.

use std::path::{Path, PathBuf};

use shakedown_core::{ExitCode, Sha};
use shakedown_gate::manual::{self, Record};
use shakedown_gate::{PublicKey, Ruling, SecretKey, attest, seal as sealing};

use super::image_of;
use crate::compose::{evidence, image};
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown gate manual`.
#[derive(clap::Args, Debug)]
pub(super) struct ManualArgs {
    /// The test's name in the policy.
    #[arg(long, value_name = "NAME")]
    test: String,
    /// The board type that it was made on.
    #[arg(long, value_name = "SLUG")]
    board: String,
    /// The image: its file, or the SHA-256 of the decompressed image.
    #[arg(long, value_name = "HASH|FILE")]
    image: String,
    /// It did what it should.
    #[arg(long, conflicts_with = "failed", required_unless_present = "failed")]
    passed: bool,
    /// It did not.
    #[arg(long)]
    failed: bool,
    /// Who looked.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// What was seen.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// The key that signs it.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// The record's file; it ends in .manual.json.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn verify(file: &Path, key: &Path, about: Option<&Path>, journals: &[PathBuf]) -> CliResult {
    let text = std::fs::read(file)
        .map_err(|error| CliError::refused(format!("cannot read {}: {error}", file.display())))?;
    let key = PublicKey::read(key)?;
    let images: Vec<Sha> = match about {
        Some(path) => {
            let identity = image::identified(path)?;
            vec![identity.image().payload, identity.image().sha256]
        }
        None => Vec::new(),
    };
    let found = evidence::journals(journals)?;
    let found = (!journals.is_empty()).then_some(found.as_slice());
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let good = attest::verify(&text, key, &images, found, today)
        .map_err(|untrue| CliError::refused(format!("{}: {untrue}", file.display())))?;
    let word = match good.ruling {
        Ruling::Ship => "SHIP",
        Ruling::DoNotShip => "DO NOT SHIP",
        Ruling::NotEnoughEvidence => "NOT ENOUGH EVIDENCE",
    };
    out!("{word} ({}), signed by {key}", good.statement.predicate.result);
    for subject in &good.statement.subject {
        out!("  {} {}", subject.name, subject.digest.get("sha256").map_or("", String::as_str));
    }
    let compared = match (about.is_some(), found.is_some()) {
        (true, true) => format!("the image and {} journals are those", good.journals),
        (true, false) => "the image is that one; journals were not compared (--journals DIR)".to_owned(),
        (false, true) => {
            format!("{} journals are those; the image was not compared (--image FILE)", good.journals)
        }
        (false, false) => {
            "neither image nor journals were compared (--image FILE, --journals DIR)".to_owned()
        }
    };
    out!("{compared}");
    Ok(good.ruling.exit())
}

pub(super) fn key(file: Option<&Path>, new: bool, pem: bool) -> CliResult {
    let key = match (file, new) {
        (None, _) => evidence::run_key()?,
        (Some(file), true) => SecretKey::read_or_make(file)?,
        (Some(file), false) => SecretKey::read(file)?,
    };
    let public = key.public();
    if pem {
        out!("{}", public.pem().trim_end());
    } else {
        out!("{public}");
    }
    Ok(ExitCode::Ok)
}

pub(super) fn seal(runs: &[PathBuf], key: Option<&Path>) -> CliResult {
    let key = key.map_or_else(evidence::run_key, |file| Ok(SecretKey::read(file)?))?;
    let mut exit = ExitCode::Ok;
    for journal in evidence::journals(runs)? {
        match sealing::seal(journal.parent().unwrap_or(Path::new(".")), &key) {
            Ok(file) => out!("{}", file.display()),
            Err(error) => {
                let error = CliError::from(error);
                err!("{error}");
                exit = exit.and(error.exit);
            }
        }
    }
    Ok(exit)
}

pub(super) fn manual(args: &ManualArgs) -> CliResult {
    if !args.out.to_string_lossy().ends_with(manual::ENDING) {
        return Err(CliError::refused(format!(
            "--out {}: the gate reads *{}",
            args.out.display(),
            manual::ENDING
        )));
    }
    let record = Record {
        test: args.test.clone(),
        board: args.board.clone(),
        image: image_of(&args.image)?.0,
        passed: args.passed,
        by: args.by.clone(),
        at: jiff::Timestamp::now(),
        note: args.note.clone(),
    };
    let text = manual::sign(&record, &SecretKey::read(&args.key)?)?;
    std::fs::write(&args.out, text)
        .map_err(|error| CliError::refused(format!("cannot write {}: {error}", args.out.display())))?;
    out!("{}", args.out.display());
    Ok(ExitCode::Ok)
}
