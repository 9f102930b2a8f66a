//! GitHub's API: a deployment record with its statuses, and one comment on the pull
//! request that is updated in place. Both only where the user asks for them.
//!
//! Nothing here may fail a release: a status badge is not the deployment. octocrab is
//! given a client without retries, and every call has a limit.

use std::time::Duration;

use octocrab::Octocrab;
use serde_json::{Value, json};

use super::{Environment, github_client};
use crate::secret::Secret;

/// Limit of one call.
const CALL: Duration = Duration::from_secs(15);
/// The longest description that a deployment status takes (github-actions §5).
const LONGEST_DESCRIPTION: usize = 140;
/// The longest comment (github-actions §5).
const LONGEST_COMMENT: usize = 65_000;
/// Pages of comments that are looked through for our own.
const MOST_PAGES: u32 = 10;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The runner has not said which repository or commit this is.
    #[error("{0} is not set: is this a GitHub Actions job?")]
    NotInAJob(&'static str),
    /// GitHub refused, or did not answer.
    #[error("could not {doing}: {reason}")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// GitHub's words.
        reason: String,
    },
}

/// A repository on GitHub, as this job sees it.
#[derive(Debug)]
pub struct GitHub {
    client: Octocrab,
    repository: String,
    sha: String,
    pull_request: Option<u64>,
    run_url: String,
}

impl GitHub {
    /// From the runner's variables, a token, and the client that everything else is sent with.
    ///
    /// # Errors
    ///
    /// [`GitHubError::NotInAJob`] where the variables are missing.
    pub fn new(
        environment: &Environment,
        token: &Secret,
        http: &reqwest::Client,
    ) -> Result<Self, GitHubError> {
        let get = |name: &'static str| {
            environment.get(name).filter(|value| !value.is_empty()).ok_or(GitHubError::NotInAJob(name))
        };
        let client = github_client::client(http, get("GITHUB_API_URL")?, token).ok_or_else(|| {
            let reason = "github-token holds characters that no header may hold".to_owned();
            GitHubError::Call { doing: "reach GitHub's API", reason }
        })?;
        let repository = get("GITHUB_REPOSITORY")?.clone();
        let run_url =
            format!("{}/{repository}/actions/runs/{}", get("GITHUB_SERVER_URL")?, get("GITHUB_RUN_ID")?);
        let event = environment.get("GITHUB_EVENT_PATH").and_then(|path| std::fs::read(path).ok());
        let event: Value = event.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let head = event.pointer("/pull_request/head/sha").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            client,
            repository,
            // On a pull request GITHUB_SHA is the merge commit (github-actions §4).
            sha: head.map_or_else(|| get("GITHUB_SHA").cloned(), Ok)?,
            pull_request: event.pointer("/pull_request/number").and_then(Value::as_u64),
            run_url,
        })
    }

    /// Creates a deployment record for an environment and gives its id back.
    ///
    /// # Errors
    ///
    /// [`GitHubError::Call`].
    pub async fn begin_deployment(&self, environment: &str) -> Result<u64, GitHubError> {
        let doing = "create the GitHub deployment";
        // auto_merge and required_contexts default to what would refuse it (github-actions §5).
        let body = json!({
            "ref": self.sha,
            "environment": environment,
            "auto_merge": false,
            "required_contexts": [],
            "description": "Slotway",
        });
        let answer = self.post(&format!("/repos/{}/deployments", self.repository), &body, doing).await?;
        let id = answer.get("id").and_then(Value::as_u64);
        id.ok_or_else(|| GitHubError::Call { doing, reason: "the answer has no id".to_owned() })
    }

    /// Adds a status to a deployment record.
    ///
    /// # Errors
    ///
    /// [`GitHubError::Call`].
    pub async fn set_status(
        &self,
        deployment: u64,
        state: &str,
        description: &str,
        environment_url: Option<&str>,
    ) -> Result<(), GitHubError> {
        let mut body = json!({
            "state": state,
            "log_url": self.run_url,
            "description": description.chars().take(LONGEST_DESCRIPTION).collect::<String>(),
        });
        if let Some(url) = environment_url {
            body["environment_url"] = url.into();
        }
        let route = format!("/repos/{}/deployments/{deployment}/statuses", self.repository);
        self.post(&route, &body, "set the GitHub deployment's status").await.map(|_| ())
    }

    /// Writes the one comment of this app and slot, or updates it. Gives `false`
    /// where the job belongs to no pull request.
    ///
    /// # Errors
    ///
    /// [`GitHubError::Call`].
    pub async fn comment(&self, subject: &str, text: &str) -> Result<bool, GitHubError> {
        let doing = "comment on the pull request";
        let Some(number) = self.pull_request else { return Ok(false) };
        let marker = format!("<!-- slotway: {} -->", subject.replace("--", "- -"));
        let body: String = format!("{marker}\n{text}").chars().take(LONGEST_COMMENT).collect();
        let body = json!({ "body": body });
        match self.own_comment(number, &marker).await? {
            Some(id) => {
                let route = format!("/repos/{}/issues/comments/{id}", self.repository);
                let _: Value = limited(doing, self.client.patch(route, Some(&body))).await?;
            }
            None => {
                let route = format!("/repos/{}/issues/{number}/comments", self.repository);
                self.post(&route, &body, doing).await?;
            }
        }
        Ok(true)
    }

    async fn own_comment(&self, number: u64, marker: &str) -> Result<Option<u64>, GitHubError> {
        for page in 1..=MOST_PAGES {
            let route =
                format!("/repos/{}/issues/{number}/comments?per_page=100&page={page}", self.repository);
            let comments: Vec<Value> =
                limited("read the pull request's comments", self.client.get(route, None::<&()>)).await?;
            let own = comments
                .iter()
                .find(|comment| comment["body"].as_str().is_some_and(|body| body.starts_with(marker)));
            if let Some(id) = own.and_then(|comment| comment["id"].as_u64()) {
                return Ok(Some(id));
            }
            if comments.len() < 100 {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn post(&self, route: &str, body: &Value, doing: &'static str) -> Result<Value, GitHubError> {
        limited(doing, self.client.post(route, Some(body))).await
    }
}

async fn limited<T>(
    doing: &'static str,
    call: impl Future<Output = octocrab::Result<T>>,
) -> Result<T, GitHubError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(result) => result.map_err(|error| refused(doing, &error)),
        Err(_) => Err(GitHubError::Call { doing, reason: format!("no answer within {} s", CALL.as_secs()) }),
    }
}

