//! Byte patterns, compiled once and shared.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::alphabet::Unit;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::hir::{Hir, HirKind};

use crate::clean::clean;

/// What a pattern may be, for error messages.
const ALLOWED: &str = "allowed is the syntax of Rust's `regex` crate on bytes, at least one byte long; \
    no back-references, no look-around but ^ $ \\b \\B; (?u) switches Unicode classes on, not for \\b";

/// The largest program that a set of patterns may compile to.
const MOST_BYTES: usize = 8 << 20;

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{which} `{pattern}`{}: {what}; {ALLOWED}", place(at.as_ref()))]
pub struct PatternError {
    /// Its place in the list that was compiled, from 0.
    pub index: usize,
    /// Which one, for people: `pattern 2 of 3`, `stage kernel, pattern 1`.
    pub which: String,
    /// The pattern.
    pub pattern: String,
    /// The bytes of the pattern that are wrong, when that can be told.
    pub at: Option<Range<usize>>,
    /// What is wrong.
    pub what: String,
}

fn place(at: Option<&Range<usize>>) -> String {
    match at {
        Some(at) if at.len() > 1 => format!(" at bytes {}-{}", at.start, at.end - 1),
        Some(at) => format!(" at byte {}", at.start),
        None => String::new(),
    }
}

struct Compiled {
    texts: Vec<String>,
    hirs: Vec<Hir>,
    forward: DFA,
    backward: DFA,
    prefilter: Option<Prefilter>,
    /// One byte of each class of bytes that the automaton treats alike.
    byte_classes: Vec<u8>,
}

/// A set of byte regexes that are looked for together.
///
/// The syntax is that of Rust's `regex` crate, on bytes: `.`, `\w` and the like are
/// ASCII and `.` matches any byte but line ends; `(?u)` switches to Unicode. `^` and
/// `$` are the start and the end of a line; a lone carriage return (a progress
/// display) also ends a line, as on a screen.
///
/// Patterns see the console without terminal codes, NUL and carriage returns before
/// line feeds ([`crate::clean()`]), so one that asks for those is refused, and so is
/// one that can match nothing at all. Cloning is cheap.
#[derive(Clone)]
pub struct Patterns(Arc<Compiled>);

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patterns").field(&self.0.texts).finish()
    }
}

impl Patterns {
    /// Compiles the patterns. Where two match at the same place, the first listed wins.
    /// None at all is fine: nothing is ever found.
    ///
    /// # Errors
    /// The first pattern that is not valid, or the one that makes the set too large.
    pub fn compile<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let hirs = parse_all(patterns)?;
        let texts: Vec<String> = patterns.iter().map(|p| p.as_ref().to_owned()).collect();
        let too_large = |why: String| {
            let single = |hir: &Hir| thompson_nfa(std::slice::from_ref(hir), false).is_err();
            let index = hirs.iter().position(single).unwrap_or(hirs.len().saturating_sub(1));
            error(index, texts.len(), &texts[index], None, why)
        };
        let forward = thompson_nfa(&hirs, false).map_err(&too_large)?;
        let backward = thompson_nfa(&hirs, true).map_err(&too_large)?;
        let prefilter =
            Prefilter::from_hirs_prefix(MatchKind::LeftmostFirst, &hirs).filter(Prefilter::is_fast);
        let config = DFA::config().skip_cache_capacity_check(true).specialize_start_states(true);
        let forward = DFA::builder()
            .configure(config.clone().match_kind(MatchKind::LeftmostFirst))
            .build_from_nfa(forward)
            .map_err(|why| too_large(why.to_string()))?;
        let backward = DFA::builder()
            .configure(config.match_kind(MatchKind::All).starts_for_each_pattern(true))
            .build_from_nfa(backward)
            .map_err(|why| too_large(why.to_string()))?;
        let byte_classes = forward.byte_classes().representatives(..).filter_map(Unit::as_u8).collect();
        Ok(Self(Arc::new(Compiled { texts, hirs, forward, backward, prefilter, byte_classes })))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.texts.is_empty()
    }

    /// The pattern with this number, as it was written.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.0.texts.get(index).map(String::as_str)
    }

    pub(crate) fn forward(&self) -> &DFA {
        &self.0.forward
    }

    pub(crate) fn backward(&self) -> &DFA {
        &self.0.backward
    }

    pub(crate) fn byte_classes(&self) -> &[u8] {
        &self.0.byte_classes
    }

    pub(crate) fn prefilter(&self) -> Option<&Prefilter> {
        self.0.prefilter.as_ref()
    }

    /// The same patterns, to be asked of single lines.
    pub(crate) fn per_line(&self) -> Result<LineSet, PatternError> {
        let build = |hirs: &[Hir], kind| {
            let config =
                meta::Regex::config().match_kind(kind).utf8_empty(false).nfa_size_limit(Some(MOST_BYTES));
            meta::Regex::builder().configure(config).build_many_from_hir(hirs)
        };
        let last = self.len().saturating_sub(1);
        let too_large = |why: regex_automata::meta::BuildError| {
            let pattern = self.text(last).unwrap_or_default();
            error(last, self.len(), pattern, None, why.to_string())
        };
        let any = build(&self.0.hirs, MatchKind::LeftmostFirst).map_err(too_large)?;
        let which = build(&self.0.hirs, MatchKind::All).map_err(too_large)?;
        Ok(LineSet { any, which, found: PatternSet::new(self.len()) })
    }
}

