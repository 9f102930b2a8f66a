//! Ids, names and the JSON of a site or slot.
//!
//! Owns the wire shape of `Microsoft.Web/sites` (arm-app-service.md §3,
//! seen-in-recordings.md 1 to 6 and 20). Pure.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::emulator::cloud::Cloud;
use crate::emulator::world::{Site, Slot, SlotState, Timestamp, World};

/// The id of the one resource group.
pub(super) fn group_id(cloud: &Cloud) -> String {
    let identity = &cloud.identity;
    format!("/subscriptions/{}/resourceGroups/{}", identity.subscription, identity.resource_group)
}

/// The id of a plan.
pub(super) fn plan_id(cloud: &Cloud, plan: &str) -> String {
    format!("{}/providers/Microsoft.Web/serverfarms/{plan}", group_id(cloud))
}

/// The id of a site or slot.
pub(super) fn slot_id(cloud: &Cloud, site: &Site, slot: &Slot) -> String {
    let site_id = format!("{}/providers/Microsoft.Web/sites/{}", group_id(cloud), site.name);
    if slot.name.is_production() { site_id } else { format!("{site_id}/slots/{}", slot.name) }
}

/// `app` or `app/slot`, the name in the envelope.
pub(super) fn full_name(site: &Site, slot: &Slot) -> String {
    if slot.name.is_production() { site.name.to_string() } else { format!("{}/{}", site.name, slot.name) }
}

/// The type in the envelope.
pub(super) fn slot_type(slot: &Slot) -> &'static str {
    if slot.name.is_production() { "Microsoft.Web/sites" } else { "Microsoft.Web/sites/slots" }
}

/// A time as the resource provider writes it: no zone, up to 7 decimals (seen-in-recordings.md 2).
pub(super) fn zoneless(time: Timestamp) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:1+]"
    );
    // .NET counts in 100 ns.
    let rounded = time.replace_nanosecond(time.nanosecond() / 100 * 100).unwrap_or(time);
    rounded.format(format).unwrap_or_default().trim_end_matches(".0").to_owned()
}

/// A time with three decimals and Z, as in slotSwapStatus (seen-in-recordings.md 1).
pub(super) fn milliseconds(time: Timestamp) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    time.format(format).unwrap_or_default()
}

/// Which answer a site stands in: they differ in a few nulls (seen-in-recordings.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// GET, lists and operations.
    Read,
    /// The answer to a PUT.
    Written,
}

/// A site or slot in its envelope.
pub(super) fn site(
    cloud: &Cloud,
    world: &World,
    site: &Site,
    slot: &Slot,
    version: &str,
    standing: Standing,
) -> Value {
    json!({
        "id": slot_id(cloud, site, slot),
        "name": full_name(site, slot),
        "type": slot_type(slot),
        "kind": site.kind,
        "location": site.location,
        "tags": slot.tags,
        "properties": properties(cloud, world, site, slot, version, standing),
    })
}

fn properties(
    cloud: &Cloud,
    world: &World,
    site: &Site,
    slot: &Slot,
    version: &str,
    standing: Standing,
) -> Value {
    let mut all = Map::new();
    let mut add = |part: Value| {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    };
    add(identity(cloud, world, site, slot));
    add(hosts(slot));
    add(state(world, slot));
    add(fixed(cloud, site, slot));
    add(by_version(version));
    add(json!({
        "siteConfig": site_config(slot, version, standing),
        "privateEndpointConnections": if standing == Standing::Read { json!([]) } else { Value::Null },
        "inFlightFeatures": if standing == Standing::Read { json!([]) } else { Value::Null },
    }));
    Value::Object(all)
}

fn identity(cloud: &Cloud, world: &World, site: &Site, slot: &Slot) -> Value {
    let name = if slot.name.is_production() {
        site.name.to_string()
    } else {
        format!("{}({})", site.name, slot.name)
    };
    let tier = world.plan_of(&site.name).map(|plan| plan.tier.clone());
    json!({
        "name": name,
        "webSpace": format!("{}-{}webspace", cloud.identity.resource_group, site.location.replace(' ', "")),
        "selfLink": format!("{}{}", cloud.identity.resource_manager.trim_end_matches('/'), slot_id(cloud, site, slot)),
        "repositorySiteName": site.name,
        "kind": site.kind,
        "reserved": site.is_linux(),
        "sku": tier,
        "serverFarmId": plan_id(cloud, &site.plan),
        "resourceGroup": cloud.identity.resource_group,
        "deploymentId": slot.side.content_id,
        "homeStamp": "slotway-emulator",
        "ftpUsername": format!("{}\\{}", full_name(site, slot).replace('/', "__"), slot.publishing.user),
        "customDomainVerificationId": format!("{:0>64}", cloud.identity.subscription.replace('-', "")),
        "eligibleLogCategories": "AppServiceHTTPLogs,AppServiceConsoleLogs,AppServiceAppLogs",
    })
}

