//! Whether an image may ship: a policy, chained evidence, an answer that can be defended.
//!
//! The gate believes what it derives from journals: each line carries the hash of the one before,
//! the hash of the last is signed by the run's key ([`seal`]), and the policy names the keys it
//! trusts. Results files and history rows are compared with the journal and never read as evidence.

pub mod attest;
pub mod dsse;
mod error;
pub mod evidence;
mod gather;
pub mod judge;
pub mod key;
pub mod manual;
pub mod policy;
pub mod render;
pub mod seal;

pub use error::GateError;
pub use evidence::{Doubt, Evidence, Source};
pub use gather::{Gathered, gather};
pub use judge::{Answer, Known, Ruling, judge};
pub use key::{PublicKey, SecretKey};
pub use policy::Policy;
