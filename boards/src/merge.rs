//! Values with their origin, and the merging of layers. What is set later wins.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, HirKind};
use shakedown_conf::{Loaded, Place, Problem, Span, nearest};
use shakedown_core::{BadSpec, Blame, Seen, StageSpec};

use crate::doc::{BadDoc, BlameDoc, BootDoc, SeenDoc, StageDoc};
use crate::error::BoardsError;
use crate::origin::Origins;

/// How long to read on after a known-bad line: a panic's call trace takes about a second at 115200 baud.
const DRAIN: Duration = Duration::from_secs(2);

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// Replaces `old` by what the later layer says, if it says anything.
pub(crate) fn put<T>(old: &mut Option<Sourced<T>>, new: Option<T>, place: impl FnOnce() -> Place) {
    if let Some(value) = new {
        *old = Some(Sourced { value, place: place() });
    }
}

/// Stages and known-bad lines of several layers.
#[derive(Debug, Default)]
pub(crate) struct Boot {
    stages: Vec<Stage>,
    bad: BTreeMap<String, Bad>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    seen: Option<Sourced<SeenDoc>>,
    within: Option<Sourced<Span>>,
    typical: Option<Sourced<Span>>,
    optional: Option<Sourced<bool>>,
    once: Option<Sourced<bool>>,
}

#[derive(Debug, Default)]
struct Bad {
    pattern: Option<Sourced<String>>,
    says: Option<Sourced<String>>,
    blame: Option<Sourced<BlameDoc>>,
    drain: Option<Sourced<Span>>,
}

impl Boot {
    /// Applies a layer's `boot` block.
    pub(crate) fn apply<T>(&mut self, from: &Loaded<T>, boot: &BootDoc) -> Result<(), BoardsError> {
        let mut seen = BTreeMap::new();
        for (index, stage) in boot.stages.iter().enumerate() {
            let field = format!("boot.stages[{index}]");
            if let Some(first) = seen.insert(&stage.name, index) {
                let first = from.at(&format!("boot.stages[{first}].name")).line;
                let problem = Problem::DuplicateKey { key: stage.name.clone(), first };
                return Err(from.refuse(&format!("{field}.name"), problem).into());
            }
            self.stage(from, stage, &field)?;
        }
        let mut seen = BTreeMap::new();
        for (index, bad) in boot.bad.iter().enumerate() {
            let field = format!("boot.bad[{index}]");
            if let Some(first) = seen.insert(&bad.id, index) {
                let first = from.at(&format!("boot.bad[{first}].id")).line;
                let problem = Problem::DuplicateKey { key: bad.id.clone(), first };
                return Err(from.refuse(&format!("{field}.id"), problem).into());
            }
            self.bad(from, bad, &field)?;
        }
        Ok(())
    }

    fn stage<T>(&mut self, from: &Loaded<T>, doc: &StageDoc, field: &str) -> Result<(), BoardsError> {
        if let Some(SeenDoc::Console(patterns)) = &doc.seen {
            if patterns.is_empty() {
                return Err(from.invalid(&format!("{field}.seen"), "no pattern is given").into());
            }
            for (index, pattern) in patterns.iter().enumerate() {
                check_pattern(from, &format!("{field}.seen.console[{index}]"), pattern.as_str())?;
            }
        }
        let known = self.stages.iter().position(|stage| stage.name == doc.name);
        let index = match (known, &doc.after) {
            (Some(index), None) => index,
            (known, after) => {
                let stage = match known {
                    Some(index) => self.stages.remove(index),
                    None => Stage::new(&doc.name),
                };
                let index = match after {
                    None => self.stages.len(),
                    Some(after) => {
                        let before = self.stages.iter().position(|stage| stage.name == *after);
                        1 + before.ok_or_else(|| {
                            let known = self.stages.iter().map(|stage| stage.name.clone());
                            from.unknown_name(&format!("{field}.after"), "stage", after, known)
                        })?
                    }
                };
                self.stages.insert(index, stage);
                index
            }
        };
        let at = |name: &str| from.at(&format!("{field}.{name}"));
        let stage = &mut self.stages[index];
        put(&mut stage.seen, doc.seen.clone(), || at("seen"));
        put(&mut stage.within, doc.within, || at("within"));
        put(&mut stage.typical, doc.typical, || at("typical"));
        put(&mut stage.optional, doc.optional, || at("optional"));
        put(&mut stage.once, doc.once, || at("once"));
        if doc.within.is_some_and(|within| within.get().is_zero()) {
            return Err(from.invalid(&format!("{field}.within"), "no stage is reached in no time").into());
        }
        let late = |(within, typical): (&Sourced<Span>, &Sourced<Span>)| typical.value > within.value;
        if stage.within.as_ref().zip(stage.typical.as_ref()).is_some_and(late) {
            return Err(from.invalid(&format!("{field}.typical"), "longer than `within`").into());
        }
        let name = match (&stage.seen, &stage.within) {
            (None, _) => "seen",
            (_, None) => "within",
            _ => return Ok(()),
        };
        let error = from.missing(field, name);
        // Where nothing is inherited by this name, the name may be a slip.
        let others: Vec<_> =
            self.stages.iter().map(|stage| &stage.name).filter(|name| **name != doc.name).collect();
        Err(match nearest(&doc.name, others.iter().copied()) {
            Some(meant) => {
                error.hint(format!("`{}` is a new stage; did you mean to change `{meant}`?", doc.name))
            }
            None => error,
        }
        .into())
    }

