//! Runs checks against one target.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::spec::{Check, Soak};
use super::verdict::{Verdict, worst};
use crate::names::{ReleaseId, SlotName};

/// What is checked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The slot's own URL.
    pub base_url: Url,
    /// The slot; decides which checks apply.
    pub slot: SlotName,
    /// The build that is expected there, for the environment of commands.
    pub release_id: Option<ReleaseId>,
    /// The names of the slot's instances, as far as they are known.
    pub instances: Vec<String>,
    /// The whole environment that commands get, before Slotway's own variables are added.
    pub environment: Vec<(String, String)>,
    /// Where commands run; the current folder otherwise.
    pub working_directory: Option<PathBuf>,
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The check's name.
    pub name: String,
    /// Whether it decides.
    pub critical: bool,
    /// What it came to.
    pub verdict: Verdict,
    /// How often it was tried.
    pub tries: u32,
    /// How many of the last tries passed in a row.
    pub passes_in_a_row: u32,
    /// One line that tells why, such as `status 500, expected 200-399`.
    pub detail: String,
    /// How long the last try's answer took; none where there was no answer.
    pub latency: Option<Duration>,
    /// From its first try to its verdict.
    pub elapsed: Duration,
    /// The instance it was pinned to.
    pub instance: Option<String>,
    /// The end of what a command wrote, several lines.
    pub output_tail: Option<String>,
}

/// What happens while checks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckProgress {
    /// The first try begins.
    Started {
        /// The check's name.
        name: String,
        /// The instance it is pinned to.
        instance: Option<String>,
    },
    /// A try has ended and another follows.
    Tried {
        /// The check's name.
        name: String,
        /// The instance it is pinned to.
        instance: Option<String>,
        /// Tries so far.
        tries: u32,
        /// Passes in a row so far.
        passes_in_a_row: u32,
        /// What this try came to.
        verdict: Verdict,
        /// One line that tells why.
        detail: String,
    },
    /// The check has come to its verdict.
    Finished(CheckOutcome),
}

/// The verdict that decides: the worst of the critical checks.
pub fn deciding_verdict(outcomes: &[CheckOutcome]) -> Verdict {
    worst(outcomes.iter().filter(|outcome| outcome.critical).map(|outcome| outcome.verdict))
}

/// Runs all checks that apply to the target's slot.
pub async fn run_all(
    client: &reqwest::Client,
    checks: &[Check],
    target: &Target,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> Vec<CheckOutcome> {
    let _ = (client, checks, target, deadline, progress);
    unimplemented!("written next")
}

/// Runs rounds of all checks until the target has kept passing for as long as asked.
pub async fn prove(
    client: &reqwest::Client,
    checks: &[Check],
    target: &Target,
    soak: &Soak,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> Vec<CheckOutcome> {
    let _ = (client, checks, target, soak, deadline, progress);
    unimplemented!("written next")
}
