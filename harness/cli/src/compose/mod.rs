//! Putting a run together: documents, slots, images, folders.

pub mod bench;
pub mod evidence;
pub mod execute;
pub mod folder;
pub mod image;
pub mod images;
pub mod keep;
pub mod operator;
pub mod reference;
pub mod rig;
pub mod signals;
pub mod slot;
pub mod standin;
