//! One HTTP client, and the rule by which a request may be sent again.
//!
//! Owns the connection pool, the repeat rule, the reading of `Retry-After`, the three shapes
//! of failure, and that no answer repeats a secret of its request. Must not know Azure's
//! resources, nor print: it logs methods, paths, statuses and request ids, never bodies,
//! queries or tokens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::Instant;

use self::file_body::BrokenOff;

mod echo;
mod failure;
mod file_body;
mod message;
mod network;
mod proxy;
mod retry_after;
#[cfg(test)]
pub mod simulated;
mod wire;

pub use failure::{Refusal, SendError, Unclear};
pub use file_body::FileBody;
pub(crate) use file_body::is_of_the_file;
pub use message::{Answer, Body, Repeat, Request};
pub use network::{Network, NetworkError};
pub use proxy::Proxies;
pub use retry_after::retry_after;
pub use wire::{Wire, WireError};

/// Answers longer than this are cut: no document that Slotway reads comes near it.
const LONGEST_BODY_BYTES: usize = 8 * 1024 * 1024;
const CUT: &str = "the answer's body was cut off or endless";
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The one client; clones share its connections.
#[derive(Debug, Clone)]
pub struct Http {
    wire: Wire,
    network: Arc<Network>,
    known: echo::Known,
    ends: Option<Instant>,
}

impl Http {
    /// Makes the client. Redirects are never followed: a token must not travel to
    /// a host that an answer names. Certificates are always checked; nothing can
    /// switch that off.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] when the certificates cannot be read.
    pub fn new(network: &Network) -> Result<Self, NetworkError> {
        #[cfg(test)]
        if let Some(simulated) = &network.simulated {
            let wire = Wire::Simulated(simulated.clone());
            return Ok(Self::over(wire, Arc::new(network.clone())));
        }
        let mut builder = network::builder(network)?;
        if network.local {
            builder = builder.no_proxy();
        } else if network.proxies.any() {
            let proxies = network.proxies.clone();
            builder = builder.proxy(reqwest::Proxy::custom(move |url| proxies.choose(url)));
        }
        let wire = Wire::Network(network::built(builder)?);
        Ok(Self::over(wire, Arc::new(network.clone())))
    }

    /// A client of the same kind that uses no proxy whatever is set: the metadata
    /// service of a virtual machine answers on that machine only.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] when the TLS library refuses.
    pub fn without_proxy(&self) -> Result<Self, NetworkError> {
        let wire = Wire::Network(network::built(network::builder(&self.network)?.no_proxy())?);
        Ok(Self::over(wire, Arc::clone(&self.network)))
    }

    fn over(wire: Wire, network: Arc<Network>) -> Self {
        Self { wire, network, known: echo::Known::default(), ends: None }
    }

    /// The same client for reads that are of no use later: none of them outlasts this moment,
    /// and what went wrong by then is told instead of a bare time-out.
    #[must_use]
    pub fn until(&self, moment: Instant) -> Self {
        let ends = self.ends.map_or(moment, |ends| ends.min(moment));
        Self { ends: Some(ends), ..self.clone() }
    }

