//! The reference OS and its builder.
