//! What the harness tells its warden: one JSON document a line.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One line on the pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Message {
    /// A process group to kill.
    Group { id: u64, group: u32 },
    /// A command that makes something safe.
    Safe {
        id: u64,
        name: String,
        argv: Vec<String>,
        #[serde(with = "shakedown_core::time::millis")]
        within: Duration,
    },
    /// A lock file of ours.
    Holder { id: u64, file: PathBuf },
    /// Forget the registration of this number.
    Done { id: u64 },
}
