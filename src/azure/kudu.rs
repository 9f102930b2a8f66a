//! Kudu, the SCM site of a slot: it takes the package and tells what became of it.
//!
//! Owns the SCM calls and which of them may be repeated. Must not decide what a
//! deployment's end means for a release. The SCM site keeps its host at a swap,
//! while the deployment records move with the content (kudu-deploy §1).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::arm::{authorise, parse};
use super::credential::Credential;
use super::error::AzureError;
use super::model::{ContainerLog, DeploymentRecord, LogEntry};
use super::publish_profile::PublishProfile;
use crate::http::{Answer, Body, FileBody, Http, Repeat, Request, SendError};

/// A log longer than this is cut to its end, where the error stands.
const MOST_LOG_LINES: usize = 200;

/// The SCM site of one slot.
#[derive(Debug, Clone)]
pub struct Scm {
    http: Http,
    access: Access,
    base: Url,
    affinity: Option<HeaderValue>,
}

/// Who asks (kudu-deploy §2).
#[derive(Debug, Clone)]
enum Access {
    /// An identity, by its token.
    Token(Arc<Credential>),
    /// The publishing user of the slot, by its password.
    Profile(Arc<PublishProfile>),
}

/// A package on its way.
pub struct Upload {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// OneDeploy's `type`.
    pub package_type: String,
    /// OneDeploy's `path`.
    pub target_path: Option<String>,
    /// OneDeploy's `clean`; the server's default where not given.
    pub clean: Option<bool>,
    /// OneDeploy's `restart`; the server's default where not given.
    pub restart: Option<bool>,
    /// Limit of the whole upload.
    pub timeout: Duration,
    /// Called with the bytes handed to the connection so far.
    pub sent: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Scm {
    /// The SCM site at a host that was read from the slot. Requests are pinned to one
    /// instance where one is known, as newer clients do (kudu-deploy §1).
    ///
    /// # Errors
    ///
    /// [`AzureError::Shape`] when the host is none.
    pub fn new(
        http: Http,
        credential: Arc<Credential>,
        host: &str,
        instance: Option<&str>,
    ) -> Result<Self, AzureError> {
        let base = Url::parse(&format!("https://{host}/"))
            .map_err(|error| AzureError::shape("find the slot's SCM site", error))?;
        let affinity = instance.and_then(|name| {
            let mut cookie =
                HeaderValue::from_str(&format!("ARRAffinity={name}; ARRAffinitySameSite={name}")).ok()?;
            cookie.set_sensitive(true);
            Some(cookie)
        });
        Ok(Self { http, access: Access::Token(credential), base, affinity })
    }

    /// The SCM site that a publish profile names. Its instances are not known, so requests
    /// are not pinned.
    ///
    /// # Errors
    ///
    /// [`AzureError::Shape`] when the host is none.
    pub fn with_profile(http: Http, profile: Arc<PublishProfile>) -> Result<Self, AzureError> {
        let base = Url::parse(&format!("https://{}/", profile.scm_host))
            .map_err(|error| AzureError::shape("find the slot's SCM site", error))?;
        Ok(Self { http, access: Access::Profile(profile), base, affinity: None })
    }

    /// Whether Kudu answers (kudu-deploy §8, environment); one look without repeats.
    ///
    /// # Errors
    ///
    /// [`AzureError`] when it does not.
    pub async fn is_there(&self) -> Result<(), AzureError> {
        let request = Request::get(self.url("api/environment")?)
            .within(Duration::from_secs(10), Duration::from_millis(1));
        self.send(request, "ask whether the SCM site is there").await.map(|_| ())
    }

    /// Forgets a token that was not accepted; a password stays what it is.
    pub fn forget(&self) {
        if let Access::Token(credential) = &self.access {
            credential.forget();
        }
    }

    /// All deployment records, newest first as Kudu gives them.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn deployments(&self) -> Result<Vec<DeploymentRecord>, AzureError> {
        let doing = "list the slot's deployments";
        parse(&self.send(Request::get(self.url("api/deployments")?), doing).await?, doing)
    }

