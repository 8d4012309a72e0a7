//! What an image is, without mounting it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Container;

pub(crate) fn release_of(_path: &Path, _container: Container) -> Option<BTreeMap<String, String>> {
    None
}
