//! What time it is: the machine's clock, or in a simulation the simulation's.
//!
//! Owns the one place where the time of day is read. Spans of time are tokio's to measure.

use time::OffsetDateTime;

/// The time of day, UTC.
pub fn now() -> OffsetDateTime {
    #[cfg(test)]
    if let Some(now) = simulated::now() {
        return now;
    }
    OffsetDateTime::now_utc()
}

/// A moment that a library told by the machine's clock, by ours.
pub fn by_ours(moment: OffsetDateTime) -> OffsetDateTime {
    now() + (moment - OffsetDateTime::now_utc())
}

#[cfg(test)]
pub(crate) mod simulated {
    //! A time of day that goes with tokio's simulated time.

    use std::cell::Cell;

    use time::OffsetDateTime;
    use tokio::time::Instant;

    thread_local! {
        static BEGAN: Cell<Option<(OffsetDateTime, Instant)>> = const { Cell::new(None) };
    }

    /// From now on it is this time, on this thread, until the guard is dropped.
    pub(crate) fn begin(at: OffsetDateTime) -> Guard {
        BEGAN.set(Some((at, Instant::now())));
        Guard
    }

    /// Ends the simulated time of day.
    pub(crate) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            BEGAN.set(None);
        }
    }

    pub(super) fn now() -> Option<OffsetDateTime> {
        BEGAN.get().map(|(at, since)| at + since.elapsed())
    }
}
