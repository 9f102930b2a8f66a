//! Runs checks against one target: tries, rows of passes, deadline.
//!
//! Owns when a check is tried again and what it comes to in the end. Must not
//! judge a single answer (that is `expect`) nor decide what follows.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use url::Url;

use super::command::run_command;
use super::expect::judge;
use super::probe::{Probe, ProbeError, observe, url_at};
use super::spec::{Action, Check};
use super::verdict::{Verdict, worst};
use crate::http::Wire;
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

/// As many requests as are under way at once.
const AT_ONCE: usize = 8;

/// One check, on one instance if it is pinned to one.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) position: usize,
    check: &'a Check,
    instance: Option<&'a str>,
}

impl Job<'_> {
    /// Whether it runs a command.
    pub(super) fn is_command(&self) -> bool {
        matches!(self.check.action, Action::Command(_))
    }
}

/// What one try came to.
struct Try {
    verdict: Verdict,
    detail: String,
    latency: Option<Duration>,
    output_tail: Option<String>,
    timed_out: bool,
}

/// Runs all checks that apply to the target's slot: requests side by side, then commands one after the other.
///
/// Checks that do not apply have no outcome; checks on every instance have one for each.
pub async fn run_all(
    wire: &Wire,
    checks: &[Check],
    target: &Target,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> Vec<CheckOutcome> {
    let outcomes = run_jobs(wire, jobs(checks, target), target, deadline, progress).await;
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs these jobs; each outcome comes with its job's position, in order.
pub(super) async fn run_jobs(
    wire: &Wire,
    jobs: Vec<Job<'_>>,
    target: &Target,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> Vec<(usize, CheckOutcome)> {
    let (commands, requests): (Vec<Job<'_>>, Vec<Job<'_>>) = jobs.into_iter().partition(Job::is_command);
    // A loop in place of a closure, whose lifetimes would keep the future from being sent between threads.
    let mut running = Vec::with_capacity(requests.len());
    for job in requests {
        running.push(run_job(wire, job, target, deadline, progress));
    }
    let mut outcomes: Vec<(usize, CheckOutcome)> =
        stream::iter(running).buffer_unordered(AT_ONCE).collect().await;
    for job in commands {
        outcomes.push(run_job(wire, job, target, deadline, progress).await);
    }
    outcomes.sort_by_key(|(position, _)| *position);
    outcomes
}

/// One job for each check that applies, or for each instance it is pinned to.
pub(super) fn jobs<'a>(checks: &'a [Check], target: &'a Target) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for check in checks.iter().filter(|check| check.applies_to(&target.slot)) {
        let instances: Vec<Option<&str>> = match check.every_instance && !target.instances.is_empty() {
            true => target.instances.iter().map(|name| Some(name.as_str())).collect(),
            false => vec![None],
        };
        for instance in instances {
            jobs.push(Job { position: jobs.len(), check, instance });
        }
    }
    jobs
}

async fn run_job(
    wire: &Wire,
    job: Job<'_>,
    target: &Target,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> (usize, CheckOutcome) {
    let Job { position, check, instance } = job;
    let started = Instant::now();
    let mut outcome = CheckOutcome {
        name: check.name.clone(),
        critical: check.critical,
        verdict: Verdict::Inconclusive,
        tries: 0,
        passes_in_a_row: 0,
        detail: "no time left for a try".to_owned(),
        latency: None,
        elapsed: Duration::ZERO,
        instance: instance.map(str::to_owned),
        output_tail: None,
    };
    progress(CheckProgress::Started { name: outcome.name.clone(), instance: outcome.instance.clone() });
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            note_no_time_left(&mut outcome, check.passes);
            break;
        }
        let one = try_once(wire, check, instance, target, check.timeout.min(left)).await;
        outcome.tries += 1;
        if one.timed_out && left < check.timeout {
            note_no_time_left(&mut outcome, check.passes);
            break;
        }
        (outcome.verdict, outcome.detail) = (one.verdict, one.detail);
        (outcome.latency, outcome.output_tail) = (one.latency, one.output_tail);
        outcome.passes_in_a_row = if one.verdict.is_pass() { outcome.passes_in_a_row + 1 } else { 0 };
        if outcome.passes_in_a_row >= check.passes
            || (!one.verdict.is_pass() && started.elapsed() >= check.retry_for)
        {
            break;
        }
        progress(CheckProgress::Tried {
            name: outcome.name.clone(),
            instance: outcome.instance.clone(),
            tries: outcome.tries,
            passes_in_a_row: outcome.passes_in_a_row,
            verdict: outcome.verdict,
            detail: outcome.detail.clone(),
        });
        tokio::time::sleep_until(deadline.min(Instant::now() + check.every)).await;
    }
    outcome.elapsed = started.elapsed();
    progress(CheckProgress::Finished(outcome.clone()));
    (position, outcome)
}

