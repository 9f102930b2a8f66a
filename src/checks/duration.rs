//! Durations as people write them: `90s`, `5m`, `1h30m`, `250ms`.
//!
//! Owns the one way in which the configuration and the inputs spell durations.
//! A bare number is refused: nobody knows whether it means seconds or minutes.

use std::time::Duration;

/// Longer than this is a mistake, and no timer has to cope with it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit.
    #[error("says no unit; write {0}s, {0}m or {0}ms")]
    NoUnit(String),
    /// Not of the form number and unit.
    #[error("is no duration; write 250ms, 90s, 5m or 1h30m")]
    Malformed,
    /// Longer than a day.
    #[error("is longer than a day")]
    TooLong,
}

/// Reads a duration.
///
/// # Errors
///
/// [`DurationError`] says what to write instead; it reads after the text.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(DurationError::NoUnit(text.chars().take(20).collect()));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let unit_ms = unit_in_ms(unit).ok_or(DurationError::Malformed)?;
        // Each unit once and the larger one first, so that a slip such as 5m5m is not taken for a meaning.
        if number.is_empty() || unit_ms >= smallest_unit {
            return Err(DurationError::Malformed);
        }
        smallest_unit = unit_ms;
        total = total.checked_add(scaled(number, unit_ms)?).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    match total {
        _ if smallest_unit == u64::MAX => Err(DurationError::Malformed),
        total if total > LONGEST => Err(DurationError::TooLong),
        total => Ok(total),
    }
}

/// Writes a duration the way a person would: `250 ms`, `1.2 s`, `90 s`, `5 m 10 s`, `1 h 30 m`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 if duration.subsec_millis() >= 50 => format!("{:.1} s", duration.as_secs_f64()),
        1..120 => format!("{seconds} s"),
        120..3600 if seconds.is_multiple_of(60) => format!("{} m", seconds / 60),
        120..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn split_while(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

fn unit_in_ms(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    }
}

fn scaled(number: &str, unit_ms: u64) -> Result<Duration, DurationError> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit_ms).map(Duration::from_millis).ok_or(DurationError::TooLong);
    }
    if number.chars().all(|c| c.is_ascii_digit()) {
        return Err(DurationError::TooLong);
    }
    let fraction: f64 = number.parse().map_err(|_| DurationError::Malformed)?;
    Duration::try_from_secs_f64(fraction * unit_ms as f64 / 1000.0).map_err(|_| DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_the_usual_spellings() {
        for (text, ms) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_gets_advice() {
        let error = parse_duration("30").expect_err("no unit");
        assert_eq!(error.to_string(), "says no unit; write 30s, 30m or 30ms");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "s", "5x", "m5", "5m5m", "1s1h", "-5s", "1.2.3s", "5 s"] {
            assert_eq!(parse_duration(text), Err(DurationError::Malformed), "{text}");
        }
        for text in ["25h", "99999999999999999999h", "18446744073709551615h", "1e9"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_briefly() {
        let shown = [34, 1200, 5000, 90_000, 310_000, 300_000, 5_400_000, 7_200_000]
            .map(|ms| show_duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["34 ms", "1.2 s", "5 s", "90 s", "5 m 10 s", "5 m", "1 h 30 m", "2 h"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,30}") {
            let _ = parse_duration(&text);
        }
    }
}
