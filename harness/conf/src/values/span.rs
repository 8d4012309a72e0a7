//! A length of time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::split_unit;

/// A length of time with its unit: `250ms`, `2s`, `1.5s`, `5min`, `2h`, `30d`. Whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const WANTED: &str = "a duration with its unit, such as `250ms`, `2s`, `5min` or `1h`";

/// Milliseconds by unit, longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

impl Span {
    /// As a duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected {WANTED}, got `{text}`");
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let millis = number * *scale as f64;
        // A hundred years: what is longer was not meant.
        if millis > 36_525.0 * 86_400_000.0 {
            return Err(wrong());
        }
        Ok(Self(Duration::from_millis(millis.round() as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis() as u64;
        match UNITS.iter().find(|(_, scale)| millis.is_multiple_of(*scale) && millis >= *scale) {
            Some((unit, scale)) => write!(f, "{}{unit}", millis / scale),
            None => write!(f, "{millis}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(|_: String| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        // `any`, so that a bare number is told apart from text.
        input.deserialize_any(Text)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^[0-9.]+ ?(ms|s|min|h|d)$", "examples": ["250ms", "5min"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written_back() {
        for (text, millis, again) in [
            ("250ms", 250, "250ms"),
            ("2s", 2000, "2s"),
            ("1.5s", 1500, "1500ms"),
            ("90 s", 90_000, "90s"),
            ("5min", 300_000, "5min"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.0.as_millis(), span.to_string().as_str()), (millis, again), "{text}");
            assert_eq!(again.parse(), Ok(span));
        }
        for text in ["", "5", "s", "-1s", "5 sec", "1e9s", "1.2.3s", "99999999999d", "5m"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
