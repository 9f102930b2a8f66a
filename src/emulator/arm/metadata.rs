//! The cloud's metadata document, from which clients of a custom cloud learn the rest.
//!
//! Owns its shapes by api-version (arm-app-service.md §1, real-clients.md "Cloud and
//! login"). Must not need a token.

use hyper::{Method, Response};
use serde_json::{Value, json};

use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::token::bearer::APP_SERVICE;
use crate::emulator::wire::{self, Call};

/// Whether a request asks for the document.
pub(super) fn is_document(call: &Call) -> bool {
    call.method == Method::GET && call.path.lower() == ["metadata", "endpoints"]
}

/// Answers with the document. From 2018 to 2019 its api-versions gave a list of clouds, which is also what az
/// wants behind ARM_CLOUD_METADATA_URL; the others give one object.
pub(super) fn endpoints(cloud: &Cloud, call: &Call) -> Response<Body> {
    let document = document(cloud);
    let version = call.query.get("api-version").unwrap_or_default();
    if version.starts_with("2018") || version.starts_with("2019") {
        wire::ok(&json!([document]))
    } else {
        wire::ok(&document)
    }
}

/// One object with the names of all api-versions: those of 2015-01-01 end in "Endpoint".
fn document(cloud: &Cloud) -> Value {
    let manager = &cloud.identity.resource_manager;
    let authority = &cloud.directory.authority;
    json!({
        "name": "SlotwayEmulator",
        "portal": manager,
        "portalEndpoint": manager,
        "galleryEndpoint": manager,
        "gallery": manager,
        "graphEndpoint": manager,
        "graph": manager,
        "graphAudience": manager,
        "microsoftGraphResourceId": manager,
        "authentication": {
            "loginEndpoint": authority,
            "audiences": [manager, "https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": cloud.directory.tenant,
            "identityProvider": "AAD",
        },
        "resourceManager": manager,
        "appServiceResourceId": APP_SERVICE,
        "batch": manager,
        "media": manager,
        "sqlManagement": manager,
        "vmImageAliasDoc": manager,
        "activeDirectoryDataLake": manager,
        "appInsightsResourceId": manager,
        "appInsightsTelemetryChannelResourceId": manager,
        "attestationResourceId": manager,
        "synapseAnalyticsResourceId": manager,
        "logAnalyticsResourceId": manager,
        "ossrDbmsResourceId": manager,
        "suffixes": {
            "acrLoginServer": "azurecr.invalid",
            "sqlServerHostname": "database.invalid",
            "keyVaultDns": "vault.invalid",
            "storage": "storage.invalid",
            "azureDataLakeStoreFileSystem": "datalakestore.invalid",
            "azureDataLakeAnalyticsCatalogAndJob": "datalakeanalytics.invalid",
            "azureFrontDoorEndpointSuffix": "frontdoor.invalid",
            "storageSyncEndpointSuffix": "storagesync.invalid",
            "mhsmDns": "managedhsm.invalid",
            "mysqlServerEndpoint": "mysql.invalid",
            "postgresqlServerEndpoint": "postgres.invalid",
            "mariadbServerEndpoint": "mariadb.invalid",
            "synapseAnalytics": "synapse.invalid",
            "attestationEndpoint": "attest.invalid",
        },
    })
}
