//! Waits until every instance answers.
//!
//! Owns what "ready" means: an answer below 500 from the instance itself, reached
//! by its affinity cookie. Must not know which instances there are: the caller
//! read them from Azure.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use reqwest::Method;
use reqwest::header::SET_COOKIE;
use tokio::time::Instant;

use super::duration::show_duration;
use super::expect::status_line;
use super::probe::{Observation, Probe, observe, url_at};
use super::run::Target;
use super::spec::Body;
use super::verdict::Verdict;
use crate::http::Wire;
use crate::text;

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

/// As many instances as are asked at once; a plan has fewer.
const AT_ONCE: usize = 64;

/// Waits until every instance of the target answers below 500, all of them side by side.
///
/// Where no instance names are known, one request is left to the front end's choice. What is not ready at the
/// deadline keeps its last measurement: Fail for answers of 500 and above, Error for none.
pub async fn wait_ready(
    wire: &Wire,
    target: &Target,
    settings: &ReadySettings,
    deadline: Instant,
    progress: &(dyn Fn(ReadyProgress) + Send + Sync),
) -> Vec<InstanceReady> {
    let names: Vec<Option<&str>> = match target.instances.is_empty() {
        true => vec![None],
        false => target.instances.iter().map(|name| Some(name.as_str())).collect(),
    };
    // A loop in place of a closure, whose lifetimes would keep the future from being sent between threads.
    let mut waits = Vec::with_capacity(names.len());
    for name in names {
        waits.push(wait_for(wire, target, name, settings, deadline, progress));
    }
    let mut instances: Vec<InstanceReady> = stream::iter(waits).buffer_unordered(AT_ONCE).collect().await;
    let place =
        |one: &InstanceReady| target.instances.iter().position(|name| Some(name) == one.instance.as_ref());
    instances.sort_by_key(place);
    instances
}

async fn wait_for(
    wire: &Wire,
    target: &Target,
    instance: Option<&str>,
    settings: &ReadySettings,
    deadline: Instant,
    progress: &(dyn Fn(ReadyProgress) + Send + Sync),
) -> InstanceReady {
    let started = Instant::now();
    let mut state = InstanceReady {
        instance: instance.map(str::to_owned),
        status: None,
        verdict: Verdict::Inconclusive,
        detail: "no time left".to_owned(),
        tries: 0,
        elapsed: Duration::ZERO,
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            if state.tries > 0 {
                state.detail = format!("{} after {}", state.detail, show_duration(started.elapsed()));
            }
            break;
        }
        let limit = settings.timeout.min(left);
        let probe = Probe {
            method: Method::GET,
            url: url_at(&target.base_url, &settings.path),
            headers: &[],
            body: &Body::Empty,
            instance,
            timeout: limit,
        };
        let answer = observe(wire, &probe).await;
        state.tries += 1;
        state.elapsed = started.elapsed();
        // A request that only the deadline cut short says nothing new about an instance that was measured before.
        if answer.is_ok() || limit == settings.timeout || state.tries == 1 {
            note(&mut state, answer.map_err(|error| error.to_string()));
        }
        if state.verdict.is_pass() {
            break;
        }
        progress(ReadyProgress::Waiting(state.clone()));
        tokio::time::sleep_until(deadline.min(Instant::now() + settings.every)).await;
    }
    state.elapsed = started.elapsed();
    progress(ReadyProgress::Finished(state.clone()));
    state
}

fn note(state: &mut InstanceReady, answer: Result<Observation, String>) {
    match answer {
        Ok(answer) if answer.status >= 500 => {
            state.status = Some(answer.status);
            state.verdict = Verdict::Fail;
            state.detail = format!("status {}, expected below 500", answer.status);
        }
        Ok(answer) => {
            state.status = Some(answer.status);
            state.verdict = Verdict::Pass;
            state.detail = status_line(answer.status, answer.latency);
            if let Some(other) = state.instance.as_deref().and_then(|name| other_instance(name, &answer)) {
                state.detail = format!("{}, given by instance {other}", state.detail);
            }
        }
        Err(reason) => {
            state.status = None;
            state.verdict = Verdict::Error;
            state.detail = reason;
        }
    }
}