/// What was measured bad, or could not be measured, stays so; what has passed has not passed often enough.
fn note_no_time_left(outcome: &mut CheckOutcome, passes: u32) {
    if outcome.passes_in_a_row > 0 {
        outcome.verdict = Verdict::Inconclusive;
        outcome.detail =
            format!("no time left, passed {} of {passes} times in a row", outcome.passes_in_a_row);
    } else if matches!(outcome.verdict, Verdict::Fail | Verdict::Error) {
        outcome.detail.push_str("; no time left to try again");
    } else {
        outcome.verdict = Verdict::Inconclusive;
        outcome.detail = "no time left".to_owned();
    }
}

async fn try_once(
    wire: &Wire,
    check: &Check,
    instance: Option<&str>,
    target: &Target,
    limit: Duration,
) -> Try {
    match &check.action {
        Action::Request(request) => {
            let probe = Probe {
                method: request.method.clone(),
                url: url_at(&target.base_url, &request.path),
                headers: &request.headers,
                body: &request.body,
                instance,
                timeout: limit,
            };
            match observe(wire, &probe).await {
                Ok(answer) => {
                    let (verdict, detail) = judge(&request.expect, &answer);
                    let latency = Some(answer.latency);
                    Try { verdict, detail, latency, output_tail: None, timed_out: false }
                }
                Err(error) => Try {
                    verdict: Verdict::Error,
                    detail: error.to_string(),
                    latency: None,
                    output_tail: None,
                    timed_out: matches!(error, ProbeError::TimedOut(_)),
                },
            }
        }
        Action::Command(command) => {
            let environment = command_environment(target);
            let folder = target.working_directory.as_deref();
            let outcome = run_command(command, &environment, folder, limit).await;
            Try {
                verdict: outcome.verdict,
                detail: outcome.detail,
                latency: None,
                output_tail: outcome.output_tail,
                timed_out: outcome.timed_out,
            }
        }
    }
}

