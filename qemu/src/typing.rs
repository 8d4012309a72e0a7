//! Typing on the console of whichever QEMU runs now.

use std::sync::Arc;

use shakedown_core::{ConsoleTx, Deadline, Fault, Fut, InfraKind, Mark, Rig};

use crate::session::Session;
use crate::unit::Unit;

/// The keyboard of the main console.
pub(crate) struct Keys {
    unit: Arc<Unit>,
    turn: tokio::sync::Mutex<()>,
}

impl Keys {
    pub(crate) fn new(unit: Arc<Unit>) -> Self {
        Self { unit, turn: tokio::sync::Mutex::default() }
    }

    fn session(&self) -> Rig<Arc<Session>> {
        self.unit.session().ok_or_else(|| {
            Fault::new(InfraKind::Console, "qemu", "type on the console of", &self.unit.plan.name)
                .expected("a machine that is on", "it is off")
        })
    }

    async fn type_in(&self, session: &Session, bytes: &[u8], by: &Deadline) -> Rig<()> {
        self.unit.log.mark(&Mark::Sent(bytes.to_vec()));
        session.console.send(bytes, by).await
    }
}

impl ConsoleTx for Keys {
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.type_in(&*self.session()?, bytes, by).await
        })
    }

    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let session = self.session()?;
            let sent = session.qmp.execute(qapi::qmp::chardev_send_break { id: "console".into() }, by).await;
            sent.map_err(|error| Fault {
                kind: InfraKind::Console,
                ..error.fault("send a break to", &self.unit.plan.name)
            })?;
            self.type_in(&session, &[key], by).await
        })
    }
}
