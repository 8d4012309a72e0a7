//! The outputs of a machine: its power is its process; its reset is QEMU's.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use crate::unit::Unit;

/// The process: on while it runs.
pub(crate) struct Power(pub(crate) Arc<Unit>);

impl Line for Power {
    fn driver(&self) -> &'static str {
        "qemu"
    }

    fn endpoint(&self) -> String {
        self.0.plan.name.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move { if on { self.0.switch_on(by).await } else { self.0.switch_off(by).await } })
    }

    fn read<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let plan = &self.0.plan;
            let mut files = std::iter::once(&plan.disk).chain(plan.extra.iter().map(|(_, file)| file));
            Ok(Level::from(self.0.runs()? || files.any(|file| in_use(file))))
        })
    }

    fn when_dropped(&self) -> Level {
        Level::Off
    }
}

/// Whether any process, ours or not, has the disk as a machine's disk: QEMU locks its images,
/// and the kernel tells all locks. A file system that numbers its files otherwise hides it.
pub(crate) fn in_use(disk: &Path) -> bool {
    let (Ok(meta), Ok(locks)) = (std::fs::metadata(disk), std::fs::read_to_string("/proc/locks")) else {
        return false;
    };
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    locks.lines().any(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        fields.get(1) == Some(&"OFDLCK") && fields.contains(&file.as_str())
    })
}

/// The reset button: held, the machine stands still at its reset vector; released, it starts over.
pub(crate) struct Reset(pub(crate) Arc<Unit>);

impl Line for Reset {
    fn driver(&self) -> &'static str {
        "qemu"
    }

    fn endpoint(&self) -> String {
        format!("{} reset", self.0.plan.name)
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let name = self.endpoint();
            let Some(session) = self.0.session() else {
                return Err(Fault::new(InfraKind::Power, "qemu", "press", name)
                    .expected("a machine that is on", "it is off"));
            };
            if !on {
                return session.resume(&self.0.plan.name, by).await;
            }
            let fault = |error: crate::qmp::QmpError| error.fault("press", &name);
            let since = session.qmp.here();
            session.qmp.execute(qapi::qmp::stop {}, by).await.map_err(fault)?;
            session.qmp.execute(qapi::qmp::system_reset {}, by).await.map_err(fault)?;
            session.qmp.event("RESET", since, by).await.map_err(fault)?;
            Ok(())
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let Some(session) = self.0.session() else { return Ok(Level::Off) };
            let status = session.qmp.execute(qapi::qmp::query_status {}, by).await;
            let status = status.map_err(|error| error.fault("read", &self.endpoint()))?;
            Ok(Level::from(!status.running))
        })
    }

    fn when_dropped(&self) -> Level {
        Level::Off
    }
}