    /// `POST /api/publish` (OneDeploy), asynchronous, with the package's digest.
    ///
    /// Sent again only if it certainly never left: a second upload collides with
    /// the first (peers R14).
    ///
    /// # Errors
    ///
    /// Any [`AzureError`]; after an unclear one look for the record before anything else.
    pub async fn publish(&self, upload: &Upload) -> Result<Answer, AzureError> {
        let doing = "upload the package";
        let mut url = self.url("api/publish")?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("type", &upload.package_type).append_pair("async", "true");
            // Gives SCM-DEPLOYMENT-ID on Windows too (kudu-deploy §3).
            query.append_pair("trackDeploymentProgress", "true");
            if let Some(path) = &upload.target_path {
                query.append_pair("path", path);
            }
            if let Some(clean) = upload.clean {
                query.append_pair("clean", if clean { "true" } else { "false" });
            }
            if let Some(restart) = upload.restart {
                query.append_pair("restart", if restart { "true" } else { "false" });
            }
        }
        let body = Body::File(FileBody {
            path: upload.path.clone(),
            size_bytes: upload.size_bytes,
            sha256: upload.sha256.clone(),
            sent: Arc::clone(&upload.sent),
        });
        let digest =
            HeaderValue::from_str(&upload.sha256).map_err(|error| AzureError::shape(doing, error))?;
        let request = Request::new(Method::POST, url, body, Repeat::OnlyIfNotSent)
            .within(upload.timeout, Duration::from_secs(60))
            .with_header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .with_header(HeaderName::from_static("x-ms-artifact-checksum"), digest);
        let request = self.authorised(request).await?;
        self.http.send_expecting_success(&request).await.map_err(|source| self.failed(doing, source))
    }

    /// The lines of a deployment's log, details one level deep, the last two hundred.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn log(&self, id: &str) -> Result<Vec<String>, AzureError> {
        let doing = "read the deployment's log";
        let place = format!("api/deployments/{}/log", escaped(id));
        let entries: Vec<LogEntry> = parse(&self.send(Request::get(self.url(&place)?), doing).await?, doing)?;
        let mut lines = Vec::new();
        for entry in entries {
            lines.push(entry.message);
            if entry.details_url.is_some() && !entry.id.is_empty() {
                let place = format!("{place}/{}", escaped(&entry.id));
                let details = self.send(Request::get(self.url(&place)?), doing).await;
                // A missing detail must not hide the lines that are there.
                let details = details.and_then(|answer| parse::<Vec<LogEntry>>(&answer, doing));
                lines.extend(details.unwrap_or_default().into_iter().map(|detail| detail.message));
            }
        }
        Ok(lines.split_off(lines.len().saturating_sub(MOST_LOG_LINES)))
    }

    /// The last lines that the newest container wrote, or where it keeps no such log, what the
    /// platform wrote about it. Tried once: it is asked for only to explain another failure.
    ///
    /// # Errors
    ///
    /// [`AzureError`]; apps on Windows without a container have no such log.
    pub async fn container_log(&self, most_lines: usize) -> Result<Vec<String>, AzureError> {
        let doing = "read the container's log";
        let quick = |request: Request| request.within(Duration::from_secs(10), Duration::from_millis(1));
        // The newest date only (kudu-deploy §8).
        let list = Request::get(self.url("api/logs/docker")?);
        let mut logs: Vec<ContainerLog> = parse(&self.send(quick(list), doing).await?, doing)?;
        logs.retain(ContainerLog::is_of_the_app);
        // Without "_default" a log is the platform's own.
        logs.sort_by_key(|log| (log.is_written_by_the_app(), log.last_updated.clone()));
        let Some(name) = logs.last().and_then(ContainerLog::file_name) else { return Ok(Vec::new()) };
        let file = Request::get(self.url(&format!("api/vfs/LogFiles/{name}"))?)
            // That Kudu gives a part where one is asked for is unconfirmed; the whole will do as well.
            .with_header(reqwest::header::RANGE, HeaderValue::from_static("bytes=-65536"));
        let answer = self.send(quick(file), doing).await?;
        if !answer.complete {
            return Err(AzureError::shape(doing, "it is too long to be read to its end"));
        }
        let text = String::from_utf8_lossy(&answer.body);
        let mut lines: Vec<String> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Ok(lines.split_off(lines.len().saturating_sub(most_lines)))
    }

    /// Writes a note beside a deployment's own files, so that it moves with the
    /// content and goes when Kudu forgets the deployment (kudu-deploy §8, vfs).
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn write_note(&self, id: &str, note: &str) -> Result<(), AzureError> {
        let url = self.url(&note_place(id))?;
        let request = Request::new(Method::PUT, url, Body::Json(note.to_owned()), Repeat::Safe)
            .within(Duration::from_secs(30), Duration::from_secs(60))
            .with_header(reqwest::header::IF_MATCH, HeaderValue::from_static("*"));
        self.send(request, "write the release's record").await.map(|_| ())
    }

    /// Reads such a note, if there is one.
    ///
    /// # Errors
    ///
    /// [`AzureError`], but not for its absence.
    pub async fn read_note(&self, id: &str) -> Result<Option<String>, AzureError> {
        let request = Request::get(self.url(&note_place(id))?);
        match self.send(request, "read the release's record").await {
            Ok(answer) => Ok(Some(String::from_utf8_lossy(&answer.body).into_owned())),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, request: Request, doing: &str) -> Result<Answer, AzureError> {
        let first = self.authorised(request.clone()).await?;
        let attempt = self.http.send_expecting_success(&first).await;
        let renewable = matches!(self.access, Access::Token(_));
        if !renewable || !matches!(&attempt, Err(SendError::Refused(refusal)) if refusal.status == 401) {
            return attempt.map_err(|source| self.failed(doing, source));
        }
        self.forget();
        let second = self.authorised(request).await?;
        self.http.send_expecting_success(&second).await.map_err(|source| self.failed(doing, source))
    }

    /// A profile that is not let in has reasons of its own.
    fn failed(&self, doing: &str, source: SendError) -> AzureError {
        match (&self.access, source) {
            (Access::Profile(_), SendError::Refused(refusal)) if matches!(refusal.status, 401 | 403) => {
                AzureError::ProfileRefused { doing: doing.to_owned(), refusal }
            }
            (_, source) => AzureError::call(doing, source),
        }
    }

    async fn authorised(&self, request: Request) -> Result<Request, AzureError> {
        let request = match &self.access {
            Access::Token(credential) => authorise(request, credential).await?,
            Access::Profile(profile) => request.with_header(AUTHORIZATION, basic(profile)?),
        };
        Ok(match &self.affinity {
            Some(cookie) => request.with_header(COOKIE, cookie.clone()),
            None => request,
        })
    }

    fn url(&self, place: &str) -> Result<Url, AzureError> {
        self.base.join(place).map_err(|error| AzureError::shape("make the SCM address", error))
    }
}

fn basic(profile: &PublishProfile) -> Result<HeaderValue, AzureError> {
    use base64::Engine as _;
    let pair = format!("{}:{}", profile.user, profile.password.reveal());
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| AzureError::shape("sign in", "no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn note_place(id: &str) -> String {
    format!("api/vfs/site/deployments/{}/slotway.json", escaped(id))
}

fn escaped(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}
