//! The reference OS: the image that a run takes when none is named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shakedown_core::{Arch, Deadline};

use crate::CliError;

/// The image for this architecture, built when it is not in the cache, and its companion files.
pub async fn image(arch: Arch, by: &Deadline) -> Result<(PathBuf, BTreeMap<String, PathBuf>), CliError> {
    let _ = by;
    Err(CliError::refused(format!("there is no image for {arch}")).hint("name one with --image FILE"))
}