fn command_environment(target: &Target) -> Vec<(String, String)> {
    let mut environment = target.environment.clone();
    environment
        .retain(|(name, _)| !matches!(name.as_str(), "SLOTWAY_URL" | "SLOTWAY_SLOT" | "SLOTWAY_RELEASE_ID"));
    environment.push(("SLOTWAY_URL".to_owned(), target.base_url.to_string()));
    environment.push(("SLOTWAY_SLOT".to_owned(), target.slot.to_string()));
    if let Some(release_id) = &target.release_id {
        environment.push(("SLOTWAY_RELEASE_ID".to_owned(), release_id.to_string()));
    }
    environment
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::checks::file::read;
    use crate::checks::testing::{Server, client};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(in crate::checks) fn checks(yaml: &str) -> Vec<Check> {
        read(&format!("checks:\n{yaml}"), "test", &[]).expect("well formed").checks
    }

    pub(in crate::checks) fn target(server: &Server, instances: &[&str]) -> Target {
        Target {
            base_url: server.url("/"),
            slot: SlotName::new("staging").expect("a name"),
            release_id: Some(ReleaseId::new("r-1").expect("an id")),
            instances: instances.iter().map(|name| (*name).to_owned()).collect(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            working_directory: None,
        }
    }

    pub(in crate::checks) fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Answers 500 to the first requests, then 200.
    pub(in crate::checks) fn bad_at_first(
        count: usize,
    ) -> impl Fn(&crate::checks::testing::Seen) -> (u16, String) + Send + Sync {
        let seen = AtomicUsize::new(0);
        move |_| {
            if seen.fetch_add(1, Ordering::SeqCst) < count {
                (500, String::new())
            } else {
                (200, String::new())
            }
        }
    }

    #[tokio::test]
    async fn outcomes_keep_the_order_of_the_file_and_say_what_was_wrong() {
        let server =
            Server::start(|seen| (if seen.line.ends_with("/bad") { 500 } else { 200 }, String::new())).await;
        let checks =
            checks("  - {path: /bad}\n  - {path: /good}\n  - {path: /bad, critical: false, name: soft}\n");
        let outcomes = run_all(&client(), &checks, &target(&server, &[]), soon(), &|_| {}).await;
        let told: Vec<_> = outcomes.iter().map(|one| (one.name.as_str(), one.verdict)).collect();
        assert_eq!(
            told,
            [("GET /bad", Verdict::Fail), ("GET /good", Verdict::Pass), ("soft", Verdict::Fail)]
        );
        assert_eq!(outcomes[0].detail, "status 500, expected 200-399");
        assert_eq!(deciding_verdict(&outcomes), Verdict::Fail);
        assert_eq!(deciding_verdict(&outcomes[1..]), Verdict::Pass);
    }

    #[tokio::test]
    async fn only_checks_for_this_side_are_run_and_each_instance_is_asked() {
        let server = Server::start(|_| (200, String::new())).await;
        let checks =
            checks("  - {path: /p, on: production}\n  - {path: /s, on: [staging], every-instance: true}\n");
        let outcomes = run_all(&client(), &checks, &target(&server, &["i0", "i1"]), soon(), &|_| {}).await;
        let instances: Vec<_> = outcomes.iter().map(|one| one.instance.as_deref()).collect();
        assert_eq!(instances, [Some("i0"), Some("i1")]);
        let mut cookies: Vec<String> =
            server.requests().iter().filter_map(|seen| seen.header("cookie").map(str::to_owned)).collect();
        cookies.sort();
        assert_eq!(
            cookies,
            ["ARRAffinity=i0; ARRAffinitySameSite=i0", "ARRAffinity=i1; ARRAffinitySameSite=i1"]
        );
    }

    #[tokio::test]
    async fn a_check_is_tried_until_it_has_passed_often_enough_in_a_row() {
        let server = Server::start(bad_at_first(2)).await;
        let checks = checks("  - {path: /, retry-for: 30s, every: 10ms, passes: 3}\n");
        let seen = Mutex::new(Vec::new());
        let note = |event| {
            if let CheckProgress::Tried { verdict, passes_in_a_row, .. } = event {
                seen.lock().expect("lock").push((verdict, passes_in_a_row));
            }
        };
        let outcomes = run_all(&client(), &checks, &target(&server, &[]), soon(), &note).await;
        assert_eq!(
            (outcomes[0].verdict, outcomes[0].tries, outcomes[0].passes_in_a_row),
            (Verdict::Pass, 5, 3)
        );
        let expected = [(Verdict::Fail, 0), (Verdict::Fail, 0), (Verdict::Pass, 1), (Verdict::Pass, 2)];
        assert_eq!(*seen.lock().expect("lock"), expected);
    }

    #[tokio::test]
    async fn without_retry_a_single_bad_answer_decides() {
        let server = Server::start(bad_at_first(1)).await;
        let outcomes =
            run_all(&client(), &checks("  - path: /\n"), &target(&server, &[]), soon(), &|_| {}).await;
        assert_eq!((outcomes[0].verdict, outcomes[0].tries), (Verdict::Fail, 1));
    }

    #[tokio::test]
    async fn at_the_deadline_the_last_measurement_stands_and_an_unfinished_row_is_inconclusive() {
        let server =
            Server::start(|seen| (if seen.line.ends_with("/bad") { 500 } else { 200 }, String::new())).await;
        let checks = checks(
            "  - {path: /bad, retry-for: 1h, every: 10ms}\n  - {path: /row, passes: 1000, every: 50ms}\n  - run: sleep 60\n",
        );
        let deadline = Instant::now() + Duration::from_millis(400);
        let outcomes = run_all(&client(), &checks, &target(&server, &[]), deadline, &|_| {}).await;
        assert_eq!(outcomes[0].verdict, Verdict::Fail);
        assert_eq!(outcomes[0].detail, "status 500, expected 200-399; no time left to try again");
        assert_eq!(outcomes[1].verdict, Verdict::Inconclusive);
        assert!(outcomes[1].detail.starts_with("no time left, passed "), "{}", outcomes[1].detail);
        assert_eq!(
            (outcomes[2].verdict, outcomes[2].detail.as_str()),
            (Verdict::Inconclusive, "no time left")
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_knows_the_slot_and_the_release() {
        let server = Server::start(|_| (200, String::new())).await;
        let checks = checks("  - run: 'echo \"$SLOTWAY_URL $SLOTWAY_SLOT $SLOTWAY_RELEASE_ID\"'\n");
        let outcomes = run_all(&client(), &checks, &target(&server, &[]), soon(), &|_| {}).await;
        let expected = format!("{} staging r-1", server.url("/"));
        assert_eq!(outcomes[0].output_tail.as_deref(), Some(expected.as_str()));
    }
}
