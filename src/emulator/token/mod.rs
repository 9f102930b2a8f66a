//! Entra as a client of its token endpoint sees it: one tenant, one application.
//!
//! Owns the tenant's keys, credentials and the tokens handed out. Must not know what
//! a token is used for: Resource Manager and Kudu ask [`bearer`] whether one is good.
//! Not modelled: user sign-in, refresh tokens, device code, conditional access.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::front::Body;
use super::wire::Call;
use super::world::Timestamp;

pub mod bearer;
mod endpoints;
mod grant;
pub mod jwt;

use jwt::{Jwt, JwtError, KeyError, PublicKey, SigningKey};

/// So many tokens are known at once without a second verification.
const KNOWN_TOKENS: usize = 256;

/// A federated credential of the application: which foreign tokens it accepts
/// (sign-in.md §2 and §4).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FederatedCredential {
    /// `iss`, exactly.
    pub issuer: String,
    /// `sub`, exactly.
    pub subject: String,
    /// `aud`; api://AzureADTokenExchange unless said.
    #[serde(default = "exchange_audience")]
    pub audience: String,
    /// The issuer's keys. Without any the emulator plays the issuer itself: its control endpoint
    /// signs assertions (`POST /assertions`).
    #[serde(default)]
    pub keys: Vec<PublicKey>,
}

/// The audience of assertions for Entra in the public cloud (sign-in.md §2).
pub fn exchange_audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

/// The application that may sign in.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its client id.
    pub client_id: String,
    /// The object id of its service principal.
    pub object_id: String,
    /// Its secret.
    pub secret: String,
    /// Its federated credentials.
    pub federated: Vec<FederatedCredential>,
    /// The public keys of its certificates.
    pub certificates: Vec<PublicKey>,
}

/// The tenant with everything that its endpoints need.
pub struct Directory {
    /// `https://127.0.0.1:port`, without a slash at the end.
    pub authority: String,
    /// The tenant's GUID.
    pub tenant: String,
    /// The application.
    pub application: Application,
    /// Resource Manager's own URL, `https://127.0.0.1:port/`.
    pub resource_manager: String,
    /// How long a token lives.
    pub lifetime: Duration,
    /// The tenant's key.
    pub key: SigningKey,
    issued: AtomicU64,
    expired: AtomicU64,
    /// Tokens whose signature held: a client sends the same one with each request.
    known: Mutex<HashMap<String, Arc<Jwt>>>,
}

impl Directory {
    /// A tenant with one application and a new key.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn new(
        authority: String,
        tenant: String,
        application: Application,
        resource_manager: String,
        lifetime: Duration,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            authority,
            tenant,
            application,
            resource_manager,
            lifetime,
            key: SigningKey::make()?,
            issued: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            known: Mutex::default(),
        })
    }

    /// Reads a token that this tenant signed.
    fn read(&self, token: &str) -> Result<Arc<Jwt>, JwtError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jwt) = known().get(token) {
            return Ok(Arc::clone(jwt));
        }
        let jwt = Arc::new(Jwt::read(token)?);
        jwt.verify(&self.key.public())?;
        let mut known = known();
        if known.len() >= KNOWN_TOKENS {
            known.clear();
        }
        known.insert(token.to_owned(), Arc::clone(&jwt));
        Ok(jwt)
    }

    /// Makes every token handed out so far an expired one.
    pub fn expire_all(&self) {
        self.expired.store(self.issued.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Signs an assertion as a foreign issuer would, for federated sign-in without one.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn assertion(&self, order: &AssertionOrder, now: Timestamp) -> Result<String, KeyError> {
        let default = self.application.federated.first();
        let issuer = order.issuer.clone().or_else(|| default.map(|one| one.issuer.clone()));
        let subject = order.subject.clone().or_else(|| default.map(|one| one.subject.clone()));
        let from = now.unix_timestamp() + order.starts_in;
        self.key.sign(&json!({
            "iss": issuer.unwrap_or_default(),
            "sub": subject.unwrap_or_default(),
            "aud": order.audience.clone().unwrap_or_else(exchange_audience),
            "jti": uuid::Uuid::new_v4().to_string(),
            "iat": from,
            "nbf": from,
            "exp": from + order.seconds,
        }))
    }

    fn access_token(&self, audience: &str, now: Timestamp) -> Result<String, KeyError> {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let from = now.unix_timestamp();
        // Tokens for Resource Manager are of version 1.0 whichever endpoint was asked.
        self.key.sign(&json!({
            "aud": audience,
            "iss": self.issuer(),
            "iat": from,
            "nbf": from,
            "exp": from + i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX / 2),
            "appid": self.application.client_id,
            "appidacr": "1",
            "idp": self.issuer(),
            "idtyp": "app",
            "oid": self.application.object_id,
            "sub": self.application.object_id,
            "tid": self.tenant,
            "uti": number.to_string(),
            "ver": "1.0",
        }))
    }

    fn issuer(&self) -> String {
        format!("https://sts.windows.net/{}/", self.tenant)
    }

    fn knows_tenant(&self, tenant: &str) -> bool {
        tenant.eq_ignore_ascii_case(&self.tenant)
    }
}

/// What a foreign issuer is to say (`POST /assertions` of the control endpoint).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssertionOrder {
    /// `iss`; the first federated credential's unless said.
    pub issuer: Option<String>,
    /// `sub`; the first federated credential's unless said.
    pub subject: Option<String>,
    /// `aud`; the exchange audience unless said.
    pub audience: Option<String>,
    /// From when on it is valid, in seconds from now; negative for the past.
    pub starts_in: i64,
    /// How long it is valid.
    pub seconds: i64,
}

impl Default for AssertionOrder {
    fn default() -> Self {
        Self { issuer: None, subject: None, audience: None, starts_in: 0, seconds: 300 }
    }
}

/// Answers a request to the authority. `now` is the world's time, by which access tokens live;
/// `clock` is the machine's, by which assertions do.
pub fn answer(directory: &Directory, call: &Call, now: Timestamp, clock: Timestamp) -> Response<Body> {
    endpoints::route(directory, call, now, clock)
}

/// Why a request for a token is refused (sign-in.md §1). Only 7000222 was seen in a source there; the numbers
/// used here are from general knowledge (unconfirmed), as are their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// `error`.
    pub error: &'static str,
    /// The number behind AADSTS.
    pub number: u32,
    /// The text behind the number.
    pub message: String,
}

impl Refused {
    fn new(status: u16, error: &'static str, number: u32, message: impl Into<String>) -> Self {
        Self { status, error, number, message: message.into() }
    }

    /// The body, with the fields of sign-in.md §1.
    pub fn body(&self, clock: Timestamp, authority: &str) -> Value {
        let [trace, correlation] = [(); 2].map(|()| uuid::Uuid::new_v4().to_string());
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
        let timestamp = clock.format(format).unwrap_or_default();
        json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
                self.number, self.message
            ),
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("{authority}/error?code={}", self.number),
        })
    }
}

#[cfg(test)]
mod tests;
