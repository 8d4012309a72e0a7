//! Where each field of a document stands, and the rules of form that hold before any type is known.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScanError, Span};

use crate::document::Document;
use crate::error::{ConfError, Problem};
use crate::limits;
use crate::place::{Mark, Place};

/// The last step of a field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Root,
    Key(String, Mark),
    Item(usize),
}

#[derive(Clone, Debug)]
struct Node {
    parent: usize,
    step: Step,
    mark: Mark,
    /// As written; `None` for a mapping or a list.
    scalar: Option<String>,
    children: Vec<usize>,
}

/// Where each field of a document stands.
#[derive(Clone, Debug)]
pub struct Spots {
    doc: Document,
    nodes: Vec<Node>,
}

/// One value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// `slots.pi4.consoles.main.serial.baud`, `capabilities[2]`.
    pub field: String,
    /// As written, without quotes.
    pub value: String,
    /// Where.
    pub place: Place,
}

impl Spots {
    /// Reads the document's form; refuses what no document of ours may be.
    pub(crate) fn read(doc: &Document) -> Result<Self, ConfError> {
        let mut reader = Reader { spots: Self { doc: doc.clone(), nodes: Vec::new() }, open: Vec::new() };
        let mut documents = 0;
        let mut parser = Parser::new_from_str(doc.text());
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax(doc, &error))?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(reader.forbidden(
                            &span,
                            "a second document (`---`)",
                            "one file holds one document",
                        ));
                    }
                }
                event => reader.event(event, &span)?,
            }
        }
        if reader.spots.nodes.is_empty() {
            return Err(ConfError::new(doc, Mark::START, Problem::Empty));
        }
        Ok(reader.spots)
    }

    /// Where a field stands: its key, or its value for an item of a list. A
    /// field that is not there is where the nearest one above it is.
    pub fn place(&self, field: &str) -> Place {
        self.doc.place(self.mark(field))
    }

    /// Where a field's value stands.
    pub fn value_place(&self, field: &str) -> Place {
        self.doc.place(self.value_mark(field))
    }

    /// Whether the document has this field.
    pub fn has(&self, field: &str) -> bool {
        self.find(field).1
    }

    /// All values that are no mapping and no list, in the order of the text.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.nodes.iter().enumerate().filter_map(|(index, node)| {
            let value = node.scalar.clone()?;
            Some(Leaf { field: self.path(index), value, place: self.doc.place(node.mark) })
        })
    }

    pub(crate) fn mark(&self, field: &str) -> Mark {
        let node = &self.nodes[self.find(field).0];
        match &node.step {
            Step::Key(_, mark) => *mark,
            _ => node.mark,
        }
    }

    pub(crate) fn value_mark(&self, field: &str) -> Mark {
        let (index, whole) = self.find(field);
        if whole { self.nodes[index].mark } else { self.mark(field) }
    }

    /// The key that stands in the line and column that a parser named.
    pub(crate) fn key_at(&self, line: usize, column: usize) -> Option<Mark> {
        self.nodes.iter().find_map(|node| match &node.step {
            Step::Key(_, mark) if (mark.line, mark.column) == (line, column) => Some(*mark),
            _ => None,
        })
    }

    /// The field whose value begins in this line and column.
    pub(crate) fn field_at(&self, line: usize, column: usize) -> Option<String> {
        let hit = |node: &Node| (node.mark.line, node.mark.column) == (line, column);
        self.nodes.iter().position(hit).map(|index| self.path(index))
    }

    /// The deepest node on the way to `field`, and whether that is the field itself.
    fn find(&self, field: &str) -> (usize, bool) {
        let (mut at, mut rest) = (0, field);
        'step: while !rest.is_empty() {
            for child in &self.nodes[at].children {
                if let Some(tail) = strip(rest, &self.nodes[*child].step) {
                    (at, rest) = (*child, tail);
                    continue 'step;
                }
            }
            return (at, false);
        }
        (at, true)
    }

    fn path(&self, mut index: usize) -> String {
        let mut steps = Vec::new();
        while index != 0 {
            steps.push(&self.nodes[index].step);
            index = self.nodes[index].parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Item(number) => path.extend(["[", &number.to_string(), "]"]),
                Step::Key(key, _) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
            }
        }
        path
    }
}

/// What is left of `path` after this step; keys may hold dots, so the text cannot simply be split.
fn strip<'a>(path: &'a str, step: &Step) -> Option<&'a str> {
    let tail = match step {
        Step::Root => return None,
        Step::Key(key, _) => path.strip_prefix(key.as_str())?,
        Step::Item(number) => path.strip_prefix(&format!("[{number}]"))?,
    };
    match tail.as_bytes().first() {
        None | Some(b'[') => Some(tail),
        Some(b'.') => Some(&tail[1..]),
        Some(_) => None,
    }
}

fn mark(span: &Span) -> Mark {
    let (start, end) = (span.start, span.end);
    let len = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Mark { line: start.line().max(1), column: start.col() + 1, len: len.max(1) }
}

