//! What a document may hold. Real ones stay below a hundredth of each; the limits
//! are there so that a hostile or mistaken file costs neither time nor memory.

/// Bytes of a document.
pub const BYTES: usize = 1 << 20;
/// Levels of nesting.
pub const DEPTH: usize = 64;
/// Keys, values and list items together.
pub const NODES: usize = 50_000;
/// Bytes of a key.
pub const KEY: usize = 256;
/// Bytes of one scalar.
pub const SCALAR: usize = 64 << 10;
