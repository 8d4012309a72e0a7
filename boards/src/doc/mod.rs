//! The documents as they are written: partial, with the places of their fields kept by `conf`.

mod board;
mod boot;
mod facts;
mod netboot;
mod os;
mod provision;
mod sources;
mod words;

pub use board::{BoardDoc, Extends, FamilyDoc};
pub use boot::{BadDoc, BootDoc, SeenDoc, StageDoc};
pub use facts::{
    CiDoc, ImageDoc, ImageKindDoc, LayoutDoc, LifecycleDoc, MediaDoc, MediumDoc, RecoveryDoc, StateDoc,
    SupportDoc, TableDoc,
};
pub use netboot::{LoaderDoc, NetFileDoc, NetRootDoc, NetbootDoc};
pub use os::{ConfigDoc, EngineDoc, LoginDoc, OsDoc, PasswordDoc, SshDoc, UpdateDoc};
pub use provision::{
    FlasherDoc, NoSettings, ProvisionDoc, TegraDoc, TegraWayDoc, ToolDoc, UsbBootDoc, VendorToolDoc,
};
pub use sources::SourcesDoc;
pub use words::{ArchDoc, BlameDoc};
