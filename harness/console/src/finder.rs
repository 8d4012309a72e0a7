//! The matcher: patterns in a stream of chunks.

use std::fmt;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::Cache;
use regex_automata::util::start;
use regex_automata::{Anchored, Input, PatternID, Span};
use shakedown_core::{Chunk, Hit, Matcher};

use crate::clean::text;
use crate::pattern::Patterns;
use crate::window::{Window, unseen};

/// Raw bytes that are cleaned and searched in one go.
const BLOCK: usize = 32 << 10;

/// Finds [`Patterns`] in a stream of chunks.
///
/// Hits are those of one leftmost-first search over the whole stream, one after the
/// other without overlap, however it was cut into chunks: the time is linear in the
/// bytes and the memory is bounded. Limits that make it so:
/// - A match that could still grow is reported as it stands [`Finder::GROW`] bytes
///   after it first was one (`(?s)a.*` would else never end).
/// - The start of a match is looked for in the [`Finder::WINDOW`] bytes before its
///   end; one that lies further back is reported as that window's edge.
/// - [`Hit::text`] is cut at [`Finder::TEXT`] bytes.
///
/// **When.** `feed` reports a match as soon as no later byte can change it. [`Matcher::idle`] reports what would be a match if
/// the stream ended here (`login: $`), once; the same match is then not reported again
/// by `feed`.
///
/// **After a hit** `feed` forgets what came after it: go on with the bytes from
/// [`Hit::end`], as [`shakedown_core::ConsoleLog::expect`] does. [`Finder::feed_all`]
/// does that by itself. Bytes that were seen already are skipped, so the same chunk
/// may be fed again. A chunk further on (a gap) starts a new search there.
///
/// `^` also matches where the search begins.
pub struct Finder {
    patterns: Patterns,
    forward: Cache,
    backward: Cache,
    window: Window,
    /// Offset in the log of the next byte; `None` before the first.
    next: Option<u64>,
    search: Search,
    skip: Skip,
    /// What `idle` reported, as pattern and start.
    foretold: Option<(PatternID, u64)>,
}

/// A search in progress; indices are of cleaned bytes over the whole stream.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// Where it began: no match starts before.
    from: u64,
    /// The next byte that the automaton reads.
    pos: u64,
    state: LazyStateID,
    best: Option<Best>,
}

/// The best match so far.
#[derive(Clone, Copy, Debug)]
struct Best {
    pattern: PatternID,
    end: u64,
    /// Where this search first had a match.
    first: u64,
}

/// Whether looking for literals pays: it does not when they are everywhere.
#[derive(Clone, Copy, Debug, Default)]
struct Skip {
    tried: u64,
    skipped: u64,
}

impl Skip {
    fn pays(self) -> bool {
        self.tried < 64 || self.skipped > self.tried * 24
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Finder({:?}, next byte {:?})", self.patterns, self.next)
    }
}

impl Finder {
    /// How long a match may go on growing, in bytes without terminal codes.
    pub const GROW: u64 = 4 << 10;
    /// How far before its end the start of a match is looked for, in the same bytes.
    pub const WINDOW: u64 = 64 << 10;
    /// The longest text of a hit, in bytes.
    pub const TEXT: usize = 4 << 10;

    /// A search for these patterns, from the first byte that it is fed.
    pub fn new(patterns: &Patterns) -> Self {
        let mut forward = patterns.forward().create_cache();
        let search = Search::start(patterns, &mut forward, 0, None);
        Self {
            backward: patterns.backward().create_cache(),
            patterns: patterns.clone(),
            forward,
            window: Window::default(),
            next: None,
            search,
            skip: Skip::default(),
            foretold: None,
        }
    }

    /// Compiles a single pattern.
    ///
    /// # Errors
    /// The pattern is not valid.
    pub fn of(pattern: &str) -> Result<Self, crate::PatternError> {
        Ok(Self::new(&Patterns::compile(&[pattern])?))
    }

    /// What is looked for.
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Forgets everything: the next chunk may be from anywhere.
    pub fn reset(&mut self) {
        self.window = Window::default();
        self.next = None;
        self.foretold = None;
        self.search = Search::start(&self.patterns, &mut self.forward, 0, None);
    }

    /// All hits that these bytes complete, in order.
    pub fn feed_all(&mut self, chunk: &Chunk, hits: &mut Vec<Hit>) {
        self.take(chunk, |finder| {
            while let Some(hit) = finder.scan() {
                hits.push(hit);
            }
            false
        });
    }

    /// Memory held, in bytes, without the patterns themselves.
    pub fn memory(&self) -> usize {
        self.window.memory() + self.forward.memory_usage() + self.backward.memory_usage()
    }

