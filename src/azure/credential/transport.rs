//! Microsoft's credentials over our own HTTP client.
//!
//! Owns the translation between the two. Asking for a token changes nothing, so a
//! request may be sent again; how long that goes on, the credential's maker says.

use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body as TheirBody, HttpClient, Request as TheirRequest};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use crate::http::{Body, Http, Repeat, Request};

/// One sending of a request for a token.
const ONE_SENDING: Duration = Duration::from_secs(30);

/// The client as the credentials see it.
#[derive(Debug)]
pub(super) struct Transport {
    http: Http,
    patience: Duration,
}

impl Transport {
    /// Repeats for so long; a millisecond is as good as never.
    pub(super) fn new(http: Http, patience: Duration) -> Self {
        Self { http, patience }
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &TheirRequest) -> azure_core::Result<AsyncRawResponse> {
        let other = |words: &str| Error::with_message(ErrorKind::Other, words.to_owned());
        let method = request.method().to_string();
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| other("no such method"))?;
        let TheirBody::Bytes(body) = request.body() else {
            return Err(other("bug: a request for a token has a body in memory"));
        };
        let mut ours = Request::new(method, request.url().clone(), Body::Bytes(body.clone()), Repeat::Safe)
            .within(ONE_SENDING, self.patience);
        for (name, value) in request.headers().iter() {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| other("no such header"))?;
            let mut value = HeaderValue::from_str(value.as_str()).map_err(|_| other("no such header"))?;
            value.set_sensitive(true);
            ours = ours.with_header(name, value);
        }
        let answer = match self.http.send(&ours).await {
            Ok(answer) => answer,
            Err(error) => return Err(Error::with_message(ErrorKind::Io, error.to_string())),
        };
        let mut headers = Headers::new();
        for (name, value) in &answer.headers {
            if let Ok(text) = value.to_str() {
                headers.insert(name.as_str().to_owned(), text.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(answer.status.into(), headers, answer.body))
    }
}
