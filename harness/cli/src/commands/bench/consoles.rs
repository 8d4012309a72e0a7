//! Many consoles at once, opened by the driver and recorded by the recorder of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_core::{Clock, Deadline, Pace, RealClock};
use shakedown_rigs::conf::Serial;
use shakedown_rigs::{ConsoleConf, ConsoleCx};
use tokio_util::sync::CancellationToken;

use super::cpu;
use crate::compose::folder;
use crate::{CliError, CliResult};

const BAUD: u32 = 115_200;
/// Between two looks at how far the logs are.
const LOOK: Duration = Duration::from_millis(100);
/// After so many looks without a byte nothing more is waited for: bytes were lost.
const SILENT: u32 = 50;

/// Records port number `n` in `folder/n` and makes `folder/go` when all are open; seconds of CPU and
/// seconds of the clock from there to the last byte.
pub(super) async fn record(folder: &Path, bytes: u64, ports: &[PathBuf]) -> CliResult<[f64; 2]> {
    let clock: Arc<dyn Clock> = RealClock::start();
    let span = Duration::from_secs(600);
    let by =
        Deadline::new("the end of all consoles", span, Pace::Rig, clock.clone(), CancellationToken::new());
    let mut consoles = Vec::with_capacity(ports.len());
    for (number, port) in ports.iter().enumerate() {
        let (name, own) = (number.to_string(), folder.join(number.to_string()));
        std::fs::create_dir_all(&own)?;
        let serial = Serial { port: port.clone(), baud: Some(BAUD) };
        let console = serial
            .open(ConsoleCx { name: &name, clock: &clock, baud: BAUD, probes: &BTreeMap::new() }, &by)
            .await?;
        let health = folder::record(&own, &name, &console.log, &clock)?;
        consoles.push((console, health));
    }
    std::fs::write(folder.join("go"), "")?;
    let (before, began) = (cpu()?, Instant::now());
    let (mut seen, mut silent) = (0, 0);
    loop {
        let ends = consoles.iter().map(|(console, _)| console.log.here().0);
        let (all, full) = ends.fold((0, true), |(all, full), end| (all + end, full && end >= bytes));
        silent = if all == seen { silent + 1 } else { 0 };
        seen = all;
        if full || silent == SILENT {
            break;
        }
        let late = by.pause(LOOK, || format!("{seen} bytes on {} consoles", consoles.len())).await;
        late.map_err(|stop| CliError::infra(stop.to_string()))?;
    }
    let took = [cpu()? - before, began.elapsed().as_secs_f64()];
    match consoles.iter().find_map(|(_, health)| health.troubles().into_iter().next()) {
        None => Ok(took),
        Some(trouble) => Err(CliError::infra(format!("{}: {}", trouble.file, trouble.why))),
    }
}
