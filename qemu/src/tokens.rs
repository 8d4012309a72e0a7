//! How many QEMUs may run on this host at once, over all processes of this user.
//!
//! A token is a file held by `flock`: the kernel gives it back when its holder dies.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use shakedown_core::{Deadline, Fault, InfraKind, Rig};

/// Sets the number of tokens; without it, half of the cores and at least one.
pub const VARIABLE: &str = "SHAKEDOWN_QEMUS";

const TICK: Duration = Duration::from_millis(200);

/// How many there are on this host, by [`VARIABLE`].
pub fn count() -> Rig<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match std::env::var(VARIABLE) {
        Err(_) => Ok((cores / 2).max(1)),
        Ok(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
            Fault::new(InfraKind::Config, "qemu", "read", VARIABLE)
                .expected("a number from 1", format!("`{text}`"))
        }),
    }
}

/// The right to run one QEMU. Dropped, it is free for the next.
#[derive(Debug)]
pub struct Token(#[expect(dead_code, reason = "held for its lock")] File);

/// The tokens of a host.
#[derive(Clone, Debug)]
pub struct Tokens {
    folder: PathBuf,
    count: usize,
}

impl Tokens {
    /// Those of this user, by [`VARIABLE`].
    pub fn of_host(runtime: &Path) -> Rig<Self> {
        let count = count()?;
        Ok(Self::new(runtime.join("qemus"), count))
    }

    /// So many tokens, kept in this folder.
    pub fn new(folder: PathBuf, count: usize) -> Self {
        Self { folder, count }
    }

    /// Waits for a token.
    pub async fn take(&self, by: &Deadline) -> Rig<Token> {
        std::fs::create_dir_all(&self.folder).map_err(|error| self.fault("make").because(&error))?;
        loop {
            for number in 0..self.count {
                if let Some(token) = self.try_one(number)? {
                    return Ok(token);
                }
            }
            let seen = || format!("{} QEMU(s) run already", self.count);
            by.pause(TICK, seen).await.map_err(|stop| {
                let hint = format!("wait for other runs to end, or raise {VARIABLE}");
                self.fault("take a token from").stopped(stop).hint(hint)
            })?;
        }
    }

    fn try_one(&self, number: usize) -> Rig<Option<Token>> {
        let path = self.folder.join(format!("token-{number}"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| self.fault("open a token of").because(&error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Token(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(self.fault("lock a token of").because(&std::io::Error::from(error))),
        }
    }

    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Host, "qemu", op, self.folder.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use shakedown_core::{Pace, RealClock};
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn the_last_token_is_waited_for_by_name() {
        let folder = std::env::temp_dir().join(format!("shakedown-tokens-{}", std::process::id()));
        let tokens = Tokens::new(folder.clone(), 2);
        let by = |millis| {
            let span = Duration::from_millis(millis);
            Deadline::new("a QEMU token", span, Pace::Rig, RealClock::start(), CancellationToken::new())
        };
        let first = tokens.take(&by(500)).await.unwrap();
        let _second = tokens.take(&by(500)).await.unwrap();
        let fault = tokens.take(&by(50)).await.unwrap_err();
        assert!(fault.to_string().contains("a QEMU token; last seen: 2 QEMU(s) run already"), "{fault}");
        drop(first);
        tokens.take(&by(500)).await.unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
