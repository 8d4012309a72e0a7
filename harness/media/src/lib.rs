//! Image sources, the proven writer, partition and file system reading, offline edits.
