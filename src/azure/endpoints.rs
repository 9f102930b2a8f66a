//! Where a cloud's services are: endpoints are data, the emulator is one more cloud.

use reqwest::Url;
use serde::Deserialize;

use super::error::AzureError;
use crate::http::{Http, Request};

/// A wrong address is a likelier cause of silence here than a passing fault.
const FIRST_CONTACT: std::time::Duration = std::time::Duration::from_secs(20);

/// Which Azure. The names are those of a service connection's `environment`
/// (arm-app-service §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloud {
    /// Public Azure.
    Public,
    /// Azure US Government.
    UsGovernment,
    /// Azure operated by 21Vianet.
    China,
    /// Any other resource manager; its metadata document names the rest.
    Custom(Url),
}

// Sources of the hosts: azure-cli-core cloud.py; azure-pipelines-tasks-azure-arm-rest azure-arm-endpoint.js.
const PUBLIC: &str = "https://management.azure.com/";
const US_GOVERNMENT: &str = "https://management.usgovcloudapi.net/";
const CHINA: &str = "https://management.chinacloudapi.cn/";

impl Cloud {
    /// The cloud whose resource manager is at this address, where it is one that is known.
    pub fn of_resource_manager(address: &str) -> Option<Self> {
        let same =
            |known: &str| known.trim_end_matches('/').eq_ignore_ascii_case(address.trim_end_matches('/'));
        [(PUBLIC, Self::Public), (US_GOVERNMENT, Self::UsGovernment), (CHINA, Self::China)]
            .into_iter()
            .find_map(|(known, cloud)| same(known).then_some(cloud))
    }

    /// For whom an OIDC provider writes an assertion that this cloud's Entra accepts
    /// (sign-in §2; the one for US Government is unconfirmed).
    pub fn assertion_audience(&self) -> &'static str {
        match self {
            Self::Public | Self::Custom(_) => "api://AzureADTokenExchange",
            Self::UsGovernment => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        }
    }
}

/// The services of one cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Base of Azure Resource Manager.
    pub resource_manager: Url,
    /// Base of the token service.
    pub authority: Url,
    /// What tokens are asked for; SCM takes the same tokens (arm-app-service §1,
    /// azure-actions-appservice-rest Utilities/AzureAppServiceUtility.js).
    pub audience: String,
}

impl Endpoints {
    /// The scope to ask for. A slash at the audience's end is kept and doubled, as
    /// the Azure CLI does (real-clients, "Cloud and login").
    pub fn scope(&self) -> String {
        format!("{}/.default", self.audience)
    }

    /// Looks the cloud's endpoints up; only a custom cloud needs a request.
    ///
    /// # Errors
    ///
    /// [`AzureError`] when a custom cloud's metadata document cannot be read.
    pub async fn find(cloud: &Cloud, http: &Http) -> Result<Self, AzureError> {
        // Sources as above.
        let (resource_manager, authority, audience) = match cloud {
            Cloud::Public => (PUBLIC, "https://login.microsoftonline.com/", "https://management.azure.com"),
            Cloud::UsGovernment => (
                US_GOVERNMENT,
                "https://login.microsoftonline.us/",
                "https://management.core.usgovcloudapi.net",
            ),
            Cloud::China => {
                (CHINA, "https://login.chinacloudapi.cn/", "https://management.core.chinacloudapi.cn")
            }
            Cloud::Custom(base) => return metadata(base, http).await,
        };
        Ok(Self {
            resource_manager: known(resource_manager)?,
            authority: known(authority)?,
            audience: audience.to_owned(),
        })
    }
}

fn known(url: &str) -> Result<Url, AzureError> {
    Url::parse(url).map_err(|error| AzureError::shape("know the cloud's endpoints", error))
}

#[derive(Deserialize)]
struct Metadata {
    authentication: Authentication,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authentication {
    login_endpoint: String,
    audiences: Vec<String>,
}

/// `GET {arm}/metadata/endpoints?api-version=2015-01-01` (arm-app-service §1, table).
async fn metadata(base: &Url, http: &Http) -> Result<Endpoints, AzureError> {
    let doing = "read the cloud's metadata document";
    let mut url = base.join("/metadata/endpoints").map_err(|error| AzureError::shape(doing, error))?;
    url.set_query(Some("api-version=2015-01-01"));
    let answer = http
        .send_expecting_success(&Request::get(url).within(FIRST_CONTACT, FIRST_CONTACT))
        .await
        .map_err(|source| AzureError::call(doing, source))?;
    let document: Metadata =
        serde_json::from_slice(&answer.body).map_err(|error| AzureError::shape(doing, error))?;
    let audience = document
        .authentication
        .audiences
        .first()
        .ok_or_else(|| AzureError::shape(doing, "it names no audience"))?;
    let authority = Url::parse(&document.authentication.login_endpoint)
        .map_err(|error| AzureError::shape(doing, error))?;
    if authority.scheme() != "https" {
        return Err(AzureError::shape(doing, "its login endpoint is not https"));
    }
    Ok(Endpoints { resource_manager: base.clone(), authority, audience: audience.clone() })
}
