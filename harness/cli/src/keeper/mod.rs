//! The keeper: the long-lived owner of a rig's slots, and the way to it.
//!
//! A slot's lines, consoles and virtual machine live as long as the process that opened them, so a
//! command that ends cannot leave anything switched on. The keeper can: it is started by the first
//! command that needs it (or by systemd), opens a slot when somebody asks for it, under the slot's
//! lock, and closes it when nobody uses it and everything that it switched on is off again. When it
//! is killed, its warden makes the rig safe.
//!
//! - [`wire`]: what is said on its socket.
//! - [`client`]: finds it, starts it, asks it.
//! - [`serve`]: its own process.
//! - [`seat`]: one slot of it, and who uses it.
//! - [`lend`] and [`borrowed`]: a slot for a run, from the keeper's side and from the run's.

pub mod borrowed;
pub mod client;
mod hold;
mod lend;
mod operator;
mod seat;
pub mod serve;
mod session;
mod wait;
pub mod wire;
