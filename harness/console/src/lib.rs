//! Matching, the boot machine, recordings: no clock, no async, fed with chunks.
