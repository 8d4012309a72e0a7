//! What a command must do, and the failure when it does not.

use shakedown_core::event::Better;
use shakedown_core::{Cut, Exit, Failure, OsProfile, Ran};

use crate::pattern::Pattern;
use crate::template::{Template, Values};

/// What a command must do. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// The exit code.
    pub exit: i32,
    /// The whole standard output without line breaks at its end.
    pub equals: Option<Template>,
    /// Texts in it.
    pub contains: Vec<Template>,
    /// Patterns that it matches.
    pub matches: Vec<Pattern>,
    /// Patterns that it does not match.
    pub not_matches: Vec<Pattern>,
    /// How many lines with something in them.
    pub lines: Option<Range<usize>>,
    /// A number in it.
    pub number: Option<Number>,
}

/// A range with one end or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<T> {
    /// The smallest that is right.
    pub at_least: Option<T>,
    /// The largest that is right.
    pub at_most: Option<T>,
}

impl<T: PartialOrd + std::fmt::Display> Range<T> {
    /// Whether it lies within.
    pub fn holds(&self, value: &T) -> bool {
        self.at_least.as_ref().is_none_or(|least| value >= least)
            && self.at_most.as_ref().is_none_or(|most| value <= most)
    }

    fn say(&self) -> String {
        match (&self.at_least, &self.at_most) {
            (Some(least), Some(most)) if least == most => least.to_string(),
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => "any number of".to_owned(),
        }
    }
}

/// A number in the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its first group is the number; `None`: the whole output.
    pub from: Option<Pattern>,
    /// What is right.
    pub range: Range<f64>,
    /// `MiB`.
    pub unit: String,
    /// The measure's name and which way is better.
    pub measure: Option<(String, Better)>,
}

/// Bytes of a command's output that a failure shows.
const SHOWN: usize = 1500;

/// What came of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The number, if one was asked for and read, also where it is not what it should be.
    pub value: Option<f64>,
    /// Whether all of it held.
    pub held: Result<(), Failure>,
}

/// Compares. `Cut::Broken` when the expectation itself is.
pub fn check(
    expect: &Expect,
    ran: &Ran,
    says: &str,
    values: &Values,
    profile: &OsProfile,
) -> Result<Seen, Cut> {
    let out = trimmed(&ran.out);
    let fail = |expected: String, got: String| {
        Ok(Seen { value: None, held: Err(Failure::new(says, expected, got)) })
    };
    let broken = |what: String| Cut::Broken(format!("{says}: {what}"));
    let fill = |text: &Template| text.fill(values).map_err(|name| broken(format!("no fact `{name}`")));

    if ran.exit != Exit::Code(expect.exit) {
        return fail(format!("exit code {}", expect.exit), format!("{}, {}", ran.exit, printed(ran)));
    }
    if ran.truncated {
        return fail("an output that fits".to_owned(), format!("more than {} bytes", ran.out.len()));
    }
    if let Some(text) = &expect.equals {
        let text = fill(text)?;
        if out != text.as_bytes() {
            return fail(quoted(text.as_bytes()), quoted(out));
        }
    }
    for text in &expect.contains {
        let text = fill(text)?;
        if !text.is_empty() && !out.windows(text.len()).any(|part| part == text.as_bytes()) {
            return fail(format!("{} in the output", quoted(text.as_bytes())), quoted(out));
        }
    }
    for (patterns, wanted) in [(&expect.matches, true), (&expect.not_matches, false)] {
        for pattern in patterns {
            let regex = pattern.ready(values).map_err(broken)?;
            match regex.find(out) {
                Some(hit) if !wanted => {
                    return fail(
                        format!("nothing that matches `{}`", pattern.template().source()),
                        quoted(line_around(out, hit.start())),
                    );
                }
                None if wanted => {
                    return fail(format!("a match of `{}`", pattern.template().source()), quoted(out));
                }
                _ => {}
            }
        }
    }
    if let Some(range) = &expect.lines {
        let count = out.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        if !range.holds(&count) {
            return fail(format!("{} lines", range.say()), format!("{count}: {}", quoted(out)));
        }
    }
    let Some(number) = &expect.number else { return Ok(Seen { value: None, held: Ok(()) }) };
    let value = match read_number(number, out, values).map_err(broken)? {
        Ok(value) => value,
        Err(got) => return fail(format!("a number of {}", number.unit), got),
    };
    let unit = &number.unit;
    let off = |expected: String| Err(Failure::new(says, expected, format!("{value} {unit}")));
    let held = if !number.range.holds(&value) {
        off(format!("{} {unit}", number.range.say()))
    } else if let Some((name, within)) = budget(number, profile)
        && !within.holds(&value)
    {
        off(format!("{} {unit} (the budget of {} for {name})", within.say(), profile.name))
    } else {
        Ok(())
    };
    Ok(Seen { value: Some(value), held })
}

/// The range that the profile's budget leaves for a measure, with the measure's name.
fn budget<'a>(number: &'a Number, profile: &OsProfile) -> Option<(&'a str, Range<f64>)> {
    let (name, better) = number.measure.as_ref()?;
    let budget = profile.budgets.get(name).copied();
    budget?;
    let range = match better {
        Better::Lower => Range { at_least: None, at_most: budget },
        Better::Higher => Range { at_least: budget, at_most: None },
    };
    Some((name, range))
}

/// The outer error is the pattern's, the inner one what was read instead of a number.
fn read_number(number: &Number, out: &[u8], values: &Values) -> Result<Result<f64, String>, String> {
    let text = match &number.from {
        None => out,
        Some(pattern) => {
            let regex = pattern.ready(values)?;
            let mut groups = regex.create_captures();
            regex.captures(out, &mut groups);
            let Some(group) = groups.get_group(1) else {
                let source = pattern.template().source();
                return Ok(Err(format!("nothing that matches `{source}` in {}", quoted(out))));
            };
            &out[group.start..group.end]
        }
    };
    let text = String::from_utf8_lossy(text);
    let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    Ok(value.ok_or_else(|| quoted(text.as_bytes())))
}

fn trimmed(out: &[u8]) -> &[u8] {
    let end = out.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &out[..end]
}

fn line_around(out: &[u8], at: usize) -> &[u8] {
    let start = out[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let end = out[at..].iter().position(|byte| *byte == b'\n').map_or(out.len(), |found| at + found);
    &out[start..end]
}

/// Output for people: `nothing`, or the text in quotes, its middle left out when long.
pub fn quoted(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    if bytes.len() <= SHOWN {
        return format!("`{}`", String::from_utf8_lossy(bytes));
    }
    let (head, tail) = (&bytes[..SHOWN / 2], &bytes[bytes.len() - SHOWN / 2..]);
    let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
    format!("`{head} […{} bytes…] {tail}`", bytes.len() - SHOWN)
}

/// Both outputs for people.
pub fn printed(ran: &Ran) -> String {
    let (out, err) = (trimmed(&ran.out), trimmed(&ran.err));
    match (out.is_empty(), err.is_empty()) {
        (true, true) => "and nothing printed".to_owned(),
        (false, true) => format!("printed {}", quoted(out)),
        (true, false) => format!("complained {}", quoted(err)),
        (false, false) => format!("printed {}, complained {}", quoted(out), quoted(err)),
    }
}
