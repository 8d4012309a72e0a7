//! A rig made of processes: QEMU machines as slots.

pub mod args;
pub mod doc;
pub mod machines;
pub mod qmp;
pub mod version;

pub use doc::MachineDoc;
