//! How long a server asks to wait, in every form it is said.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// No server's wish is followed further than this.
const LONGEST: Duration = Duration::from_secs(600);

/// Reads `retry-after-ms`, `x-ms-retry-after-ms`, `Retry-After` (seconds or HTTP
/// date) and Kudu's `retryafter` (seen-in-recordings 21). Nonsense and zero count
/// as nothing said, as in every Azure client.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"]
        .iter()
        .find_map(|name| text(name)?.parse().ok())
        .map(Duration::from_millis);
    let other = || {
        let value = text("retry-after").or_else(|| text("retryafter"))?;
        value.parse().map(Duration::from_secs).ok().or_else(|| until(value, now))
    };
    milliseconds.or_else(other).filter(|wait| !wait.is_zero()).map(|wait| wait.min(LONGEST))
}

fn until(date: &str, now: SystemTime) -> Option<Duration> {
    let moment = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok()?;
    (moment - OffsetDateTime::from(now)).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        assert_eq!(read(&[("retry-after", "15")]), Some(Duration::from_secs(15)));
        assert_eq!(read(&[("retryafter", "30")]), Some(Duration::from_secs(30)));
        assert_eq!(read(&[("x-ms-retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        let date = "Thu, 01 Jan 1970 00:00:07 GMT";
        assert_eq!(read(&[("retry-after", date)]), Some(Duration::from_secs(7)));
    }

    #[test]
    fn nonsense_zero_and_the_past_count_as_nothing_said() {
        for value in ["0", "-3", "soon", "", "1e9", "Thu, 01 Jan 1960 00:00:07 GMT"] {
            assert_eq!(read(&[("retry-after", value)]), None, "{value}");
        }
        assert_eq!(read(&[("retry-after", "99999999")]), Some(LONGEST));
    }
}
