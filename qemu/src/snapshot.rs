//! A booted machine on disk: its state, and its disks at that moment.
//!
//! A restored machine goes on where the first was stopped, on copies of its own of all disks.
//! Its clock goes on there too: whoever restores sets the guest's clock before it relies on
//! time (certificates, chrony, timers). Connections of that moment are dead.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shakedown_core::{Deadline, Fault, InfraKind, Rig, Sha, Slot};
use shakedown_host::dirs;
use tokio::task::JoinHandle;

use crate::MachineDoc;
use crate::args::{Start, files};
use crate::open::{Handle, SlotRequest, prepare, slot};
use crate::qmp::{Qmp, QmpError};
use crate::session::Session;
use crate::sparse::copy;
use crate::tokens::Tokens;
use crate::unit::Unit;

const STATE: &str = "state";
const POLL: Duration = Duration::from_millis(10);

/// A machine that was booted and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    folder: PathBuf,
}

/// `migrate-set-parameters` with the one parameter that we set; its default would cap the speed.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FullSpeed {
    max_bandwidth: u64,
}

impl qapi::Command for FullSpeed {
    type Ok = qapi::Empty;
    const NAME: &'static str = "migrate-set-parameters";
    const ALLOW_OOB: bool = false;
}

impl Snapshot {
    /// The snapshot in this folder, when it is complete.
    pub fn at(folder: &Path) -> Option<Self> {
        folder.join(STATE).is_file().then(|| Self { folder: folder.to_owned() })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Handle {
    /// What a snapshot of this machine depends on: the image that was written, QEMU and its arguments.
    pub fn snapshot_key(&self, payload: &Sha) -> Sha {
        let mut plan = self.0.plan.clone();
        // Where it runs and for whom makes no difference.
        plan.name = "snapshot".into();
        plan.disk = "main.img".into();
        plan.extra.iter_mut().for_each(|(name, file)| *file = format!("{name}.img").into());
        let mut text = format!("{payload} {} ", plan.version).into_bytes();
        for word in plan.args().words() {
            text.extend_from_slice(word.as_encoded_bytes());
            text.push(0);
        }
        Sha::of(&text)
    }

    /// Saves the running machine into this folder, which must not exist yet, and lets it go on.
    pub async fn snapshot(&self, folder: &Path, by: &Deadline) -> Rig<Snapshot> {
        let unit = &self.0;
        let session =
            unit.session().ok_or_else(|| fault(unit).expected("a machine that is on", "it is off"))?;
        let fresh = folder.with_extension(format!("new-{}", std::process::id()));
        let io = |error: std::io::Error| fault(unit).because(&error);
        std::fs::create_dir_all(&fresh).map_err(io)?;
        let saved = save(unit, &session, &fresh, by).await;
        // The machine goes on whatever came of it.
        let resumed = session.resume(&unit.plan.name, by).await;
        match saved.and(resumed) {
            Ok(()) => {
                std::fs::rename(&fresh, folder).map_err(io)?;
                Ok(Snapshot { folder: folder.to_owned() })
            }
            Err(fault) => {
                // What is left of it is named by our process id and is in nobody's way.
                let _ = std::fs::remove_dir_all(&fresh);
                Err(fault)
            }
        }
    }
}

/// Opens a slot whose machine runs already, restored from a snapshot.
/// Set the guest's clock before anything in it relies on time.
pub async fn open_restored(
    doc: &MachineDoc,
    request: SlotRequest,
    snapshot: &Snapshot,
    by: &Deadline,
) -> Rig<(Slot, Handle)> {
    let tokens = Tokens::of_host(&dirs::runtime()?)?;
    let (plan, parts) = prepare(doc, &request, &tokens, by).await?;
    let (from, to) = (snapshot.folder.clone(), parts.folder.clone());
    blocking(by, move || copy_disks(&from, &to)).await?;
    let unit = Unit::new(plan, parts);
    let session = unit.start(Start::Restored, by).await?;
    load(&unit, &session, snapshot, by).await?;
    session.resume(&unit.plan.name, by).await?;
    Ok((slot(&unit, &request), Handle(unit)))
}

fn fault(unit: &Unit) -> Fault {
    Fault::new(InfraKind::Tool, "qemu", "snapshot", &unit.plan.name)
}

async fn save(unit: &Arc<Unit>, session: &Session, fresh: &Path, by: &Deadline) -> Rig<()> {
    let qmp = |error: QmpError| error.fault("snapshot", &unit.plan.name);
    let io = |error: std::io::Error| fault(unit).because(&error);
    session.qmp.execute(qapi::qmp::stop {}, by).await.map_err(qmp)?;
    let short = File::open(&unit.folder).map_err(io)?;
    // The address of a unix socket has room for 107 bytes only.
    let address = format!("/proc/self/fd/{}/{}", short.as_raw_fd(), files::OUTGOING);
    let _ = std::fs::remove_file(&address);
    let listener = UnixListener::bind(&address).map_err(io)?;
    let mut state = File::create(fresh.join(STATE)).map_err(io)?;
    let receiver: JoinHandle<std::io::Result<u64>> = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept()?;
        std::io::copy(&mut stream, &mut state)
    });
    let sent = send_out(&session.qmp, by).await.map_err(qmp);
    if sent.is_err() {
        // Nobody else will: the thread must not wait for ever.
        drop(UnixStream::connect(&address));
    }
    sent?;
    let received = by
        .run(|| "QEMU has sent its state".into(), receiver)
        .await
        .map_err(|stop| fault(unit).stopped(stop))?;
    received.map_err(|error| fault(unit).because(&error))?.map_err(io)?;
    finished(unit, &session.qmp, by).await?;
    let (from, to) = (unit.folder.clone(), fresh.to_owned());
    blocking(by, move || copy_disks(&from, &to)).await
}

