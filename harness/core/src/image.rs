//! The OS build under test.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::Sha;

/// An image, known by its hash; the path is only where it lay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRef {
    /// Where the file lay.
    pub path: PathBuf,
    /// Of the file as it lay, compressed or not.
    pub sha256: Sha,
    /// Of the whole decompressed image; the same for every form of it.
    pub payload: Sha,
    /// Bytes of the decompressed image.
    pub size: u64,
    /// From the image's os-release, where it could be read: `shakedown-reference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// From the image's os-release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Files that belong to it, by their role: `update`, `update-broken-init`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub companions: BTreeMap<String, PathBuf>,
}
