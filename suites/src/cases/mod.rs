//! Cases with a plot, one file each. Their heads (title, needs, effect, sabotage, cleanup)
//! stand in the suite files beside the others, with `plot: name`.

mod cold_boots;
mod console_login;
mod console_rate;
mod disk_full;
mod engine_frozen;
mod engine_tcp;
mod hardware_survey;
mod host;
mod hung_system;
mod journal;
mod purge;
mod safe_reboot;
mod ssh_logins;
mod synced_data;
mod time_jump;
mod update;
mod update_commits;
mod update_refused;
mod update_rolls_back;

use std::fmt;

use shakedown_core::{Cut, Deadline, Dut, Fut};

/// The check of a case that is written in Rust.
pub struct Plot {
    /// As `plot:` names it.
    pub name: &'static str,
    /// Facts that it uses.
    pub facts: &'static [&'static str],
    /// Keys of the configuration document that it edits, by meaning.
    pub config_keys: &'static [&'static str],
    /// The check.
    pub run: for<'a> fn(&'a dyn Dut, &'a Deadline) -> Fut<'a, Result<(), Cut>>,
}

impl fmt::Debug for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plot({})", self.name)
    }
}

/// All plots.
pub static PLOTS: &[Plot] = &[
    cold_boots::PLOT,
    console_login::PLOT,
    console_rate::PLOT,
    disk_full::PLOT,
    engine_frozen::PLOT,
    engine_tcp::AS_CONFIGURED,
    engine_tcp::SWITCHED,
    hardware_survey::PLOT,
    hung_system::PLOT,
    journal::PLOT,
    purge::PLOT,
    safe_reboot::PLOT,
    ssh_logins::PASSWORDS,
    ssh_logins::UNKNOWN_KEYS,
    synced_data::PLOT,
    time_jump::PLOT,
    update_commits::PLOT,
    update_refused::GARBAGE,
    update_refused::TRUNCATED,
    update_refused::BIT_FLIPPED,
    update_refused::ANOTHER_BOARD,
    update_rolls_back::BY_BOOT_LOADER,
    update_rolls_back::BY_HEALTH_CHECK,
];
