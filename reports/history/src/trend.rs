//! How a measure went over images and time.

use rusqlite::{OptionalExtension, Row, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::error::HistoryError;
use crate::filter::{Filter, Over, Where};
use crate::numbers::word_number;
use crate::query::time;
use crate::stats::median;
use crate::store::History;

/// What started the boots whose stages a trend shows when nothing else is asked for.
pub const COLD: &str = "power-on";

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// When.
    pub at: jiff::Timestamp,
    /// In the trend's unit.
    pub value: f64,
    /// The run's id.
    pub run: String,
    /// `rig/slot`.
    pub slot: String,
    /// The image's hash.
    pub image: String,
    /// The image's version.
    pub version: Option<String>,
}

/// All values with one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerImage {
    /// The image's hash.
    pub image: String,
    /// The image's version.
    pub version: Option<String>,
    /// When it was first measured.
    pub first: jiff::Timestamp,
    /// How many values there are.
    pub count: usize,
    /// The smallest.
    pub least: f64,
    /// The middle one.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

/// A measure over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// The measure's name.
    pub measure: String,
    /// Of which case or kind of boot.
    pub context: String,
    /// `s`, `MiB` …
    pub unit: String,
    /// Larger is better.
    pub higher: bool,
    /// In order of time.
    pub points: Vec<Point>,
}

impl Trend {
    /// The values by image, in order of their first measurement.
    pub fn images(&self) -> Vec<PerImage> {
        let mut groups: Vec<(&Point, Vec<f64>)> = Vec::new();
        for point in &self.points {
            match groups.iter_mut().find(|(first, _)| first.image == point.image) {
                Some((_, values)) => values.push(point.value),
                None => groups.push((point, vec![point.value])),
            }
        }
        let all = groups.into_iter().map(|(first, values)| PerImage {
            image: first.image.clone(),
            version: first.version.clone(),
            first: first.at,
            count: values.len(),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            median: median(&values),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        });
        all.collect()
    }
}

impl History {
    /// The latest `most` values of a measure, in order of time. `context` is a case's id or what
    /// started the boot (`power-on`, `clean reboot`); without it stages are those of cold boots, and
    /// any other measure is that of the context it was measured in last. `case` and `outcome` of the
    /// filter are those of the attempt that measured it; what no case measures is refused with them.
    pub fn trend(
        &self,
        measure: &str,
        context: Option<&str>,
        filter: &Filter,
        most: usize,
    ) -> Result<Trend, HistoryError> {
        let metric = self.named("metric", measure)?;
        let mut all = self.conditions(filter, Over::Rows)?;
        all.and("a.metric = ?", metric);
        if let Some(run) = &filter.run {
            all.and("a.run = ?", self.named("run", run)?);
        }
        self.and_attempt(&mut all, filter, metric, measure)?;
        let context = match context {
            Some(context) => context.to_owned(),
            None if measure.starts_with("boot.") => COLD.to_owned(),
            None => {
                let latest = "ORDER BY a.at DESC LIMIT 1";
                let ask = format!("SELECT a.context FROM measure AS a{} {latest}", all.sql());
                let found = self.db.query_row(&ask, params_from_iter(&all.values), |row| row.get(0));
                found.optional()?.unwrap_or_default()
            }
        };
        all.and("a.context = ?", context.clone());
        let mut ask = self.db.prepare(&format!(
            "SELECT a.at, a.value, r.name, s.name, i.payload, i.version, a.unit, a.higher
             FROM measure AS a JOIN run AS r ON r.id = a.run JOIN slot AS s ON s.id = a.slot
               JOIN image AS i ON i.id = a.image{} ORDER BY a.at DESC LIMIT {most}",
            all.sql()
        ))?;
        let read = |row: &Row<'_>| {
            let point = Point {
                at: time(row.get(0)?),
                value: row.get(1)?,
                run: row.get(2)?,
                slot: row.get(3)?,
                image: row.get(4)?,
                version: row.get(5)?,
            };
            Ok((point, row.get::<_, String>(6)?, row.get::<_, bool>(7)?))
        };
        let rows: Vec<_> = ask.query_map(params_from_iter(&all.values), read)?.collect::<Result<_, _>>()?;
        let (unit, higher) = rows.first().map(|row| (row.1.clone(), row.2)).unwrap_or_default();
        let points = rows.into_iter().rev().map(|row| row.0).collect();
        Ok(Trend { measure: measure.to_owned(), context, unit, higher, points })
    }

    /// The conditions on the attempt that measured something.
    fn and_attempt(
        &self,
        all: &mut Where,
        filter: &Filter,
        metric: i64,
        measure: &str,
    ) -> Result<(), HistoryError> {
        let got = match (&filter.case, filter.outcome) {
            (None, None) => return Ok(()),
            (Some(_), _) => "case",
            (None, Some(_)) => "outcome",
        };
        let of_cases = "SELECT 1 FROM measure WHERE metric = ?1 AND ordinal IS NOT NULL LIMIT 1";
        if !self.db.prepare(of_cases)?.exists([metric])? {
            return Err(HistoryError::Useless {
                question: format!("the trend of `{measure}`"),
                got,
                why: "it is measured of a run or a boot, not by a case",
            });
        }
        let of = |column| {
            format!("(SELECT t.{column} FROM attempt AS t WHERE t.run = a.run AND t.ordinal = a.ordinal)")
        };
        self.and_case(all, filter, &of("kase"))?;
        if let Some(word) = filter.outcome {
            all.and(&format!("{} = ?", of("outcome")), word_number(word));
        }
        Ok(())
    }

    /// The names of all measures.
    pub fn measures(&self) -> Result<Vec<String>, HistoryError> {
        let mut ask = self.db.prepare("SELECT name FROM metric ORDER BY name")?;
        Ok(ask.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}
