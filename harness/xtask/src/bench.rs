//! Side by side with the peers in the same run: only ratios are claimed.

use anyhow::bail;

/// `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the comparisons whose names contain this.
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    bail!("no comparison is called {:?}", args.only)
}
