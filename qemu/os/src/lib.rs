//! The reference OS and its builder.
//!
//! The recipe lies beside this crate as real files (`tree/`, `boot/`, `initramfs/`,
//! `packages/`, `assemble/`, `balena/`) and is embedded in the binary. [`build`] resolves the
//! package manifest with an apt root of its own, unpacks the packages under fakeroot and
//! assembles a disk image: no root, no loop device, no mount, no user namespace, and no
//! code of the target architecture is run.
//!
//! ```text
//! build(&BuildRequest, &Deadline, &OnStep) -> Result<Built, BuildError>
//! build_update(&BuildRequest, &Deadline, &OnStep) -> Result<Update, BuildError>
//! build_flasher(&BuildRequest, &Deadline, &OnStep) -> Result<Built, BuildError>   // boots and installs it
//! ```
//!
//! Everything is kept below the cache folder under a key: the hash of recipe, manifest
//! (name, version, SHA-256 of each package), tool versions, version and variant.

mod apt;
mod bios;
mod build;
mod error;
mod flasher;
mod manifest;
mod recipe;
mod request;
mod tools;
mod workshop;

pub use build::{build, build_update};
pub use error::BuildError;
pub use flasher::build_flasher;
pub use manifest::{Manifest, Package};
pub use request::{Arch, BuildRequest, Built, OnStep, Os, Step, Target, Update, Variant};
pub use tools::{PACKAGES, missing_packages};
