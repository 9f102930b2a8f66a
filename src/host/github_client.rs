//! How octocrab reaches GitHub: over the one HTTP client of the program, so that its
//! proxies and certificates count here too.
//!
//! Owns the address, the token's header, and nothing of what is asked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};

use crate::http::{Wire, read_cleaned};
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
            let asked_with = request.headers().clone();
            let response = api.wire.execute(request).await.map_err(|error| error.into_words())?;
            let (status, headers, body) = read_cleaned(response, &asked_with).await?;
            let mut answer = Response::new(reqwest::Body::from(body));
            *answer.status_mut() = StatusCode::from_u16(status)?;
            *answer.headers_mut() = headers;
            // The body is whole now, whatever frames it came in.
            answer.headers_mut().remove(TRANSFER_ENCODING);
            answer.headers_mut().remove(CONTENT_LENGTH);
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub, or what stands before it, that refuses everything in the request's own words.
    async fn echo(
        request: axum::extract::Request,
    ) -> (axum::http::StatusCode, axum::Json<serde_json::Value>) {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let message = format!("you sent {}", token.unwrap_or_default());
        (axum::http::StatusCode::FORBIDDEN, axum::Json(serde_json::json!({"message": message})))
    }

    #[tokio::test]
    async fn github_that_echoes_its_token_is_not_repeated() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(echo)).await });
        let wire = Wire::Network(reqwest::Client::new());
        let github = client(&wire, &api, &Secret::new("ghs_planted0123456789")).expect("a client");
        let answer: octocrab::Result<serde_json::Value> = github.get("/repos/a/b", None::<&()>).await;
        let Err(octocrab::Error::GitHub { source, .. }) = answer else { panic!("refused: {answer:?}") };
        assert!(source.message.eq_ignore_ascii_case("you sent Bearer ***"), "{}", source.message);
    }
}
