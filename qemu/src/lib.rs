//! A rig made of processes: QEMU machines as slots.
//!
//! ```text
//! MachineDoc                                        // the `qemu:` block; .check(), .check_board(&Board)
//! open(&MachineDoc, SlotRequest, &Deadline) -> Rig<core::Slot>
//! open_with_handle(..) -> Rig<(Slot, Handle)>       // Handle: pid(), disk(), snapshots
//! Handle::snapshot(..) -> Snapshot;  open_restored(..) -> Rig<(Slot, Handle)>, running; set the guest's clock
//! qmp::Qmp                                          // our own connection over qapi's types
//! ```
//!
//! - Power is the process; it is killed as a power cut would, which loses the guest's memory
//!   and no write that reached the host. A cut leaves the console silent; a QEMU that ends in
//!   any other way closes it with the reason.
//! - The guest runs only after console and QMP are connected: no byte of the console is lost.
//! - Media are raw files in the slot's folder, the host's while the machine is off.
//! - Concurrent QEMUs are bounded by [`tokens`], taken when a slot is opened.

pub mod args;
pub mod card;
pub mod doc;
mod line;
pub mod machines;
#[cfg(feature = "micro")]
pub mod micro;
mod network;
mod open;
mod power;
pub mod qmp;
mod screen;
mod services;
mod session;
pub mod snapshot;
mod sparse;
mod storage;
mod strain;
pub mod tokens;
mod typing;
mod unit;
pub mod version;

pub use doc::{DocProblem, MachineDoc};
pub use open::{Handle, SlotRequest, offers, open, open_with_handle, open_with_tokens, serves};
pub use snapshot::{Snapshot, open_restored};
