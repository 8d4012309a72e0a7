//! KCIDB reports: `https://github.com/kernelci/kcidb-io`, formats 4 and 5 in, 5.3 out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shakedown_core::Sha;
use shakedown_core::outcome::Word;

use super::{About, foreign, millis};
use crate::error::HistoryError;
use crate::incoming::{Row, Run};
use crate::query::AttemptRow;
use crate::store::Source;

/// Everything that we read of a report; there is much more in it.
#[derive(Serialize, Deserialize)]
struct Report {
    version: Version,
    #[serde(default)]
    checkouts: Vec<Checkout>,
    #[serde(default)]
    builds: Vec<Build>,
    #[serde(default)]
    tests: Vec<Test>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    major: u32,
    minor: u32,
}

#[derive(Serialize, Deserialize)]
struct Checkout {
    id: String,
    origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    git_commit_name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Build {
    id: String,
    checkout_id: String,
    origin: String,
}

#[derive(Serialize, Deserialize)]
struct Test {
    id: String,
    build_id: String,
    origin: String,
    #[serde(default)]
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_time: Option<jiff::Timestamp>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    misc: Option<Misc>,
}

#[derive(Serialize, Deserialize)]
struct Environment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    compatible: Vec<String>,
}

/// What only our own reports have: KCIDB has no words for it.
#[derive(Serialize, Deserialize)]
struct Misc {
    #[serde(default, rename = "shakedown_outcome", skip_serializing_if = "Option::is_none")]
    outcome: Option<Word>,
    #[serde(default, rename = "shakedown_run", skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(default, rename = "shakedown_attempt", skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(default, rename = "shakedown_image", skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(default, rename = "shakedown_simulated", skip_serializing_if = "std::ops::Not::not")]
    simulated: bool,
}

fn refused(what: impl Into<String>) -> HistoryError {
    HistoryError::Import { format: "KCIDB", what: what.into() }
}

pub(super) fn read(text: &[u8], about: &About) -> Result<Vec<Run>, HistoryError> {
    let report: Report = serde_json::from_slice(text).map_err(|error| refused(error.to_string()))?;
    if !(4..=5).contains(&report.version.major) {
        return Err(refused(format!("expected format 4 or 5, got {}", report.version.major)));
    }
    let builds: BTreeMap<&str, &Build> =
        report.builds.iter().map(|build| (build.id.as_str(), build)).collect();
    let names: BTreeMap<&str, &str> = report
        .checkouts
        .iter()
        .filter_map(|checkout| Some((checkout.id.as_str(), checkout.git_commit_name.as_deref()?)))
        .collect();
    // Tests of one build on one machine are a run.
    let mut groups: BTreeMap<[String; 4], (About, Vec<&Test>)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for test in report.tests.iter().filter(|test| seen.insert(test.id.as_str())) {
        let machine = test.environment.as_ref();
        let mut of = about.clone();
        if let Some(compatible) = machine.and_then(|machine| machine.compatible.first()) {
            of.board.clone_from(compatible);
        }
        if let Some(comment) = machine.and_then(|machine| machine.comment.as_ref()) {
            of.slot.clone_from(comment);
        }
        let misc = test.misc.as_ref();
        of.image = misc.and_then(|misc| misc.image.clone()).unwrap_or_else(|| test.build_id.clone());
        let version =
            builds.get(test.build_id.as_str()).and_then(|build| names.get(build.checkout_id.as_str()));
        of.version = version.map(ToString::to_string).or(of.version);
        let run = misc.and_then(|misc| misc.run.clone()).unwrap_or_default();
        let key = [test.build_id.clone(), of.board.clone(), of.slot.clone(), run];
        groups.entry(key).or_insert_with(|| (of, Vec::new())).1.push(test);
    }
    let runs = groups.into_iter().map(|(key, (mut about, tests))| {
        let first = tests.iter().filter_map(|test| test.start_time).min();
        about.at = first.unwrap_or(about.at);
        let rows: Vec<Row> =
            tests.iter().enumerate().map(|(at, test)| row(at, test, about.at)).collect::<Result<_, _>>()?;
        // Named by what its tests have in common: a report that grew is of the same run.
        let name = format!("kcidb-{}", Sha::of(key.join("\n").as_bytes()).short());
        let [.., run] = key;
        Ok(Run {
            simulated: tests.iter().any(|test| test.misc.as_ref().is_some_and(|misc| misc.simulated)),
            copy_of: (!run.is_empty()).then_some(run),
            ..foreign(name, &about, Source::Kcidb, rows)
        })
    });
    runs.collect()
}