fn syntax(doc: &Document, error: &ScanError) -> ConfError {
    let at = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1, len: 1 };
    // Parsers stumble over a tab only where it has done its harm, often a line away.
    for number in [at.line, at.line + 1, at.line.saturating_sub(1)] {
        let indent = doc.line(number).map(|line| &line[..line.len() - line.trim_start().len()]);
        if let Some(column) = indent.and_then(|indent| indent.chars().position(|c| c == '\t')) {
            let what = "a tab in the indentation".to_owned();
            let at = Mark { line: number, column: column + 1, len: 1 };
            return ConfError::new(doc, at, Problem::Syntax { what }).hint("indent with spaces");
        }
    }
    // The scanner has a limit of its own, which it meets before an event shows the depth.
    if error.info().contains("recursion limit") {
        let problem = Problem::Limit { what: "levels of nesting", limit: limits::DEPTH };
        return ConfError::new(doc, at, problem);
    }
    let found = ConfError::new(doc, at, Problem::Syntax { what: error.info().to_owned() });
    if at.line >= doc.end().line {
        return found.hint("the document ends here: is a `[`, a `{` or a quote above left open?");
    }
    found
}

const WRITE_OUT: &str = "write the value out where it is needed";

/// A mapping or a list whose end has not come yet.
struct Open {
    node: usize,
    mapping: bool,
    /// The key that waits for its value.
    key: Option<(String, Mark)>,
    /// The keys so far, with their lines.
    keys: HashMap<String, usize>,
}

struct Reader {
    spots: Spots,
    open: Vec<Open>,
}

impl Reader {
    fn refuse(&self, at: Mark, problem: Problem) -> ConfError {
        let mut field = self.open.last().map(|open| self.spots.path(open.node)).unwrap_or_default();
        if let Some((key, _)) = self.open.last().and_then(|open| open.key.as_ref()) {
            field = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
        }
        ConfError::new(&self.spots.doc, at, problem).field(field)
    }

    fn forbidden(&self, span: &Span, what: &'static str, way_out: &'static str) -> ConfError {
        self.refuse(mark(span), Problem::Forbidden { what, way_out })
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), ConfError> {
        match event {
            Event::Alias(_) => Err(self.forbidden(span, "an alias (`*name`)", WRITE_OUT)),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                Err(self.forbidden(span, "an anchor (`&name`)", WRITE_OUT))
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(self.forbidden(
                span,
                "a tag (`!name`)",
                "write the value without it, or quote a text that begins with `!`",
            )),
            Event::Scalar(text, ..) => self.scalar(&text, span),
            Event::SequenceStart(..) => self.begin(span, false),
            Event::MappingStart(..) => self.begin(span, true),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn waits_for_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.mapping && open.key.is_none())
    }

    fn scalar(&mut self, text: &str, span: &Span) -> Result<(), ConfError> {
        if self.waits_for_key() {
            return self.key(text, span);
        }
        if text.len() > limits::SCALAR {
            let problem = Problem::Limit { what: "bytes in one value", limit: limits::SCALAR };
            return Err(self.refuse(mark(span), problem));
        }
        self.add(span, Some(text.to_owned())).map(drop)
    }

    fn key(&mut self, key: &str, span: &Span) -> Result<(), ConfError> {
        let at = mark(span);
        if key.len() > limits::KEY {
            let problem = Problem::Limit { what: "bytes in a key", limit: limits::KEY };
            return Err(self.refuse(at, problem));
        }
        if key == "<<" {
            return Err(self.forbidden(span, "a merge (`<<`)", WRITE_OUT));
        }
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if let Some(first) = open.keys.insert(key.to_owned(), at.line) {
            return Err(self.refuse(at, Problem::DuplicateKey { key: key.to_owned(), first }));
        }
        open.key = Some((key.to_owned(), at));
        Ok(())
    }

    fn begin(&mut self, span: &Span, mapping: bool) -> Result<(), ConfError> {
        if self.waits_for_key() {
            return Err(self.forbidden(
                span,
                "a key that is no text",
                "keys are single words; quote what is special to YAML",
            ));
        }
        if self.open.len() >= limits::DEPTH {
            let problem = Problem::Limit { what: "levels of nesting", limit: limits::DEPTH };
            return Err(self.refuse(mark(span), problem));
        }
        let node = self.add(span, None)?;
        self.open.push(Open { node, mapping, key: None, keys: HashMap::new() });
        Ok(())
    }

    fn add(&mut self, span: &Span, scalar: Option<String>) -> Result<usize, ConfError> {
        let index = self.spots.nodes.len();
        if index >= limits::NODES {
            let problem = Problem::Limit { what: "keys and values", limit: limits::NODES };
            return Err(self.refuse(mark(span), problem));
        }
        let (parent, step) = match self.open.last_mut() {
            None => (0, Step::Root),
            Some(open) => {
                let count = self.spots.nodes[open.node].children.len();
                let step = open.key.take().map_or(Step::Item(count), |(key, mark)| Step::Key(key, mark));
                self.spots.nodes[open.node].children.push(index);
                (open.node, step)
            }
        };
        let mut mark = mark(span);
        if scalar.is_none() {
            // What opens a mapping or a list, not the blanks behind it.
            mark.len = 1;
        }
        self.spots.nodes.push(Node { parent, step, mark, scalar, children: Vec::new() });
        Ok(index)
    }
}
