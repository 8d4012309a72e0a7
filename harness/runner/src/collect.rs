//! What is kept of a DUT at the end: through the shell while it answers, else off its medium.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Cmd, Event, Medium, Side};
use shakedown_media::{Select, TreeLimits};

use crate::dut::LiveDut;
use crate::folder::RunFolder;
use crate::provision::power_down;
use crate::thread::on_thread;

/// Journals of a long run are some MiB; reading one under emulation was measured at 2-4 s.
const LOGS: Duration = Duration::from_secs(40);
/// The most kept of one log.
const MOST: usize = 8 << 20;

/// What is read through the shell: file, role, command.
fn wanted(unit: &str) -> [(&'static str, &'static str, String); 3] {
    [
        ("dut/journal.txt", "journal", "journalctl --no-pager -o short-monotonic -b all 2>/dev/null || journalctl --no-pager -o short-monotonic".into()),
        ("dut/dmesg.txt", "kernel log", "dmesg".into()),
        ("dut/engine.txt", "engine log", format!("journalctl --no-pager -o short-monotonic -u {unit}")),
    ]
}

/// A picture of the screen, where the slot can take one.
pub(crate) async fn screenshot(dut: &LiveDut, folder: &RunFolder, name: &str) {
    let Some(capture) = &dut.slot.capture else { return };
    let by = dut.wait("screenshot", Duration::from_secs(10)).at_rig_pace();
    match capture.screenshot(&by).await {
        // A full disk is announced by the folder itself.
        Ok(png) => drop(folder.save(name, "screenshot", &png)),
        Err(fault) => dut.sink.emit(Event::Trouble(fault)),
    }
}

/// Logs through the shell. Whether it answered.
pub(crate) async fn through_shell(dut: &LiveDut, folder: &RunFolder) -> bool {
    let by = dut.wait("logs of the DUT", LOGS);
    for (name, role, line) in wanted(&dut.profile.engine.unit) {
        let cmd = Cmd { limit: MOST, ..Cmd::sh(line) };
        match dut.quietly(&cmd, &by).await {
            Ok(ran) => drop(folder.save(name, role, &ran.out)),
            Err(_) => return false,
        }
    }
    true
}

/// After a panic or with a dead network: switches off and reads the profile's evidence off the medium.
pub(crate) async fn off_medium(
    dut: &Arc<LiveDut>,
    folder: &RunFolder,
) -> Result<usize, shakedown_core::Fault> {
    power_down(dut).await?;
    let Some(storage) = dut.slot.media.get("main") else { return Ok(0) };
    let by = dut.wait("the medium on the host's side", Duration::from_secs(30)).at_rig_pace();
    if storage.side(&by).await? != Side::Host {
        storage.switch(Side::Host, &by).await?;
    }
    let mut medium = storage.open(&by).await?;
    let (profile, folder) = (dut.profile.clone(), folder.clone());
    let work = move || {
        let mut saved = 0;
        for place in &profile.evidence {
            let Some((role, path)) = place.split_once(':') else { continue };
            let Some(label) = profile.partitions.get(role) else { continue };
            let which = Select::Label(label.clone());
            for (file, bytes) in files(medium.as_mut(), &which, path) {
                let name = format!("dut/medium/{role}/{}", file.trim_start_matches('/'));
                saved += usize::from(folder.save(&name, "off the medium", &bytes).is_ok());
            }
        }
        saved
    };
    dut.waiting.on(on_thread("evidence", work)).await
}

/// A file, or all files below a directory. What is not there is no evidence; what
/// is damaged is what the others are read for.
fn files(medium: &mut dyn Medium, which: &Select, path: &str) -> Vec<(String, Vec<u8>)> {
    if let Ok(file) = shakedown_media::read_file(medium, which, path, MOST as u64) {
        return vec![(path.to_owned(), file.bytes)];
    }
    let limits = TreeLimits { entries: 2000, file: MOST as u64, total: 64 << 20 };
    let Ok(tree) = shakedown_media::read_tree(medium, which, path, limits) else { return Vec::new() };
    let whole = |entry: shakedown_media::TreeEntry| Some((entry.path, entry.bytes?.ok()?));
    tree.entries.into_iter().filter_map(whole).collect()
}
