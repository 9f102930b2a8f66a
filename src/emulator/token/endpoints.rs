//! The documents and the token endpoint of the authority.
//!
//! Owns which path gives what. Must not decide who may sign in: `grant` does.

use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::grant::{self, TokenRequest};
use super::{Directory, Refused};
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Call, Query};
use crate::emulator::world::Timestamp;

/// Answers a request.
pub(super) fn route(directory: &Directory, call: &Call, now: Timestamp, clock: Timestamp) -> Response<Body> {
    let get = call.method == Method::GET;
    let post = call.method == Method::POST;
    match call.path.lower().as_slice() {
        ["common", "discovery", "instance"] if get => wire::ok(&instance_discovery(directory)),
        [tenant, "v2.0", ".well-known", "openid-configuration"] if get => {
            document(directory, tenant, clock, true)
        }
        [tenant, ".well-known", "openid-configuration"] if get => document(directory, tenant, clock, false),
        [_, "discovery", "keys"] | [_, "discovery", "v2.0", "keys"] if get => wire::ok(&keys(directory)),
        [tenant, "oauth2", "v2.0", "token"] if post => token(directory, tenant, call, now, clock, true),
        [tenant, "oauth2", "token"] if post => token(directory, tenant, call, now, clock, false),
        [_, "oauth2", "v2.0", "token"] | [_, "oauth2", "token"] => {
            // AADSTS900561: the endpoint only accepts POST.
            let message = "The endpoint only accepts POST requests. Received a GET request.";
            refuse(directory, &Refused::new(400, "invalid_request", 900_561, message), clock)
        }
        _ => wire::empty(StatusCode::NOT_FOUND),
    }
}

fn refuse(directory: &Directory, refused: &Refused, clock: Timestamp) -> Response<Body> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
    uncached(wire::json(status, &refused.body(clock, &directory.authority)))
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    response
}

fn unknown_tenant(tenant: &str) -> Refused {
    Refused::new(
        400,
        "invalid_request",
        90_002,
        format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
        ),
    )
}

fn document(directory: &Directory, tenant: &str, clock: Timestamp, second: bool) -> Response<Body> {
    if directory.knows_tenant(tenant) || matches!(tenant, "common" | "organizations") {
        wire::ok(&configuration(directory, tenant, second))
    } else {
        refuse(directory, &unknown_tenant(tenant), clock)
    }
}

/// The OpenID configuration; az and the SDKs read `token_endpoint`, `authorization_endpoint` and `issuer`.
fn configuration(directory: &Directory, tenant: &str, second: bool) -> Value {
    let (authority, version) = (&directory.authority, if second { "/v2.0" } else { "" });
    let issuer = if second { format!("{authority}/{tenant}/v2.0") } else { directory.issuer() };
    json!({
        "token_endpoint": format!("{authority}/{tenant}/oauth2{version}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": format!("{authority}/{tenant}/discovery{version}/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "authorization_endpoint": format!("{authority}/{tenant}/oauth2{version}/authorize"),
        "device_authorization_endpoint": format!("{authority}/{tenant}/oauth2{version}/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{authority}/{tenant}/oauth2{version}/logout"),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver", "oid"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "slotway.emulator",
    })
}

/// Asked by msal and azure-identity before the first token unless instance discovery is off
/// (real-clients.md, "Cloud and login").
fn instance_discovery(directory: &Directory) -> Value {
    let host = directory.authority.trim_start_matches("https://");
    json!({
        "tenant_discovery_endpoint":
            format!("{}/{}/v2.0/.well-known/openid-configuration", directory.authority, directory.tenant),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}

fn keys(directory: &Directory) -> Value {
    let mut key = serde_json::to_value(directory.key.public()).unwrap_or_default();
    if let Some(key) = key.as_object_mut() {
        key.insert("kid".to_owned(), json!(directory.key.id()));
        key.insert("use".to_owned(), json!("sig"));
        key.insert("alg".to_owned(), json!("ES256"));
    }
    json!({"keys": [key]})
}

fn token(
    directory: &Directory,
    tenant: &str,
    call: &Call,
    now: Timestamp,
    clock: Timestamp,
    second: bool,
) -> Response<Body> {
    let form = Query::new(std::str::from_utf8(&call.body).ok());
    let granted = if directory.knows_tenant(tenant) {
        let request = TokenRequest { form: &form, tenant, second };
        grant::audience(directory, &request, clock)
    } else {
        Err(unknown_tenant(tenant))
    };
    let audience = match granted {
        Ok(audience) => audience,
        Err(refused) => return refuse(directory, &refused, clock),
    };
    let Ok(access_token) = directory.access_token(&audience, now) else {
        return wire::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let seconds = directory.lifetime.as_secs();
    // The second endpoint gives numbers, the first gives strings and says the resource
    // (the fields of v2: sign-in.md §1; those of v1 are from general knowledge, unconfirmed).
    let body = if second {
        json!({
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": access_token,
        })
    } else {
        let from = now.unix_timestamp();
        let until = from + i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        json!({
            "token_type": "Bearer",
            "expires_in": seconds.to_string(),
            "ext_expires_in": seconds.to_string(),
            "expires_on": until.to_string(),
            "not_before": from.to_string(),
            "resource": audience,
            "access_token": access_token,
        })
    };
    uncached(wire::ok(&body))
}
