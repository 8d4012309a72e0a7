//! An output that the warden puts into its safe state when this process dies in any way.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Deadline, Fut, Level, Line, Rig, SeenBy};
use shakedown_host::warden::{self, Registration};

/// A program starts, opens the hardware, switches and reads back.
const WITHIN: Duration = Duration::from_secs(20);

/// The line, watched over while it lives. `argv` is the program that makes it safe.
pub(crate) fn warded(line: Arc<dyn Line>, name: &str, argv: &[String]) -> Rig<Arc<dyn Line>> {
    let registered = warden::start()?.safe_state(name, argv, WITHIN)?;
    Ok(Arc::new(Warded { line, _registered: registered }))
}

struct Warded {
    line: Arc<dyn Line>,
    // After the line: until it is closed, it is watched over.
    _registered: Registration,
}

impl Line for Warded {
    fn driver(&self) -> &'static str {
        self.line.driver()
    }

    fn endpoint(&self) -> String {
        self.line.endpoint()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.line.set(on, by)
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        self.line.read(by)
    }

    fn when_dropped(&self) -> Level {
        self.line.when_dropped()
    }

    fn seen_by(&self, level: Level) -> SeenBy {
        self.line.seen_by(level)
    }
}
