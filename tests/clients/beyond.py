"""What Azure answers beyond the SDK's models, so that shapes.py takes it; each with its source.

Sources: "az" are recordings of the real service in the az project's tests (test_webapp_slot.yaml and its neighbours),
a number is one of seen-in-recordings.md, "Kudu" is its public source (Kudu.Services/Arm/ArmUtils.cs, Kudu.Contracts).
"""


def of(model):
    return FIELDS.get(model, frozenset())


# The resource provider writes the location of the site into the envelope of nearly everything (az).
LOCATED = """
    AzureStoragePropertyDictionaryResource ConnectionStringDictionary CsmDeploymentStatus
    CsmPublishingCredentialsPoliciesEntity Deployment SiteAuthSettingsV2 SiteConfigResource SlotConfigNamesResource
    StringDictionary User WebSiteInstanceStatus
"""

MORE = {
    # `value, nextLink, id` stand beside each other (17).
    "List": "id",
    # az; those for addresses of version 6, for 2024-11-01 and for 2025-05-01 are 20; deploymentId is 3;
    # privateEndpointConnections and inFlightFeatures are 6.
    "SiteProperties": """
        adminEnabled afdEnabled aiIntegration blockPathTraversal buildVersion cers computeMode
        containerAllocationSubnet contentAvailabilityState csrs deploymentId domainVerificationIdentifiers
        eligibleLogCategories ftpUsername ftpsHostName functionExecutionUnitsCache
        functionsRuntimeAdminIsolationEnabled geoDistributions homeStamp hostNamePrivateStates hostingEnvironment
        hostingEnvironmentId inFlightFeatures inboundIpAddress inboundIpv6Address kind
        legacyServiceEndpointTrafficEvaluation maintenanceEnabled migrationState name outboundIpv6Addresses owner
        possibleInboundIpAddresses possibleInboundIpv6Addresses possibleOutboundIpv6Addresses
        privateEndpointConnections privateLinkIdentifiers regionName runtimeAvailabilityState selfLink serverFarm
        siteDisabledReason siteMode siteProperties siteScopedCertificatesEnabled slotName sslCertificates
        storageRecoveryDefaultState subscriptionId tags targetBuildVersion useContainerLocalhostBindings webSpace
    """,
    # az.
    "HostNameSslState": "certificateResourceId ipBasedSslResult ipBasedSslState toUpdateIpBasedSsl virtualIPv6",
    # 20.
    "OutboundVnetRouting": "managedIdentityTraffic",
    # az; webJobsEnabled is 20.
    "SiteConfig": """
        antivirusScanEnabled azureMonitorLogCategories customAppPoolIdentityAdminState
        customAppPoolIdentityTenantState fileChangeAuditEnabled publishingPassword routingRules runtimeADUser
        runtimeADUserPassword scmSupportedTlsCipherSuites sitePort storageType supportedTlsCipherSuites
        webJobsEnabled winAuthAdminState winAuthTenantState
    """,
    # az.
    "AppServicePlanProperties": "currentNumberOfWorkers name serverFarmId",
    # 13.
    "UserProperties": "isDeleted metadata name",
    # A DeployResult of Kudu as it is (Kudu; 23).
    "DeploymentProperties": """
        build_summary complete id is_readonly is_temp last_success_end_time log_url progress provisioningState
        received_time site_name status_text url
    """,
    # 17.
    "WebSiteInstanceStatusProperties": "machineName siteInstanceName",
}

FIELDS = {model: set(fields.split()) for model, fields in MORE.items()}
for model in LOCATED.split():
    FIELDS.setdefault(model, set()).add("location")

# Operations whose model is not what the service answers. Kudu answers a deployment's log with a list of its lines,
# each in an envelope (DeploymentController.GetLogEntry); the published model is one Deployment, which has no lines.
LISTS = {"list_deployment_log", "list_deployment_log_slot"}
LOG_LINE = {"log_time": str, "id": str, "message": str, "type": int, "details_url": (str, type(None))}

# Addresses of Microsoft.Web that az uses and the SDK has no method for, with those that are only the end of another.
NOT_IN_SDK = {
    # `az webapp deploy --src-url` of a Linux app goes by an instance (az's _build_onedeploy_arm_url).
    r"/instances/[^/]+/(deployments|extensions/onedeploy)$",
    # onedeploy answers 202 (15), of which the SDK's method knows nothing.
    r"/extensions/onedeploy$",
    # The polls of a swap; shape.swap reads their end.
    r"/operationresults/[^/]+$",
}
