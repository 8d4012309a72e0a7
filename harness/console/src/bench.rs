//! What `cargo xtask bench` measures against other harnesses.

use std::io::{self, Read};

use shakedown_core::{Chunk, Hit, Matcher, Mono};

use crate::finder::Finder;
use crate::pattern::PatternError;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The stream.
    #[error("the stream cannot be read after {after} bytes: {why}")]
    Read {
        /// Bytes that were read.
        after: u64,
        /// The system's reason.
        why: io::Error,
    },
}

/// What one expect over a stream came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The hit, if there was one before the end.
    pub hit: Option<Hit>,
    /// Bytes that were read.
    pub read: u64,
}

/// Reads the stream in pieces of up to 64 KiB until the pattern is found or it ends.
///
/// # Errors
/// A pattern that is not valid, a stream that cannot be read.
pub fn expect_over(mut stream: impl Read, pattern: &str) -> Result<Expect, BenchError> {
    let mut finder = Finder::of(pattern)?;
    let mut buffer = vec![0; 64 << 10];
    let mut read = 0;
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(Expect { hit: finder.idle(), read }),
            Ok(length) => length,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(BenchError::Read { after: read, why }),
        };
        let chunk = Chunk { at: Mono(0), off: read, bytes: buffer[..length].into() };
        read += length as u64;
        if let Some(hit) = finder.feed(&chunk) {
            return Ok(Expect { hit: Some(hit), read });
        }
    }
}