/// Tells which patterns match within one line.
#[derive(Debug)]
pub(crate) struct LineSet {
    /// Fast: most lines match none.
    any: meta::Regex,
    which: meta::Regex,
    found: PatternSet,
}

impl LineSet {
    /// The numbers of the patterns that match, ascending.
    pub(crate) fn matching(&mut self, line: &[u8]) -> impl Iterator<Item = usize> {
        self.found.clear();
        if self.any.is_match(line) {
            self.which.which_overlapping_matches(&Input::new(line), &mut self.found);
        }
        self.found.iter().map(|id| id.as_usize())
    }
}

/// Takes the first group of a pattern out of a line: a key's fingerprint, a version.
#[derive(Clone, Debug)]
pub struct Capture(meta::Regex);

impl Capture {
    /// Compiles a pattern with at least one group.
    ///
    /// # Errors
    /// The pattern is not valid, or has no group.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        let hirs = parse_all(&[pattern])?;
        if hirs[0].properties().explicit_captures_len() == 0 {
            let what = "has no (group) to take".to_owned();
            return Err(error(0, 1, pattern, None, what));
        }
        let config = meta::Regex::config().utf8_empty(false).nfa_size_limit(Some(MOST_BYTES));
        let built = meta::Regex::builder().configure(config).build_many_from_hir(&hirs);
        Ok(Self(built.map_err(|why| error(0, 1, pattern, None, why.to_string()))?))
    }

    /// The first group where the pattern first matches in these raw console bytes.
    pub fn first(&self, line: &[u8]) -> Option<Vec<u8>> {
        let line = clean(line);
        let mut groups = self.0.create_captures();
        self.0.captures(&line, &mut groups);
        groups.get_group(1).map(|span| line[span.range()].to_vec())
    }
}

/// [`Capture`] for a single use; what was found, as text.
///
/// # Errors
/// The pattern is not valid, or has no group.
pub fn capture(pattern: &str, line: &[u8]) -> Result<Option<String>, PatternError> {
    let found = Capture::compile(pattern)?.first(line);
    Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn error(index: usize, of: usize, pattern: &str, at: Option<Range<usize>>, what: String) -> PatternError {
    let which = if of == 1 { "pattern".to_owned() } else { format!("pattern {} of {of}", index + 1) };
    PatternError { index, which, pattern: pattern.to_owned(), at, what }
}

fn parse_all<S: AsRef<str>>(patterns: &[S]) -> Result<Vec<Hir>, PatternError> {
    let parse = |(index, pattern): (usize, &S)| {
        let pattern = pattern.as_ref();
        parse_one(pattern).map_err(|(at, what)| error(index, patterns.len(), pattern, at, what))
    };
    patterns.iter().enumerate().map(parse).collect()
}

fn parse_one(pattern: &str) -> Result<Hir, (Option<Range<usize>>, String)> {
    let mut parser =
        regex_syntax::ParserBuilder::new().multi_line(true).crlf(true).unicode(false).utf8(false).build();
    let hir = parser.parse(pattern).map_err(|why| {
        let (span, what) = match &why {
            regex_syntax::Error::Parse(why) => (Some(why.span()), why.kind().to_string()),
            regex_syntax::Error::Translate(why) => (Some(why.span()), why.kind().to_string()),
            other => (None, other.to_string()),
        };
        (span.map(|span| span.start.offset..span.end.offset), what)
    })?;
    let properties = hir.properties();
    if properties.minimum_len().is_none_or(|length| length == 0) {
        return Err((None, "can match nothing at all, or never matches".into()));
    }
    if properties.look_set().contains_word_unicode() {
        return Err((None, "asks for Unicode word borders".into()));
    }
    if asks_for_removed(&hir) {
        let what = "asks for bytes that are removed before matching (escape codes, NUL, \\r before \\n); \
            write \\n for \\r\\n";
        return Err((None, what.into()));
    }
    Ok(hir)
}

/// Whether a literal part needs bytes that a pattern never sees.
fn asks_for_removed(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => {
            literal.0.windows(2).any(|two| two == b"\r\n") || literal.0.iter().any(|b| matches!(b, 0 | 0x1b))
        }
        HirKind::Repetition(inner) => inner.min > 0 && asks_for_removed(&inner.sub),
        HirKind::Capture(inner) => asks_for_removed(&inner.sub),
        HirKind::Concat(parts) => parts.iter().any(asks_for_removed),
        HirKind::Alternation(parts) => parts.iter().all(asks_for_removed),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

fn thompson_nfa(hirs: &[Hir], reverse: bool) -> Result<thompson::NFA, String> {
    let config = thompson::Config::new()
        .utf8(false)
        .reverse(reverse)
        .which_captures(thompson::WhichCaptures::None)
        .nfa_size_limit(Some(MOST_BYTES));
    thompson::Compiler::new().configure(config).build_many_from_hir(hirs).map_err(|why| why.to_string())
}
