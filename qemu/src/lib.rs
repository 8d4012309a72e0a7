//! A rig made of processes: QEMU machines as slots.

pub mod qmp;
