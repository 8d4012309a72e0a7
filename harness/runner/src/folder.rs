//! The run's folder: every file in it is announced in the journal with its hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shakedown_core::{Event, Fault, InfraKind, Rig, Sha, Sink};

/// `<out>/<run-id>/`.
#[derive(Clone)]
pub struct RunFolder {
    path: PathBuf,
    sink: Arc<dyn Sink>,
}

impl RunFolder {
    /// A folder that exists.
    pub fn new(path: PathBuf, sink: Arc<dyn Sink>) -> Self {
        Self { path, sink }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and announces it. A failure is announced as trouble too.
    pub fn save(&self, name: &str, role: &str, bytes: &[u8]) -> Rig<()> {
        let path = self.path.join(name);
        let write = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, bytes)
        };
        write().map_err(|error| self.trouble(name, &error))?;
        self.sink.emit(Event::Saved {
            path: name.to_owned(),
            role: role.to_owned(),
            size: bytes.len() as u64,
            sha256: Sha::of(bytes),
        });
        Ok(())
    }

    /// Announces a file that somebody else wrote (a console recorder).
    pub fn announce(&self, name: &str, role: &str) -> Rig<()> {
        let bytes = fs::read(self.path.join(name)).map_err(|error| self.trouble(name, &error))?;
        let (size, sha256) = (bytes.len() as u64, Sha::of(&bytes));
        self.sink.emit(Event::Saved { path: name.to_owned(), role: role.to_owned(), size, sha256 });
        Ok(())
    }

    fn trouble(&self, name: &str, error: &std::io::Error) -> Fault {
        let fault =
            Fault::new(InfraKind::Host, "run folder", "write", self.path.join(name).display().to_string())
                .because(error)
                .hint("free space in the output folder, or name another with --out");
        self.sink.emit(Event::Trouble(fault.clone()));
        fault
    }
}
