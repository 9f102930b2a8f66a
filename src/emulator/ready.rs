//! What whoever wants to use the emulator has to know.
//!
//! Owns the JSON of the ready file and the shell exports. Both hold the client secret:
//! it protects nothing but this machine's emulator.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// What az is told after the exports. `tests/clients` follows these lines and those of [`SDKS`] to the letter.
const AZ: &str = "\
# az: once, after the exports
#   az cloud register -n SlotwayEmulator --endpoint-resource-manager \"$SLOTWAY_RESOURCE_MANAGER_URL\"
#   az cloud set -n SlotwayEmulator
#   az login --service-principal -u \"$AZURE_CLIENT_ID\" -p \"$AZURE_CLIENT_SECRET\" --tenant \"$AZURE_TENANT_ID\"
";

/// How the SDKs are pointed here: they take endpoint and scope from nowhere but their arguments.
const SDKS: &str = "\
# Python: azure-identity and azure-mgmt-web
#   import os
#   from azure.identity import EnvironmentCredential
#   from azure.mgmt.web import WebSiteManagementClient
#   manager = os.environ[\"SLOTWAY_RESOURCE_MANAGER_URL\"]
#   credential = EnvironmentCredential(disable_instance_discovery=True)
#   client = WebSiteManagementClient(
#       credential, os.environ[\"AZURE_SUBSCRIPTION_ID\"], base_url=manager, credential_scopes=[manager + \".default\"])
# Node: @azure/identity and @azure/arm-appservice
#   import { EnvironmentCredential } from \"@azure/identity\";
#   import { WebSiteManagementClient } from \"@azure/arm-appservice\";
#   const manager = process.env.SLOTWAY_RESOURCE_MANAGER_URL;
#   const credential = new EnvironmentCredential({ disableInstanceDiscovery: true });
#   const client = new WebSiteManagementClient(credential, process.env.AZURE_SUBSCRIPTION_ID, {
#     endpoint: manager, credentials: { scopes: [`${manager}.default`] },
#   });
";

/// Where everything is; the names are those of the ready file.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Resource Manager, with a slash at its end.
    pub resource_manager: String,
    /// Entra, without a slash at its end.
    pub authority: String,
    /// The certificate authority's PEM.
    pub ca_file: PathBuf,
    /// The tenant.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The subscription.
    pub subscription_id: String,
    /// The resource group.
    pub resource_group: String,
    /// The app.
    pub app_name: String,
    /// Its slots, production among them.
    pub slots: BTreeMap<String, SlotUrls>,
    /// The control endpoint.
    pub control: String,
}

/// The listeners of a slot.
#[derive(Debug, Clone, Serialize)]
pub struct SlotUrls {
    /// The app.
    pub url: String,
    /// Kudu.
    pub scm_url: String,
}

impl Ready {
    /// Shell exports for Slotway, az and the SDKs, to be given to `eval` (real-clients.md, "Pointing them at a
    /// server on loopback"). Not ARM_CLOUD_METADATA_URL: az 2.91 reads that with the system's authorities only.
    /// `az_folder` becomes az's configuration folder, so that the user's own is left alone.
    pub fn print_env(&self, az_folder: &std::path::Path) -> String {
        let ca = self.ca_file.to_string_lossy();
        let az_folder = az_folder.to_string_lossy();
        let authority = format!("{}/", self.authority);
        let variables = [
            ("# Slotway", None),
            ("SLOTWAY_ENVIRONMENT", Some("AzureStack")),
            ("SLOTWAY_RESOURCE_MANAGER_URL", Some(self.resource_manager.as_str())),
            ("SLOTWAY_CA_FILE", Some(&ca)),
            ("SLOTWAY_RESOURCE_GROUP_NAME", Some(&self.resource_group)),
            ("SLOTWAY_APP_NAME", Some(&self.app_name)),
            ("# Slotway and the SDKs", None),
            ("AZURE_TENANT_ID", Some(&self.tenant_id)),
            ("AZURE_CLIENT_ID", Some(&self.client_id)),
            ("AZURE_CLIENT_SECRET", Some(&self.client_secret)),
            ("AZURE_SUBSCRIPTION_ID", Some(&self.subscription_id)),
            ("AZURE_AUTHORITY_HOST", Some(&authority)),
            ("# the certificate authority: az and Python, Node, curl", None),
            ("REQUESTS_CA_BUNDLE", Some(&ca)),
            ("NODE_EXTRA_CA_CERTS", Some(&ca)),
            ("CURL_CA_BUNDLE", Some(&ca)),
            ("# az", None),
            ("AZURE_CONFIG_DIR", Some(&az_folder)),
            ("AZURE_CORE_INSTANCE_DISCOVERY", Some("false")),
            ("AZURE_CORE_COLLECT_TELEMETRY", Some("no")),
            ("# the emulator itself", None),
            ("SLOTWAY_EMULATOR_CONTROL", Some(&self.control)),
        ];
        let mut text = String::new();
        for (name, value) in variables {
            match value {
                Some(value) => text.push_str(&format!("export {name}={}\n", quoted(value))),
                None => text.push_str(&format!("{name}\n")),
            }
        }
        text.push_str(&format!("{AZ}#   az webapp show -g {} -n {}\n", self.resource_group, self.app_name));
        text.push_str(SDKS);
        text
    }
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_one_word_each_whatever_is_in_them() {
        let ready = Ready {
            resource_manager: "https://127.0.0.1:1/".into(),
            authority: "https://127.0.0.1:2".into(),
            ca_file: "/tmp/a b/ca.pem".into(),
            tenant_id: "t".into(),
            client_id: "c".into(),
            client_secret: "it's $(not) `run`".into(),
            subscription_id: "s".into(),
            resource_group: "rg".into(),
            app_name: "web".into(),
            slots: BTreeMap::new(),
            control: "https://127.0.0.1:3/".into(),
        };
        let text = ready.print_env(std::path::Path::new("/tmp/az"));
        assert!(text.contains("export AZURE_CLIENT_SECRET='it'\\''s $(not) `run`'\n"));
        assert!(text.contains("export SLOTWAY_CA_FILE='/tmp/a b/ca.pem'\n"));
        assert!(text.lines().all(|line| line.starts_with("export ") || line.starts_with('#')));
        let wire = serde_json::to_value(&ready).expect("writes");
        for name in [
            "resource_manager",
            "authority",
            "ca_file",
            "tenant_id",
            "client_id",
            "client_secret",
            "subscription_id",
            "resource_group",
            "app_name",
            "slots",
            "control",
        ] {
            assert!(wire.get(name).is_some(), "{name}");
        }
    }
}
