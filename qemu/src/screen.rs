//! Pictures of the screen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use shakedown_core::{Capture, Deadline, Fault, Fut, InfraKind, Rig};

use crate::unit::Unit;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The screen of a machine.
pub(crate) struct Screen {
    unit: Arc<Unit>,
    count: AtomicU32,
}

impl Screen {
    pub(crate) fn new(unit: Arc<Unit>) -> Self {
        Self { unit, count: AtomicU32::new(0) }
    }
}

impl Capture for Screen {
    fn screenshot<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Vec<u8>>> {
        Box::pin(async move {
            let fault = || Fault::new(InfraKind::Tool, "qemu", "take a picture of", &self.unit.plan.name);
            let session = self.unit.session().ok_or_else(|| {
                Fault::new(InfraKind::Screen, "qemu", "take a picture of", &self.unit.plan.name)
                    .expected("a machine that is on", "it is off")
            })?;
            let name = format!("screen-{}.png", self.count.fetch_add(1, Ordering::Relaxed));
            let file = self.unit.folder.join(&name);
            let command = qapi::qmp::screendump {
                filename: name,
                device: None,
                head: None,
                format: Some(qapi::qmp::ImageFormat::png),
            };
            let taken = session.qmp.execute(command, by).await;
            taken.map_err(|error| error.fault("take a picture of", &self.unit.plan.name))?;
            let picture = std::fs::read(&file).map_err(|error| fault().because(&error))?;
            std::fs::remove_file(&file).map_err(|error| fault().because(&error))?;
            if !picture.starts_with(PNG) {
                return Err(fault().expected("a PNG", format!("{} bytes of something else", picture.len())));
            }
            Ok(picture)
        })
    }
}
