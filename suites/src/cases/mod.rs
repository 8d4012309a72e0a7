//! Cases with a plot, one file each. Their heads (title, needs, effect, sabotage, cleanup)
//! stand in the suite files beside the others, with `plot: name`.

mod host;

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
pub static PLOTS: &[Plot] = &[];
