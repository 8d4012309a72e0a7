//! Image sources, the proven writer, partition and file system reading, offline edits.
//!
//! Blocking code that runs on its caller's thread (reading ahead and hashing have named
//! threads of their own), works on a [`shakedown_core::Medium`] it is handed, prints nothing and spawns nothing.
//!
//! ```text
//! open_source(&Path) -> Result<ImageSource, ImageError>                       // raw, gz, xz, zst, zip; impl core::Source
//! identify(&Path, &mut OnProgress) -> Result<Arc<Identity>, WriteError>       // .image(): core::ImageRef
//! ImageSource::open_identified(&Arc<Identity>) -> Result<ImageSource, _>      // compared by chunk, no second SHA-256
//! write_image(&mut ImageSource, &mut dyn Medium, &mut OnProgress) -> Result<Written, WriteError>
//! prove_holds(&mut ImageSource, &mut dyn Medium, &mut OnProgress) -> Result<Written, WriteError>
//! FileMedium::create(&Path, size) | open | open_read_only -> Rig<FileMedium>
//! read_layout(&mut dyn Medium) -> Result<Layout, TableError>
//! ```

mod bmap;
mod digest;
mod error;
mod file_medium;
mod identify;
mod inspect;
mod layout;
mod pipeline;
mod progress;
mod source;
mod write;

pub use digest::{CHUNK, ChunkMap};
pub use error::{Container, ImageError, ImageProblem, WriteError};
pub use file_medium::FileMedium;
pub use identify::{Identity, identify};
pub use layout::{Fs, FsKind, Layout, NoPartition, Partition, Select, Table, TableError, read_layout};
pub use progress::{OnProgress, Phase, Progress};
pub use source::{ImageSource, open_source};
pub use write::{Written, prove_holds, write_image};
