//! Tokens for Azure, by Microsoft's own credentials over our own HTTP client.
//!
//! Owns the choice of the credential and its renewal. Must not try one way after
//! another in silence: the caller says which, and the log repeats it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
};
use time::OffsetDateTime;

use super::endpoints::Endpoints;
use super::error::AzureError;
use crate::http::{Http, chain};
use crate::names::{ClientId, TenantId};
use crate::secret::Secret;

/// How to sign in.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// A service principal with a secret.
    ClientSecret {
        /// The tenant of the service principal.
        tenant: TenantId,
        /// Its application id.
        client: ClientId,
        /// Its secret.
        secret: Secret,
    },
    /// Whoever is signed in to the Azure CLI.
    AzureCli {
        /// The tenant to ask for, if not the CLI's own.
        tenant: Option<TenantId>,
    },
}

impl SignIn {
    /// For the log: which way was chosen, and for whom.
    pub fn describe(&self) -> String {
        match self {
            Self::ClientSecret { client, .. } => format!("client secret of application {client}"),
            Self::AzureCli { .. } => "the Azure CLI's account".to_owned(),
        }
    }
}

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
    endpoints: Endpoints,
    http: Http,
    current: Mutex<Arc<dyn TokenCredential>>,
}

impl Credential {
    /// Prepares a credential; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`AzureError::SignIn`] when the credential cannot be made from what was given.
    pub fn new(sign_in: SignIn, endpoints: Endpoints, http: Http) -> Result<Self, AzureError> {
        let current = Mutex::new(make(&sign_in, &endpoints, &http)?);
        Ok(Self { sign_in, endpoints, http, current })
    }

    /// A token for Azure Resource Manager, which SCM sites accept too.
    ///
    /// # Errors
    ///
    /// [`AzureError::SignIn`] with Entra's words and numbers.
    pub async fn token(&self) -> Result<Token, AzureError> {
        let credential = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner));
        let scope = self.endpoints.scope();
        let token = credential.get_token(&[&scope], None).await.map_err(|error| refused(&error))?;
        Ok(Token { secret: Secret::new(token.token.secret()), expires_on: token.expires_on })
    }

    /// Forgets cached tokens, so that the next one is asked for anew. The crate's
    /// cache has no such call (sign-in §7), so the credential is made again.
    pub fn forget(&self) {
        if let Ok(fresh) = make(&self.sign_in, &self.endpoints, &self.http) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// For the log: which way was chosen, and for whom.
    pub fn describe(&self) -> String {
        self.sign_in.describe()
    }
}

fn make(
    sign_in: &SignIn,
    endpoints: &Endpoints,
    http: &Http,
) -> Result<Arc<dyn TokenCredential>, AzureError> {
    let made: azure_core::Result<Arc<dyn TokenCredential>> = match sign_in {
        SignIn::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
            tenant.as_str(),
            client.as_str().to_owned(),
            secret.reveal().to_owned().into(),
            Some(ClientSecretCredentialOptions { client_options: options(endpoints, http) }),
        )
        .map(|credential| credential as Arc<dyn TokenCredential>),
        SignIn::AzureCli { tenant } => AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            ..Default::default()
        }))
        .map(|credential| credential as Arc<dyn TokenCredential>),
    };
    made.map_err(|error| refused(&error))
}

fn options(endpoints: &Endpoints, http: &Http) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = endpoints.authority.as_str().trim_end_matches('/').to_owned();
    ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::from(cloud))),
        transport: Some(Transport::new(Arc::new(http.client().clone()))),
        // Asking for a token changes nothing, so repeating it is safe.
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            max_retries: 4,
            max_total_elapsed: azure_core::time::Duration::seconds(30),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn refused(error: &azure_core::Error) -> AzureError {
    let words = chain(error);
    let reason: String = words.split(" Trace ID:").next().unwrap_or_default().trim().to_owned();
    AzureError::SignIn {
        codes: codes_in(&words),
        reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
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

/// Time that must be left on a token before a swap is begun with it.
pub const ENOUGH_TIME_LEFT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entra_numbers_are_found_in_its_words() {
        assert_eq!(codes_in("x AADSTS7000215: Invalid. AADSTS90002: no"), vec![7_000_215, 90_002]);
        assert_eq!(codes_in("AADSTS"), Vec::<u32>::new());
    }
}
