//! Tokens for Azure, by Microsoft's own credentials over our own HTTP client.
//!
//! Owns the choice of the credential and its renewal. Must not try one way after
//! another in silence: the caller says which, and the log repeats it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport as TheirTransport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use time::OffsetDateTime;

use super::endpoints::Endpoints;
use super::error::AzureError;
use crate::clock;
use crate::http::{Http, chain};
use crate::names::{ClientId, TenantId};
use crate::secret::{Redaction, Secret};

mod assertion;
mod certificate;
mod oidc;
mod presented;
mod sign_in;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;

pub use assertion::Hears;
use assertion::{Assertion, Obtained, Source};
pub use certificate::{CertificateError, Signer};
pub use presented::Presented;
pub use sign_in::SignIn;
use transport::Transport;

/// Time that must be left on a token before a swap is begun with it.
pub const ENOUGH_TIME_LEFT: Duration = Duration::from_secs(300);
/// A token is renewed when less than this is left, as the crate's own caches do (sign-in §7).
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long a token may take, all repeats included; the metadata service of a machine asks to be
/// given 72 s (sign-in §5).
const TOKEN_LIMIT: Duration = Duration::from_secs(120);
/// How long a request for a token is repeated.
const REPEATED_FOR: Duration = Duration::from_secs(45);

/// A token and its end.
#[derive(Debug, Clone)]
pub struct Token {
    /// The bearer token.
    pub secret: Secret,
    /// When it stops being accepted.
    pub expires_on: OffsetDateTime,
}

/// Gives tokens, from a cache while they last.
#[derive(Debug)]
pub struct Credential {
    sign_in: SignIn,
    reason: String,
    endpoints: Endpoints,
    http: Http,
    current: Mutex<Arc<dyn TokenCredential>>,
    /// The Azure CLI's credential has no cache, and each call of it takes a second (sign-in §6).
    held: Mutex<Option<Token>>,
    /// One request at a time; who waited finds the token held.
    asking: tokio::sync::Mutex<()>,
    obtained: Arc<Obtained>,
}

impl Credential {
    /// Prepares a credential; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`AzureError::SignIn`] when the credential cannot be made from what was given.
    pub fn new(sign_in: SignIn, endpoints: Endpoints, http: Http) -> Result<Self, AzureError> {
        let obtained = Arc::default();
        let current = Mutex::new(make(&sign_in, &endpoints, &http, &obtained)?);
        let (held, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { sign_in, reason: String::new(), endpoints, http, current, held, asking, obtained })
    }

    /// The same credential, with the reason for its choice, for the log.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same credential; every token and assertion that it obtains is announced here first.
    #[must_use]
    pub fn announcing(self, hears: Hears) -> Self {
        self.obtained.tell(hears);
        self
    }

    /// A token for Azure Resource Manager, which SCM sites accept too.
    ///
    /// # Errors
    ///
    /// [`AzureError::SignIn`] with Entra's words and numbers.
    pub async fn token(&self) -> Result<Token, AzureError> {
        if let Some(token) = self.held() {
            return Ok(token);
        }
        let _turn = self.asking.lock().await;
        if let Some(token) = self.held() {
            return Ok(token);
        }
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            // It is about to end: whatever the crate holds must not come back in its place.
            self.forget();
        }
        let credential = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner));
        let scope = self.endpoints.scope();
        let answer = tokio::time::timeout(TOKEN_LIMIT, credential.get_token(&[&scope], None)).await;
        let token = match answer {
            Ok(Ok(token)) => token,
            Ok(Err(error)) => return Err(self.refused(&chain(&error))),
            Err(_) => return Err(self.refused(&format!("no token within {} s", TOKEN_LIMIT.as_secs()))),
        };
        let expires_on = clock::by_ours(token.expires_on);
        let token = Token { secret: Secret::new(token.token.secret()), expires_on };
        // The crate takes any document for one that holds a token (azure_identity 1.0.0).
        if token.secret.is_empty() {
            return Err(self.refused("the answer holds no token"));
        }
        self.obtained.announce(&token.secret);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    fn held(&self) -> Option<Token> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(|token| token.expires_on > clock::now() + RENEW_BEFORE)
    }

    /// Forgets cached tokens, so that the next one is asked for anew. The crate's
    /// cache has no such call (sign-in §7), so the credential is made again.
    pub fn forget(&self) {
        if let Ok(fresh) = make(&self.sign_in, &self.endpoints, &self.http, &self.obtained) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// For the log: which way was chosen, for whom, and why.
    pub fn describe(&self) -> String {
        match self.reason.as_str() {
            "" => self.sign_in.describe(),
            reason => format!("{} ({reason})", self.sign_in.describe()),
        }
    }

    fn refused(&self, words: &str) -> AzureError {
        let sent = self.obtained.last_assertion();
        // Answers come cleaned of what their own request carried (http::echo); an issuer that is sent
        // one secret and Entra's answer to another are kept apart here, and the Azure CLI's words too.
        let secrets = self.sign_in.secret().into_iter().chain(&sent).map(Secret::reveal);
        let clean = Redaction::of(secrets).text(words);
        let client = self.sign_in.client().map(ClientId::as_str);
        let presented = sent.zip(client).and_then(|(sent, client)| Presented::read(&sent, client));
        refused(&clean, presented)
    }
}

