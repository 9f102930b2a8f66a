//! GitHub's API: a deployment record with its statuses, and one comment on the pull
//! request that is updated in place. Both only where the user asks for them.
//!
//! Nothing here may fail a release: a status badge is not the deployment. octocrab is
//! given a client without retries, and every call has a limit.

use std::time::Duration;

use octocrab::Octocrab;
use serde_json::{Value, json};

use super::{Environment, github_client};
use crate::http::Wire;
use crate::secret::Secret;
use crate::source::{Commit, Commits, History, MOST_COMMITS, Source};

/// Limit of one call.
const CALL: Duration = Duration::from_secs(15);
/// The longest description that a deployment status takes (github-actions §5).
const LONGEST_DESCRIPTION: usize = 140;
/// The longest comment (github-actions §5).
const LONGEST_COMMENT: usize = 65_000;
/// Pages of comments that are looked through for our own.
const MOST_PAGES: u32 = 10;
/// Commits on a page of a comparison, the most that GitHub gives.
const COMPARED_AT_ONCE: u64 = 100;

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
    pub fn new(environment: &Environment, token: &Secret, wire: &Wire) -> Result<Self, GitHubError> {
        let get = |name: &'static str| {
            environment.get(name).filter(|value| !value.is_empty()).ok_or(GitHubError::NotInAJob(name))
        };
        let client = github_client::client(wire, get("GITHUB_API_URL")?, token).ok_or_else(|| {
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

    /// The commits between two commits of the job's repository: those that the second has
    /// and the first has not, and the other way round.
    ///
    /// # Errors
    ///
    /// [`GitHubError::Call`].
    pub async fn history(&self, from: &Source, to: &Source) -> Result<History, GitHubError> {
        let (added, behind) = self.compare(&from.commit, &to.commit).await?;
        let removed =
            if behind > 0 { self.compare(&to.commit, &from.commit).await?.0 } else { Commits::default() };
        Ok(History { added, removed })
    }

    /// The commits that `to` has and `from` has not, and the number of those that it lacks. GitHub
    /// lists the oldest first, a hundred a page, so the newest are on the last pages
    /// (github/docs rest/commits/commits.md, "Compare two commits").
    async fn compare(&self, from: &str, to: &str) -> Result<(Commits, u64), GitHubError> {
        let first = self.comparison(from, to, 1).await?;
        let count = |name: &str| first[name].as_u64().unwrap_or_default();
        let (total, behind) = (count("total_commits"), count("behind_by"));
        let last = total.div_ceil(COMPARED_AT_ONCE).max(1);
        let mut newest = Vec::new();
        for page in [last, last - 1] {
            if page == 0 || newest.len() >= MOST_COMMITS {
                break;
            }
            let fetched;
            let document = if page == 1 {
                &first
            } else {
                fetched = self.comparison(from, to, page).await?;
                &fetched
            };
            let commits = document["commits"].as_array().map(Vec::as_slice).unwrap_or_default();
            newest.extend(commits.iter().rev().filter_map(commit));
        }
        newest.truncate(MOST_COMMITS);
        Ok((Commits { shown: newest, total }, behind))
    }

    async fn comparison(&self, from: &str, to: &str, page: u64) -> Result<Value, GitHubError> {
        let route = format!(
            "/repos/{}/compare/{from}...{to}?per_page={COMPARED_AT_ONCE}&page={page}",
            self.repository
        );
        limited("compare two commits", self.client.get(route, None::<&()>)).await
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

fn commit(document: &Value) -> Option<Commit> {
    let text = |place: &str| document.pointer(place).and_then(Value::as_str);
    Some(Commit {
        sha: text("/sha")?.to_owned(),
        message: text("/commit/message")?.lines().next().unwrap_or_default().to_owned(),
        author: text("/commit/author/name").unwrap_or_default().to_owned(),
    })
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

    const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    type Seen = Arc<Mutex<Vec<(String, Value)>>>;

    /// GitHub's API as far as it is called: remembers what it was asked, has one comment.
    async fn api(State(seen): State<Seen>, request: Request) -> Json<Value> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let query = request.uri().query().unwrap_or_default();
        let page = query.rsplit_once("page=").and_then(|(_, page)| page.parse().ok()).unwrap_or(1);
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        seen.lock().expect("not poisoned").push((call.clone(), body));
        Json(match call.as_str() {
            "POST /repos/contoso/web/deployments" => json!({"id": 7}),
            "GET /repos/contoso/web/issues/5/comments" => json!([
                {"id": 1, "body": "a person's words"},
                {"id": 2, "body": "<!-- slotway: contoso-web -->\nold"},
            ]),
            call if call.contains("/compare/") => compared(call, page),
            _ => json!({"id": 3}),
        })
    }

    /// A line of 210 commits, oldest first, as GitHub pages them; the other way there is one.
    fn compared(call: &str, page: usize) -> Value {
        let total = if call.contains(&format!("/{OLD}...{NEW}")) { 210 } else { 1 };
        let commits: Vec<Value> = (1..=total)
            .skip((page - 1) * 100)
            .take(100)
            .map(|number| {
                let sha = format!("{number:040}");
                let message = format!("change {number}\n\nwith a body");
                json!({"sha": sha, "commit": {"message": message, "author": {"name": "Ada"}}})
            })
            .collect();
        json!({"total_commits": total, "behind_by": if total == 210 { 1 } else { 210 }, "commits": commits})
    }

    fn wire() -> Wire {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Wire::Network(reqwest::Client::new())
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
        let github = GitHub::new(&environment, &Secret::new("t0ken"), &wire());
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

    #[tokio::test]
    async fn the_newest_commits_of_a_long_comparison_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let (github, seen) = github(folder.path()).await;
        let source = |commit| Source::new("https://localhost/contoso/web", commit, None, None);
        let (from, to) = (source(OLD).expect("a source"), source(NEW).expect("a source"));
        let history = github.history(&from, &to).await.expect("a history");
        assert_eq!((history.added.total, history.added.shown.len()), (210, MOST_COMMITS));
        assert_eq!(history.added.shown[0].message, "change 210");
        // The last page has ten of them, the one before it the others.
        assert_eq!(history.added.shown[24].message, "change 186");
        assert_eq!((history.removed.total, history.removed.shown[0].author.as_str()), (1, "Ada"));
        assert_eq!(seen.lock().expect("not poisoned").len(), 4);
    }

    #[test]
    fn outside_of_a_job_it_says_what_is_missing() {
        let error = GitHub::new(&Environment::new(), &Secret::new("t"), &wire());
        let error = error.expect_err("no variables");
        assert_eq!(error.to_string(), "GITHUB_API_URL is not set: is this a GitHub Actions job?");
    }
}
