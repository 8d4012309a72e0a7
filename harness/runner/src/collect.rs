//! What is kept of a DUT at the end: through the shell while it answers, else off its medium.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Cmd, Dut, Event, Evidence, Medium, Side};
use shakedown_media::{Select, TreeLimits};

use crate::adjudicate::ConsoleState;
use crate::dut::LiveDut;
use crate::folder::RunFolder;
use crate::observe::console_state;
use crate::provision::power_down;
use crate::thread::on_thread;
use crate::waiting::Timed;

/// Journals of a long run are some MiB; reading one under emulation was measured at 2-4 s.
const LOGS: Duration = Duration::from_secs(40);
/// 36 KB of journal take 3 s at 115200 baud; logging in and the rest as long again, stretched for a
/// DUT whose network hangs because it is overloaded.
const OVER_CONSOLE: Duration = Duration::from_secs(60);
/// Some tens of files; a log of 8 MiB off a slow card takes half a second.
const OFF_MEDIUM: Duration = Duration::from_secs(120);
/// Registers and some words of a stack take milliseconds; opening a probe some seconds.
const POST_MORTEM: Duration = Duration::from_secs(30);
/// The role of what a debug probe told.
pub(crate) const LOOKED_INTO: &str = "post-mortem";
/// The most kept of one log.
const MOST: usize = 8 << 20;

/// What is read through the shell: file, role, command.
fn wanted(dut: &LiveDut) -> Vec<(&'static str, &'static str, String)> {
    let unit = dut.profile.engine.as_ref().and_then(|engine| engine.unit.as_ref());
    let engine = unit.map(|unit| {
        ("dut/engine.txt", "engine log", format!("journalctl --no-pager -o short-monotonic -u {unit}"))
    });
    let always = [
        ("dut/journal.txt", "journal", "journalctl --no-pager -o short-monotonic -b all 2>/dev/null || journalctl --no-pager -o short-monotonic".into()),
        ("dut/dmesg.txt", "kernel log", "dmesg".into()),
    ];
    always.into_iter().chain(engine).collect()
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

/// What the cores behind the slot's debug probes were doing.
pub(crate) async fn post_mortems(dut: &LiveDut, folder: &RunFolder) {
    if dut.cancel.is_cancelled() {
        return;
    }
    for (name, probe) in &dut.slot.probes {
        let by = dut.wait("post-mortem", POST_MORTEM).at_rig_pace();
        let began = by.clock().now();
        match probe.post_mortem(&by).await {
            Ok(found) => {
                let out = found.to_string();
                drop(folder.save(&format!("probe/{name}.txt"), LOOKED_INTO, out.as_bytes()));
                let evidence = Evidence::Command {
                    line: format!("{LOOKED_INTO} of {name}"),
                    by: probe.driver().into(),
                    ended: format!("the core was {}", found.before),
                    out,
                    err: String::new(),
                    took: by.clock().now().since(began),
                };
                dut.sink.emit(Event::Evidence { case: None, evidence });
            }
            Err(fault) => dut.sink.emit(Event::Trouble(fault)),
        }
    }
}

/// Logs through the shell. Whether it answered.
pub(crate) async fn through_shell(dut: &LiveDut, folder: &RunFolder) -> bool {
    let by = dut.wait("logs of the DUT", LOGS);
    for (name, role, line) in wanted(dut) {
        let cmd = Cmd { limit: MOST, ..Cmd::sh(line) };
        match dut.quietly(&cmd, &by).await {
            Ok(ran) => drop(folder.save(name, role, &ran.out)),
            Err(_) => return false,
        }
    }
    true
}

/// Logs through the login on the console, where one answers: how many. For a DUT whose network is
/// what is broken; shorter, since a serial line is slow. Last, what is in memory goes to the medium.
pub(crate) async fn over_console(dut: &LiveDut, folder: &RunFolder) -> usize {
    if dut.profile.login.is_none() || console_state(dut, dut.ascent()).await != ConsoleState::Alive {
        return 0;
    }
    let ssh = dut.facts().get("ssh-unit").map_or("ssh sshd", String::as_str);
    let wanted = [
        ("dmesg", "kernel log", "dmesg | tail -n 200".to_owned()),
        ("journal", "journal", "journalctl --no-pager -o short-monotonic -n 300".to_owned()),
        ("network", "network", "ip address; ip route".to_owned()),
        ("ssh", "state of SSH", format!("systemctl --no-pager --full status {ssh}")),
        ("sync", "last write", "sync && echo written".to_owned()),
    ];
    let by = dut.wait("logs over the console", OVER_CONSOLE);
    let mut saved = 0;
    for (name, role, line) in wanted {
        let cmd = Cmd { limit: MOST, ..Cmd::sh(line) };
        // One that does not come leaves the shell in the middle of something.
        let Ok(Ok(ran)) = dut.quietly_on_console(&cmd, &by).await else { break };
        saved += usize::from(folder.save(&format!("dut/console/{name}.txt"), role, &ran.out).is_ok());
    }
    saved
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
    let mut medium = Timed { medium: storage.open(&by).await?, waiting: dut.waiting.clone() };
    let by = dut.wait("evidence on the medium", OFF_MEDIUM).at_rig_pace();
    let (profile, folder, limit) = (dut.profile.clone(), folder.clone(), by.clone());
    let work = move || {
        let mut saved = 0;
        for place in profile.evidence.iter().take_while(|_| !limit.is_over()) {
            let Some((role, path)) = place.split_once(':') else { continue };
            let Some(label) = profile.partitions.get(role) else { continue };
            let which = Select::Label(label.clone());
            for (file, bytes) in files(&mut medium, &which, path) {
                let name = format!("dut/medium/{role}/{}", file.trim_start_matches('/'));
                saved += usize::from(folder.save(&name, "off the medium", &bytes).is_ok());
            }
        }
        saved
    };
    on_thread("evidence", &by, String::new, work).await
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
