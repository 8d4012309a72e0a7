//! How a measure went over images and time.

use rusqlite::{Row, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::error::HistoryError;
use crate::filter::Filter;
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
    /// any other measure is that of the context it was measured in last.
    pub fn trend(
        &self,
        measure: &str,
        context: Option<&str>,
        filter: &Filter,
        most: usize,
    ) -> Result<Trend, HistoryError> {
        let metric = self.named("metric", measure)?;
        let mut all = self.conditions(filter, "at")?;
        all.and("a.metric = ?", metric);
        let context = match context {
            Some(context) => context.to_owned(),
            None if measure.starts_with("boot.") => COLD.to_owned(),
            None => self.db.query_row(
                "SELECT context FROM measure WHERE metric = ?1 ORDER BY at DESC LIMIT 1",
                [metric],
                |row| row.get(0),
            )?,
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

    /// The names of all measures.
    pub fn measures(&self) -> Result<Vec<String>, HistoryError> {
        let mut ask = self.db.prepare("SELECT name FROM metric ORDER BY name")?;
        Ok(ask.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}
