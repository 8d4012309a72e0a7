//! Whether a slot is fit for a run, asked of its hardware: after the rig broke, before it is used again.

use std::time::Duration;

use shakedown_core::{Clock, Deadline, Fault, InfraKind, Pace, RealClock, Rig, Side, Slot};
use tokio_util::sync::CancellationToken;

use crate::thread::on_thread;

/// A mux settles within 5 s; a person at a bench supply needs longer.
const LOOK: Duration = Duration::from_secs(120);

/// Switches the DUT off with its proof, leaves the other outputs safe, takes the medium to the host's
/// side and reads its beginning. What was seen, or what is wrong.
pub async fn health(slot: &Slot, cancel: &CancellationToken) -> Rig<Vec<String>> {
    let clock =
        slot.log().map_or_else(|| RealClock::start() as std::sync::Arc<dyn Clock>, |log| log.clock().clone());
    let wait = |name: &str| Deadline::new(name, LOOK, Pace::Rig, clock.clone(), cancel.clone());
    let mut seen = Vec::new();
    if let Some(host) = slot.vitals.look().host {
        return Err(Fault::new(InfraKind::Host, "health", "use", "the rig host")
            .expected("a host that is well", host));
    }
    if slot.console().is_none() {
        let fault = Fault::new(InfraKind::Config, "health", "find the console of", &slot.id);
        return Err(fault.expected("a console named `main`", "none"));
    }
    match &slot.power {
        Some(power) => seen.push(power.set(false, &wait("power off")).await?.to_string()),
        None => seen.push("the slot has no power output".to_owned()),
    }
    for output in slot.outputs.values() {
        let made = output.make_safe(&wait("safe state")).await?;
        seen.extend(made.map(|proof| proof.to_string()));
    }
    if let Some(storage) = slot.media.get("main") {
        let by = wait("the medium on the host's side");
        if storage.side(&by).await? != Side::Host {
            let side = storage.switch(Side::Host, &by).await?;
            if side != Side::Host {
                let fault = Fault::new(InfraKind::Storage, storage.driver(), "switch", storage.endpoint());
                return Err(fault.expected("the host's side", format!("{side:?}")));
            }
        }
        let mut medium = storage.open(&by).await?;
        let (size, path) = (medium.len(), medium.identity().path.clone());
        let read = move || medium.read_at(0, &mut [0; 4096]);
        let read = on_thread("health", &wait("the medium's beginning"), String::new, read).await?;
        read.map_err(|error| {
            Fault::new(InfraKind::Medium, storage.driver(), "read", storage.endpoint()).because(&error)
        })?;
        seen.push(format!("read the beginning of {path}, {} MiB", size >> 20));
    }
    Ok(seen)
}
