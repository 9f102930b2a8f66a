//! Numbers in the words of a reader.

use std::time::Duration;

/// `0.3 s`, `12 s`, `4 min 05 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Milliseconds, for latencies and gaps.
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// `812 B`, `3.4 MB`, in powers of ten.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_at_every_size() {
        let said = |millis| duration(Duration::from_millis(millis));
        assert_eq!(
            [said(0), said(9_940), said(59_000), said(300_000), said(3_905_000)],
            ["0.0 s", "9.9 s", "59 s", "5 min", "65 min 05 s"]
        );
        assert_eq!(
            [bytes(0), bytes(999), bytes(1_000), bytes(999_999), bytes(3_400_000)],
            ["0 B", "999 B", "1.0 kB", "1.0 MB", "3.4 MB"]
        );
    }
}