    /// Adds the unseen part of the chunk block by block, until `stop` says so.
    fn take(&mut self, chunk: &Chunk, mut stop: impl FnMut(&mut Self) -> bool) {
        if self.next.is_some_and(|next| chunk.off > next) {
            self.reset();
        }
        let mut off = self.next.unwrap_or(chunk.off).max(chunk.off);
        for block in unseen(chunk, off).chunks(BLOCK) {
            self.window.add(off, chunk.at, block);
            off += block.len() as u64;
            self.next = Some(off);
            if stop(self) {
                break;
            }
            let needed = self.search.best.map_or(self.search.pos, |best| best.end);
            // One byte more, for what looks at the byte before.
            let keep = needed.saturating_sub(Self::WINDOW).max(self.search.from).saturating_sub(1);
            self.window.forget_before(keep, BLOCK);
        }
    }

    /// Runs the automaton over what is new in the window, up to the first hit.
    fn scan(&mut self) -> Option<Hit> {
        loop {
            let (pattern, end) = self.advance().or_else(|| self.certain())?;
            let start = self.start_of(pattern, end);
            let told = self.foretold.take() == Some((pattern, start));
            let hit = (!told).then(|| self.hit(pattern, start, end));
            let before = self.window.slice(end - 1, end).first().copied();
            self.search = Search::start(&self.patterns, &mut self.forward, end, before);
            if hit.is_some() {
                return hit;
            }
        }
    }

    /// Runs the automaton until a match is certain, or the window is at its end.
    fn advance(&mut self) -> Option<(PatternID, u64)> {
        let (bytes, base) = (self.window.bytes(), self.window.base());
        let dfa = self.patterns.forward();
        let mut i = (self.search.pos - base) as usize;
        let mut state = self.search.state;
        let mut best = self.search.best;
        let mut literal = self.patterns.prefilter().filter(|_| self.skip.pays());
        // Before this index, looking for literals has been done.
        let mut looked = 0;
        loop {
            if let Some(prefilter) = literal
                && i >= looked
                && i < bytes.len()
                && state.is_start()
            {
                // Nothing is half matched: go to where something may begin. A literal may be
                // cut by the end of the window, so the automaton reads the last bytes itself.
                let next = prefilter.find(bytes, Span { start: i, end: bytes.len() });
                let tail = bytes.len().saturating_sub(prefilter.max_needle_len().saturating_sub(1)).max(i);
                let to = next.map_or(tail, |span| span.start.min(tail));
                looked = if next.is_some() { to + 1 } else { bytes.len() };
                self.skip.tried += 1;
                self.skip.skipped += (to - i) as u64;
                literal = literal.filter(|_| self.skip.pays());
                if to > i {
                    i = to;
                    state = start_state(&self.patterns, &mut self.forward, Some(bytes[i - 1]));
                }
            }
            let grown = best.map_or(u64::MAX, |best| best.first.saturating_add(Self::GROW));
            let limit = (grown.saturating_sub(base) as usize).min(bytes.len());
            let look = literal.is_some();
            while i < limit {
                state = dfa.next_state(&mut self.forward, state, bytes[i]).expect(NEVER_GIVES_UP);
                i += 1;
                if state.is_tagged() && (look || !state.is_start()) {
                    break;
                }
            }
            if state.is_match() {
                // An automaton tells of a match when it has read one byte more.
                let pattern = dfa.match_pattern(&self.forward, state, 0);
                let end = base + i as u64 - 1;
                let first = best.map_or(end, |best| best.first);
                best = Some(Best { pattern, end, first });
            } else if state.is_dead() {
                // Only after a match: an unanchored search dies of nothing else.
                return best.map(|best| (best.pattern, best.end));
            }
            if i < bytes.len() && i >= limit {
                return best.map(|best| (best.pattern, best.end));
            }
            if i == bytes.len() {
                break;
            }
        }
        self.search.pos = base + i as u64;
        self.search.state = state;
        self.search.best = best;
        None
    }

    /// Whether what was read ends in a match that no later byte can change: the automaton
    /// itself tells one or two bytes later, when it matches and dies.
    fn certain(&mut self) -> Option<(PatternID, u64)> {
        let cleared = self.forward.clear_count();
        let found = self.settled_best().or_else(|| self.settled_here());
        if self.forward.clear_count() != cleared {
            self.recover();
        }
        found
    }

    fn settled_best(&mut self) -> Option<(PatternID, u64)> {
        let best = self.search.best?;
        self.settled(self.search.state)?.then_some((best.pattern, best.end))
    }