fn row(ordinal: usize, test: &Test, at: jiff::Timestamp) -> Result<Row, HistoryError> {
    let misc = test.misc.as_ref();
    let said = misc.and_then(|misc| misc.outcome);
    let took =
        millis(test.duration).map_err(|what| refused(format!("test `{}`, `duration`: {what}", test.id)))?;
    Ok(Row {
        ordinal,
        ident: Some(test.id.clone()),
        case: test.path.replace('.', "::"),
        number: misc.and_then(|misc| misc.attempt).unwrap_or(1),
        word: said.unwrap_or(match test.status.as_deref() {
            Some("PASS") => Word::Pass,
            Some("FAIL") => Word::Fail,
            Some("SKIP") => Word::Skip,
            Some("ERROR") => Word::Error,
            Some("MISS") => Word::Infra,
            // Done, and nobody says how.
            _ => Word::Undetermined,
        }),
        blame: None,
        at: test.start_time.unwrap_or(at).as_millisecond(),
        took,
        because: None,
        note: test.comment.clone(),
        measures: Vec::new(),
    })
}

pub(super) fn write(rows: &[AttemptRow], origin: &str) -> Result<String, HistoryError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if origin.is_empty() || !origin.chars().all(fits) {
        return Err(refused(format!("an origin is like `our_lab` (a-z, 0-9, _), got `{origin}`")));
    }
    let mut images: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    let mut tests = Vec::new();
    for row in rows {
        images.insert((&row.image, row.version.as_deref()));
        tests.push(Test {
            id: format!("{origin}:{}-{}", row.run, row.ordinal),
            build_id: format!("{origin}:{}", row.image),
            origin: origin.to_owned(),
            path: path(&row.case),
            status: Some(status(row.outcome).to_owned()),
            start_time: Some(row.at),
            duration: Some(row.took as f64 / 1000.0),
            comment: row.note.as_ref().map(|note| note.replace('\0', "")),
            environment: Some(Environment {
                comment: Some(row.slot.clone()),
                compatible: vec![row.board.clone()],
            }),
            misc: Some(Misc {
                outcome: Some(row.outcome),
                run: Some(row.run.clone()),
                attempt: Some(row.number),
                image: Some(row.image.clone()),
                simulated: row.simulated,
            }),
        });
    }
    let id = |image: &str| format!("{origin}:{image}");
    let report = Report {
        version: Version { major: 5, minor: 3 },
        checkouts: images
            .iter()
            .map(|(image, version)| Checkout {
                id: id(image),
                origin: origin.to_owned(),
                git_commit_name: version.map(str::to_owned),
            })
            .collect(),
        builds: images
            .iter()
            .map(|(image, _)| Build { id: id(image), checkout_id: id(image), origin: origin.to_owned() })
            .collect(),
        tests,
    };
    serde_json::to_string_pretty(&report).map_err(|error| refused(error.to_string()))
}

/// A path has dots, and of other characters only `-` and `_`.
fn path(case: &str) -> String {
    let parts = case.split("::").map(|part| {
        part.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect::<String>()
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

fn status(word: Word) -> &'static str {
    match word {
        Word::Pass => "PASS",
        Word::Fail => "FAIL",
        Word::Skip => "SKIP",
        Word::Error => "ERROR",
        // KCIDB's word for what could not be tried or found out, for whatever reason around the test.
        Word::Blocked | Word::Infra | Word::Undetermined | Word::CutOff => "MISS",
    }
}
