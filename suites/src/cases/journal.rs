//! What a device logged before it rebooted is what tells why it did.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Reboot};

use super::Plot;
use super::host::Host;
use crate::step::edit_config;

const FACTS: &[&str] = &["uuid"];
const KEY: &str = "persistent-journal";
const ON_MEDIUM: &str = "journalctl --header --boot --no-pager | grep -q '^File path: /var/log/journal/'";

pub(super) const PLOT: Plot = Plot {
    name: "journal-survives",
    facts: FACTS,
    config_keys: &[KEY],
    run: |dut, by| Box::pin(run(dut, by)),
};

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let edit = by.child("the edit of the configuration", Duration::from_secs(30));
    edit_config(dut, KEY, Some("true"), &edit).await?;
    if !host.ask(ON_MEDIUM, by).await?.exit.is_ok() {
        dut.reboot(Reboot::Clean, by).await?;
    }
    host.must("with persistent logging the journal is not on the medium", ON_MEDIUM, by).await?;
    let boot = host.boot_id(by).await?.replace('-', "");
    let boots = count(&host, by).await?;
    let mark = format!("shakedown-mark-{boot}");
    host.must(
        "the journal takes no message",
        &format!("echo {mark} | systemd-cat -t shakedown && journalctl --sync"),
        by,
    )
    .await?;
    dut.reboot(Reboot::Clean, by).await?;
    let found = host
        .ask(&format!("journalctl --no-pager --output cat --identifier shakedown _BOOT_ID={boot}"), by)
        .await?;
    if found.text() != mark {
        let what = "the journal of the boot before is lost";
        return Err(Failure::new(what, format!("`{mark}`"), crate::expect::printed(&found)).into());
    }
    let now = count(&host, by).await?;
    if now <= boots {
        let what = "the journal does not list one boot more";
        return Err(Failure::new(what, format!("{} boots", boots + 1), now.to_string()).into());
    }
    Ok(())
}

async fn count(host: &Host<'_>, by: &Deadline) -> Result<usize, Cut> {
    let list =
        host.must("the journal does not list its boots", "journalctl --list-boots --no-pager", by).await?;
    Ok(list.lines().filter(|line| !line.trim().is_empty()).count())
}
