//! How octocrab reaches GitHub: over the one HTTP client of the program, so that its
//! proxies and certificates count here too.
//!
//! Owns the address, the token's header, and nothing of what is asked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::{Request, Response};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};

use crate::secret::Secret;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// octocrab, with this client below it; nothing where the token cannot stand in a header.
pub(super) fn client(http: &reqwest::Client, api: &str, token: &Secret) -> Option<Octocrab> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    bearer.set_sensitive(true);
    let service = Wire { http: http.clone(), api: api.trim_end_matches('/').to_owned(), bearer };
    let Ok(client) = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
    Some(client)
}

/// One address and one token.
#[derive(Clone)]
struct Wire {
    http: reqwest::Client,
    api: String,
    bearer: HeaderValue,
}

impl tower_service::Service<Request<OctoBody>> for Wire {
    type Response = Response<reqwest::Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // octocrab asks for paths; an address in an answer is never followed.
            let route = head.uri.path_and_query().map_or("/", |route| route.as_str());
            let body = body.collect().await?.to_bytes();
            let request = wire
                .http
                .request(head.method, format!("{}{route}", wire.api))
                .headers(head.headers)
                .header(ACCEPT, "application/vnd.github+json")
                .header(AUTHORIZATION, wire.bearer)
                .body(body);
            Ok(request.send().await.map_err(reqwest::Error::without_url)?.into())
        })
    }
}
