//! The engine's API gives root to whoever reaches it: on TCP only in development mode.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Reboot};

use super::Plot;
use super::host::Host;
use crate::step::edit_config;

const FACTS: &[&str] = &["config", "engine-tcp-port"];
const KEY: &str = "development-mode";

pub(super) const AS_CONFIGURED: Plot =
    Plot { name: "engine-tcp", facts: FACTS, config_keys: &[KEY], run: |dut, by| Box::pin(once(dut, by)) };
pub(super) const SWITCHED: Plot = Plot {
    name: "engine-tcp-switched",
    facts: FACTS,
    config_keys: &[KEY],
    run: |dut, by| Box::pin(switched(dut, by)),
};

async fn once(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let development = mode(&host, by).await?;
    compare(&host, development, by).await
}

async fn switched(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let before = mode(&host, by).await?;
    set(dut, !before, by).await?;
    let other_way = compare(&host, !before, by).await;
    // Back first: without development mode the console has no login for the evidence.
    set(dut, before, by).await?;
    other_way?;
    compare(&host, before, by).await
}

async fn set(dut: &dyn Dut, development: bool, by: &Deadline) -> Result<(), Cut> {
    let edit = by.child("the edit of the configuration", Duration::from_secs(30));
    edit_config(dut, KEY, Some(&development.to_string()), &edit).await?;
    dut.reboot(Reboot::Clean, by).await?;
    Ok(())
}

/// What the configuration document asks for.
async fn mode(host: &Host<'_>, by: &Deadline) -> Result<bool, Cut> {
    let dotted = host.dut.profile().config_key(KEY).unwrap_or_default().to_owned();
    let path: Vec<_> = dotted.split('.').map(|part| format!("\"{part}\"")).collect();
    let line = format!("jq '(getpath([{}]) // false) == true' {{config}}", path.join(","));
    Ok(host.must("the configuration document cannot be read", &line, by).await? == "true")
}

/// From outside, and from inside: a port that a firewall hides is not a port that is closed.
async fn compare(host: &Host<'_>, development: bool, by: &Deadline) -> Result<(), Cut> {
    let told = host.fact("engine-tcp-port")?;
    let port: u16 = told.parse().map_err(|_| Cut::Broken(format!("`{told}` is no TCP port")))?;
    let listener = host
        .must("listening ports are not told", "ss -Hltn 'sport = :{engine-tcp-port}' | head -n 1", by)
        .await?;
    let probe = by.child("the engine's TCP port", Duration::from_secs(15));
    let outside = host.dut.port_open(port, &probe).await?;
    let inside = !listener.is_empty();
    if outside == development && inside == development {
        return Ok(());
    }
    let what = "the engine's TCP port does not follow development mode";
    let say = |open: bool| if open { "open" } else { "closed" };
    let mode = if development { "in" } else { "without" };
    let expected = format!("port {port} {} {mode} development mode", say(development));
    let got = format!("{} from outside, {} from inside", say(outside), say(inside));
    Err(Failure::new(what, expected, got).into())
}
