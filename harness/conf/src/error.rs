//! What is wrong with a document, where, and what the person can do.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use crate::document::Document;
use crate::nearest::nearest;
use crate::place::{Mark, Place};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read.
    Unreadable {
        /// The operating system's words.
        what: String,
    },
    /// A file or folder that cannot be a document.
    File {
        /// One clause.
        what: String,
    },
    /// Larger than any document.
    TooLarge {
        /// Its size, or how much was read of it.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Not UTF-8 text.
    NotText {
        /// What was found.
        what: String,
    },
    /// Nothing in it.
    Empty,
    /// Not YAML.
    Syntax {
        /// What the parser stumbled over.
        what: String,
    },
    /// YAML, but more of it than a document may hold.
    Limit {
        /// `levels of nesting`, `bytes in one value`.
        what: &'static str,
        /// The most of them.
        limit: usize,
    },
    /// YAML that documents do not use.
    Forbidden {
        /// `an alias`.
        what: &'static str,
        /// What to write instead.
        way_out: &'static str,
    },
    /// A key that stands twice in one mapping.
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of the first one.
        first: usize,
    },
    /// A field that does not exist.
    UnknownField {
        /// As written.
        got: String,
        /// Those that do exist.
        allowed: Vec<String>,
    },
    /// A choice that does not exist.
    UnknownVariant {
        /// As written.
        got: String,
        /// Those that do exist.
        allowed: Vec<String>,
    },
    /// A field that must be there.
    MissingField {
        /// Its name.
        field: String,
    },
    /// A value of the wrong kind.
    WrongType {
        /// For people: a whole number from 0 to 65535.
        expected: String,
        /// For people: the text `"eth0"`.
        got: String,
    },
    /// A value of the right kind that cannot be used.
    Invalid {
        /// One clause.
        what: String,
    },
    /// Something else stands where a secret's place should: it may be the secret, and is not shown.
    Secret,
    /// A name that should be one of a set.
    UnknownName {
        /// What kind of name: `board`.
        kind: String,
        /// As written.
        got: String,
        /// Those that exist.
        known: Vec<String>,
    },
}

impl Problem {
    /// The name that was probably meant.
    pub fn meant(&self) -> Option<&str> {
        match self {
            Self::UnknownField { got, allowed } | Self::UnknownVariant { got, allowed } => {
                nearest(got, allowed)
            }
            Self::UnknownName { got, known, .. } => nearest(got, known),
            _ => None,
        }
    }

    /// The names that would have been right, or the way out.
    fn way_out(&self) -> Option<String> {
        match self {
            Self::UnknownField { allowed, .. } if allowed.is_empty() => {
                Some("no fields are allowed here".into())
            }
            Self::UnknownField { allowed, .. } => Some(format!("fields: {}", list(allowed))),
            Self::UnknownVariant { allowed, .. } => Some(format!("choices: {}", list(allowed))),
            Self::UnknownName { known, .. } if known.is_empty() => None,
            Self::UnknownName { known, .. } => Some(format!("known: {}", list(known))),
            Self::Forbidden { way_out, .. } => Some((*way_out).to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { what } => write!(f, "cannot be read: {what}"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "larger than {} KiB ({bytes} bytes): no document of ours is", limit >> 10)
            }
            Self::File { what } | Self::NotText { what } | Self::Invalid { what } => f.write_str(what),
            Self::Secret => f.write_str(crate::values::NOT_HERE),
            Self::Empty => f.write_str("the document is empty"),
            Self::Syntax { what } => write!(f, "not YAML: {what}"),
            Self::Limit { what, limit } => write!(f, "more than {limit} {what}"),
            Self::Forbidden { what, .. } => write!(f, "{what} is not used in documents"),
            Self::DuplicateKey { key, first } => {
                write!(f, "`{key}` stands here twice (first on line {first})")
            }
            Self::UnknownField { got, .. } => write!(f, "unknown field `{got}`"),
            Self::UnknownVariant { got, allowed } => match allowed.as_slice() {
                [only] => write!(f, "expected `{only}`, got `{got}`"),
                _ => write!(f, "unknown choice `{got}`"),
            },
            Self::MissingField { field } => write!(f, "`{field}` is missing"),
            Self::WrongType { expected, got } => write!(f, "expected {expected}, got {got}"),
            Self::UnknownName { kind, got, .. } => write!(f, "unknown {kind} `{got}`"),
        }
    }
}

