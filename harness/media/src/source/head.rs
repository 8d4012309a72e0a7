//! Whether the first bytes of a payload are a disk's.

use crate::error::ImageProblem;
use crate::layout::{self, Layout, TableError};

pub(super) fn check(head: &[u8]) -> Result<Layout, ImageProblem> {
    layout::layout_of_head(head).map_err(problem)
}

/// Whether the image is as long as its own table says.
pub(super) fn check_len(layout: &Layout, len: u64) -> Result<(), ImageProblem> {
    layout::check_fits(layout, len).map_err(problem)
}

fn problem(error: TableError) -> ImageProblem {
    match error {
        TableError::None { got } => {
            ImageProblem::NotADisk { expected: "a partition table (GPT or MBR) or an ISO 9660 volume", got }
        }
        TableError::Bad { why } | TableError::Io { why } => ImageProblem::BadTable { why },
    }
}
