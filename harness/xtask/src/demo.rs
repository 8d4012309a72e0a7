//! The first command: from a fresh clone to a report.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::packages;
use crate::shell::{cargo, line, shakedown};

/// On 2 cores without KVM, from a fresh clone.
const BUDGET: Duration = Duration::from_secs(600);

/// `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The board to boot; its default image is built.
    #[arg(long, default_value = "generic-amd64")]
    board: String,
    /// The cases to run.
    #[arg(long, default_value = "demo")]
    selection: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let began = Instant::now();
    let arm = args.board != "generic-amd64";
    let mut needed = vec![packages::BUILD, packages::IMAGE, packages::QEMU];
    if arm {
        needed.push(packages::QEMU_MORE);
    }
    packages::install(&needed)?;
    cargo(["build", "--package", "shakedown"]).run()?;
    let shakedown = shakedown();
    // The last lines are the run's own: its verdict and where the report is.
    println!("built after {:.0} s; now the image, and the run", began.elapsed().as_secs_f64());
    let code = line([
        shakedown.as_os_str(),
        "run".as_ref(),
        "--board".as_ref(),
        args.board.as_ref(),
        "--selection".as_ref(),
        args.selection.as_ref(),
    ])
    .code()?;
    let took = began.elapsed();
    if took > BUDGET {
        println!("note: {:.0} s in all; on 2 cores it should be {} s", took.as_secs_f64(), BUDGET.as_secs());
    }
    if code != 0 {
        bail!("the run ended with exit code {code}; the report above says why");
    }
    Ok(())
}
