//! Text with `{fact}` placeholders.
//!
//! A placeholder is a kebab-case name in single braces. Everything else that
//! shells, jq and Go templates write with braces is left alone: `${name}`,
//! `{{.State}}`, `{ print $1 }`, `x{2}`, `{}`.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(String),
}

/// Text with placeholders, parsed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// The values of the facts that a case uses.
pub type Values = BTreeMap<String, String>;

impl Template {
    /// Never fails: what is no placeholder is text.
    pub fn parse(source: &str) -> Self {
        let mut parts = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while let Some(open) = source[at..].find('{').map(|found| at + found) {
            at = open + 1;
            if source[..open].ends_with(['$', '{']) {
                continue;
            }
            if let Some(name) = name_at(&source[open..]) {
                if from < open {
                    parts.push(Part::Text(source[from..open].to_owned()));
                }
                parts.push(Part::Fact(name.to_owned()));
                at = open + name.len() + 2;
                from = at;
            }
        }
        if from < source.len() {
            parts.push(Part::Text(source[from..].to_owned()));
        }
        Self { source: source.to_owned(), parts }
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The placeholders' names, in order.
    pub fn facts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Fact(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether there is anything to fill in.
    pub fn is_plain(&self) -> bool {
        self.facts().next().is_none()
    }

    /// The text, each value put in as it is. `Err` names a fact without a value.
    pub fn fill(&self, values: &Values) -> Result<String, String> {
        self.fill_with(values, str::to_owned)
    }

    /// The text, each value changed by `by` first: escaped for a pattern.
    pub fn fill_with(&self, values: &Values, by: impl Fn(&str) -> String) -> Result<String, String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok(text.clone()),
                Part::Fact(name) => values.get(name).map(|value| by(value)).ok_or_else(|| name.clone()),
            })
            .collect()
    }
}

/// The name when `text` starts with `{name}`.
fn name_at(text: &str) -> Option<&str> {
    let inner = &text[1..text.find('}')?];
    let starts = inner.starts_with(|c: char| c.is_ascii_lowercase());
    let kebab = inner.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (starts && kebab).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kebab_names_in_single_braces_are_placeholders() {
        for (text, facts, filled) in [
            ("{engine} info", &["engine"][..], "docker info"),
            ("cat {state-dir}/x{state-dir}", &["state-dir", "state-dir"], "cat /s/x/s"),
            ("echo ${engine} {{.State}} {{json .}}", &[], "echo ${engine} {{.State}} {{json .}}"),
            ("{{engine}} {engine}", &["engine"], "{{engine}} docker"),
            ("awk '{ print $1 }' x{2} {} {Caps}", &[], "awk '{ print $1 }' x{2} {} {Caps}"),
            ("a{", &[], "a{"),
            ("", &[], ""),
        ] {
            let template = Template::parse(text);
            assert_eq!(template.facts().collect::<Vec<_>>(), facts, "{text}");
            let values = Values::from([
                ("engine".to_owned(), "docker".to_owned()),
                ("state-dir".to_owned(), "/s".to_owned()),
            ]);
            assert_eq!(template.fill(&values).as_deref(), Ok(filled), "{text}");
            assert_eq!(template.is_plain(), facts.is_empty());
        }
        assert_eq!(Template::parse("{a} {b}").fill(&Values::new()), Err("a".to_owned()));
    }
}
