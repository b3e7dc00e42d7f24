//! Moments as people write them: `30d`, `12h`, a date, or RFC 3339.

use crate::model::clock::Timestamp;
use chrono::DateTime;
use chrono::Duration;
use chrono::NaiveDate;
use chrono::NaiveTime;

/// Reads a moment in the future: a span from now (`90s`, `15m`, `12h`, `30d`), a date (its midnight, UTC), or RFC 3339.
///
/// # Errors
/// A sentence that says what would do.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = span(text)
        .and_then(|span| now.checked_add_signed(span))
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()))
        .or_else(|| text.parse::<NaiveDate>().ok().map(|date| date.and_time(NaiveTime::MIN).and_utc()))
        .ok_or_else(|| {
            format!("`{text}` is neither a span like 30d or 12h, nor a date like 2030-01-31, nor RFC 3339")
        })?;
    if at > now { Ok(at) } else { Err(format!("`{text}` is not in the future")) }
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number > 0)?;
    match unit {
        's' => Duration::try_seconds(number),
        'm' => Duration::try_minutes(number),
        'h' => Duration::try_hours(number),
        'd' => Duration::try_days(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::moment;
    use chrono::DateTime;
    use chrono::Duration;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = DateTime::from_timestamp_millis(1_800_000_000_000).unwrap();
        assert_eq!(moment("30d", now), Ok(now + Duration::days(30)));
        assert_eq!(moment("12h", now), Ok(now + Duration::hours(12)));
        assert_eq!(moment("2030-01-31", now).unwrap().to_rfc3339(), "2030-01-31T00:00:00+00:00");
        assert_eq!(moment("2030-01-31T12:00:00+02:00", now).unwrap().to_rfc3339(), "2030-01-31T10:00:00+00:00");
        for nonsense in
            ["", "d", "-1d", "0d", "1y", "tomorrow", "2001-01-01", "99999999999999999d", "9223372036854775807d"]
        {
            assert!(moment(nonsense, now).is_err(), "{nonsense}");
        }
    }
}
