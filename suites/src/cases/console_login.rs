//! The second shell: what is left when the network is what is broken.

use std::time::Duration;

use shakedown_core::{Cmd, Cut, Deadline, Dut, Failure, ShellError, Stop, Unreachable};

use super::Plot;

pub(super) const PLOT: Plot =
    Plot { name: "console-login", facts: &[], config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    // The board lives and answers: only then is a silent login the OS's.
    dut.run(&Cmd::sh("true"), by).await?;
    let by = by.child("a login on the console", Duration::from_secs(60));
    let what = "no login on the console leads to a shell";
    let failed = |got: String| Failure::new(what, "the user id of root", got).into();
    match dut.run_on_console(&Cmd::sh("id -u"), &by).await {
        Ok(ran) if ran.exit.is_ok() && ran.text().trim() == "0" => Ok(()),
        Ok(ran) => Err(failed(format!("{}, {}", ran.exit, ran.text()))),
        // What was closed or mangled on the way may be the line's doing: the adjudicator looks.
        Err(Cut::Shell(ShellError::Dut(
            silent @ (Unreachable::Mute(_) | Unreachable::Hung(_) | Unreachable::Denied(_)),
        ))) => Err(failed(silent.to_string())),
        Err(Cut::Late(late @ Stop::Late(_))) => Err(failed(late.to_string())),
        Err(cut) => Err(cut),
    }
}
