//! The only spawner of processes; locks, the warden, consoles' pumps, shells.
//!
//! - [`Tool`] runs a program in its own process group and leaves nothing behind: `run`,
//!   `run_ok` to its end, `start` for long-lived ones ([`Child`]).
//! - [`warden`]: a second process that cleans up when this one dies in any way. Binaries
//!   call [`warden::serve_if_asked`] first in `main`.
//! - [`lock::acquire`]: one slot, one holder, and who it is.
//! - [`pump`]: a thread that reads a terminal, a socket or any source into a console log.
//! - [`SshShell`] and [`ConsoleShell`] are the two shells, [`HostShells`] makes them for the
//!   runner; [`ssh::path`] looks without logging in.
//! - [`fetch`]: files from web servers, fetched once and proven.
//! - [`bootloader::Dialogue`] interrupts a boot loader on a console, sets its variables, boots.
//! - [`KeyPair`], [`NtpServer`], [`dirs`]: a run's key, the host's time, where files go.
//! - [`TftpServer`] gives boot loaders their files, and says who took what.

#[doc(hidden)]
pub mod bench;
pub mod bootloader;
pub mod console_login;
pub mod dirs;
pub mod fetch;
mod files;
pub mod group;
pub mod key;
pub mod lock;
pub mod ntp;
pub mod process;
pub mod pump;
mod shells;
pub mod ssh;
pub mod tftp;
pub mod warden;

pub use console_login::ConsoleShell;
pub use key::KeyPair;
pub use lock::{Held, LockError, SlotLock};
pub use ntp::NtpServer;
pub use process::{Child, Detached, LineCutter, Output, Piped, Tool};
pub use pump::Pump;
pub use shells::HostShells;
pub use ssh::SshShell;
pub use tftp::TftpServer;
