//! Watches production around the swap.

use std::time::Duration;

use url::Url;

use super::spec::Watch;

/// Where in the release a request of the watch falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchPhase {
    /// Before the swap.
    Before,
    /// While the swap runs.
    During,
    /// After the swap.
    After,
}

/// What the watch saw in one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseReport {
    /// Requests sent.
    pub requests: u64,
    /// Requests lost: those without an answer and those answered with 500 or above.
    pub lost: u64,
    /// Lost because there was no answer.
    pub no_answer: u64,
    /// Lost because the answer was 500 or above.
    pub server_errors: u64,
    /// The latency that half of the good answers kept below.
    pub latency_p50: Option<Duration>,
    /// The latency that 95 of 100 good answers kept below.
    pub latency_p95: Option<Duration>,
    /// The slowest good answer.
    pub latency_max: Option<Duration>,
}

/// One point of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was sent, from the start of the watch.
    pub offset_ms: u64,
    /// How long the answer took; none: lost.
    pub latency_ms: Option<u64>,
}

/// What the watch saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// Before the swap.
    pub before: PhaseReport,
    /// While it ran.
    pub during: PhaseReport,
    /// After it.
    pub after: PhaseReport,
    /// The longest time between two good answers that encloses a lost request; zero when none was lost.
    pub longest_gap: Duration,
    /// Requests that were due and not sent because too many were still without an answer.
    pub skipped: u64,
    /// What the first lost request met.
    pub first_loss: Option<String>,
    /// How long the watch lasted.
    pub elapsed: Duration,
    /// Points for a small chart, at most about 600.
    pub samples: Vec<Sample>,
}

impl WatchReport {
    /// Requests of all phases.
    pub fn requests(&self) -> u64 {
        self.before.requests + self.during.requests + self.after.requests
    }

    /// Lost requests of all phases.
    pub fn lost(&self) -> u64 {
        self.before.lost + self.during.lost + self.after.lost
    }
}

/// A running watch; dropping it ends the watch without a report.
#[derive(Debug)]
pub struct WatchHandle {}

impl WatchHandle {
    /// Says that what is sent from now on belongs to this phase.
    pub fn mark(&self, phase: WatchPhase) {
        let _ = phase;
        unimplemented!("written next")
    }

    /// Ends the watch: waits for the answers still under way, then reports.
    pub async fn stop(self) -> WatchReport {
        unimplemented!("written next")
    }
}

/// Starts watching; begins in [`WatchPhase::Before`].
pub fn start_watch(client: &reqwest::Client, base_url: &Url, settings: &Watch) -> WatchHandle {
    let _ = (client, base_url, settings);
    unimplemented!("written next")
}
