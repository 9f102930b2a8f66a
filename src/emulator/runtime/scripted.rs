//! An app that is described instead of written: `scripted-app.yml` at a content's root.
//!
//! Owns how it answers. It runs in the process of the emulator, one per worker. Must
//! not know of slots.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::body::{Body, text};
use crate::emulator::scenario::duration;
use crate::emulator::world::Timestamp;

/// Where it lies.
pub(super) const FILE: &str = "scripted-app.yml";

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Script {
    /// What `/` shows.
    version: String,
    /// How long it takes to start.
    #[serde(default, with = "duration")]
    pub(super) start: Duration,
    /// Whether it ends instead of starting.
    #[serde(default)]
    pub(super) fails_to_start: bool,
    /// The first that fits answers.
    #[serde(default)]
    paths: Vec<PathRule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PathRule {
    /// A path, or the beginning of one before `*`.
    path: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default, with = "duration")]
    latency: Duration,
    /// The version unless said; `{{version}}`, `{{setting NAME}}` and `{{worker}}` are replaced.
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Only if a setting has this value.
    when: Option<When>,
    /// Only after so many requests to this path, or so long after the start.
    after: Option<After>,
    /// Only on these workers, by their place in the plan.
    workers: Option<Vec<usize>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    setting: String,
    equals: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    requests: Option<u64>,
    #[serde(default, with = "duration")]
    time: Duration,
}

fn ok() -> u16 {
    200
}

impl Script {
    /// Reads the file.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let script: Self = serde_yaml::from_str(text).map_err(|error| format!("{FILE}: {error}"))?;
        for rule in &script.paths {
            if StatusCode::from_u16(rule.status).is_err() || rule.status < 200 {
                return Err(format!("{FILE}: {} is no status of an answer", rule.status));
            }
        }
        Ok(script)
    }
}

/// A scripted app on a worker.
pub(super) struct ScriptedApp {
    script: Script,
    environment: BTreeMap<String, String>,
    worker: usize,
    since: Timestamp,
    /// Requests seen, for each rule's path.
    seen: Vec<AtomicU64>,
}

impl ScriptedApp {
    /// Begins to run now.
    pub(super) fn new(
        script: Script,
        environment: BTreeMap<String, String>,
        worker: usize,
        since: Timestamp,
    ) -> Self {
        let seen = script.paths.iter().map(|_| AtomicU64::new(0)).collect();
        Self { script, environment, worker, since, seen }
    }

    /// What it answers, and after how long.
    pub(super) fn answer(&self, path: &str, now: Timestamp) -> (Duration, Response<Body>) {
        for (rule, seen) in self.script.paths.iter().zip(&self.seen) {
            if self.fits(rule, seen, path, now) {
                return (rule.latency, self.response(rule));
            }
        }
        let response = if path == "/" {
            text(StatusCode::OK, "text/plain", &format!("{}\n", self.script.version))
        } else {
            text(StatusCode::NOT_FOUND, "text/plain", "not found\n")
        };
        (Duration::ZERO, response)
    }

    fn fits(&self, rule: &PathRule, seen: &AtomicU64, path: &str, now: Timestamp) -> bool {
        let path_fits = match rule.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => rule.path == path,
        };
        if !path_fits || rule.workers.as_ref().is_some_and(|workers| !workers.contains(&self.worker)) {
            return false;
        }
        let before = seen.fetch_add(1, Ordering::Relaxed);
        let setting_fits =
            |when: &When| self.environment.get(&when.setting).is_some_and(|value| *value == when.equals);
        let is_after = |after: &After| {
            after.requests.is_none_or(|requests| before >= requests) && now - self.since >= after.time
        };
        rule.when.as_ref().is_none_or(setting_fits) && rule.after.as_ref().is_none_or(is_after)
    }

    fn response(&self, rule: &PathRule) -> Response<Body> {
        let status = StatusCode::from_u16(rule.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = match &rule.body {
            Some(body) => self.filled(body),
            None => format!("{}\n", self.script.version),
        };
        let mut response = text(status, "text/plain", &body);
        for (name, value) in &rule.headers {
            let header = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(self.filled(value)));
            if let (Ok(name), Ok(value)) = header {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// The text with its `{{…}}` replaced; an unknown one stays.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else { break };
            filled.push_str(before);
            match name.trim().split_once(' ') {
                Some(("setting", setting)) => {
                    filled.push_str(self.environment.get(setting.trim()).map_or("", String::as_str));
                }
                None if name.trim() == "version" => filled.push_str(&self.script.version),
                None if name.trim() == "worker" => filled.push_str(&self.worker.to_string()),
                _ => filled.push_str(&format!("{{{{{name}}}}}")),
            }
            rest = behind;
        }
        filled + rest
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const SCRIPT: &str = r#"
version: "2.0"
start: 2s
paths:
  - {path: /health, status: 503, when: {setting: MODE, equals: bad}}
  - {path: /health, latency: 5ms, body: "{\"v\": \"{{version}}\", \"db\": \"{{setting DB}}\", {{other}}}", headers: {content-type: application/json}}
  - {path: /tired, status: 500, after: {requests: 2}}
  - {path: /tired}
  - {path: /late, status: 500, after: {time: 30s}}
  - {path: "/files/*", status: 410, workers: [1]}
"#;

    fn app(mode: &str, worker: usize) -> ScriptedApp {
        let environment =
            [("MODE", mode), ("DB", "live")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let script = Script::read(SCRIPT).expect("script");
        ScriptedApp::new(script, environment.into(), worker, Timestamp::UNIX_EPOCH)
    }

    async fn get(app: &ScriptedApp, path: &str, second: i64) -> (u16, String) {
        let (_, response) = app.answer(path, Timestamp::UNIX_EPOCH + time::Duration::seconds(second));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn the_first_rule_that_fits_answers() {
        let good = app("good", 0);
        assert_eq!(get(&good, "/", 0).await, (200, "2.0\n".to_owned()));
        assert_eq!(get(&good, "/other", 0).await.0, 404);
        let health = r#"{"v": "2.0", "db": "live", {{other}}}"#;
        assert_eq!(get(&good, "/health", 0).await, (200, health.to_owned()));
        assert_eq!(get(&app("bad", 0), "/health", 0).await.0, 503);
        let (latency, response) = good.answer("/health", Timestamp::UNIX_EPOCH);
        assert_eq!(latency, Duration::from_millis(5));
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    #[tokio::test]
    async fn rules_begin_after_requests_or_time_and_hold_on_workers() {
        let app_0 = app("good", 0);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(get(&app_0, "/tired", 0).await.0);
        }
        assert_eq!(seen, [200, 200, 500, 500]);
        assert_eq!((get(&app_0, "/late", 29).await.0, get(&app_0, "/late", 30).await.0), (404, 500));
        assert_eq!(
            (get(&app_0, "/files/a", 0).await.0, get(&app("good", 1), "/files/a", 0).await.0),
            (404, 410)
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Script::read("version: '1'\npaths: [{path: /, status: 99}]").is_err());
        let error = Script::read("version: '1'\npath: []").expect_err("wrong key");
        assert!(error.starts_with("scripted-app.yml: ") && error.contains("path"), "{error}");
    }
}