/// Control characters must not reach a terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => '→',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// The start and the end of a text that is too long to be read.
fn clip(text: &str, most: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= most {
        let hidden = |c: char| c.is_control() && c != '\n';
        return if text.contains(hidden) { text.chars().map(visible).collect() } else { text.into() };
    }
    let start: String = text.chars().take(most / 2).collect();
    let end: String = text.chars().skip(count - most / 2).collect();
    format!("{start}…{end}").chars().map(visible).collect()
}

/// At most a dozen names in one line.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One thing wrong with one document.
///
/// `{}` is one line: `path:line:col: field.path: what is wrong; did you mean …?`;
/// `{:#}` adds the text it is about, with a caret line, and the way out.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfError {
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    doc: Document,
    mark: Mark,
    field: String,
    problem: Problem,
    help: Option<String>,
}

impl ConfError {
    pub(crate) fn new(doc: &Document, mark: Mark, problem: Problem) -> Self {
        let inner = Inner { doc: doc.clone(), mark, field: String::new(), problem, help: None };
        Self { inner: Box::new(inner) }
    }

    /// About a file or folder as a whole, before anything of it is read: `/a/b.yml: must end in .yaml`.
    pub fn file(path: &Path, what: impl Into<String>) -> Self {
        let doc = Document::new(path.display().to_string(), "");
        Self::new(&doc, Mark::START, Problem::File { what: what.into() })
    }

    /// The field it is about: `slots.pi4.power`.
    #[must_use]
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.inner.field = field.into();
        self
    }

    /// What the person can do.
    #[must_use]
    pub fn hint(mut self, help: impl Into<String>) -> Self {
        self.inner.help = Some(help.into());
        self
    }

    /// File, line and column.
    pub fn place(&self) -> Place {
        self.inner.doc.place(self.inner.mark)
    }

    /// The field that it is about; empty for the document as a whole.
    pub fn field_path(&self) -> &str {
        &self.inner.field
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.inner.problem
    }

    /// The document's text, for a renderer of its own.
    pub fn text(&self) -> &str {
        self.inner.doc.text()
    }

    /// The bytes of [`Self::text`] that it is about.
    pub fn range(&self) -> Range<usize> {
        self.inner.doc.range(self.inner.mark)
    }

    /// What the person can do, if anything is known.
    pub fn help(&self) -> Option<String> {
        self.inner.help.clone().or_else(|| self.inner.problem.way_out())
    }

    /// The line of text with a caret line below it; `None` where there is no text to show.
    pub fn snippet(&self) -> Option<String> {
        /// Characters of the line shown before and after the place.
        const BEFORE: usize = 60;
        const AFTER: usize = 40;
        if self.inner.problem == Problem::Secret {
            return None;
        }
        let mark = self.inner.mark;
        let line = self.inner.doc.line(mark.line)?;
        let chars: Vec<char> = line.chars().map(visible).collect();
        if chars.is_empty() {
            return None;
        }
        let at = (mark.column - 1).min(chars.len());
        let from = at.saturating_sub(BEFORE);
        let to = (at + mark.len.min(AFTER) + AFTER).min(chars.len());
        let shown: String = chars[from..to].iter().collect();
        let (left, right) = (if from > 0 { "…" } else { "" }, if to < chars.len() { "…" } else { "" });
        let number = mark.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(at - from + usize::from(from > 0));
        let carets = "^".repeat(mark.len.min(to - at).max(1));
        Some(format!(" {margin} |\n {number} | {left}{shown}{right}\n {margin} | {indent}{carets}"))
    }
}

impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        match &inner.problem {
            // There is no line to point at.
            Problem::Unreadable { .. } | Problem::TooLarge { .. } | Problem::File { .. } => {
                write!(f, "{}: ", inner.doc.name())?;
            }
            _ => write!(f, "{}: ", self.place())?,
        }
        if !inner.field.is_empty() {
            write!(f, "{}: ", clip(&inner.field, 200))?;
        }
        write!(f, "{}", clip(&inner.problem.to_string(), 400))?;
        if let Some(meant) = inner.problem.meant() {
            write!(f, "; did you mean `{meant}`?")?;
        }
        if f.alternate() {
            if let Some(snippet) = self.snippet() {
                write!(f, "\n{snippet}")?;
            }
            if let Some(help) = self.help() {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfError({self})")
    }
}

impl std::error::Error for ConfError {}
