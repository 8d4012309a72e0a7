//! `shakedown schema KIND`: the JSON Schema of a kind of document, for editors.

use shakedown_campaign::plan::PlanDoc;
use shakedown_core::ExitCode;
use shakedown_gate::policy::PolicyDoc;
use shakedown_suites::doc::{ModuleDoc, SelectionDoc};

use crate::compose::rig::RigDoc;

/// `shakedown schema`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The kind of document.
    kind: Kind,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// A rig file.
    Rig,
    /// A board of the catalogue.
    Board,
    /// A family of boards.
    Family,
    /// An OS profile.
    Os,
    /// A set of outside sources of boards' facts.
    Sources,
    /// A suite's module: its cases.
    Module,
    /// A selection of cases.
    Selection,
    /// A plan of a nightly.
    Plan,
    /// A policy of the gate.
    Policy,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let of_boards = |name: &str| {
        let found = shakedown_boards::schemas().into_iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| text).unwrap_or_default()
    };
    let text = match args.kind {
        Kind::Rig => shakedown_conf::schema_text::<RigDoc>(),
        Kind::Board => of_boards("board.json"),
        Kind::Family => of_boards("family.json"),
        Kind::Os => of_boards("os.json"),
        Kind::Sources => of_boards("sources.json"),
        Kind::Module => shakedown_conf::schema_text::<ModuleDoc>(),
        Kind::Selection => shakedown_conf::schema_text::<SelectionDoc>(),
        Kind::Plan => shakedown_conf::schema_text::<PlanDoc>(),
        Kind::Policy => shakedown_conf::schema_text::<PolicyDoc>(),
    };
    crate::say::to_out(format_args!("{text}"));
    ExitCode::Ok
}
