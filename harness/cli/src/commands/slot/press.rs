//! `shakedown press`: a button.

use std::path::PathBuf;

use shakedown_conf::Span;
use shakedown_core::ExitCode;

use super::{WORK, Which, on_runtime, show, unexpected};
use crate::CliResult;
use crate::keeper::wire::{Ask, Reply};

/// `shakedown press`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// The output, by its name in the rig file: reset, recovery …
    name: String,
    /// How long it is held.
    #[arg(long = "for", value_name = "TIME", default_value = "500ms")]
    held: Span,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let (output, held) = (args.name.clone(), args.held.get());
    on_runtime(paths, &rig, "waiting for the keeper", async |caller| {
        let id = format!("{}/{slot}", caller.rig.doc.value.rig);
        let by = caller.wait("the keeper's answer", WORK + held);
        match caller.ask(Ask::Press { slot, output, held }).await?.reply(&by).await? {
            Reply::Proofs(proofs) => show(&id, &proofs),
            reply => return Err(unexpected(&reply)),
        }
        Ok(ExitCode::Ok)
    })
}
