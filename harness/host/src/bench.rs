//! What the bench measures.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_core::profile::LoginProfile;
use shakedown_core::{Clock, Cmd, ConsoleLog, Deadline, Fault, InfraKind, Pace, RealClock, Rig, Shell};
use tokio_util::sync::CancellationToken;

use crate::{ConsoleShell, Tool, pump};

/// Long enough for any of these: a bench that hangs ends.
fn patience(name: &str, clock: Arc<dyn Clock>) -> Deadline {
    Deadline::new(name, Duration::from_secs(600), Pace::Rig, clock, CancellationToken::new())
}

fn wrong(got: impl std::fmt::Display) -> Fault {
    Fault::new(InfraKind::Tool, "bench", "run a command on", "a shell")
        .expected("its own words", got.to_string())
}

/// The times of `n` short commands, one after the other. Each answer is compared with what it must be.
async fn commands(shell: &dyn Shell, n: usize, by: &Deadline) -> Rig<Vec<Duration>> {
    let mut spans = Vec::with_capacity(n);
    for index in 0..n {
        let began = Instant::now();
        let ran = shell.run(&Cmd::sh(format!("echo hello-{index}")), by).await;
        spans.push(began.elapsed());
        let ran = ran.map_err(wrong)?;
        if !ran.exit.is_ok() || ran.text() != format!("hello-{index}") {
            return Err(wrong(format!("{}: {}", ran.exit, ran.text())));
        }
    }
    Ok(spans)
}

/// A login on whatever this terminal leads to: it must show the prompt `root@dut:~# `.
async fn on_terminal(terminal: OwnedFd, name: &str, by: &Deadline) -> Rig<(pump::Pump, ConsoleShell)> {
    let pump = pump::fd(terminal, name, Arc::new(ConsoleLog::new(by.clock().clone())))?;
    let login = LoginProfile {
        prompt: "login: $".into(),
        user: "root".into(),
        password: None,
        shell: "root@dut:.*# $".into(),
    };
    let shell = ConsoleShell::log_in(&pump.console(), &login, by).await.map_err(wrong)?;
    Ok((pump, shell))
}

/// The times of `n` short commands, one after the other, on a bash on a pseudo-terminal.
#[doc(hidden)]
pub async fn shell_round_trip(n: usize) -> Rig<Vec<Duration>> {
    let by = patience("the bench of the shell", RealClock::start());
    let bash = Tool::new("bash").args(["--noprofile", "--norc", "-i"]).env("PS1", "root@dut:~# ");
    let (_child, terminal) = bash.start_on_terminal()?;
    let (_pump, shell) = on_terminal(terminal, "bash", &by).await?;
    commands(&shell, n, &by).await
}

/// Logs in on each of these terminals, all at once, and runs `n` commands on each.
#[doc(hidden)]
pub async fn console_sessions(terminals: Vec<OwnedFd>, n: usize) -> Rig<()> {
    let by = patience("the bench of consoles", RealClock::start());
    all(terminals.into_iter().enumerate().map(|(index, terminal)| {
        let by = by.clone();
        async move {
            let (_pump, shell) = on_terminal(terminal, &format!("terminal {index}"), &by).await?;
            commands(&shell, n, &by).await
        }
    }))
    .await
}

async fn all<F>(sessions: impl Iterator<Item = F>) -> Rig<()>
where
    F: Future<Output = Rig<Vec<Duration>>> + Send + 'static,
{
    let running: Vec<_> = sessions.map(tokio::spawn).collect();
    for session in running {
        session.await.map_err(wrong)??;
    }
    Ok(())
}