fn hosts(slot: &Slot) -> Value {
    let state = |name: &str, kind: &str| {
        json!({
            "name": name, "sslState": "Disabled", "ipBasedSslResult": null, "virtualIP": null,
            "virtualIPv6": null, "thumbprint": null, "certificateResourceId": null, "toUpdate": null,
            "toUpdateIpBasedSsl": null, "ipBasedSslState": "NotConfigured", "hostType": kind,
        })
    };
    let (app, scm) = (&slot.hosts.app, &slot.hosts.scm);
    json!({
        "defaultHostName": app,
        "hostNames": [app],
        "enabledHostNames": [app, scm],
        "hostNameSslStates": [state(app, "Standard"), state(scm, "Repository")],
        "hostNamesDisabled": false,
        "trafficManagerHostNames": null,
    })
}

fn state(world: &World, slot: &Slot) -> Value {
    let operation = slot.in_progress_operation.as_ref().filter(|_| !world.hides_operations());
    let running = slot.state == SlotState::Running;
    json!({
        "state": if running { "Running" } else { "Stopped" },
        "enabled": true,
        "adminEnabled": true,
        "usageState": "Normal",
        "availabilityState": "Normal",
        "contentAvailabilityState": "Normal",
        "runtimeAvailabilityState": "Normal",
        "storageRecoveryDefaultState": "Running",
        "suspendedTill": null,
        "siteDisabledReason": 0,
        "lastModifiedTimeUtc": zoneless(slot.last_modified),
        "targetSwapSlot": slot.target_swap_slot,
        "slotSwapStatus": slot.slot_swap_status.as_ref().map(|status| json!({
            "timestampUtc": milliseconds(status.timestamp),
            "sourceSlotName": status.source,
            "destinationSlotName": status.destination,
        })),
        "inProgressOperationId": operation,
        "httpsOnly": slot.https_only,
        "clientAffinityEnabled": slot.client_affinity,
        "virtualNetworkSubnetId": slot.subnet,
    })
}

/// Properties that are null for every site of the emulator.
const SITE_NULLS: &str = "owner sslCertificates cers siteMode computeMode serverFarm containerAllocationSubnet \
    useContainerLocalhostBindings functionAppConfig daprConfig slotName hostingEnvironment \
    hostingEnvironmentProfile hostingEnvironmentId clientCertExclusionPaths domainVerificationIdentifiers \
    managedEnvironmentId functionExecutionUnitsCache maxNumberOfWorkers cloningInfo tags geoDistributions \
    buildVersion targetBuildVersion migrationState autoGeneratedDomainNameLabelScope privateLinkIdentifiers sshEnabled";

/// Properties that are false for every site of the emulator.
const SITE_FALSES: &str = "siteScopedCertificatesEnabled afdEnabled isXenon hyperV scmSiteAlsoStopped \
    clientAffinityProxyEnabled clientAffinityPartitioningEnabled blockPathTraversal clientCertEnabled \
    endToEndEncryptionEnabled functionsRuntimeAdminIsolationEnabled storageAccountRequired";

fn all_of(names: &str, value: &Value) -> Map<String, Value> {
    names.split_whitespace().map(|name| (name.to_owned(), value.clone())).collect()
}

/// What is the same for every site of the emulator, or nearly.
fn fixed(cloud: &Cloud, site: &Site, slot: &Slot) -> Value {
    static SAME: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let mut same = all_of(SITE_NULLS, &Value::Null);
        same.extend(all_of(SITE_FALSES, &json!(false)));
        same
    });
    let mut all = SAME.clone();
    let more = json!({
        "siteProperties": {
            "metadata": null,
            "properties": [
                {"name": "LinuxFxVersion", "value": slot.web_config.linux_fx_version},
                {"name": "WindowsFxVersion", "value": slot.web_config.windows_fx_version},
            ],
            "appSettings": null,
        },
        "csrs": [], "dnsConfiguration": {}, "clientCertMode": "Required", "ipMode": "IPv4",
        "containerSize": 0, "dailyMemoryTimeQuota": 0, "redundancyMode": "None",
        "keyVaultReferenceIdentity": "SystemAssigned",
        "inboundIpAddress": "127.0.0.1", "possibleInboundIpAddresses": "127.0.0.1",
        "outboundIpAddresses": "127.0.0.1", "possibleOutboundIpAddresses": "127.0.0.1",
        "ftpsHostName": format!("ftps://{}/site/wwwroot", slot.hosts.app),
        "subscriptionId": cloud.identity.subscription,
        "regionName": site.location,
    });
    if let Value::Object(more) = more {
        all.extend(more);
    }
    Value::Object(all)
}

/// What depends on the api-version (seen-in-recordings.md 20).
fn by_version(version: &str) -> Value {
    let mut all = Map::new();
    let mut add = |part: Value| {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    };
    if version < "2024-11-01" {
        add(json!({
            "vnetRouteAllEnabled": false, "vnetImagePullEnabled": false, "vnetContentShareEnabled": false,
            "vnetBackupRestoreEnabled": false, "publicNetworkAccess": null,
        }));
        return Value::Object(all);
    }
    let mut routing = json!({
        "allTraffic": false, "applicationTraffic": false, "contentShareTraffic": false,
        "imagePullTraffic": false, "backupRestoreTraffic": false,
    });
    add(json!({
        "publicNetworkAccess": "Enabled", "inboundIpv6Address": "::1", "possibleInboundIpv6Addresses": "::1",
        "outboundIpv6Addresses": "::1", "possibleOutboundIpv6Addresses": "::1",
    }));
    if version >= "2025-05-01" {
        routing["managedIdentityTraffic"] = json!(false);
        add(json!({
            "hostNamePrivateStates": [], "aiIntegration": null, "maintenanceEnabled": false,
            "legacyServiceEndpointTrafficEvaluation": null,
        }));
    }
    add(json!({ "outboundVnetRouting": routing }));
    Value::Object(all)
}

