//! Assertions from the pipeline's own OIDC providers.
//!
//! Owns the two requests (sign-in §2 and §4). Must not keep a token: every Entra
//! request gets a fresh one, so that a long run outlives each of them.

use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};

use crate::http::{Answer, Body, Http, Refusal, Repeat, Request};
use crate::secret::Secret;

const ATTEMPT: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// `GET {request url}&audience=…` with the job's request token
/// (actions/toolkit packages/core/src/oidc-utils.ts).
pub(super) async fn github(
    http: &Http,
    request_url: &Url,
    token: &Secret,
    audience: &str,
) -> Result<Secret, String> {
    let mut url = request_url.clone();
    url.query_pairs_mut().append_pair("audience", audience);
    let request =
        Request::get(url).with_header(ACCEPT, HeaderValue::from_static("application/json; api-version=2.0"));
    ask(http, request, token, "value").await.map_err(|reason| format!("GitHub gave no OIDC token: {reason}"))
}

/// `POST {request uri}?api-version=7.1&serviceConnectionId=…` with the job's access
/// token (azure_identity src/azure_pipelines_credential.rs). Without the
/// redirect header an expired token would lead to a sign-in page.
pub(super) async fn azure_pipelines(
    http: &Http,
    request_uri: &Url,
    token: &Secret,
    connection: &str,
) -> Result<Secret, String> {
    let mut url = request_uri.clone();
    url.query_pairs_mut().append_pair("api-version", "7.1").append_pair("serviceConnectionId", connection);
    let request = Request::new(Method::POST, url, Body::Empty, Repeat::Safe)
        .with_header(ACCEPT, HeaderValue::from_static("application/json"))
        .with_header(HeaderName::from_static("x-tfs-fedauthredirect"), HeaderValue::from_static("Suppress"));
    ask(http, request, token, "oidcToken")
        .await
        .map_err(|reason| format!("Azure Pipelines gave no OIDC token for the service connection: {reason}"))
}

/// Asking for a token changes nothing, so it is repeated after a passing failure.
async fn ask(http: &Http, request: Request, token: &Secret, field: &str) -> Result<Secret, String> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| "the job's token holds characters that no header may hold".to_owned())?;
    bearer.set_sensitive(true);
    let request = request.with_header(AUTHORIZATION, bearer).within(ATTEMPT, PATIENCE);
    let answer = http.send(&request).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{}{}", Refusal::read(&answer), trace(&answer)));
    }
    let document: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("the answer is no JSON document{}", trace(&answer)))?;
    match document.get(field).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) => Ok(Secret::new(text)),
        None => Err(format!("the answer has no \"{field}\"{}", trace(&answer))),
    }
}

/// The ids that support asks for (sign-in §4).
fn trace(answer: &Answer) -> String {
    ["x-vss-e2eid", "x-msedge-ref", "x-github-request-id"]
        .iter()
        .filter_map(|name| Some(format!(" ({name} {})", answer.header(name)?)))
        .collect()
}