    /// The wire below, for the rooms that probe apps rather than call Azure.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Sends a request under its repeat rule and gives back whatever answer came,
    /// of any status.
    ///
    /// A repeatable request is sent again after a failure of the connection and
    /// after 408, 429, 500, 502, 503 and 504, with growing pauses or the server's
    /// own `Retry-After`, until its patience ends; then the last answer counts.
    ///
    /// # Errors
    ///
    /// [`SendError::NotSent`] or [`SendError::Unclear`] when no answer came.
    pub async fn send(&self, request: &Request) -> Result<Answer, SendError> {
        let patience = Instant::now() + request.patience;
        let deadline = self.ends.map_or(patience, |ends| ends.min(patience));
        let mut pause = FIRST_PAUSE;
        loop {
            let limit = match self.ends {
                Some(ends) => request.timeout.min(ends.saturating_duration_since(Instant::now())),
                None => request.timeout,
            };
            let built = self.build(request, limit).await?;
            let attempt = self.send_once(request, built, limit).await;
            let again = match &attempt {
                Ok(answer) => {
                    request.repeat == Repeat::Safe && (is_transient(answer.status) || !answer.complete)
                }
                Err(Failure { hopeless: true, .. }) => false,
                Err(Failure { error: SendError::NotSent { .. }, .. }) => true,
                Err(_) => request.repeat == Repeat::Safe,
            };
            let wish = attempt.as_ref().ok().and_then(Answer::retry_after);
            let wait = self.jittered(pause).max(wish.unwrap_or_default());
            if !again || Instant::now() + wait >= deadline {
                return attempt
                    .map_err(|failure| failure.error)
                    .and_then(|answer| cut_is_unclear(answer, request.repeat));
            }
            tracing::debug!(
                wait_ms = wait.as_millis(),
                path = request.url.path(),
                "sending again after a passing failure"
            );
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// As [`Http::send`], but every status outside 200 to 299 is an error.
    ///
    /// # Errors
    ///
    /// Any [`SendError`]. For a request that must not be repeated, 408 and every
    /// 5xx is [`SendError::Unclear`]: a gateway's word says nothing of the server behind it.
    pub async fn send_expecting_success(&self, request: &Request) -> Result<Answer, SendError> {
        let answer = self.send(request).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        let refusal = Box::new(Refusal::read(&answer));
        if request.repeat == Repeat::OnlyIfNotSent && (answer.status >= 500 || answer.status == 408) {
            return Err(SendError::Unclear(Unclear::Answered(refusal)));
        }
        Err(SendError::Refused(refusal))
    }

    async fn send_once(
        &self,
        request: &Request,
        (built, broken_off): (reqwest::Request, BrokenOff),
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let result = self.wire.execute(built).await;
        if let Some(reason) = broken_off.reason() {
            // Whatever the server says to a request without its end.
            return Err(Failure { error: SendError::NotSent { reason }, hopeless: true });
        }
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                let (not_sent, hopeless) = (error.is_not_sent(), error.is_hopeless());
                let mut reason = error.into_words();
                if not_sent {
                    reason.push_str(&format!(" ({})", request.url.host_str().unwrap_or_default()));
                }
                tracing::debug!(method = %request.method, path = request.url.path(), reason, "no answer");
                let error = match (not_sent, started.elapsed() >= limit) {
                    (true, _) => SendError::NotSent { reason },
                    (false, true) => SendError::Unclear(Unclear::TimedOut { after: limit }),
                    (false, false) => SendError::Unclear(Unclear::Broken { reason }),
                };
                return Err(Failure { error, hopeless });
            }
        };
        let (status, mut headers) = (response.status().as_u16(), response.headers().clone());
        let (body, complete) = read_body(response).await;
        let secrets = self.known.secrets(&request.headers, &request.body);
        echo::clean_headers(&mut headers, &secrets);
        let body = echo::clean_body(body, complete, &secrets);
        tracing::debug!(
            method = %request.method,
            host = request.url.host_str().unwrap_or_default(),
            path = request.url.path(),
            status,
            duration_ms = started.elapsed().as_millis(),
            request_id = header_text(&headers, "x-ms-request-id"),
            correlation_id = header_text(&headers, "x-ms-correlation-request-id"),
            "answer"
        );
        Ok(Answer { status, headers, body, complete })
    }

    async fn build(
        &self,
        request: &Request,
        limit: Duration,
    ) -> Result<(reqwest::Request, BrokenOff), SendError> {
        let mut built = reqwest::Request::new(request.method.clone(), request.url.clone());
        *built.headers_mut() = request.headers.clone();
        *built.timeout_mut() = Some(limit);
        match &request.body {
            // An empty POST needs its length said (arm-app-service, "Empty-body POSTs").
            Body::Empty if request.method == Method::GET => {}
            Body::Empty => drop(built.headers_mut().insert(CONTENT_LENGTH, 0.into())),
            Body::Json(text) => {
                let kind = HeaderValue::from_static("application/json; charset=utf-8");
                built.headers_mut().append(CONTENT_TYPE, kind);
                *built.body_mut() = Some(text.clone().into());
            }
            Body::Bytes(bytes) => *built.body_mut() = Some(bytes.clone().into()),
            Body::File(file) => {
                let (body, broken_off) = file_body::open(file).await?;
                built.headers_mut().append(CONTENT_LENGTH, file.size_bytes.into());
                *built.body_mut() = Some(body);
                return Ok((built, broken_off));
            }
        }
        Ok((built, BrokenOff::default()))
    }

    /// Spreads pauses by a fifth either way, so that two runs do not march in step.
    fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.8 + 0.4 * self.wire.chance())
    }
}

/// What one sending came to when no answer came.
struct Failure {
    error: SendError,
    /// Another sending would meet the same end.
    hopeless: bool,
}

/// Reads an answer that came by the bare [`Wire`], and takes the secrets of these request
/// headers out of it.
///
/// # Errors
///
/// [`SendError::Unclear`] when the body did not come to its end, or is endless.
pub async fn read_cleaned(
    response: reqwest::Response,
    asked_with: &HeaderMap,
) -> Result<(u16, HeaderMap, Bytes), SendError> {
    let (status, mut headers) = (response.status().as_u16(), response.headers().clone());
    let (body, complete) = read_body(response).await;
    if !complete {
        return Err(SendError::Unclear(Unclear::Broken { reason: CUT.to_owned() }));
    }
    let secrets = echo::secrets(asked_with, &Body::Empty);
    echo::clean_headers(&mut headers, &secrets);
    Ok((status, headers, echo::clean_body(body, complete, &secrets)))
}

async fn read_body(response: reqwest::Response) -> (Bytes, bool) {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else { return (body.into(), false) };
        if body.len() + chunk.len() > LONGEST_BODY_BYTES {
            return (body.into(), false);
        }
        body.extend_from_slice(&chunk);
    }
    (body.into(), true)
}

/// A cut answer to a read is no answer. To a write the status line has said what counts.
fn cut_is_unclear(answer: Answer, repeat: Repeat) -> Result<Answer, SendError> {
    if answer.complete || repeat == Repeat::OnlyIfNotSent || !answer.is_success() {
        return Ok(answer);
    }
    Err(SendError::Unclear(Unclear::Broken { reason: CUT.to_owned() }))
}

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An error with its causes, outermost first, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