    fn bad<T>(&mut self, from: &Loaded<T>, doc: &BadDoc, field: &str) -> Result<(), BoardsError> {
        if let Some(pattern) = &doc.pattern {
            check_pattern(from, &format!("{field}.pattern"), pattern.as_str())?;
        }
        let at = |name: &str| from.at(&format!("{field}.{name}"));
        let bad = self.bad.entry(doc.id.clone()).or_default();
        put(&mut bad.pattern, doc.pattern.as_ref().map(|pattern| pattern.0.clone()), || at("pattern"));
        put(&mut bad.says, doc.says.clone(), || at("says"));
        put(&mut bad.blame, doc.blame, || at("blame"));
        put(&mut bad.drain, doc.drain, || at("drain"));
        let missing = [
            ("pattern", bad.pattern.is_none()),
            ("says", bad.says.is_none()),
            ("blame", bad.blame.is_none()),
        ];
        match missing.iter().find(|(_, missing)| *missing) {
            Some((name, _)) => Err(from.missing(field, name).into()),
            None => Ok(()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The complete stages and known-bad lines, in order.
    pub(crate) fn finish(self, origins: &mut Origins) -> (Vec<StageSpec>, Vec<BadSpec>) {
        let stages = self.stages.into_iter().filter_map(|stage| stage.finish(origins)).collect();
        let bad = self.bad.into_iter().filter_map(|(id, bad)| bad.finish(id, origins)).collect();
        (stages, bad)
    }
}

impl Stage {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, seen: None, within: None, typical: None, optional: None, once: None }
    }

    /// Always `Some`: `Boot::stage` refused what lacks a value.
    fn finish(self, origins: &mut Origins) -> Option<StageSpec> {
        let field = |name: &str| format!("boot.stages[{}].{name}", self.name);
        let seen = self.seen?;
        let within = self.within?;
        origins.note(field("seen"), show_seen(&seen.value), Some(seen.place));
        origins.note(field("within"), within.value.to_string(), Some(within.place));
        if let Some(typical) = &self.typical {
            origins.note(field("typical"), typical.value.to_string(), Some(typical.place.clone()));
        }
        Some(StageSpec {
            seen: seen.value.into(),
            within: within.value.get(),
            typical: self.typical.as_ref().map(|typical| typical.value.get()),
            optional: or(origins, field("optional"), self.optional.as_ref(), false),
            once: or(origins, field("once"), self.once.as_ref(), false),
            name: self.name,
        })
    }
}

impl Bad {
    fn finish(self, id: String, origins: &mut Origins) -> Option<BadSpec> {
        let field = |name: &str| format!("boot.bad[{id}].{name}");
        let (pattern, says, blame) = (self.pattern?, self.says?, self.blame?);
        let blame_word = Blame::from(blame.value);
        origins.note(field("pattern"), pattern.value.clone(), Some(pattern.place));
        origins.note(field("says"), says.value.clone(), Some(says.place));
        origins.note(field("blame"), blame_word.word(), Some(blame.place));
        let drain = or(origins, field("drain"), self.drain.as_ref(), Span(DRAIN));
        Some(BadSpec { pattern: pattern.value, says: says.value, blame: blame_word, drain: drain.get(), id })
    }
}

impl From<SeenDoc> for Seen {
    fn from(seen: SeenDoc) -> Self {
        match seen {
            SeenDoc::Console(patterns) => Self::Console(patterns.into_iter().map(|p| p.0).collect()),
            SeenDoc::Shell => Self::Shell,
            SeenDoc::Engine => Self::Engine,
        }
    }
}

fn show_seen(seen: &SeenDoc) -> String {
    match seen {
        SeenDoc::Console(patterns) => {
            let shown: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            format!("console {}", shown.join(" | "))
        }
        SeenDoc::Shell => "shell".into(),
        SeenDoc::Engine => "engine".into(),
    }
}

/// The value, or a default; either way it is noted.
pub(crate) fn or<T: Copy + fmt::Display>(
    origins: &mut Origins,
    field: impl Into<String>,
    value: Option<&Sourced<T>>,
    default: T,
) -> T {
    let (value, place) =
        value.map_or((default, None), |sourced| (sourced.value, Some(sourced.place.clone())));
    origins.note(field, value.to_string(), place);
    value
}

/// Refuses what is no byte regex, at its place.
pub(crate) fn check_pattern<T>(from: &Loaded<T>, field: &str, pattern: &str) -> Result<(), BoardsError> {
    // As the console compiles them.
    let bytes = syntax::Config::new().utf8(false).unicode(false).multi_line(true).crlf(true);
    if pattern.is_empty() {
        return Err(from.invalid(field, "an empty pattern matches everywhere").into());
    }
    let parsed = syntax::parse_with(pattern, &bytes).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or(&text).trim_start_matches("error: ");
        from.invalid(field, format!("not a regular expression: {last}"))
    })?;
    if parsed.properties().minimum_len() == Some(0) {
        return Err(from.invalid(field, "this matches nothing at all, and so everywhere").into());
    }
    if states(&parsed) > STATES {
        let what = format!("a regular expression of more than {STATES} states: its repetitions multiply");
        return Err(from.invalid(field, what).into());
    }
    Ok(())
}

/// The longest patterns of ours have a few hundred.
const STATES: u64 = 20_000;

/// About how many states it takes to match this, with its repetitions written out. Compiling it
/// would tell, and costs too much for each load.
fn states(of: &Hir) -> u64 {
    match of.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(text) => text.0.len() as u64,
        HirKind::Capture(inner) => states(&inner.sub),
        HirKind::Repetition(inner) => {
            let times = inner.max.unwrap_or(inner.min.saturating_add(1));
            states(&inner.sub).saturating_mul(u64::from(times.max(1)))
        }
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            all.iter().map(states).fold(1, u64::saturating_add)
        }
    }
}
