//! Why a build ended without an image.

use std::path::PathBuf;

use shakedown_core::Fault;

/// A build that ended without an image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Programs of the distribution are missing.
    #[error(
        "cannot build the reference OS: missing {}; install: apt-get install --no-install-recommends {}",
        programs.join(", "), packages.join(" ")
    )]
    Missing {
        /// The programs that were not found.
        programs: Vec<String>,
        /// The packages that bring them.
        packages: Vec<String>,
    },
    /// The host's apt is not configured with a Debian mirror.
    #[error(
        "expected a Debian mirror with component main in the host's apt sources, got {got}; \
         add one to /etc/apt/sources.list and run: apt-get update"
    )]
    NoMirror {
        /// What was found instead.
        got: String,
    },
    /// apt printed something that is not a package list.
    #[error("expected `'URI' FILE SIZE SHA256:HASH` from apt-get, got {line:?}")]
    Manifest {
        /// The line in question.
        line: String,
    },
    /// A downloaded package is not the one of the manifest.
    #[error("package {file}: expected SHA-256 {expected}, got {got}; delete it and build again")]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// From the signed package list.
        expected: String,
        /// Of the file.
        got: String,
    },
    /// The version or the kernel arguments cannot stand in the files they go into.
    #[error("{what} {got:?} is not usable: expected only {allowed}")]
    Request {
        /// Which part of the request.
        what: &'static str,
        /// What it was.
        got: String,
        /// What it may consist of.
        allowed: &'static str,
    },
    /// GRUB's boot code does not fit where the BIOS looks for it.
    #[error("GRUB's core image: expected at most {most} sectors, got {got}")]
    BootCode {
        /// Room between the partition table and the first file system.
        most: usize,
        /// What it needs.
        got: usize,
    },
    /// A program failed.
    #[error("{step}: {fault}")]
    Step {
        /// The step it happened in.
        step: String,
        /// What failed.
        fault: Box<Fault>,
    },
    /// A file could not be read or written.
    #[error("cannot {op} {}: {error}", path.display())]
    File {
        /// The operation as a verb.
        op: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl BuildError {
    pub(crate) fn file(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { op, path, error }
    }

    pub(crate) fn step(step: &str) -> impl FnOnce(Fault) -> Self {
        let step = step.to_owned();
        move |fault| Self::Step { step, fault: Box::new(fault) }
    }
}
