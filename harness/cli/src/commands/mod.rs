//! One file a subcommand.

mod bench;
mod bisect;
mod boards;
mod bringup;
mod campaigns;
mod drivers;
mod gate;
mod history;
mod image;
mod keep;
pub(crate) mod make_safe;
mod nightly;
mod provision;
mod replay;
pub(crate) mod report;
mod rigs;
pub mod run;
pub mod runs;
mod schema;
mod slot;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::CliResult;

const EXIT_CODES: &str = "Exit codes:
  0 done, and all passed            4 not enough evidence (gate)
  1 the OS failed                   5 nothing ran
  2 usage, descriptor or image      70 a bug in the harness
    refused                         130 interrupted
  3 infra or undetermined";

/// Hardware-in-the-loop testing for container operating systems.
#[derive(Parser, Debug)]
#[command(name = "shakedown", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// A folder with boards, OS profiles and suites of your own (repeatable); later ones win.
    #[arg(long = "path", global = true, value_name = "DIR", env = "SHAKEDOWN_PATH", value_delimiter = ':')]
    pub paths: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Flash, boot and test an image on one slot.
    Run(Box<run::Args>),
    /// Climb the ladder of a new board type, rung by rung, to a conformance report.
    Bringup(bringup::Args),
    /// Work through a plan: boards × images × suites over all slots of the rigs.
    Nightly(Box<nightly::Args>),
    /// Make a run's reports again, from its journal alone.
    Report(report::Args),
    /// May this image ship? By a policy, from signed journals.
    Gate(Box<gate::Args>),
    /// What all runs say together: rates, trends, differences.
    History(Box<history::Args>),
    /// The first bad image: a search over all slots of a board, also for flaky faults.
    Bisect(Box<bisect::Args>),
    /// Run folders: list them, remove old ones.
    Runs(runs::Args),
    /// Build or look into images.
    Image(image::Args),
    /// Bring an image onto the board in a slot, and boot it; or print the steps.
    Provision(provision::Args),
    /// Switch a slot off and on, and record its console until it is up or has failed.
    Record(slot::record::Args),
    /// Look at a recorded console as a boot of a board: its stages with their times, and how it ended.
    Replay(replay::Args),
    /// The catalogue of board types.
    Boards(boards::Args),
    /// Rig files: the slots that there are.
    Rigs(rigs::Args),
    /// Switch a slot's supply, or another output, and prove it.
    Power(slot::power::Args),
    /// Follow a slot's console and type on it; Ctrl-] leaves.
    Console(slot::console::Args),
    /// Write an image onto a slot's medium and prove it.
    Flash(slot::flash::Args),
    /// Log in to a slot's DUT, or run a command there, with the system's ssh.
    Ssh(slot::ssh::Args),
    /// Press a slot's button: on, a while, off.
    Press(slot::press::Args),
    /// Take a picture of a slot's screen, and tell how unlike another one it looks.
    Screen(slot::screen::Args),
    /// A microcontroller behind a debug probe: reset, halt, flash, look into it.
    Probe(slot::probe::Args),
    /// Hold a slot for a program, and make it safe however the program ends.
    Hold(slot::hold::Args),
    /// Keep a rig: own its slots for the commands, until it is stopped.
    Keep(keep::Args),
    /// Every driver, with its settings in words.
    Drivers,
    /// Put an output of a dead process into its safe state; for wardens.
    #[command(hide = true)]
    MakeSafe(make_safe::Args),
    /// One figure each, for `cargo xtask bench`.
    #[command(hide = true)]
    Bench(bench::Args),
    /// Print the JSON Schema of a kind of document.
    Schema(schema::Args),
}

impl Cli {
    /// The arguments of `run`, if that is the command.
    pub fn run_args(&self) -> Option<&run::Args> {
        match &self.command {
            Command::Run(args) => Some(args),
            _ => None,
        }
    }
}

/// Runs a parsed command line.
pub fn run(cli: Cli) -> CliResult {
    match cli.command {
        Command::Run(args) => run::run(&cli.paths, &args),
        Command::Bringup(args) => bringup::run(&cli.paths, &args),
        Command::Nightly(args) => nightly::run(&cli.paths, &args),
        Command::Bisect(args) => bisect::run(&cli.paths, &args),
        Command::Runs(args) => runs::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Gate(args) => gate::run(&cli.paths, &args),
        Command::History(args) => history::run(&cli.paths, &args),
        Command::Image(args) => image::run(args),
        Command::Provision(args) => provision::run(&cli.paths, &args),
        Command::Record(args) => slot::record::run(&cli.paths, &args),
        Command::Replay(args) => replay::run(&cli.paths, &args),
        Command::Boards(args) => boards::run(&cli.paths, &args),
        Command::Rigs(args) => rigs::run(&cli.paths, &args),
        Command::Power(args) => slot::power::run(&cli.paths, &args),
        Command::Console(args) => slot::console::run(&cli.paths, &args),
        Command::Flash(args) => slot::flash::run(&cli.paths, &args),
        Command::Ssh(args) => slot::ssh::run(&cli.paths, &args),
        Command::Press(args) => slot::press::run(&cli.paths, &args),
        Command::Screen(args) => slot::screen::run(&cli.paths, &args),
        Command::Probe(args) => slot::probe::run(&cli.paths, &args),
        Command::Hold(args) => slot::hold::run(&cli.paths, &args),
        Command::Keep(args) => keep::run(&cli.paths, &args),
        Command::Drivers => Ok(drivers::run()),
        Command::MakeSafe(args) => make_safe::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Schema(args) => Ok(schema::run(&args)),
    }
}
