//! JUnit XML, ours and everybody's.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use shakedown_core::Sha;
use shakedown_core::event::RunHead;
use shakedown_core::outcome::Word;

use super::{About, foreign, millis};
use crate::error::HistoryError;
use crate::incoming::{Row, Run};
use crate::store::Source;

/// The most testcases of one file; one with more is not a test report.
const MOST: usize = 1_000_000;

fn refused(what: impl Into<String>) -> HistoryError {
    HistoryError::Import { format: "JUnit", what: what.into() }
}

pub(super) fn read(text: &[u8], about: &About) -> Result<Run, HistoryError> {
    let mut reader = Reader::from_reader(text);
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let (mut root, mut open) = (false, false);
    let mut inside: Vec<String> = Vec::new();
    let mut stamp = None;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| refused(format!("not XML at byte {}: {error}", reader.error_position())))?;
        let (element, empty) = match &event {
            Event::Start(element) => {
                inside.push(String::from_utf8_lossy(element.name().as_ref()).into_owned());
                (element, false)
            }
            Event::Empty(element) => (element, true),
            Event::End(element) => {
                open &= element.local_name().as_ref() != b"testcase";
                inside.pop();
                continue;
            }
            // A writer that was killed leaves cases whose failures are not written yet: they would
            // look as if they had passed.
            Event::Eof => match inside.last() {
                Some(element) => return Err(refused(format!("the file ends inside <{element}>"))),
                None => break,
            },
            _ => continue,
        };
        match element.local_name().as_ref() {
            b"testsuites" | b"testsuite" => {
                root = true;
                stamp = stamp.or(attribute(element, "timestamp")?);
            }
            b"testcase" if root => {
                if rows.len() == MOST {
                    return Err(refused(format!("more than {MOST} testcases")));
                }
                rows.push(row(element, rows.len(), about)?);
                open = !empty;
            }
            b"failure" | b"error" | b"skipped" if open => {
                if let Some(row) = rows.last_mut() {
                    row.word = word(element)?;
                    row.note = attribute(element, "message")?;
                }
            }
            b"property" => {
                if let (Some(name), Some(value)) = (attribute(element, "name")?, attribute(element, "value")?)
                {
                    properties.entry(name).or_insert(value);
                }
            }
            _ => {}
        }
    }
    if !root {
        return Err(refused("expected <testsuites> or <testsuite>, got neither"));
    }
    let mut about = about.clone();
    let own = |name: &str| properties.get(name).cloned();
    about.board = own("board").unwrap_or(about.board);
    about.slot = own("slot").unwrap_or(about.slot);
    about.image = own("image.payload").unwrap_or(about.image);
    if let Some(at) = own("started").or(stamp).and_then(|stamp| time(&stamp)) {
        about.at = at;
        for row in &mut rows {
            row.at = at.as_millisecond();
        }
    }
    // Named by its content and by what it is about, so that it comes in once: the same results of
    // another board or image are another run. The zero keeps names and content apart.
    let about_what = [&about.board, &about.slot, &about.image].map(String::as_bytes);
    let key = Sha::of(&[&about_what[..], &[text][..]].concat().join(&0)).short();
    let name = own("run").as_ref().map_or_else(|| format!("junit-{key}"), |run| format!("junit-{run}-{key}"));
    Ok(Run {
        simulated: properties.contains_key(&format!("fact.{}", RunHead::SIMULATED)),
        copy_of: own("run"),
        ..foreign(name, &about, Source::Junit, rows)
    })
}

fn row(element: &BytesStart<'_>, ordinal: usize, about: &About) -> Result<Row, HistoryError> {
    let name = attribute(element, "name")?.ok_or_else(|| refused("a <testcase> without a name"))?;
    let class = attribute(element, "classname")?.filter(|class| !class.is_empty());
    let seconds = attribute(element, "time")?.and_then(|time| time.replace(',', "").parse::<f64>().ok());
    let took = millis(seconds)
        .map_err(|what| refused(format!("testcase {} (`{name}`), `time`: {what}", ordinal + 1)))?;
    // GoogleTest and CTest name by attributes what they did not run.
    let says = |attribute: Option<String>, words: [&str; 2]| {
        attribute.is_some_and(|said| words.iter().any(|word| said.eq_ignore_ascii_case(word)))
    };
    let not_run = says(attribute(element, "status")?, ["notrun", "disabled"])
        || says(attribute(element, "result")?, ["suppressed", "skipped"]);
    Ok(Row {
        ordinal,
        ident: None,
        case: class.map_or_else(|| name.clone(), |class| format!("{class}::{name}")),
        number: 1,
        word: if not_run { Word::Skip } else { Word::Pass },
        blame: None,
        at: about.at.as_millisecond(),
        took,
        because: None,
        note: None,
        measures: Vec::new(),
    })
}

/// Our own types say what an error was; anybody else's error is an error of the test.
fn word(element: &BytesStart<'_>) -> Result<Word, HistoryError> {
    let kind = attribute(element, "type")?.unwrap_or_default();
    Ok(match (element.local_name().as_ref(), kind.as_str()) {
        (b"failure", _) => Word::Fail,
        (b"skipped", "blocked") => Word::Blocked,
        (b"skipped", _) => Word::Skip,
        (_, "infra") => Word::Infra,
        (_, "undetermined") => Word::Undetermined,
        (_, "cut-off" | "not-run") => Word::CutOff,
        _ => Word::Error,
    })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, HistoryError> {
    let found = element.try_get_attribute(name).map_err(|error| refused(error.to_string()))?;
    let Some(found) = found else { return Ok(None) };
    let raw = std::str::from_utf8(&found.value).map_err(|_| refused(format!("`{name}` is not UTF-8")))?;
    let text = quick_xml::escape::unescape(raw).map_err(|error| refused(format!("`{name}`: {error}")))?;
    Ok(Some(text.into_owned()))
}

/// With a zone, or (as the schema has it) without one: then it is taken as UTC.
fn time(stamp: &str) -> Option<jiff::Timestamp> {
    stamp.parse().ok().or_else(|| format!("{stamp}Z").parse().ok())
}
