//! Waits for a swap that an earlier run sent and did not see the end of.
//!
//! Every verb that changes something begins here: nothing may be planned on top of a
//! production that is about to move. Must not send anything but reads.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::journal::{Event, Journal};
use crate::azure::ResourceManager;
use crate::checks::spec::Limits;
use crate::clock;
use crate::facts::{self, Facts, Mark};
use crate::names::SlotName;
use crate::plan::{Unfinished, unfinished};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Clocks of build machines differ by less: a swap that is older than its limit and
/// this never comes.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// Reads the facts until no swap of an earlier run can move production any more, or its
/// limit is over. Gives the facts as they are then.
pub async fn awaited(
    azure: &ResourceManager,
    facts: Facts,
    staging: &SlotName,
    limits: &Limits,
    concerns: &dyn Fn(&Unfinished) -> bool,
    journal: &mut Journal<'_>,
) -> Facts {
    // The switch is not the end: until then Azure takes no other swap.
    let moving = |facts: &Facts| {
        unfinished(facts).filter(|left| (left.may_move() || is_busy(facts)) && concerns(left))
    };
    let Some(left) = moving(&facts) else { return facts };
    let limit = time_left(left.mark(), limits, clock::now());
    if limit.is_zero() {
        return facts;
    }
    journal.warn(&left);
    journal.add(Event::Waiting { what: "the end of an earlier run's swap".to_owned(), limit });
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut last = facts;
    while Instant::now() + pause < deadline {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        // A failing read is no sign of anything.
        let read = facts::gather(azure, &last.path, staging);
        if let Ok(Ok(facts)) = tokio::time::timeout_at(deadline, read).await {
            last = facts;
            if moving(&last).is_none() {
                break;
            }
        }
    }
    last
}

fn is_busy(facts: &Facts) -> bool {
    std::iter::once(&facts.production).chain(&facts.staging).any(|slot| slot.operation.is_some())
}

/// What is left of the limit of a swap that was sent then. A clock that runs fast there
/// or slow here must not make it nothing, so at least `limits.settle` is waited.
fn time_left(mark: &Mark, limits: &Limits, now: OffsetDateTime) -> Duration {
    let Ok(sent) = OffsetDateTime::parse(&mark.sent, &Rfc3339) else { return limits.swap };
    let age = Duration::try_from(now - sent).unwrap_or_default();
    if age > limits.swap + CLOCK_SKEW {
        return Duration::ZERO;
    }
    limits.swap.saturating_sub(age).max(limits.settle.min(limits.swap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_after(sent: &str, seconds: i64) -> Duration {
        let mark = Mark { sent: sent.to_owned(), by: None, last_swap: None, end: None };
        let limits =
            Limits { swap: Duration::from_secs(600), settle: Duration::from_secs(60), ..Limits::default() };
        let now = OffsetDateTime::from_unix_timestamp(1_000_000 + seconds).expect("a time");
        time_left(&mark, &limits, now)
    }

    #[test]
    fn a_swap_is_waited_for_until_its_limit_and_a_skewed_clock_does_not_shorten_that_to_nothing() {
        let sent = "1970-01-12T13:46:40Z";
        assert_eq!(left_after(sent, 0).as_secs(), 600);
        assert_eq!(left_after(sent, 100).as_secs(), 500);
        assert_eq!(left_after(sent, 599).as_secs(), 60);
        assert_eq!(left_after(sent, 3000).as_secs(), 60);
        assert_eq!(left_after(sent, -3000).as_secs(), 600);
        assert_eq!(left_after(sent, 86_400).as_secs(), 0);
        assert_eq!(left_after("yesterday", 0).as_secs(), 600);
    }
}
