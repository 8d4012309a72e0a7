//! What can be wrong with an image, and with writing one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use shakedown_core::{Fault, Sha};

/// An image that is refused, with the file it lay in. Exit code 2, never the OS's failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("image {} refused: {problem}", path.display())]
pub struct ImageError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

impl ImageError {
    pub(crate) fn new(path: &Path, problem: ImageProblem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}

/// The form an image lies in, recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// As it would lie on the medium.
    Raw,
    /// gzip, one or several members.
    Gzip,
    /// xz, one or several streams.
    Xz,
    /// Zstandard, one or several frames.
    Zstd,
    /// A zip archive with exactly one file.
    Zip,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        })
    }
}

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    /// The system would not let it be read.
    #[error("cannot {op}: {why}")]
    Unreadable {
        /// As a verb: `open`, `read`.
        op: &'static str,
        /// The system's words.
        why: String,
        /// The kind, for tests and hints.
        kind: io::ErrorKind,
    },
    /// Not a regular file.
    #[error("expected a regular file, got {got}")]
    NotAFile {
        /// `a directory`, `a socket` …
        got: &'static str,
    },
    /// No bytes at all.
    #[error("expected a disk image, got an empty {what}")]
    Empty {
        /// `file`, or what the container holds.
        what: &'static str,
    },
    /// It ends too early.
    #[error("truncated: expected {expected}, got the end after {got} bytes of the {container} file")]
    Truncated {
        /// Its form.
        container: Container,
        /// What should have come.
        expected: String,
        /// Bytes of the file that were there.
        got: u64,
    },
    /// A checksum or the coding is broken.
    #[error("corrupt near byte {near} of the {container} file: {why}")]
    Corrupt {
        /// Its form.
        container: Container,
        /// How far into the file the decoder had read.
        near: u64,
        /// The decoder's words.
        why: String,
    },
    /// The container ended, the file did not.
    #[error(
        "expected the end of the {container} data at byte {at}, got {left} more bytes that are not {container}"
    )]
    TrailingGarbage {
        /// Its form.
        container: Container,
        /// Where the container ended.
        at: u64,
        /// Bytes after it.
        left: u64,
    },
    /// A zip that is not one image.
    #[error("expected exactly one file in the zip, got {}: {}", got.len(), got.join(", "))]
    Members {
        /// The names of the files in it (at most ten).
        got: Vec<String>,
    },
    /// A valid form that is not understood here.
    #[error("{what} is not supported; {hint}")]
    Unsupported {
        /// What.
        what: String,
        /// What the person can do.
        hint: &'static str,
    },
    /// Nothing that a machine could boot from.
    #[error("not a disk image: expected {expected}, got {got}")]
    NotADisk {
        /// A partition table, a boot signature.
        expected: &'static str,
        /// What the first sector shows instead.
        got: String,
    },
    /// The partition table does not fit the image.
    #[error("not bootable: {why}")]
    BadTable {
        /// Expected and got.
        why: String,
    },
    /// The bmap beside the image is not its bmap, or the image is not as it was.
    #[error("bmap {}: {what}: expected {expected}, got {got}", bmap.display())]
    Bmap {
        /// The bmap file.
        bmap: PathBuf,
        /// What was compared.
        what: String,
        /// What the bmap says.
        expected: String,
        /// What is.
        got: String,
    },
    /// Between identification and writing the file became another one.
    #[error("changed since it was identified: {what}: expected {expected}, got {got}")]
    Changed {
        /// What was compared.
        what: String,
        /// As identified.
        expected: String,
        /// As read now.
        got: String,
    },
}

impl ImageProblem {
    pub(crate) fn io(op: &'static str, error: &io::Error) -> Self {
        Self::Unreadable { op, why: error.to_string(), kind: error.kind() }
    }

    pub(crate) fn changed(what: impl Into<String>, expected: Sha, got: Sha) -> Self {
        Self::Changed { what: what.into(), expected: expected.to_string(), got: got.to_string() }
    }
}

/// Why an image was not written, or not proven.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The image is at fault.
    #[error(transparent)]
    Refused(#[from] ImageError),
    /// The medium is the image's own file.
    #[error("{} is the medium itself ({endpoint}): an image is never written over its own file", path.display())]
    Itself {
        /// The image's file.
        path: PathBuf,
        /// The medium's path.
        endpoint: String,
    },
    /// The image does not fit.
    #[error("{} does not fit: expected a medium of at least {image} bytes, got {medium} bytes ({endpoint})", path.display())]
    TooSmall {
        /// The image's file.
        path: PathBuf,
        /// The medium's path.
        endpoint: String,
        /// Bytes of the image; where it is not known beforehand, at least so many.
        image: u64,
        /// Bytes of the medium.
        medium: u64,
    },
    /// The medium or the host is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The medium holds something else, and was not to be written.
    #[error("{endpoint} does not hold {}: {what}", path.display())]
    Differs {
        /// The image's file.
        path: PathBuf,
        /// The medium's path.
        endpoint: String,
        /// The first difference, with its partition where it has one.
        what: String,
    },
    /// The progress callback asked to stop.
    #[error("interrupted while {phase}, after {done} bytes")]
    Cancelled {
        /// What was being done.
        phase: crate::Phase,
        /// Bytes of that phase.
        done: u64,
    },
}