/// GitHub's own message; octocrab's display adds a backtrace.
fn refused(doing: &'static str, error: &octocrab::Error) -> GitHubError {
    let reason = match error {
        octocrab::Error::GitHub { source, .. } => format!("{} (HTTP {})", source.message, source.status_code),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    GitHubError::Call { doing, reason }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::{Request, State};
    use axum::{Json, Router};

    use super::*;

    type Seen = Arc<Mutex<Vec<(String, Value)>>>;

    /// GitHub's API as far as it is called: remembers what it was asked, has one comment.
    async fn api(State(seen): State<Seen>, request: Request) -> Json<Value> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        seen.lock().expect("not poisoned").push((call.clone(), body));
        Json(match call.as_str() {
            "POST /repos/contoso/web/deployments" => json!({"id": 7}),
            "GET /repos/contoso/web/issues/5/comments" => json!([
                {"id": 1, "body": "a person's words"},
                {"id": 2, "body": "<!-- slotway: contoso-web -->\nold"},
            ]),
            _ => json!({"id": 3}),
        })
    }

    fn http() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::new()
    }

    async fn github(folder: &std::path::Path) -> (GitHub, Seen) {
        let seen = Seen::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(api).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let event = folder.join("event.json");
        std::fs::write(&event, r#"{"pull_request": {"number": 5, "head": {"sha": "abc"}}}"#)
            .expect("written");
        let environment: Environment = [
            ("GITHUB_API_URL", url.as_str()),
            ("GITHUB_SERVER_URL", "https://localhost"),
            ("GITHUB_REPOSITORY", "contoso/web"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_SHA", "merge"),
            ("GITHUB_EVENT_PATH", &event.to_string_lossy()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let github = GitHub::new(&environment, &Secret::new("t0ken"), &http());
        (github.expect("in a job"), seen)
    }

    #[tokio::test]
    async fn a_deployment_is_recorded_for_the_head_and_needs_no_checks() {
        let folder = tempfile::tempdir().expect("a folder");
        let (github, seen) = github(folder.path()).await;
        let id = github.begin_deployment("production").await.expect("created");
        github.set_status(id, "success", &"x".repeat(500), Some("https://localhost/")).await.expect("set");
        let seen = seen.lock().expect("not poisoned");
        assert_eq!(seen[0].1["ref"], "abc");
        assert_eq!((&seen[0].1["auto_merge"], &seen[0].1["required_contexts"]), (&json!(false), &json!([])));
        assert_eq!(seen[1].0, "POST /repos/contoso/web/deployments/7/statuses");
        assert_eq!(seen[1].1["description"].as_str().map(str::len), Some(LONGEST_DESCRIPTION));
        assert_eq!(seen[1].1["log_url"], "https://localhost/contoso/web/actions/runs/42");
    }

    #[tokio::test]
    async fn the_comment_is_updated_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let (github, seen) = github(folder.path()).await;
        assert!(github.comment("contoso-web", "new").await.expect("commented"));
        let seen = seen.lock().expect("not poisoned");
        assert_eq!(seen[1].0, "PATCH /repos/contoso/web/issues/comments/2");
        assert_eq!(seen[1].1["body"], "<!-- slotway: contoso-web -->\nnew");
    }

    #[test]
    fn outside_of_a_job_it_says_what_is_missing() {
        let error = GitHub::new(&Environment::new(), &Secret::new("t"), &http());
        let error = error.expect_err("no variables");
        assert_eq!(error.to_string(), "GITHUB_API_URL is not set: is this a GitHub Actions job?");
    }
}
