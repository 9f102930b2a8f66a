//! Waits until every instance answers.

use std::time::Duration;

use tokio::time::Instant;

use super::run::Target;
use super::verdict::Verdict;

/// How readiness is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadySettings {
    /// Path and query of the request.
    pub path: String,
    /// Limit for one request.
    pub timeout: Duration,
    /// The pause between two requests to one instance.
    pub every: Duration,
}

impl Default for ReadySettings {
    fn default() -> Self {
        Self { path: "/".to_owned(), timeout: Duration::from_secs(30), every: Duration::from_millis(500) }
    }
}

/// What one instance came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReady {
    /// The instance; none where the names are not known and the front end chose.
    pub instance: Option<String>,
    /// The last answer's status.
    pub status: Option<u16>,
    /// Pass: it answers below 500.
    pub verdict: Verdict,
    /// One line that tells why.
    pub detail: String,
    /// How often it was asked.
    pub tries: u32,
    /// From the first request to the verdict.
    pub elapsed: Duration,
}

/// What happens while instances are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyProgress {
    /// An instance does not answer yet; asked again.
    Waiting(InstanceReady),
    /// An instance has come to its verdict.
    Finished(InstanceReady),
}

/// Waits until every instance of the target answers below 500.
pub async fn wait_ready(
    client: &reqwest::Client,
    target: &Target,
    settings: &ReadySettings,
    deadline: Instant,
    progress: &(dyn Fn(ReadyProgress) + Send + Sync),
) -> Vec<InstanceReady> {
    let _ = (client, target, settings, deadline, progress);
    unimplemented!("written next")
}
