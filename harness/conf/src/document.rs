//! A text with its name, held to the limits before anything parses it.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::{ConfError, Problem};
use crate::limits;
use crate::place::{Mark, Place};

/// A text and the name under which errors speak of it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    name: Arc<str>,
    text: Arc<str>,
}

impl Document {
    /// A text that is at hand. Its size is checked when it is loaded.
    pub fn new(name: impl Into<Arc<str>>, text: &str) -> Self {
        // A byte order mark is no part of the first key.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { name: name.into(), text: text.into() }
    }

    /// Bytes that ought to be UTF-8 text of at most [`limits::BYTES`].
    pub fn from_bytes(name: impl Into<Arc<str>>, bytes: &[u8]) -> Result<Self, ConfError> {
        let name = name.into();
        if bytes.len() > limits::BYTES {
            return Err(too_large(&name, bytes.len() as u64));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                let doc = Self::new(name, &String::from_utf8_lossy(good));
                let what = format!("byte 0x{:02x} at offset {} is not UTF-8", bad[0], good.len());
                Err(ConfError::new(&doc, doc.end(), Problem::NotText { what }))
            }
        }
    }

    /// Reads a file, never more of it than [`limits::BYTES`].
    pub fn read(path: &Path) -> Result<Self, ConfError> {
        let name: Arc<str> = path.display().to_string().into();
        let unreadable = |error: &std::io::Error| {
            let doc = Self::new(name.clone(), "");
            ConfError::new(&doc, Mark::START, Problem::Unreadable { what: error.to_string() })
        };
        let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
        let size = file.metadata().map_err(|error| unreadable(&error))?.len();
        if size > limits::BYTES as u64 {
            return Err(too_large(&name, size));
        }
        let mut bytes = Vec::new();
        // Devices and pipes have no size: one byte more than the limit tells them apart.
        file.take(limits::BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        Self::from_bytes(name, &bytes)
    }

    /// The document's path, or its name in the binary.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Refuses what no document may hold.
    pub(crate) fn check(&self) -> Result<(), ConfError> {
        if self.text.len() > limits::BYTES {
            return Err(too_large(&self.name, self.text.len() as u64));
        }
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
        if let Some(at) = self.text.find(odd) {
            let code = self.text[at..].chars().next().map_or(0, u32::from);
            let what = if code == 0 {
                "a NUL byte: this is not a text file".into()
            } else {
                format!("control character U+{code:04X}")
            };
            return Err(ConfError::new(self, self.mark_of(at), Problem::NotText { what }));
        }
        Ok(())
    }

    pub(crate) fn place(&self, mark: Mark) -> Place {
        Place { name: self.name.clone(), line: mark.line, column: mark.column }
    }

    /// A line from 1, without its end.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        self.text.split('\n').nth(number.checked_sub(1)?).map(|line| line.trim_end_matches('\r'))
    }

    /// The bytes of the text that a mark covers, within its line.
    pub(crate) fn range(&self, mark: Mark) -> Range<usize> {
        let mut start = 0;
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            if index + 1 == mark.line {
                let offset = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
                return start + offset(mark.column - 1)..start + offset(mark.column - 1 + mark.len);
            }
            start += line.len();
        }
        start..start
    }

    pub(crate) fn mark_of(&self, byte: usize) -> Mark {
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        Mark { line, column, len: 1 }
    }

    pub(crate) fn end(&self) -> Mark {
        self.mark_of(self.text.len())
    }
}

fn too_large(name: &Arc<str>, bytes: u64) -> ConfError {
    let doc = Document { name: name.clone(), text: "".into() };
    ConfError::new(&doc, Mark::START, Problem::TooLarge { bytes, limit: limits::BYTES as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let error = Document::from_bytes("x.yaml", b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:2:4: byte 0xff at offset 8 is not UTF-8");
        let error = Document::new("x.yaml", "a: 1\n\0").check().unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:2:1: a NUL byte: this is not a text file");
    }

    #[test]
    fn a_file_that_is_missing_a_folder_or_endless_is_refused() {
        let missing = Document::read(Path::new("/nonexistent.yaml")).unwrap_err().to_string();
        assert!(missing.contains("cannot be read: No such file"), "{missing}");
        let folder = Document::read(Path::new("/")).unwrap_err().to_string();
        assert!(folder.contains("cannot be read: Is a directory"), "{folder}");
        let endless = Document::read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(endless.contains("larger than 1024 KiB"), "{endless}");
    }

    #[test]
    fn a_mark_covers_characters_not_bytes() {
        let doc = Document::new("x", "käse: 1\nü: öl\n");
        let range = doc.range(Mark { line: 2, column: 4, len: 2 });
        assert_eq!(&doc.text()[range], "öl");
    }
}
