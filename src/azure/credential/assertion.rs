//! Client assertions of our own, made anew for every token.
//!
//! Owns where an assertion comes from, says so to whoever masks secrets, and remembers
//! the last one for the advice after a refusal. The exchange itself is `azure_identity`'s.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use reqwest::Url;

use super::certificate::Signer;
use super::oidc;
use crate::http::Http;
use crate::secret::Secret;

/// Longer files hold no token.
const LONGEST_TOKEN_BYTES: u64 = 256 * 1024;

/// Hears of every token and assertion as soon as it is there, before it is used.
pub type Hears = Arc<dyn Fn(&Secret) + Send + Sync>;

/// The assertion that was sent last, and who hears of secrets that come in.
#[derive(Default)]
pub(super) struct Obtained {
    last_assertion: Mutex<Option<Secret>>,
    hears: OnceLock<Hears>,
}

impl Obtained {
    /// From now on this one hears of secrets; the first one stays.
    pub(super) fn tell(&self, hears: Hears) {
        let _ = self.hears.set(hears);
    }

    /// Says that a secret has come in.
    pub(super) fn announce(&self, secret: &Secret) {
        if let Some(hears) = self.hears.get() {
            hears(secret);
        }
    }

    /// The assertion that was sent last.
    pub(super) fn last_assertion(&self) -> Option<Secret> {
        self.last_assertion.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_assertion(&self, assertion: Secret) {
        self.announce(&assertion);
        *self.last_assertion.lock().unwrap_or_else(PoisonError::into_inner) = Some(assertion);
    }
}

impl std::fmt::Debug for Obtained {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Obtained").finish_non_exhaustive()
    }
}

/// Where assertions come from.
#[derive(Debug)]
pub(super) enum Source {
    /// GitHub's OIDC provider.
    GitHub { request_url: Url, request_token: Secret, audience: String },
    /// The OIDC provider of Azure Pipelines.
    AzurePipelines { request_uri: Url, access_token: Secret, connection: String },
    /// Signed here.
    Certificate { signer: Signer, client: String, token_endpoint: String },
    /// A file that something else keeps fresh.
    File(PathBuf),
    /// The one that was given.
    Fixed(Secret),
}

/// A source of assertions, in the form that `azure_identity` asks.
#[derive(Debug)]
pub(super) struct Assertion {
    pub(super) source: Source,
    pub(super) http: Http,
    pub(super) obtained: Arc<Obtained>,
}

impl Assertion {
    async fn fresh(&self) -> Result<Secret, String> {
        match &self.source {
            Source::GitHub { request_url, request_token, audience } => {
                oidc::github(&self.http, request_url, request_token, audience).await
            }
            Source::AzurePipelines { request_uri, access_token, connection } => {
                oidc::azure_pipelines(&self.http, request_uri, access_token, connection).await
            }
            Source::Certificate { signer, client, token_endpoint } => signer
                .assertion(client, token_endpoint, SystemTime::now())
                .ok_or_else(|| "the certificate's key could not sign".to_owned()),
            Source::File(path) => read(path).await,
            Source::Fixed(assertion) => Ok(assertion.clone()),
        }
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let assertion =
            self.fresh().await.map_err(|reason| Error::with_message(ErrorKind::Credential, reason))?;
        let text = assertion.reveal().to_owned();
        self.obtained.keep_assertion(assertion);
        Ok(text)
    }
}

async fn read(path: &Path) -> Result<Secret, String> {
    let failed =
        |reason: String| format!("the federated token file {} could not be read: {reason}", path.display());
    let metadata = tokio::fs::metadata(path).await.map_err(|error| failed(error.to_string()))?;
    if metadata.len() > LONGEST_TOKEN_BYTES {
        return Err(failed("it is too long for a token".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        token => Ok(Secret::new(token)),
    }
}
