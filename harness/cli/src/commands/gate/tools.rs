//! Keys, seals, records and the check of attestations.

use std::path::{Path, PathBuf};

use shakedown_boards::Catalogue;
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
    let journals = evidence::journals(runs)?;
    if journals.is_empty() {
        let places: Vec<_> = runs.iter().map(|run| run.display().to_string()).collect();
        return Err(CliError::refused(format!("there is nothing to seal in {}", places.join(", ")))
            .hint("give run folders (with a journal.jsonl), or a folder of them"));
    }
    let mut exit = ExitCode::Ok;
    for journal in journals {
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

pub(super) fn manual(paths: &[PathBuf], args: &ManualArgs) -> CliResult {
    let boards: Vec<String> =
        Catalogue::with_paths(paths)?.list().into_iter().map(|listed| listed.slug).collect();
    named(args, &boards)?;
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

/// A record that names nothing is one that no policy finds.
fn named(args: &ManualArgs, boards: &[String]) -> CliResult<()> {
    for (option, text) in [("--test", &args.test), ("--by", &args.by)] {
        if text.trim().is_empty() {
            return Err(CliError::refused(format!("{option}: expected a name, got an empty one")));
        }
    }
    if boards.contains(&args.board) {
        return Ok(());
    }
    let error = CliError::refused(format!("unknown board `{}`", args.board));
    Err(match shakedown_conf::nearest(&args.board, boards.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`shakedown boards` lists them"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_nothing_known_is_refused_with_the_nearest_name() {
        let args = |test: &str, board: &str, by: &str| ManualArgs {
            test: test.into(),
            board: board.into(),
            image: String::new(),
            passed: true,
            failed: false,
            by: by.into(),
            note: String::new(),
            key: PathBuf::new(),
            out: PathBuf::new(),
        };
        let boards = ["board-a".to_owned(), "other".to_owned()];
        let told = |args: &ManualArgs| named(args, &boards).unwrap_err().to_string();
        assert!(named(&args("hdmi", "board-a", "ana"), &boards).is_ok());
        let near = told(&args("hdmi", "board-s", "ana"));
        assert!(
            near.contains("unknown board `board-s`") && near.contains("did you mean `board-a`?"),
            "{near}"
        );
        assert!(told(&args("", "board-a", "ana")).contains("--test: expected a name"));
        assert!(told(&args("hdmi", "board-a", " ")).contains("--by: expected a name"));
    }

    #[test]
    fn nothing_to_seal_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("new.key");
        SecretKey::read_or_make(&key).unwrap();
        let error = seal(&[folder.path().to_owned()], Some(&key)).unwrap_err();
        assert_eq!(error.exit, ExitCode::Refused);
        assert!(error.what.contains("nothing to seal"), "{error}");
    }
}
