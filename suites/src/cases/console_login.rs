//! The second shell: what is left when the network is what is broken.

use std::time::Duration;

use shakedown_core::{Cmd, Cut, Deadline, Dut, Failure, ShellError, Stop};

use super::Plot;

pub(super) const PLOT: Plot =
    Plot { name: "console-login", facts: &[], config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let by = by.child("a login on the console", Duration::from_secs(60));
    let what = "no login on the console leads to a shell";
    let wanted = "the user id of root";
    match dut.run_on_console(&Cmd::sh("id -u"), &by).await {
        Ok(ran) if ran.exit.is_ok() && ran.text().trim() == "0" => Ok(()),
        Ok(ran) => Err(Failure::new(what, wanted, format!("{}, {}", ran.exit, ran.text())).into()),
        // SSH got us here, so the board lives: a login that is not there is the OS's.
        Err(Cut::Shell(ShellError::Dut(unreachable))) => {
            Err(Failure::new(what, wanted, unreachable.to_string()).into())
        }
        Err(Cut::Late(late @ Stop::Late(_))) => Err(Failure::new(what, wanted, late.to_string()).into()),
        Err(cut) => Err(cut),
    }
}
