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
//! write_delta(&mut ImageSource, &mut dyn Medium, &mut OnProgress) -> Result<Written, WriteError>
//! prove_holds(&mut ImageSource, &mut dyn Medium, &mut OnProgress) -> Result<Written, WriteError>
//! prove_kept(&mut ImageSource, &mut dyn Medium, &Mutable, &mut OnProgress) -> Result<Written, WriteError>   // but what its OS writes
//! FileMedium::create(&Path, size) | open | open_read_only -> Rig<FileMedium>
//! read_layout(&mut dyn Medium) -> Result<Layout, TableError>                   // GPT, MBR; file systems by superblock
//! inspect(&mut dyn Medium) -> Result<DiskInfo, TableError>                     // + os-release, config.json, boot hints
//! inspect_image(&Path, scratch: &Path, &mut OnProgress) -> Result<ImageInfo, WriteError>   // raw or compressed
//! read_file(&mut dyn Medium, &Select, path, max) -> Result<FileRead, FsError>  // FAT and ext, not mounted
//! read_tree(&mut dyn Medium, &Select, path, TreeLimits) -> Result<Tree, FsError>
//! edit_config(&mut dyn Medium, &Select, path, &[(dotted key, JSON text)]) -> Result<Placed, EditError>
//! put_boot_file(&mut dyn Medium, &Select, path, &[u8]) -> Result<Placed, EditError>
//! ```

mod ahead;
mod bmap;
mod delta;
mod digest;
mod edit;
mod error;
mod file_medium;
mod files;
mod identify;
mod inspect;
mod json;
mod kept;
mod layout;
mod pipeline;
mod progress;
mod slice;
mod source;
mod write;

pub use digest::{CHUNK, ChunkMap};
pub use edit::{EditError, Placed, edit_config, put_boot_file};
pub use error::{Container, ImageError, ImageProblem, WriteError};
pub use file_medium::FileMedium;
pub use files::{EntryKind, FileRead, FsError, Replay, Tree, TreeEntry, TreeLimits, read_file, read_tree};
pub use identify::{Identity, identify};
pub use inspect::{BootHints, DiskInfo, ImageInfo, OsRelease, Text, inspect, inspect_image};
pub use json::{Change, JsonError};
pub use kept::{Kept, Mutable, prove_kept};
pub use layout::{Fs, FsKind, Layout, NoPartition, Partition, Select, Table, TableError, read_layout};
pub use progress::{OnProgress, Phase, Progress};
pub use slice::MediumReader;
pub use source::{ImageSource, open_source};
pub use write::{Written, prove_holds, write_delta, write_image};
