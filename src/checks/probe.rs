//! One HTTP request to one place, and what came of it.
//!
//! Owns how an answer is measured and how the ways of not getting one are told
//! apart. Must not judge: a status of 500 is an answer like any other.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::time::Instant;
use url::Url;

use super::duration::show_duration;
use super::spec::Body;
#[cfg(test)]
use crate::http::simulated::NoAnswer;
use crate::http::{Wire, WireError};
use crate::text;

/// As much of a body as is read.
pub const LONGEST_BODY: usize = 1024 * 1024;

/// A request to be sent.
#[derive(Clone)]
pub struct Probe<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// Headers beyond the usual ones.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body.
    pub body: &'a Body,
    /// The instance that has to answer.
    pub instance: Option<&'a str>,
    /// Until the whole answer is there.
    pub timeout: Duration,
}

/// An answer. Prints its status and sizes only: an app's cookies and words are its users' own.
#[derive(Clone)]
pub struct Observation {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most [`LONGEST_BODY`].
    pub body: Vec<u8>,
    /// Whether the body was longer than that.
    pub body_cut: bool,
    /// From sending to the end of the body (or of the part that is read).
    pub latency: Duration,
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Observation")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("body_cut", &self.body_cut)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The host name has no address.
    #[error("no address for the host name {0}")]
    Dns(String),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// There was no complete answer in time.
    #[error("no complete answer within {}", show_duration(*.0))]
    TimedOut(Duration),
    /// The connection or the answer broke in another way.
    #[error("no answer: {0}")]
    Broken(String),
}

/// A path with query, as seen from a slot's base URL.
pub fn url_at(base: &Url, path_and_query: &str) -> Url {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let mut url = base.clone();
    // Setting the parts, unlike joining, can never lead to another host.
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url.set_fragment(None);
    url
}

/// Sends the request and reads the answer.
///
/// # Errors
///
/// [`ProbeError`] where no complete answer came.
pub async fn observe(wire: &Wire, probe: &Probe<'_>) -> Result<Observation, ProbeError> {
    let started = Instant::now();
    let host = probe.url.host_str().unwrap_or_default().to_owned();
    let exchange = async {
        let mut answer = wire.execute(request(probe)).await?;
        let mut body = Vec::new();
        let mut body_cut = false;
        while let Some(chunk) = answer.chunk().await.map_err(WireError::from)? {
            let room = LONGEST_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                body_cut = true;
                break;
            }
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Observation { status, headers, body, body_cut, latency: started.elapsed() })
    };
    match tokio::time::timeout(probe.timeout, exchange).await {
        Ok(result) => result.map_err(|error| classify(&error, &host, probe.timeout)),
        Err(_) => Err(ProbeError::TimedOut(probe.timeout)),
    }
}

