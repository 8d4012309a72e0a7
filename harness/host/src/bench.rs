//! What the bench measures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_core::profile::LoginProfile;
use shakedown_core::{Cmd, ConsoleLog, Deadline, Fault, InfraKind, Pace, RealClock, Rig, Shell, ShellError};
use tokio_util::sync::CancellationToken;

use crate::{ConsoleShell, Tool, pump};

/// The times of `n` short commands, one after the other, on a bash on a pseudo-terminal.
/// Each answer is compared with what it must be.
#[doc(hidden)]
pub async fn shell_round_trip(n: usize) -> Rig<Vec<Duration>> {
    let clock = RealClock::start();
    let span = Duration::from_secs(60);
    let by =
        Deadline::new("the bench of the shell", span, Pace::Rig, clock.clone(), CancellationToken::new());
    let bash = Tool::new("bash").args(["--noprofile", "--norc", "-i"]).env("PS1", "root@dut:~# ");
    let (_child, terminal) = bash.start_on_terminal()?;
    let pump = pump::fd(terminal, "bash", Arc::new(ConsoleLog::new(clock)))?;
    let login = LoginProfile {
        prompt: "login: $".into(),
        user: "root".into(),
        password: None,
        shell: "root@dut:.*# $".into(),
    };
    let wrong = |got: String| {
        Fault::new(InfraKind::Tool, "bench", "run a command on", "bash").expected("its own words", got)
    };
    let shell =
        ConsoleShell::log_in(&pump.console(), &login, &by).await.map_err(|error| wrong(error.to_string()))?;
    let mut spans = Vec::with_capacity(n);
    for index in 0..n {
        let began = Instant::now();
        let ran = shell.run(&Cmd::sh(format!("echo hello-{index}")), &by).await;
        spans.push(began.elapsed());
        let ran = ran.map_err(|error: ShellError| wrong(error.to_string()))?;
        if !ran.exit.is_ok() || ran.text() != format!("hello-{index}") {
            return Err(wrong(format!("{}: {}", ran.exit, ran.text())));
        }
    }
    Ok(spans)
}
