//! Byte patterns with placeholders: checked when loaded, compiled before use.

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::template::{Template, Values};

/// A pattern over bytes. `^` and `$` match at lines; `.` does not match a line break.
#[derive(Clone, Debug)]
pub struct Pattern {
    template: Template,
    /// `None` while placeholders are to be filled.
    compiled: Option<Regex>,
    /// Whether an empty output matches; with stand-ins for the placeholders.
    matches_nothing: bool,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.template == other.template
    }
}

impl Pattern {
    /// Checks the pattern; one with placeholders is checked with stand-ins.
    pub fn parse(source: &str) -> Result<Self, String> {
        let template = Template::parse(source);
        let probe = template.facts().map(|name| (name.to_owned(), "x".to_owned())).collect();
        let filled = template.fill(&probe).map_err(|name| format!("no value for {name}"))?;
        let regex = compile(&filled)?;
        let matches_nothing = regex.is_match("");
        let compiled = template.is_plain().then_some(regex);
        Ok(Self { template, compiled, matches_nothing })
    }

    /// As it was written.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Whether it matches an empty output, so that as an expectation it could never fail.
    pub fn matches_nothing(&self) -> bool {
        self.matches_nothing
    }

    /// The pattern with its placeholders filled, each value taken literally.
    pub fn ready(&self, values: &Values) -> Result<Regex, String> {
        if let Some(regex) = &self.compiled {
            return Ok(regex.clone());
        }
        compile(&self.template.fill_with(values, escape).map_err(|name| format!("no fact `{name}`"))?)
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::builder()
        .syntax(syntax::Config::new().utf8(false).multi_line(true))
        .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(10 << 20)))
        .build(pattern)
        .map_err(|error| {
            let why = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            let why: Vec<_> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            format!("`{pattern}` is not a pattern: {}", why.join(" "))
        })
}

/// A literal for a pattern.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_in_a_pattern_is_taken_literally() {
        let pattern = Pattern::parse("^{host}$").unwrap();
        let values = Values::from([("host".to_owned(), "a.b-c+(d)~&#".to_owned())]);
        let ready = pattern.ready(&values).unwrap();
        assert!(ready.is_match("x\na.b-c+(d)~&#\ny"));
        assert!(!ready.is_match("aXb-c+(d)~&#"));
    }

    #[test]
    fn broken_patterns_are_refused_when_loaded() {
        for broken in ["(", "a{2,1}", "[z-a]", "{host}(", "(?P<x"] {
            let error = Pattern::parse(broken).unwrap_err();
            assert!(error.contains("is not a pattern"), "{error}");
        }
    }

    #[test]
    fn any_bytes_can_be_matched() {
        let regex = Pattern::parse(r"^load (\d+)").unwrap().ready(&Values::new()).unwrap();
        assert!(regex.is_match(b"\xff\xfe\nload 12\n"));
        assert!(Pattern::parse("^x*").unwrap().matches_nothing());
        assert!(!Pattern::parse("^x").unwrap().matches_nothing());
        assert!(Pattern::parse("^(?:{host})?").unwrap().matches_nothing());
        assert!(!Pattern::parse("^{host}$").unwrap().matches_nothing());
    }
}
