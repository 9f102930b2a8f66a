//! Refusals in the shapes of Azure.
//!
//! Owns the two shapes of error bodies (seen-in-recordings.md 18): Resource Manager's own
//! and the resource provider's. Must not decide anything.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::emulator::front::Body;
use crate::emulator::wire;
use crate::emulator::world::{Origin, Refusal};

/// Why a request gets no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The world refuses.
    Refused(Refusal),
    /// Resource Manager itself refuses.
    Gateway {
        /// The status.
        status: u16,
        /// `code`.
        code: &'static str,
        /// `message`.
        message: String,
    },
    /// The path is there and has no such verb.
    Verb(hyper::Method),
    /// The system has no port or no file left.
    System(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Failure {
    /// Resource Manager's own refusal.
    pub(super) fn gateway(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::Gateway { status, code, message: message.into() }
    }

    /// 400 of Resource Manager for a body that is no JSON (the code and the beginning of the text are its own, as
    /// error reports show them; the rest is the reader's).
    pub(super) fn malformed(reason: String) -> Self {
        let text = format!("The request content was invalid and could not be deserialized: '{reason}'.");
        Self::gateway(400, "InvalidRequestContent", text)
    }

    /// 405 of the resource provider, in the shape of its web framework (Azure/terraform-provider-azapi issue 241:
    /// `Microsoft.Web/…/config`, "The requested resource does not support http method 'GET'.").
    pub(super) fn wrong_verb(method: &hyper::Method) -> Self {
        Self::Verb(method.clone())
    }

    /// 400 of the resource provider.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::Refused(Refusal::BadRequest { message: message.into() })
    }

    /// The resource provider's 404.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::Refused(Refusal::NotFound { what: what.into() })
    }

    /// The answer.
    pub(super) fn response(&self) -> Response<Body> {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::Gateway { status, code, message } => gateway(*status, code, message),
            Self::Verb(method) => {
                let message = format!("The requested resource does not support http method '{method}'.");
                let mut response = wire::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "Message": message }));
                wire::set(&mut response, "x-ms-failure-cause", "service");
                response
            }
            Self::System(message) => provider(500, "InternalServerError", message, "01003"),
        }
    }
}

/// A refusal of the world as the answer to a request or to the last poll of an operation.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let message = refusal.to_string();
    match refusal.origin() {
        Origin::Gateway => gateway(refusal.status(), refusal.code(), &message),
        Origin::Provider => provider(refusal.status(), refusal.code(), &message, refusal.extended_code()),
        // What Kudu says in plain text comes through Resource Manager in the provider's shape (unconfirmed).
        Origin::Scm => {
            let status = status(refusal.status());
            let code = status.canonical_reason().unwrap_or("Error").replace(' ', "");
            provider(status.as_u16(), &code, &message, "01003")
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn gateway(code: u16, name: &str, message: &str) -> Response<Body> {
    let mut response = wire::json(status(code), &json!({"error": {"code": name, "message": message}}));
    wire::set(&mut response, "x-ms-failure-cause", "gateway");
    response
}

fn provider(code: u16, name: &str, message: &str, extended: &str) -> Response<Body> {
    let mut response = wire::json(status(code), &legacy(name, message, extended));
    wire::set(&mut response, "x-ms-failure-cause", "service");
    response
}

/// The resource provider's shape, each part three times over.
fn legacy(code: &str, message: &str, extended: &str) -> Value {
    json!({
        "Code": code,
        "Message": message,
        "Target": null,
        "Details": [
            {"Message": message},
            {"Code": code},
            {"ErrorEntity": {
                "ExtendedCode": extended,
                "MessageTemplate": message,
                "Parameters": [],
                "Code": code,
                "Message": message,
            }},
        ],
        "Innererror": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn body(response: Response<Body>) -> Value {
        let bytes = response.into_body().collect().await.expect("in memory").to_bytes();
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[tokio::test]
    async fn the_provider_and_the_gateway_each_have_their_shape() {
        let response = refused(&Refusal::PreparedForSwap);
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["x-ms-failure-cause"], "service");
        let wire = body(response).await;
        assert_eq!(wire["Code"], "Conflict");
        assert_eq!(wire["Details"][2]["ErrorEntity"]["Message"], wire["Message"]);

        let response = Failure::gateway(404, "SubscriptionNotFound", "gone").response();
        assert_eq!(response.headers()["x-ms-failure-cause"], "gateway");
        assert_eq!(
            body(response).await,
            json!({"error": {"code": "SubscriptionNotFound", "message": "gone"}})
        );
    }

    #[tokio::test]
    async fn a_plain_text_of_kudu_gets_a_code() {
        let response = refused(&Refusal::ScmRestarting);
        assert_eq!(response.status(), 503);
        assert_eq!(body(response).await["Code"], "ServiceUnavailable");
    }
}
