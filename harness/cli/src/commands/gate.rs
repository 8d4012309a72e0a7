//! `shakedown gate`: may this image ship?

mod ask;
mod plan;
mod tools;

use std::path::{Path, PathBuf};

use shakedown_core::Sha;
use shakedown_gate::{Answer, SecretKey, attest, render};

use super::runs::PIN;
use crate::compose::{evidence, image};
use crate::say::{err, out};
use crate::{CliError, CliResult};

/// `shakedown gate`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    /// The policy.
    #[arg(required = true)]
    policy: Option<PathBuf>,
    /// The image: its file, or the SHA-256 of the file or of the decompressed image.
    #[arg(long, value_name = "HASH|FILE", required = true)]
    image: Option<String>,
    /// The history, which names the journals.
    #[arg(long, value_name = "FILE", env = evidence::VARIABLE)]
    history: Option<PathBuf>,
    /// Run folders, or folders of them (repeatable). The history's journals are read as well.
    #[arg(long, value_name = "DIR")]
    journals: Vec<PathBuf>,
    /// A folder with signed records of tests by hand.
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// Where gate.html, gate.json, summary.md and the attestation go. Else SHAKEDOWN_OUT/gate.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the plan that would supply what is missing.
    #[arg(long, value_name = "FILE")]
    plan_out: Option<PathBuf>,
    /// Sign the answer as an in-toto attestation with this key (gate.intoto.json).
    #[arg(long, value_name = "KEY")]
    attest: Option<PathBuf>,
    /// Print GitHub's annotations as well.
    #[arg(long, env = "GITHUB_ACTIONS", value_parser = clap::builder::FalseyValueParser::new())]
    github: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Check an attestation. Returns what its answer returned, or 2 when it is refused.
    Verify {
        /// The attestation.
        file: PathBuf,
        /// The public key: PEM, or ed25519:… in a file.
        #[arg(long, value_name = "PUB")]
        key: PathBuf,
        /// It must be about this image.
        #[arg(long, value_name = "FILE")]
        image: Option<PathBuf>,
        /// Every journal that it was derived from must be among these.
        #[arg(long, value_name = "DIR")]
        journals: Vec<PathBuf>,
    },
    /// Print the public half of a key; without a file, of the key of this host's runs, made if need be.
    Key {
        /// A private key in PEM (openssl genpkey -algorithm ed25519).
        file: Option<PathBuf>,
        /// Make it when it is not there.
        #[arg(long, requires = "file")]
        new: bool,
        /// As PEM instead of ed25519:…
        #[arg(long)]
        pem: bool,
    },
    /// Sign journals that no run signed: whoever does vouches for them as they are now.
    Seal {
        /// Run folders.
        #[arg(required = true, value_name = "RUN-DIR")]
        runs: Vec<PathBuf>,
        /// With this key, instead of the one of this host's runs.
        #[arg(long, value_name = "KEY")]
        key: Option<PathBuf>,
    },
    /// Sign the record of a test that was made by hand.
    Manual(tools::ManualArgs),
}

pub(super) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    match &args.command {
        Some(Command::Verify { file, key, image, journals }) => {
            tools::verify(file, key, image.as_deref(), journals)
        }
        Some(Command::Key { file, new, pem }) => tools::key(file.as_deref(), *new, *pem),
        Some(Command::Seal { runs, key }) => tools::seal(runs, key.as_deref()),
        Some(Command::Manual(args)) => tools::manual(paths, args),
        None => {
            let (Some(policy), Some(image)) = (&args.policy, &args.image) else {
                return Err(CliError::refused("a policy and --image are needed"));
            };
            let key = args.attest.as_deref().map(SecretKey::read).transpose()?;
            let (image, path) = image_of(image)?;
            let answer = ask::ask(paths, args, policy, image, path.as_deref())?;
            tell(args, &answer, path.as_deref(), key.as_ref())
        }
    }
}

/// A hash as it is, or the hash of what the file holds; and the file.
fn image_of(named: &str) -> Result<(Sha, Option<PathBuf>), CliError> {
    if let Some(sha) = Sha::from_hex(named) {
        return Ok((sha, None));
    }
    let path = Path::new(named);
    if !path.exists() {
        return Err(CliError::refused(format!(
            "--image {named}: neither a file nor a SHA-256 of 64 hex digits"
        )));
    }
    Ok((image::identified(path)?.image().payload, Some(path.to_owned())))
}

/// What an answer was derived from is kept, so that it can be defended. A folder that takes no file
/// keeps its run by being read-only.
fn pin(answer: &Answer) {
    for used in &answer.used {
        let Some(folder) = used.path.parent() else { continue };
        let text = format!("gate {} of image {}\n", answer.policy, answer.image.short());
        if let Err(error) = std::fs::write(folder.join(PIN), text) {
            err!("warning: {} is not pinned, `shakedown runs gc` may take it: {error}", folder.display());
        }
    }
}

fn tell(args: &Args, answer: &Answer, path: Option<&Path>, key: Option<&SecretKey>) -> CliResult {
    let folder = args.out.clone().unwrap_or_else(|| shakedown_host::dirs::out().join("gate"));
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text)
            .map_err(|error| CliError::infra(format!("cannot write {}: {error}", path.display())))
    };
    std::fs::create_dir_all(&folder)
        .map_err(|error| CliError::refused(format!("cannot make {}: {error}", folder.display())))?;
    write(&folder.join("gate.html"), &render::html(answer))?;
    write(&folder.join("gate.json"), &render::json(answer))?;
    write(&folder.join("summary.md"), &render::summary(answer))?;
    out!("{}", render::text(answer).trim_end());
    if args.github {
        for line in render::annotations(answer) {
            out!("{line}");
        }
    }
    if let Some(key) = key {
        let tool = Sha::of(&std::fs::read(std::env::current_exe()?)?);
        let file = folder.join("gate.intoto.json");
        write(&file, &attest::attest(answer, tool, key)?)?;
        out!("\nattestation: {}", file.display());
    }
    if let Some(file) = &args.plan_out {
        match plan::plan(answer, path) {
            Some(text) => {
                write(file, &text)?;
                out!("plan for what is missing: {}", file.display());
            }
            None if answer.missing.is_empty() => out!("nothing is missing: no plan was written"),
            None => out!("no run can supply what is missing: no plan was written"),
        }
    }
    pin(answer);
    out!("report: {}", folder.join("gate.html").display());
    Ok(answer.ruling.exit())
}
