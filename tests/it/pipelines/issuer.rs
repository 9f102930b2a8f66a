//! The token services of both hosts: what a job asks for an OIDC token. They sign with a
//! key whose public half the emulated application knows, as Entra knows GitHub's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::tls_server::{self, Answer, Seen};

/// A server of the test's own, ended when it is dropped.
pub(super) struct Server(tls_server::Server);

impl Server {
    /// One without TLS, as the identity endpoint of a machine is.
    pub(super) async fn start_plain(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let answer =
            move |seen: &Seen| answer(&Asked { method: seen.method.clone(), headers: seen.headers.clone() });
        Self(tls_server::Server::start_plain(answer).await)
    }

    pub(super) fn base(&self) -> &str {
        &self.0.base
    }

    /// The bodies of all that it was asked, one below the other.
    pub(super) fn heard(&self) -> String {
        self.0.requests().iter().map(|seen| format!("{}\n", seen.body)).collect()
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.0.requests().len()
    }
}

/// What such a server is asked.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) headers: BTreeMap<String, String>,
}

/// GitHub's issuer and one of Azure DevOps' (sign-in §2, §4).
pub(super) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(super) const AZURE_DEVOPS: &str = "https://vstoken.dev.azure.com/7d0c5f0e-0000-4000-8000-00000000000a";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The services; they end with this value.
pub(super) struct Issuer {
    /// Where they are, without a slash at the end.
    pub(super) base: String,
    /// Their certificate.
    pub(super) ca: String,
    _server: tls_server::Server,
    grants: Arc<Mutex<BTreeMap<String, String>>>,
    issued: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let grants = Arc::new(Mutex::new(BTreeMap::new()));
        let issued = Arc::new(Mutex::new(Vec::new()));
        let (known, log) = (Arc::clone(&grants), Arc::clone(&issued));
        let server = tls_server::Server::start(move |seen| answer(seen, &known, &log)).await;
        let (base, ca) = (server.base.clone(), server.ca.clone());
        Self { base, ca, _server: server, grants, issued }
    }

    /// From now on this bearer token, with this service connection if one is named, gets tokens of this subject.
    pub(super) fn grant(&self, bearer: &str, connection: &str, subject: &str) {
        lock(&self.grants).insert(format!("Bearer {bearer} {connection}"), subject.to_owned());
    }

    /// Every token so far.
    pub(super) fn issued(&self) -> Vec<String> {
        lock(&self.issued).clone()
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(seen: &Seen, grants: &Mutex<BTreeMap<String, String>>, issued: &Mutex<Vec<String>>) -> Answer {
    let github = seen.path == "/github/idtoken";
    let connection = seen.query.get("serviceConnectionId").cloned().unwrap_or_default();
    let bearer = seen.headers.get("authorization").cloned().unwrap_or_default();
    // Both URLs come with a query or get one; what was in it must still be there.
    let right = if github {
        seen.method == "GET" && seen.query.get("run").is_some_and(|run| run == "1")
    } else {
        let version = seen.query.get("api-version").is_some_and(|version| version == "7.1");
        let redirect = seen.headers.get("x-tfs-fedauthredirect").is_some_and(|word| word == "Suppress");
        seen.path.ends_with("/oidctoken") && seen.method == "POST" && version && redirect
    };
    if !right {
        return (400, json!({"message": format!("unexpected {} {}", seen.method, seen.path)}).to_string());
    }
    let Some(subject) = lock(grants).get(&format!("{bearer} {connection}")).cloned() else {
        return (401, json!({"message": "this token may not ask"}).to_string());
    };
    let issuer = if github { GITHUB } else { AZURE_DEVOPS };
    let audience = seen.query.get("audience").map_or(AUDIENCE, String::as_str);
    let number = lock(issued).len();
    let token = signed(issuer, &subject, audience, number);
    lock(issued).push(token.clone());
    let body =
        if github { json!({"value": token, "count": token.len()}) } else { json!({"oidcToken": token}) };
    (200, body.to_string())
}

/// A token of five minutes.
fn signed(issuer: &str, subject: &str, audience: &str, number: usize) -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "test"});
    let claims = json!({
        "iss": issuer, "sub": subject, "aud": audience, "jti": format!("{number}"),
        "iat": now, "nbf": now, "exp": now + 300,
    });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let key = key();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
        .expect("a signature");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A test key of this project, as its PEM text; the certificate beside it is of the same key.
pub(super) fn pem(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/azure/credential/testdata").join(name);
    std::fs::read_to_string(path).expect("a test key")
}

fn key() -> ring::rsa::KeyPair {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject;
    let text = pem("key-pkcs8.pem");
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).expect("a key");
    ring::rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key")
}

/// The public half, in the shape of RFC 7517.
pub(super) fn public_key() -> Value {
    let key = key();
    let parts = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e)})
}