fn request(probe: &Probe<'_>) -> reqwest::Request {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("slotway/", env!("CARGO_PKG_VERSION"))));
    let mut cookies: Vec<String> = Vec::new();
    for (name, value) in probe.headers {
        match *name {
            COOKIE => cookies.push(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            USER_AGENT => drop(headers.insert(name, value.clone())),
            _ => drop(headers.append(name, value.clone())),
        }
    }
    if let Some(instance) = probe.instance {
        // The instance's name is the value of the front end's affinity cookies
        // (contracts/kudu-deploy.md §1, contracts/arm-app-service.md §14).
        cookies.push(format!("ARRAffinity={instance}; ARRAffinitySameSite={instance}"));
    }
    if let Some(Ok(mut value)) = (!cookies.is_empty()).then(|| HeaderValue::from_str(&cookies.join("; "))) {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
    let mut request = reqwest::Request::new(probe.method.clone(), probe.url.clone());
    match probe.body {
        Body::Empty => {}
        Body::Text(text) => *request.body_mut() = Some(text.clone().into()),
        Body::Json(value) => {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(value.to_string().into());
        }
    }
    *request.headers_mut() = headers;
    request
}

fn classify(error: &WireError, host: &str, timeout: Duration) -> ProbeError {
    match error {
        WireError::Network(error) => classify_network(error, host, timeout),
        #[cfg(test)]
        WireError::Simulated(error) => match error {
            NoAnswer::Refused => ProbeError::Refused,
            NoAnswer::NoName => ProbeError::Dns(text::short(host, 100)),
            NoAnswer::TimedOut => ProbeError::TimedOut(timeout),
            NoAnswer::Broken(reason) => ProbeError::Broken(text::short(reason, 200)),
        },
    }
}

fn classify_network(error: &reqwest::Error, host: &str, timeout: Duration) -> ProbeError {
    if error.is_timeout() {
        return ProbeError::TimedOut(timeout);
    }
    let mut reason = error.to_string();
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        reason = cause.to_string();
        // The resolver's error type is private to the HTTP library; its text is all that can be asked.
        if reason.starts_with("dns error") {
            return ProbeError::Dns(text::short(host, 100));
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return ProbeError::Tls(text::short(&tls.to_string(), 200));
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::ConnectionRefused {
                return ProbeError::Refused;
            }
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return ProbeError::Tls(text::short(&tls.to_string(), 200));
            }
        }
        next = cause.source();
    }
    ProbeError::Broken(text::short(&reason, 200))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Server, client};

    fn get(url: Url) -> Probe<'static> {
        Probe {
            method: Method::GET,
            url,
            headers: &[],
            body: &Body::Empty,
            instance: None,
            timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        let base = Url::parse("https://slot.example/base/").expect("url");
        assert_eq!(url_at(&base, "/a b?q=1&r").as_str(), "https://slot.example/base/a%20b?q=1&r");
        assert_eq!(url_at(&base, "//evil.example/x").host_str(), Some("slot.example"));
        assert_eq!(url_at(&base, "/").as_str(), "https://slot.example/base/");
    }

    #[tokio::test]
    async fn an_answer_is_measured_with_status_headers_and_body() {
        let server = Server::start(|_| (302, "moved".to_owned())).await;
        let answer = observe(&client(), &get(server.url("/x?y"))).await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice(), answer.body_cut), (302, &b"moved"[..], false));
        assert!(answer.headers.contains_key("content-length"));
        assert_eq!(server.requests()[0].line, "GET /x?y");
    }

    #[tokio::test]
    async fn headers_body_and_pin_are_sent() {
        let server = Server::start(|_| (200, String::new())).await;
        let headers = [
            (HeaderName::from_static("cookie"), HeaderValue::from_static("a=b")),
            (HeaderName::from_static("x-probe"), HeaderValue::from_static("1")),
        ];
        let body = Body::Json(serde_json::json!({"a": 1}));
        let probe = Probe {
            method: Method::POST,
            headers: &headers,
            body: &body,
            instance: Some("i0"),
            ..get(server.url("/"))
        };
        observe(&client(), &probe).await.expect("an answer");
        let seen = &server.requests()[0];
        assert_eq!(seen.header("cookie"), Some("a=b; ARRAffinity=i0; ARRAffinitySameSite=i0"));
        assert_eq!(seen.header("x-probe"), Some("1"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.body, "{\"a\":1}");
    }

    #[tokio::test]
    async fn a_long_body_is_cut() {
        let server = Server::start(|_| (200, "x".repeat(LONGEST_BODY + 1))).await;
        let answer = observe(&client(), &get(server.url("/"))).await.expect("an answer");
        assert_eq!((answer.body.len(), answer.body_cut), (LONGEST_BODY, true));
    }

    #[tokio::test]
    async fn the_ways_of_getting_no_answer_are_told_apart() {
        let refused = Url::parse("http://127.0.0.1:1/").expect("url");
        assert_eq!(observe(&client(), &get(refused)).await.expect_err("refused"), ProbeError::Refused);
        let nowhere = Url::parse("http://no-such-host.invalid/").expect("url");
        let error = observe(&client(), &get(nowhere)).await.expect_err("no name");
        assert_eq!(error, ProbeError::Dns("no-such-host.invalid".to_owned()));
        let server = Server::start(|_| (0, String::new())).await;
        let error = observe(&client(), &get(server.url("/"))).await.expect_err("closed");
        assert!(matches!(error, ProbeError::Broken(_)), "{error:?}");
        let mut plain = server.url("/");
        plain.set_scheme("https").expect("scheme");
        let error = observe(&client(), &get(plain)).await.expect_err("no TLS there");
        assert!(matches!(error, ProbeError::Tls(_) | ProbeError::Broken(_)), "{error:?}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_given_up_after_the_timeout() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = Url::parse(&format!("http://{}/", silent.local_addr().expect("address"))).expect("url");
        let limit = Duration::from_millis(30);
        let error = observe(&client(), &Probe { timeout: limit, ..get(url) }).await.expect_err("silence");
        assert_eq!(error.to_string(), "no complete answer within 30 ms");
    }
}
