//! The values behind `{fact}` placeholders.
//!
//! Looked up in this order: what the runner knows of the run ([`Dut::facts`]),
//! what follows from the OS profile's typed fields, and, for the NTP server, the
//! rig itself, which starts one when it is first asked.

use shakedown_core::{Cut, Deadline, Dut, OsProfile};

use crate::template::Values;

/// Facts whose value the rig gives when a case first needs it.
pub const OFFERED: [&str; 3] = ["ntp", "ntp-host", "ntp-port"];

/// Facts that the runner has in every run.
pub const RUN: [&str; 6] = ["board", "arch", "hostname", "uuid", "public-key", "cold-boots"];

/// A fact of the run, and the configuration key that brings it to the DUT.
pub(crate) const HOSTNAME: &str = "hostname";

/// Whether a profile has a value for this fact, now or when the rig is asked.
pub fn known(profile: &OsProfile, name: &str) -> bool {
    if name == HOSTNAME {
        // True of the DUT only where the image took it.
        return profile.config_key(HOSTNAME).is_some();
    }
    OFFERED.contains(&name) || RUN.contains(&name) || profile.all_facts().contains_key(name)
}

/// The values of all facts that are known without asking the rig.
pub fn at_hand(dut: &dyn Dut) -> Values {
    let mut values = dut.profile().all_facts();
    values.insert("board".to_owned(), dut.board().slug.clone());
    values.extend(dut.facts().clone());
    values
}

/// The values of these facts. A fact without a value is a defect of the case or of the plan.
pub async fn resolve(dut: &dyn Dut, names: Vec<String>, by: &Deadline) -> Result<Values, Cut> {
    let mut values = at_hand(dut);
    for name in names {
        if values.contains_key(&name) {
            continue;
        }
        if OFFERED.contains(&name.as_str()) {
            let server = dut.ntp(by).await?;
            values.insert("ntp".to_owned(), server.to_string());
            values.insert("ntp-host".to_owned(), server.ip().to_string());
            values.insert("ntp-port".to_owned(), server.port().to_string());
        } else {
            return Err(Cut::Broken(format!("the OS profile `{}` names no fact `{name}`", dut.profile().id)));
        }
    }
    Ok(values)
}
