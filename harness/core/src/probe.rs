//! Debug probes: what reaches into a core from outside, past any OS.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::Fut;
use crate::fault::Rig;
use crate::time::Deadline;
use crate::tool::OnPercent;

/// One core behind a debug probe.
pub trait Probe: Send + Sync {
    /// The driver's name, for faults and reports.
    fn driver(&self) -> &'static str;
    /// Which probe and which chip.
    fn endpoint(&self) -> String;
    /// What the core does now; it is not disturbed.
    fn state<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>>;
    /// Halts the core; the state that was read back. It stays halted when the probe is let go.
    fn halt<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>>;
    /// Lets a halted core go on; the state that was read back.
    fn resume<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<CoreState>>;
    /// Resets the chip, proves it at the core's first instruction, and lets the core go on from there
    /// unless it is to stay.
    fn reset<'a>(&'a self, stay: bool, by: &'a Deadline) -> Fut<'a, Rig<CoreReset>>;
    /// Writes a program into the chip's flash, reads it back, compares, and resets the chip into it.
    fn flash<'a>(&'a self, program: Program, far: OnPercent, by: &'a Deadline) -> Fut<'a, Rig<Flashed>>;
    /// What the core was doing. One that ran is halted for it and goes on afterwards.
    fn post_mortem<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<PostMortem>>;
}

/// What a core does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// It runs.
    Running,
    /// It waits for an interrupt.
    Sleeping,
    /// It stands.
    Halted {
        /// At this instruction, which has not been executed.
        pc: u64,
        /// Why, by the core's own word.
        why: String,
    },
    /// It gave up: an error in the handler of an error.
    LockedUp,
}

impl fmt::Display for CoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Sleeping => f.write_str("sleeping"),
            Self::Halted { pc, why } => write!(f, "halted at {pc:#010x} ({why})"),
            Self::LockedUp => f.write_str("locked up"),
        }
    }
}

/// That a chip was reset, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreReset {
    /// Where the core was caught as it left the reset: at the instruction that its vector table names.
    pub pc: u64,
    /// What it does now.
    pub now: CoreState,
}

impl fmt::Display for CoreReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reset: caught at its first instruction, {:#010x}, as the vector table says", self.pc)?;
        write!(f, "; now {}", self.now)
    }
}

/// A program for a chip's flash: ELF, Intel HEX, or bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub file: PathBuf,
    /// Where bytes as they are belong; `None` for the start of the flash. ELF and HEX say it themselves.
    pub at: Option<u64>,
}

/// What was written, read back and found equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flashed {
    /// Address and length of each piece.
    pub pieces: Vec<(u64, u64)>,
    /// How long erasing and writing took, and how long reading back.
    pub took: (Duration, Duration),
    /// The reset into it.
    pub reset: CoreReset,
}

impl fmt::Display for Flashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.pieces.iter().map(|(_, len)| len).sum();
        let pieces = self.pieces.iter().map(|(at, len)| format!("{at:#010x}..{:#010x}", at + len));
        let pieces = pieces.collect::<Vec<_>>().join(", ");
        let (wrote, read) = (self.took.0.as_secs_f64(), self.took.1.as_secs_f64());
        write!(f, "{bytes} bytes at {pieces}: written ({wrote:.1} s), read back, equal ({read:.1} s)")
    }
}

/// What a core was doing when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostMortem {
    /// Which chip, behind which probe.
    pub of: String,
    /// Before anything was done to it.
    pub before: CoreState,
    /// Afterwards, read back.
    pub after: CoreState,
    /// The exception that the core handles, by its number and name; `None` in no handler.
    pub exception: Option<String>,
    /// Registers by name, in the core's order; what could not be read says why.
    pub registers: Vec<(String, Result<u64, String>)>,
    /// Fault status by the register's name, with what its bits mean; empty where the core has none.
    pub faults: Vec<(String, u64, String)>,
    /// From the stack pointer upwards: the address of the first word, and the words. Or why not.
    pub stack: Result<(u64, Vec<u32>), String>,
}

impl fmt::Display for PostMortem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.of)?;
        writeln!(f, "was: {}", self.before)?;
        writeln!(f, "now: {}", self.after)?;
        writeln!(f, "exception: {}", self.exception.as_deref().unwrap_or("none"))?;
        writeln!(f, "\nregisters")?;
        for (name, value) in &self.registers {
            match value {
                Ok(value) => writeln!(f, "  {name:<8} {value:#010x}")?,
                Err(why) => writeln!(f, "  {name:<8} not read: {why}")?,
            }
        }
        writeln!(f, "\nfault status")?;
        if self.faults.is_empty() {
            writeln!(f, "  this core has no such registers")?;
        }
        for (name, value, means) in &self.faults {
            writeln!(f, "  {name:<8} {value:#010x} {means}")?;
        }
        match &self.stack {
            Ok((at, words)) => {
                writeln!(f, "\nstack, from its pointer upwards")?;
                for (index, line) in words.chunks(4).enumerate() {
                    let mut text = String::new();
                    for word in line {
                        write!(text, " {word:08x}")?;
                    }
                    writeln!(f, "  {:#010x}:{text}", at + 16 * index as u64)?;
                }
                Ok(())
            }
            Err(why) => writeln!(f, "\nstack not read: {why}"),
        }
    }
}
