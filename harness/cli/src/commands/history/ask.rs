//! Values of the command line.

/// A time, or a span back from now.
pub(super) fn time(text: &str) -> Result<jiff::Timestamp, String> {
    let wanted = || format!("expected a time (2026-11-01T00:00:00Z) or a span (14d, 12h), got `{text}`");
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wanted)?);
    let seconds: i64 = match unit {
        "d" => 86_400,
        "h" => 3600,
        "min" => 60,
        _ => return Err(wanted()),
    };
    let number: i64 = number.parse().map_err(|_| wanted())?;
    let back = number.checked_mul(seconds).ok_or_else(wanted)?;
    jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(back)).map_err(|_| wanted())
}

/// A share between a half and one.
pub(super) fn confidence(text: &str) -> Result<f64, String> {
    let wanted = || format!("expected a share from 0.5 to below 1, for example 0.95, got `{text}`");
    let share: f64 = text.parse().map_err(|_| wanted())?;
    if (0.5..1.0).contains(&share) { Ok(share) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_back_from_now_and_nonsense_is_refused() {
        assert_eq!(time("2026-11-01T00:00:00Z").unwrap().to_string(), "2026-11-01T00:00:00Z");
        let ago = jiff::Timestamp::now().duration_since(time("2d").unwrap());
        assert!((ago.as_secs() - 172_800).abs() < 60, "{ago}");
        for wrong in ["", "d", "2", "2 weeks", "-1d", "99999999999999999999d"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(confidence("0.95").is_ok() && confidence("95").is_err() && confidence("1").is_err());
    }
}