/// The keys of siteConfig that are null in a site's answer; the rest is in `config/web`.
const NULLS: &str = "defaultDocuments netFrameworkVersion phpVersion pythonVersion nodeVersion powerShellVersion \
    requestTracingEnabled remoteDebuggingEnabled remoteDebuggingVersion httpLoggingEnabled azureMonitorLogCategories \
    acrUserManagedIdentityID logsDirectorySizeLimit detailedErrorLoggingEnabled publishingUsername \
    publishingPassword appSettings metadata connectionStrings machineKey handlerMappings documentRoot scmType \
    use32BitWorkerProcess webSocketsEnabled managedPipelineMode virtualApplications \
    winAuthAdminState winAuthTenantState customAppPoolIdentityAdminState customAppPoolIdentityTenantState \
    runtimeADUser runtimeADUserPassword loadBalancing routingRules experiments limits autoHealEnabled \
    autoHealRules tracingOptions vnetName vnetRouteAllEnabled vnetPrivatePortsCount cors push apiDefinition \
    apiManagementConfig autoSwapSlotName localMySqlEnabled managedServiceIdentityId \
    xManagedServiceIdentityId keyVaultReferenceIdentity ipSecurityRestrictions \
    ipSecurityRestrictionsDefaultAction scmIpSecurityRestrictions scmIpSecurityRestrictionsDefaultAction \
    scmIpSecurityRestrictionsUseMain minTlsVersion minTlsCipherSuite scmMinTlsVersion ftpsState \
    scmSupportedTlsCipherSuites supportedTlsCipherSuites preWarmedInstanceCount functionsRuntimeScaleMonitoringEnabled \
    websiteTimeZone publicNetworkAccess appCommandLine javaVersion javaContainer javaContainerVersion \
    healthCheckPath fileChangeAuditEnabled storageType sitePort antivirusScanEnabled elasticWebAppScaleLimit";

fn site_config(slot: &Slot, version: &str, standing: Standing) -> Value {
    static SAME: LazyLock<Map<String, Value>> = LazyLock::new(|| all_of(NULLS, &Value::Null));
    let mut all = SAME.clone();
    let web = &slot.web_config;
    let filled = json!({
        "numberOfWorkers": web.number_of_workers,
        "linuxFxVersion": web.linux_fx_version,
        "windowsFxVersion": web.windows_fx_version,
        "alwaysOn": web.always_on,
        "http20Enabled": web.http20_enabled,
        "acrUseManagedIdentityCreds": web.acr_use_managed_identity_creds,
        "functionAppScaleLimit": null,
        "minimumElasticInstanceCount": 0,
    });
    if let Value::Object(filled) = filled {
        all.extend(filled);
    }
    if version >= "2025-05-01" {
        all.insert("webJobsEnabled".to_owned(), json!(false));
    }
    if standing == Standing::Written {
        for name in ["ipSecurityRestrictions", "scmIpSecurityRestrictions"] {
            all.insert(
                name.to_owned(),
                json!([{
                    "ipAddress": "Any", "action": "Allow", "priority": 2_147_483_647, "name": "Allow all",
                    "description": "Allow all access",
                }]),
            );
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_are_written_as_the_recordings_show_them() {
        assert_eq!(zoneless(datetime!(2024-04-26 19:51:40.343 UTC)), "2024-04-26T19:51:40.343");
        assert_eq!(zoneless(datetime!(2024-04-26 19:51:40 UTC)), "2024-04-26T19:51:40");
        assert_eq!(zoneless(datetime!(2024-04-26 19:51:40.123_456_789 UTC)), "2024-04-26T19:51:40.1234567");
        assert_eq!(milliseconds(datetime!(2024-04-26 19:52:37.611_9 UTC)), "2024-04-26T19:52:37.611Z");
    }

    #[test]
    fn the_shape_follows_the_api_version() {
        let old = by_version("2023-12-01");
        assert_eq!((&old["publicNetworkAccess"], &old["vnetRouteAllEnabled"]), (&Value::Null, &json!(false)));
        let newer = by_version("2024-11-01");
        assert_eq!(newer["publicNetworkAccess"], "Enabled");
        assert!(newer.get("vnetRouteAllEnabled").is_none() && newer.get("aiIntegration").is_none());
        assert!(newer["outboundVnetRouting"].get("managedIdentityTraffic").is_none());
        let newest = by_version("2025-05-01");
        assert!(newest["outboundVnetRouting"].get("managedIdentityTraffic").is_some());
    }
}