async fn send_out(qmp: &Qmp, by: &Deadline) -> Result<(), QmpError> {
    qmp.execute(FullSpeed { max_bandwidth: 1 << 40 }, by).await?;
    let uri = Some(format!("unix:{}", files::OUTGOING));
    qmp.execute(qapi::qmp::migrate { channels: None, detach: None, resume: None, uri }, by).await?;
    Ok(())
}

async fn load(unit: &Arc<Unit>, session: &Session, snapshot: &Snapshot, by: &Deadline) -> Rig<()> {
    let qmp = |error: QmpError| error.fault("restore", &unit.plan.name);
    let io = |error: std::io::Error| fault(unit).because(&error);
    let uri = Some(format!("unix:{}", files::INCOMING));
    let command = qapi::qmp::migrate_incoming { channels: None, exit_on_error: None, uri };
    session.qmp.execute(command, by).await.map_err(qmp)?;
    let short = File::open(&unit.folder).map_err(io)?;
    let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{}", short.as_raw_fd(), files::INCOMING))
        .map_err(io)?;
    let mut state = File::open(snapshot.folder.join(STATE)).map_err(io)?;
    blocking(by, move || {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = state.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..count])?;
        }
    })
    .await?;
    finished(unit, &session.qmp, by).await
}

/// Waits until QEMU says that the state is over.
async fn finished(unit: &Unit, qmp: &Qmp, by: &Deadline) -> Rig<()> {
    use qapi::qmp::MigrationStatus::{cancelled, completed, failed};
    loop {
        let info = qmp.execute(qapi::qmp::query_migrate {}, by).await;
        let info = info.map_err(|error| error.fault("snapshot", &unit.plan.name))?;
        match info.status {
            Some(completed) => return Ok(()),
            Some(failed | cancelled) => {
                let why = info.error_desc.unwrap_or_else(|| "QEMU does not say why".into());
                return Err(fault(unit).expected("the whole state", why));
            }
            other => {
                by.pause(POLL, || format!("{other:?}")).await.map_err(|stop| fault(unit).stopped(stop))?;
            }
        }
    }
}

/// Disks and firmware variables.
fn copy_disks(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        let wanted = Path::new(&name).extension().is_some_and(|end| end == "img") || name == files::VARS;
        if wanted {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

async fn blocking(by: &Deadline, work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Rig<()> {
    let fault = || Fault::new(InfraKind::Host, "qemu", "copy", "a snapshot");
    let done = by.run(String::new, tokio::task::spawn_blocking(work)).await;
    let done = done.map_err(|stop| fault().stopped(stop))?;
    done.map_err(|error| fault().because(&error))?.map_err(|error| fault().because(&error))
}
