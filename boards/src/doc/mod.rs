//! The documents as they are written: partial, with the places of their fields kept by `conf`.

mod board;
mod boot;
mod os;
mod words;

pub use board::{BoardDoc, Extends, FamilyDoc, NoSettings, ProvisionDoc};
pub use boot::{BadDoc, BootDoc, SeenDoc, StageDoc};
pub use os::{ConfigDoc, EngineDoc, LoginDoc, OsDoc, PasswordDoc, SshDoc, UpdateDoc};
pub use words::{ArchDoc, BlameDoc};
