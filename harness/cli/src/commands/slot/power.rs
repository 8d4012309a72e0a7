//! `shakedown power`: switch an output and prove it.

use std::path::PathBuf;

use shakedown_core::ExitCode;

use super::{WORK, Which, on_runtime, show, unexpected};
use crate::CliResult;
use crate::keeper::wire::{Ask, Reply, Switch};
use crate::say::out;

/// `shakedown power`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// What to do. What is switched on stays on when the command ends: the rig's keeper holds it.
    #[arg(value_enum)]
    to: Switch,
    /// Another output than the supply, by its name in the rig file.
    #[arg(long, value_name = "NAME", default_value = "power")]
    output: String,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let (output, to) = (args.output.clone(), args.to);
    on_runtime(paths, &rig, "waiting for the keeper", async |caller| {
        let id = format!("{}/{slot}", caller.rig.doc.value.rig);
        let by = caller.wait("the keeper's answer", WORK);
        let ask = Ask::Switch { slot, output: output.clone(), to };
        match caller.ask(ask).await?.reply(&by).await? {
            Reply::Proofs(proofs) => show(&id, &proofs),
            Reply::Level { level, of } => out!("{id}: {output} {level}: read back from {of}"),
            reply => return Err(unexpected(&reply)),
        }
        Ok(ExitCode::Ok)
    })
}
