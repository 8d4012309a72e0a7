//! The nouns, traits and events that every other crate of shakedown shares.
//!
//! Nothing here parses YAML, opens a device, spawns a process or prints. What
//! blocks is a trait that somebody else implements; what takes time takes a
//! [`Deadline`]; what changes the world returns a proof.

pub mod board;
pub mod boot;
pub mod case;
pub mod console;
pub mod event;
pub mod fault;
pub mod ids;
pub mod image;
pub mod journal;
pub mod ledger;
pub mod line;
pub mod names;
pub mod netboot;
pub mod outcome;
pub mod probe;
pub mod procedure;
pub mod profile;
pub mod shell;
pub mod slot;
pub mod storage;
pub mod time;
pub mod tool;

pub use board::{Arch, Board, Flasher, Provision, Tegra, TegraWay, UsbBoot, VendorTool};
pub use boot::{BadSpec, BootFailure, BootReport, BootSpec, Seen, StageSpec, StageTime};
pub use case::{
    Case, CaseSpec, Cut, Dut, Edit, Effect, Evidence, Failure, KeyWord, LoginTry, Reboot, Resets, Sabotage,
};
pub use console::{Chunk, Closed, Console, ConsoleLog, ConsoleTx, Cursor, Hit, Mark, Matcher, Tap, WaitEnd};
pub use event::{Event, Measure, Sink};
pub use fault::{Fault, InfraKind, Rig};
pub use ids::{Capability, CaseId, Sha};
pub use image::ImageRef;
pub use journal::{Entry, JournalWriter};
pub use ledger::Ledger;
pub use line::{Fence, Guarded, Level, Limits, Line, NoFence, Proof, SeenBy};
pub use netboot::{
    BootFile, Came, Fetch, Loader, LoaderNet, NetFile, NetRoot, Netboot, Order, Prompt, Serving, Tftp,
};
pub use outcome::{Blame, ExitCode, Outcome};
pub use probe::{CoreReset, CoreState, Flashed, PostMortem, Probe, Program};
pub use procedure::{Act, Payload, Procedure, ProvStep, Redo, Shows};
pub use profile::OsProfile;
pub use shell::{Cmd, Exit, Ran, Shell, ShellError, Unreachable};
pub use slot::{
    Capture, NetPath, Network, ProcessState, Services, Shells, Slot, SshTarget, VitalSigns, Vitals,
};
pub use storage::{Attached, Extent, Medium, MediumId, Side, Source, Storage};
pub use time::{Clock, Deadline, Mono, Pace, PaceGauge, RealClock, Stop, Waited};
pub use tool::{OnPercent, RigTool, ToolJob, UsbDevice};

/// A boxed future, so that traits stay object safe.
pub type Fut<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
