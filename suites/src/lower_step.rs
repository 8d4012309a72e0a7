//! Steps and expectations, checked: a step that cannot fail is refused.

use std::time::Duration;

use shakedown_conf::ConfError;

use crate::doc::{ExpectDoc, ProgramDoc, StepDoc};
use crate::expect::{Expect, Number, Range};
use crate::lower::Lower;
use crate::pattern::Pattern;
use crate::program::Program;
use crate::step::{Act, Step};
use crate::template::Template;

const STEP_WITHIN: Duration = Duration::from_secs(30);

/// What steps are there for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// They are the check: each says what its failure means.
    Check,
    /// They prepare or clean up.
    Support,
}

pub(crate) fn steps(
    lower: &Lower<'_>,
    list: &str,
    docs: &[StepDoc],
    usage: Use,
) -> Result<Vec<Step>, ConfError> {
    let mut steps = Vec::new();
    for (index, doc) in docs.iter().enumerate() {
        steps.push(At { lower, field: format!("{list}[{index}]") }.step(doc, usage)?);
    }
    Ok(steps)
}

struct At<'a> {
    lower: &'a Lower<'a>,
    field: String,
}

impl At<'_> {
    fn step(&self, doc: &StepDoc, usage: Use) -> Result<Step, ConfError> {
        let act = match (&doc.run, &doc.config, &doc.program) {
            (Some(line), None, None) => self.run(line, doc)?,
            (None, Some(config), None) => {
                let value = match (&config.value, config.unset) {
                    (Some(value), false) => Some(self.template("config.value", value)?),
                    (None, true) => None,
                    _ => return Err(self.invalid("config", "an edit has either `value` or `unset: true`")),
                };
                Act::Config { key: config.key.clone(), value }
            }
            (None, None, Some(program)) => Act::Program(self.program(program)?),
            _ => return Err(self.invalid("", "a step is one of `run`, `config` and `program`")),
        };
        if doc.run.is_none() && (doc.expect.is_some() || doc.wait_for.is_some() || doc.measure.is_some()) {
            return Err(self.invalid("", "`expect`, `wait-for` and `measure` belong to `run`"));
        }
        let says = match (&doc.says, usage) {
            (Some(says), _) if says.split_whitespace().count() > 1 => says.trim().to_owned(),
            (Some(_), _) => return Err(self.invalid("says", "a failure is said in a sentence")),
            (None, Use::Check) if doc.config.is_none() => {
                return Err(self.invalid("says", "a step of a check says what its failure means: `says`"));
            }
            (None, _) => default_says(&act),
        };
        Ok(Step { act, says, within: doc.within.map_or(STEP_WITHIN, |span| span.0) })
    }

    fn run(&self, line: &str, doc: &StepDoc) -> Result<Act, ConfError> {
        let line = self.template("run", line)?;
        let Some(expect) = &doc.expect else {
            return Err(
                self.invalid("", "a command without `expect` says nothing: at least `expect: { exit: 0 }`")
            );
        };
        let expect = Box::new(self.expect(expect, doc)?);
        Ok(match &doc.wait_for {
            Some(what) => Act::WaitFor { what: what.clone(), line, expect },
            None => Act::Run { line, expect },
        })
    }

    fn expect(&self, doc: &ExpectDoc, step: &StepDoc) -> Result<Expect, ConfError> {
        let ExpectDoc { exit, equals, contains, matches, not_matches, lines, number } = doc;
        let lines = match lines {
            None => None,
            Some(lines) => {
                let range = Range { at_least: lines.at_least, at_most: lines.at_most };
                if range.at_least.unwrap_or(0) == 0 && range.at_most.is_none() {
                    return Err(self.invalid("expect.lines", "any number of lines would do"));
                }
                Some(range)
            }
        };
        let number = match number {
            None if step.measure.is_some() => {
                return Err(self.invalid("measure", "a measure needs `expect: number`"));
            }
            None => None,
            Some(number) => Some(Number {
                from: number
                    .from
                    .as_ref()
                    .map(|from| self.pattern("expect.number.from", from))
                    .transpose()?,
                range: Range { at_least: number.at_least, at_most: number.at_most },
                unit: number.unit.clone(),
                measure: step.measure.as_ref().map(|measure| (measure.name.clone(), measure.better.into())),
            }),
        };
        let texts = |field: &str, list: &[String]| -> Result<Vec<Template>, ConfError> {
            list.iter()
                .enumerate()
                .map(|(index, text)| match text.trim() {
                    "" => {
                        Err(self.invalid(&format!("{field}[{index}]"), "everything contains an empty text"))
                    }
                    _ => self.template(&format!("{field}[{index}]"), text),
                })
                .collect()
        };
        let patterns = |field: &str, list: &[String]| -> Result<Vec<Pattern>, ConfError> {
            list.iter()
                .enumerate()
                .map(|(index, text)| self.pattern(&format!("{field}[{index}]"), text))
                .collect()
        };
        let expect = Expect {
            exit: exit.unwrap_or(0),
            equals: equals.as_ref().map(|text| self.template("expect.equals", text)).transpose()?,
            contains: texts("expect.contains", contains)?,
            matches: patterns("expect.matches", matches)?,
            not_matches: patterns("expect.not-matches", not_matches)?,
            lines,
            number,
        };
        if let Some(index) = expect.matches.iter().position(Pattern::matches_nothing) {
            let what =
                "it also matches an empty output, so it could never fail; `equals: \"\"` asks for none";
            return Err(self.invalid(&format!("expect.matches[{index}]"), what));
        }
        let positive = expect.equals.is_some()
            || !expect.contains.is_empty()
            || !expect.matches.is_empty()
            || expect.lines.is_some()
            || expect.number.is_some();
        if !positive && !expect.not_matches.is_empty() {
            let what = "alone it holds for an empty output: say also what is there";
            return Err(self.invalid("expect.not-matches", what));
        }
        if !positive && exit.is_none() {
            return Err(self.invalid("expect", "nothing is expected: at least `exit: 0`"));
        }
        Ok(expect)
    }

    fn program(&self, doc: &ProgramDoc) -> Result<Program, ConfError> {
        let Some(bytes) = self.lower.files.program(&doc.file) else {
            let field = self.lower.field(&format!("{}.program.file", self.field));
            let known = self.lower.files.programs();
            return Err(self.lower.doc.unknown_name(&field, "program", &doc.file, known));
        };
        let mut args = Vec::new();
        for (index, arg) in doc.args.iter().enumerate() {
            args.push(self.template(&format!("program.args[{index}]"), arg)?);
        }
        Ok(Program { file: doc.file.clone(), bytes, args, format: doc.format })
    }

    fn template(&self, field: &str, text: &str) -> Result<Template, ConfError> {
        let template = Template::parse(text);
        for fact in template.facts() {
            if !self.lower.known.contains(fact) {
                let field = self.lower.field(&format!("{}.{field}", self.field));
                return Err(self.lower.doc.unknown_name(
                    &field,
                    "fact",
                    fact,
                    self.lower.known.iter().cloned(),
                ));
            }
        }
        Ok(template)
    }

    fn pattern(&self, field: &str, text: &str) -> Result<Pattern, ConfError> {
        self.template(field, text)?;
        Pattern::parse(text).map_err(|what| self.invalid(field, what))
    }

    fn invalid(&self, field: &str, what: impl Into<String>) -> ConfError {
        let field = if field.is_empty() { self.field.clone() } else { format!("{}.{field}", self.field) };
        self.lower.invalid(&field, what)
    }
}

fn default_says(act: &Act) -> String {
    match act {
        Act::Run { line, .. } => format!("`{}` did not do what it should", line.source().trim()),
        Act::WaitFor { what, .. } => format!("{what} did not come"),
        Act::Config { key, .. } => format!("the configuration's `{key}` cannot be changed"),
        Act::Program(program) => format!("{} failed", program.file),
    }
}