fn make(
    sign_in: &SignIn,
    endpoints: &Endpoints,
    http: &Http,
    obtained: &Arc<Obtained>,
) -> Result<Arc<dyn TokenCredential>, AzureError> {
    let assertion = |tenant: &TenantId, client: &ClientId, source: Source| {
        ClientAssertionCredential::new(
            tenant.as_str().to_owned(),
            client.as_str().to_owned(),
            Assertion { source, http: http.clone(), obtained: Arc::clone(obtained) },
            Some(ClientAssertionCredentialOptions { client_options: options(endpoints, http, REPEATED_FOR) }),
        )
        .map(|credential| credential as Arc<dyn TokenCredential>)
    };
    let made: azure_core::Result<Arc<dyn TokenCredential>> = match sign_in.clone() {
        SignIn::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
            tenant.as_str(),
            client.as_str().to_owned(),
            secret.reveal().to_owned().into(),
            Some(ClientSecretCredentialOptions { client_options: options(endpoints, http, REPEATED_FOR) }),
        )
        .map(|credential| credential as Arc<dyn TokenCredential>),
        SignIn::GitHubOidc { request_url, request_token, audience, client, tenant } => {
            assertion(&tenant, &client, Source::GitHub { request_url, request_token, audience })
        }
        SignIn::AzurePipelines { request_uri, access_token, connection, client, tenant } => {
            assertion(&tenant, &client, Source::AzurePipelines { request_uri, access_token, connection })
        }
        SignIn::Certificate { tenant, client, pem } => {
            let signer =
                Signer::from_pem(&pem).map_err(|error| refused(&format!("the certificate {error}"), None))?;
            let token_endpoint = token_endpoint(endpoints, &tenant);
            let source = Source::Certificate { signer, client: client.to_string(), token_endpoint };
            assertion(&tenant, &client, source)
        }
        SignIn::FederatedTokenFile { tenant, client, path } => {
            assertion(&tenant, &client, Source::File(path))
        }
        SignIn::IdToken { tenant, client, assertion: text } => {
            assertion(&tenant, &client, Source::Fixed(text))
        }
        SignIn::AzureCli { tenant } => AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            ..Default::default()
        }))
        .map(|credential| credential as Arc<dyn TokenCredential>),
        SignIn::ManagedIdentity { client } => return managed_identity(client.as_ref(), endpoints, http),
    };
    made.map_err(|error| refused(&chain(&error), None))
}

/// The metadata service is on this machine: no proxy lies between (sign-in §5).
fn managed_identity(
    client: Option<&ClientId>,
    endpoints: &Endpoints,
    http: &Http,
) -> Result<Arc<dyn TokenCredential>, AzureError> {
    let direct = http.without_proxy().map_err(|error| refused(&error.to_string(), None))?;
    let mut client_options = options(endpoints, &direct, Duration::from_millis(1));
    // The credential brings the pauses that the metadata service asks for.
    client_options.retry = RetryOptions::default();
    let id = client.map(|client| UserAssignedId::ClientId(client.as_str().to_owned()));
    let made = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
        user_assigned_id: id,
        client_options,
    }));
    made.map(|credential| credential as Arc<dyn TokenCredential>)
        .map_err(|error| refused(&chain(&error), None))
}

/// The audience of an assertion that is signed here (sign-in §3, §1).
fn token_endpoint(endpoints: &Endpoints, tenant: &TenantId) -> String {
    format!("{}/{tenant}/oauth2/v2.0/token", endpoints.authority.as_str().trim_end_matches('/'))
}

fn options(endpoints: &Endpoints, http: &Http, patience: Duration) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = endpoints.authority.as_str().trim_end_matches('/').to_owned();
    ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::from(cloud))),
        transport: Some(TheirTransport::new(Arc::new(Transport::new(http.clone(), patience)))),
        // Our own client repeats, by one rule for all requests.
        retry: RetryOptions::none(),
        ..Default::default()
    }
}

/// An error in Entra's words, without the crate's introduction and the trace at the end.
fn refused(words: &str, sent: Option<Presented>) -> AzureError {
    let codes = codes_in(words);
    let told = words.find("AADSTS").map_or(words, |at| &words[at..]);
    let told = told.strip_prefix("ClientAssertionCredential authentication failed.").unwrap_or(told);
    // The crate reads Entra's text only where nothing in it is escaped (azure_identity 1.0.0,
    // EntraIdErrorResponse borrows it); else the text comes quoted in an error of the JSON reader.
    let told = match told.split_once("\", expected a borrowed string") {
        Some((quoted, _)) => quoted.replace("\\r", " ").replace("\\n", " ").replace("\\\"", "\""),
        None => told.to_owned(),
    };
    let told = told.split("Trace ID:").next().unwrap_or_default();
    AzureError::SignIn {
        reason: told.split_whitespace().collect::<Vec<_>>().join(" "),
        codes,
        sent: sent.map(Box::new),
    }
}

/// The numbers of every `AADSTSnnnnn` in a text.
fn codes_in(text: &str) -> Vec<u32> {
    let mut codes: Vec<u32> = text
        .split("AADSTS")
        .skip(1)
        .filter_map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok())
        .collect();
    codes.dedup();
    codes
}
