//! What is sent and what comes back.
//!
//! Owns the shapes of a request and of an answer. Must not send anything.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::{FileBody, retry_after};

/// Whether a request may be sent again when its first sending failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Repeating changes nothing more than sending once: reads, and writes of a whole value.
    Safe,
    /// Only when it certainly never left this machine. A swap is its own inverse.
    OnlyIfNotSent,
}

/// What a request carries.
#[derive(Clone)]
pub enum Body {
    /// Nothing; `Content-Length: 0` goes with a POST.
    Empty,
    /// A JSON document.
    Json(String),
    /// Bytes whose type the headers tell.
    Bytes(Bytes),
    /// A file, streamed; opened anew for every sending.
    File(FileBody),
}

/// One request, complete.
#[derive(Clone)]
pub struct Request {
    /// GET, POST, PUT …
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Headers beside those that every request carries.
    pub headers: HeaderMap,
    /// What it carries.
    pub body: Body,
    /// Whether it may be sent again.
    pub repeat: Repeat,
    /// Limit of one sending, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Limit of all sendings and the pauses between them.
    pub patience: Duration,
}

impl Request {
    /// A read: repeatable, thirty seconds for a sending, two minutes in all.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Body::Empty,
            repeat: Repeat::Safe,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(120),
        }
    }

    /// A request with another method, and the answer to whether it may be repeated.
    pub fn new(method: Method, url: Url, body: Body, repeat: Repeat) -> Self {
        Self { method, body, repeat, ..Self::get(url) }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same request with other limits.
    #[must_use]
    pub fn within(mut self, timeout: Duration, patience: Duration) -> Self {
        self.timeout = timeout;
        self.patience = patience;
        self
    }
}

/// An answer whose status line and headers arrived. Prints its status and sizes only: bodies
/// hold settings and tokens, headers cookies.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, cut at eight megabytes.
    pub body: Bytes,
    /// Whether the body ended as announced.
    pub complete: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How long the server asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers, crate::clock::now().into())
    }
}
