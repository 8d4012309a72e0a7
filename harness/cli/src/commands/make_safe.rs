//! What a warden runs: one output of a dead process, put into its safe state.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::event::Nowhere;
use shakedown_core::{Deadline, ExitCode, Guarded, Level, Limits, NoFence, Pace, RealClock};
use shakedown_rigs::{LineCx, LineDriver, Nobody, Operator};
use tokio_util::sync::CancellationToken;

use crate::say::out;
use crate::{CliError, CliResult};

/// A little less than the warden gives it.
const WITHIN: Duration = Duration::from_secs(18);

/// Arguments of `shakedown make-safe`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The output's block, as it stands in a rig file.
    #[arg(long, value_name = "DOCUMENT")]
    driver: String,
    /// Energised is safe, not the other way round.
    #[arg(long)]
    on: bool,
}

/// This program, where it is the command; other programs that use the library do not know `make-safe`.
static COMMAND: OnceLock<PathBuf> = OnceLock::new();

/// Says that this process is the command.
pub(crate) fn this_is_the_command() {
    if let Ok(path) = std::env::current_exe() {
        COMMAND.get_or_init(|| path);
    }
}

/// What the warden has to run for an output of this driver. `None` in other programs than the command, and
/// for a driver with a secret: a secret is written nowhere, so the block would not be whole.
pub(crate) fn argv(driver: &LineDriver, on: bool) -> Option<Vec<String>> {
    let program = COMMAND.get()?.to_str()?.to_owned();
    let block = serde_json::to_string(driver).ok()?;
    let again = load::<LineDriver>(&Document::new("make-safe", &block)).ok()?;
    if serde_json::to_string(&again.value).ok()? != block {
        return None;
    }
    let level = on.then(|| "--on".to_owned());
    Some([program, "make-safe".into(), "--driver".into(), block].into_iter().chain(level).collect())
}

pub(super) fn run(args: &Args) -> CliResult {
    let driver = load::<LineDriver>(&Document::new("make-safe", &args.driver));
    let driver = driver.map_err(|error| CliError::refused(format!("{error:#}")))?.value;
    let clock = RealClock::start();
    let by = Deadline::new("the safe state", WITHIN, Pace::Rig, clock, CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::refused(error.to_string()))?;
    let proof = runtime.block_on(async {
        let operator: Arc<dyn Operator> = Arc::new(Nobody);
        let cx =
            LineCx { slot: "a dead process", output: "output", safe: Level::Unknown, operator: &operator };
        let line = driver.open(cx, &by).await?;
        let limits = Limits { min_off: Duration::ZERO, max_cycles_per_minute: 1, safe: Level::from(args.on) };
        Guarded::new("output", line, limits, Arc::new(NoFence), Arc::new(Nowhere)).set(args.on, &by).await
    })?;
    out!("{proof}");
    Ok(ExitCode::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_without_a_secret_is_whole_and_one_with_a_secret_is_not_written() {
        this_is_the_command();
        let driver = |text: &str| load::<LineDriver>(&Document::new("rig.yaml", text)).unwrap().value;
        let argv = |text: &str| super::argv(&driver(text), false);
        let got = argv("modbus: { bus: { tcp: 'relay:502' }, coil: 3, settle: 200ms }").unwrap();
        assert_eq!(got[1..3], ["make-safe", "--driver"]);
        assert_eq!(driver(&got[3]).name(), "modbus");
        let login = "login: { user: admin, password: { env: SHAKEDOWN_NO_SUCH } }";
        assert_eq!(argv(&format!("mqtt: {{ broker: 'b:1883', topic: desk, {login} }}")), None);
    }
}
