//! The only spawner of processes; locks, the warden, consoles' pumps, shells.
//!
//! - [`Tool`] runs a program in its own process group and leaves nothing behind: `run`,
//!   `run_ok` to its end, `start` for long-lived ones ([`Child`]).
//! - [`warden`]: a second process that cleans up when this one dies in any way. Binaries
//!   call [`warden::serve_if_asked`] first in `main`.

pub mod dirs;
pub mod group;
pub mod key;
pub mod lock;
pub mod process;
pub mod pump;
pub mod warden;

pub use key::KeyPair;
pub use lock::{Held, LockError, SlotLock};
pub use process::{Child, Output, Piped, Tool};