    /// A match that ends at the last byte, whatever the next one is.
    fn settled_here(&mut self) -> Option<(PatternID, u64)> {
        let cleared = self.forward.clear_count();
        let (pattern, end) = self.ends_here()?;
        if self.forward.clear_count() != cleared {
            return None;
        }
        for i in 0..self.patterns.byte_classes().len() {
            let next = self.peek(self.search.state, i)?;
            let same =
                next.is_match() && self.patterns.forward().match_pattern(&self.forward, next, 0) == pattern;
            if !same || !self.settled(next)? {
                return None;
            }
        }
        Some((pattern, end))
    }

    /// The match that there would be if the stream ended here.
    fn ends_here(&mut self) -> Option<(PatternID, u64)> {
        let dfa = self.patterns.forward();
        let state = dfa.next_eoi_state(&mut self.forward, self.search.state).expect(NEVER_GIVES_UP);
        state.is_match().then(|| (dfa.match_pattern(&self.forward, state, 0), self.search.pos))
    }

    /// Whether every byte ends the search in this state; `None` when the state is no longer known.
    fn settled(&mut self, state: LazyStateID) -> Option<bool> {
        for i in 0..self.patterns.byte_classes().len() {
            if !self.peek(state, i)?.is_dead() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The state after a byte of this class. `None` when the cache was emptied for it:
    /// then the states at hand are worth nothing.
    fn peek(&mut self, state: LazyStateID, class: usize) -> Option<LazyStateID> {
        let cleared = self.forward.clear_count();
        let byte = self.patterns.byte_classes()[class];
        let next = self.patterns.forward().next_state(&mut self.forward, state, byte).expect(NEVER_GIVES_UP);
        (self.forward.clear_count() == cleared).then_some(next)
    }

    /// The leftmost start of the match that ends here.
    fn start_of(&mut self, pattern: PatternID, end: u64) -> u64 {
        let base = self.window.base();
        let lowest = end.saturating_sub(Self::WINDOW).max(self.search.from);
        let span = Span { start: (lowest - base) as usize, end: (end - base) as usize };
        let input = Input::new(self.window.bytes()).span(span).anchored(Anchored::Pattern(pattern));
        let found = self.patterns.backward().try_search_rev(&mut self.backward, &input);
        found.expect(NEVER_GIVES_UP).map_or(lowest, |half| base + half.offset() as u64)
    }

    fn hit(&self, pattern: PatternID, start: u64, end: u64) -> Hit {
        let (last, at) = self.window.origin(end - 1);
        Hit {
            pattern: pattern.as_usize(),
            start: self.window.origin(start).0,
            end: last + 1,
            at,
            text: text(self.window.slice(start, end), Self::TEXT),
        }
    }

    /// The state after reading the window again: only when the cache of states was
    /// emptied under us, which made ours invalid.
    fn recover(&mut self) {
        let (base, pos) = (self.window.base(), self.search.pos);
        let from = if base == 0 { self.search.from } else { self.search.from.max(base + 1) };
        let before = (from > base).then(|| self.window.slice(from - 1, from)[0]);
        let mut state = start_state(&self.patterns, &mut self.forward, before);
        for &byte in self.window.slice(from, pos) {
            state = self.patterns.forward().next_state(&mut self.forward, state, byte).expect(NEVER_GIVES_UP);
        }
        self.search.state = state;
    }
}

/// Why a lazy automaton's errors cannot happen: no limit on how often its cache may be
/// emptied is set, and no byte makes it quit.
const NEVER_GIVES_UP: &str = "no quit bytes and no minimum of cache use are configured";

fn start_state(patterns: &Patterns, cache: &mut Cache, before: Option<u8>) -> LazyStateID {
    let config = start::Config::new().anchored(Anchored::No).look_behind(before);
    patterns.forward().start_state(cache, &config).expect(NEVER_GIVES_UP)
}

impl Search {
    fn start(patterns: &Patterns, cache: &mut Cache, from: u64, before: Option<u8>) -> Self {
        Self { from, pos: from, state: start_state(patterns, cache, before), best: None }
    }
}

impl Matcher for Finder {
    fn feed(&mut self, chunk: &Chunk) -> Option<Hit> {
        let mut found = None;
        self.take(chunk, |finder| {
            found = finder.scan();
            found.is_some()
        });
        if let Some(hit) = &found {
            self.window.rewind(self.search.from);
            self.next = Some(hit.end);
        }
        found
    }

    fn idle(&mut self) -> Option<Hit> {
        let cleared = self.forward.clear_count();
        let now = self.ends_here();
        if self.forward.clear_count() != cleared {
            self.recover();
        }
        let (pattern, end) = now.or(self.search.best.map(|best| (best.pattern, best.end)))?;
        let start = self.start_of(pattern, end);
        if self.foretold.replace((pattern, start)) == Some((pattern, start)) {
            return None;
        }
        Some(self.hit(pattern, start, end))
    }
}
