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

use crate::http::Wire;
use crate::secret::Secret;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// octocrab, with this client below it; nothing where the token cannot stand in a header.
pub(super) fn client(wire: &Wire, api: &str, token: &Secret) -> Option<Octocrab> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    bearer.set_sensitive(true);
    let service = Api { wire: wire.clone(), address: api.trim_end_matches('/').to_owned(), bearer };
    let Ok(client) = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
    Some(client)
}

/// One address and one token.
#[derive(Clone)]
struct Api {
    wire: Wire,
    address: String,
    bearer: HeaderValue,
}

impl tower_service::Service<Request<OctoBody>> for Api {
    type Response = Response<reqwest::Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // octocrab asks for paths; an address in an answer is never followed.
            let route = head.uri.path_and_query().map_or("/", |route| route.as_str());
            let mut request = reqwest::Request::new(head.method, format!("{}{route}", api.address).parse()?);
            *request.headers_mut() = head.headers;
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
            request.headers_mut().insert(AUTHORIZATION, api.bearer);
            *request.body_mut() = Some(body.collect().await?.to_bytes().into());
            Ok(api.wire.execute(request).await.map_err(|error| error.into_words())?.into())
        })
    }
}
