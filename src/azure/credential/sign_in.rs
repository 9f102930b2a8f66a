//! The ways to sign in, as values: which one, with what, for whom.
//!
//! Owns what each way needs and how it is named in the log. Must not choose between
//! them: the inputs decide, before anything is sent.

use std::path::PathBuf;

use reqwest::Url;

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
    /// A service principal or managed identity that trusts the OIDC tokens of GitHub Actions.
    GitHubOidc {
        /// Where the job asks GitHub for tokens.
        request_url: Url,
        /// What the job asks with.
        request_token: Secret,
        /// For whom GitHub writes the token.
        audience: String,
        /// The application id.
        client: ClientId,
        /// The tenant of the application.
        tenant: TenantId,
    },
    /// A service connection of Azure Pipelines with workload identity federation.
    AzurePipelines {
        /// Where the job asks Azure Pipelines for tokens.
        request_uri: Url,
        /// What the job asks with.
        access_token: Secret,
        /// The id of the service connection.
        connection: String,
        /// The application id.
        client: ClientId,
        /// The tenant of the application.
        tenant: TenantId,
    },
    /// A service principal with a certificate.
    Certificate {
        /// The tenant of the service principal.
        tenant: TenantId,
        /// Its application id.
        client: ClientId,
        /// Certificate and private key, in one PEM text.
        pem: Secret,
    },
    /// An assertion that something else keeps fresh in a file.
    FederatedTokenFile {
        /// The tenant of the application.
        tenant: TenantId,
        /// The application id.
        client: ClientId,
        /// The file, read anew for every assertion.
        path: PathBuf,
    },
    /// One assertion, which cannot be renewed.
    IdToken {
        /// The tenant of the application.
        tenant: TenantId,
        /// The application id.
        client: ClientId,
        /// The assertion.
        assertion: Secret,
    },
    /// Whoever is signed in to the Azure CLI.
    AzureCli {
        /// The tenant to ask for, if not the CLI's own.
        tenant: Option<TenantId>,
    },
    /// The managed identity of the machine that this runs on.
    ManagedIdentity {
        /// The client id of a user-assigned identity; the machine's own if not given.
        client: Option<ClientId>,
    },
}

impl SignIn {
    /// For the log: which way was chosen, and for whom.
    pub fn describe(&self) -> String {
        match self {
            Self::ClientSecret { client, .. } => format!("client secret of application {client}"),
            Self::GitHubOidc { client, .. } => format!("GitHub OIDC as application {client}"),
            Self::AzurePipelines { client, connection, .. } => {
                format!("Azure Pipelines service connection {connection} as application {client}")
            }
            Self::Certificate { client, .. } => format!("certificate of application {client}"),
            Self::FederatedTokenFile { client, path, .. } => {
                format!("federated token file {} as application {client}", path.display())
            }
            Self::IdToken { client, .. } => format!(
                "a single ID token as application {client}, which lives for some minutes and cannot be renewed"
            ),
            Self::AzureCli { .. } => "the Azure CLI's account".to_owned(),
            Self::ManagedIdentity { client: Some(client) } => format!("managed identity {client}"),
            Self::ManagedIdentity { client: None } => "this machine's own managed identity".to_owned(),
        }
    }

    /// The application or identity that signs in, where it is known beforehand.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::ClientSecret { client, .. }
            | Self::GitHubOidc { client, .. }
            | Self::AzurePipelines { client, .. }
            | Self::Certificate { client, .. }
            | Self::FederatedTokenFile { client, .. }
            | Self::IdToken { client, .. } => Some(client),
            Self::ManagedIdentity { client } => client.as_ref(),
            Self::AzureCli { .. } => None,
        }
    }

    /// The secret that it holds, for whoever masks secrets in a log.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::ClientSecret { secret, .. } => Some(secret),
            Self::GitHubOidc { request_token, .. } => Some(request_token),
            Self::AzurePipelines { access_token, .. } => Some(access_token),
            Self::Certificate { pem, .. } => Some(pem),
            Self::IdToken { assertion, .. } => Some(assertion),
            Self::FederatedTokenFile { .. } | Self::AzureCli { .. } | Self::ManagedIdentity { .. } => None,
        }
    }
}