/// The instance that really answered, where the front end gave its cookie for another one than was asked for.
///
/// That it does so is not confirmed by any source, so it is said and decides nothing.
fn other_instance(asked: &str, answer: &Observation) -> Option<String> {
    let cookies = answer.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let given = cookies.filter_map(|cookie| cookie.strip_prefix("ARRAffinity=")).next()?;
    let name = given.split(';').next().unwrap_or(given).trim();
    (!name.is_empty() && !name.eq_ignore_ascii_case(asked)).then(|| text::short(name, 80))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Server, client};
    use crate::names::SlotName;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn target(server: &Server, instances: &[&str]) -> Target {
        Target {
            base_url: server.url("/"),
            slot: SlotName::new("staging").expect("a name"),
            release_id: None,
            instances: instances.iter().map(|name| (*name).to_owned()).collect(),
            environment: Vec::new(),
            working_directory: None,
        }
    }

    fn settings() -> ReadySettings {
        ReadySettings { every: Duration::from_millis(10), ..ReadySettings::default() }
    }

    #[tokio::test]
    async fn every_instance_is_asked_until_it_answers_below_500() {
        let slow = AtomicUsize::new(0);
        let server = Server::start(move |seen| {
            let is_slow = seen.header("cookie").is_some_and(|cookie| cookie.contains("ARRAffinity=i1;"));
            let status = if is_slow && slow.fetch_add(1, Ordering::SeqCst) < 2 { 503 } else { 404 };
            (status, String::new())
        })
        .await;
        let waits = Mutex::new(0);
        let count = |event| {
            if matches!(event, ReadyProgress::Waiting(_)) {
                *waits.lock().expect("lock") += 1;
            }
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let ready =
            wait_ready(&client(), &target(&server, &["i0", "i1"]), &settings(), deadline, &count).await;
        let told: Vec<_> =
            ready.iter().map(|one| (one.instance.as_deref(), one.status, one.verdict, one.tries)).collect();
        assert_eq!(
            told,
            [(Some("i0"), Some(404), Verdict::Pass, 1), (Some("i1"), Some(404), Verdict::Pass, 3)]
        );
        assert_eq!(*waits.lock().expect("lock"), 2);
    }

    #[tokio::test]
    async fn at_the_deadline_the_last_measurement_stands() {
        let server = Server::start(|_| (502, String::new())).await;
        let deadline = Instant::now() + Duration::from_millis(100);
        let ready = wait_ready(&client(), &target(&server, &[]), &settings(), deadline, &|_| {}).await;
        assert_eq!((ready.len(), ready[0].instance.as_deref(), ready[0].verdict), (1, None, Verdict::Fail));
        assert!(ready[0].detail.starts_with("status 502, expected below 500 after "), "{}", ready[0].detail);
        let silent = Server::start(|_| (0, String::new())).await;
        let deadline = Instant::now() + Duration::from_millis(100);
        let ready = wait_ready(&client(), &target(&silent, &[]), &settings(), deadline, &|_| {}).await;
        assert_eq!((ready[0].verdict, ready[0].status), (Verdict::Error, None));
    }

    #[tokio::test]
    async fn it_can_be_waited_for_on_another_thread() {
        let server = Server::start(|_| (200, String::new())).await;
        let target = target(&server, &["i0"]);
        let task = tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(60);
            wait_ready(&client(), &target, &settings(), deadline, &|_| {}).await
        });
        assert_eq!(task.await.expect("it ends")[0].verdict, Verdict::Pass);
    }

    #[test]
    fn an_answer_from_another_instance_is_said() {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.append(SET_COOKIE, "ARRAffinity=abc;Path=/;HttpOnly".parse().expect("header"));
        let latency = Duration::from_millis(5);
        let answer = Observation { status: 200, headers, body: Vec::new(), body_cut: false, latency };
        assert_eq!(other_instance("xyz", &answer), Some("abc".to_owned()));
        assert_eq!(other_instance("ABC", &answer), None);
    }
}
