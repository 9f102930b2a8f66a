//! The time outside the world: the machine's, or the one that is stepped.
//!
//! Owns the translation between the two. Must not move the world's time; the driver
//! does.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::emulator::scenario::TimeMode;
use crate::emulator::world::Timestamp;

/// A clock that never goes back.
pub(super) struct Clock {
    base: Timestamp,
    started: Instant,
    mode: TimeMode,
    /// Microseconds since `base`, when stepped.
    stepped: AtomicI64,
}

impl Clock {
    pub(super) fn new(base: Timestamp, mode: TimeMode) -> Self {
        Self { base, started: Instant::now(), mode, stepped: AtomicI64::new(0) }
    }

    pub(super) fn mode(&self) -> TimeMode {
        self.mode
    }

    pub(super) fn now(&self) -> Timestamp {
        match self.mode {
            TimeMode::Real => self.base + self.started.elapsed(),
            TimeMode::Stepped => {
                self.base + time::Duration::microseconds(self.stepped.load(Ordering::Acquire))
            }
        }
    }

    /// Stepped mode: the world has come to this time.
    pub(super) fn set(&self, now: Timestamp) {
        let since = (now - self.base).whole_microseconds();
        self.stepped.fetch_max(i64::try_from(since).unwrap_or(i64::MAX), Ordering::AcqRel);
    }

    /// How long it is until then; zero when it is past. Stepped time gives no answer.
    pub(super) fn until(&self, then: Timestamp) -> Option<Duration> {
        match self.mode {
            TimeMode::Real => Some(Duration::try_from(then - self.now()).unwrap_or_default()),
            TimeMode::Stepped => None,
        }
    }
}
