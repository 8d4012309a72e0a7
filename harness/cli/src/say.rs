//! The terminal's two streams: what is said there cannot end the program.
//!
//! `println!` panics when nobody reads any more (`shakedown run --list | head -1`). A reader
//! that has left wanted no more, so that is quiet; a stream that cannot be written for another
//! reason, as a full disk behind `>`, is told at the end by [`complaint`].

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

static BROKEN: OnceLock<String> = OnceLock::new();

/// Writes to standard output.
pub(crate) fn to_out(text: fmt::Arguments<'_>) {
    if let Err(error) = write(&mut io::stdout().lock(), text) {
        BROKEN.get_or_init(|| format!("cannot write to standard output: {error}"));
    }
}

/// Writes to standard error. If that does not work, there is nobody to tell.
pub(crate) fn to_err(text: fmt::Arguments<'_>) {
    drop(write(&mut io::stderr().lock(), text));
}

fn write(to: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    quiet(to.write_fmt(text).and_then(|()| to.flush()))
}

/// A reader that left is no error.
pub(crate) fn quiet(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Why standard output could not be written, other than that nobody reads it.
pub(crate) fn complaint() -> Option<&'static str> {
    BROKEN.get().map(String::as_str)
}

/// A line on standard output.
macro_rules! out {
    () => { $crate::say::to_out(format_args!("\n")) };
    ($($what:tt)*) => { $crate::say::to_out(format_args!("{}\n", format_args!($($what)*))) };
}

/// A line on standard error.
macro_rules! err {
    ($($what:tt)*) => { $crate::say::to_err(format_args!("{}\n", format_args!($($what)*))) };
}

pub(crate) use {err, out};
