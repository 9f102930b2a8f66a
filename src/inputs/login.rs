//! The JSON of Azure/login's `creds`, taken apart.
//!
//! Owns its two spellings. Must not print any of it: the text as a whole is a secret.

use serde_json::Value;

use crate::azure::Cloud;
use crate::secret::Secret;

/// What the JSON holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Login {
    pub(super) client: Option<String>,
    pub(super) secret: Option<Secret>,
    pub(super) tenant: Option<String>,
    pub(super) subscription: Option<String>,
    /// The resource manager's address, in the SDK form.
    pub(super) resource_manager: Option<String>,
}

impl Login {
    /// `{clientId, clientSecret, tenantId, subscriptionId}`, the SDK form with
    /// endpoint addresses beside them (sign-in §6), or what `az ad sp create-for-rbac`
    /// prints: `{appId, password, tenant}`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        // The parser's own message could repeat a part of the text: only the place is told.
        let document: Value = serde_json::from_str(text).map_err(|error| {
            format!("is no JSON document (line {}, column {})", error.line(), error.column())
        })?;
        if !document.is_object() {
            return Err("is no JSON object".to_owned());
        }
        let text = |names: [&str; 2]| {
            let value = names.iter().find_map(|name| document.get(name)?.as_str())?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let login = Self {
            client: text(["clientId", "appId"]),
            secret: text(["clientSecret", "password"]).map(Secret::new),
            tenant: text(["tenantId", "tenant"]),
            subscription: text(["subscriptionId", "subscription"]),
            resource_manager: text(["resourceManagerEndpointUrl", "resourceManagerUrl"]),
        };
        let lacking: Vec<&str> = [
            ("clientId", login.client.is_some()),
            ("clientSecret", login.secret.is_some()),
            ("tenantId", login.tenant.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, there)| (!there).then_some(name))
        .collect();
        if lacking.is_empty() { Ok(login) } else { Err(format!("lacks {}", lacking.join(", "))) }
    }
}

/// The secrets within the JSON, which a mask of the whole text would not cover: the
/// host compares line by line and knows nothing of its parts.
pub fn secrets_of_login(text: &str) -> Vec<Secret> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let values = ["clientSecret", "password"].into_iter().filter_map(|name| document.get(name)?.as_str());
    values.map(Secret::new).collect()
}

/// The words for `environment` and `resource-manager-url` that mean this address.
pub(super) fn cloud_words(resource_manager: &str) -> (&'static str, Option<String>) {
    match Cloud::of_resource_manager(resource_manager) {
        Some(Cloud::Public) => ("AzureCloud", None),
        Some(Cloud::UsGovernment) => ("AzureUSGovernment", None),
        Some(Cloud::China) => ("AzureChinaCloud", None),
        _ => ("AzureStack", Some(resource_manager.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        let short = Login::read(r#"{"clientId":"c","clientSecret":"s","tenantId":"t"}"#).expect("complete");
        assert_eq!((short.client.as_deref(), short.subscription), (Some("c"), None));
        let cli =
            Login::read(r#"{"appId":"c","password":"s","tenant":"t","displayName":"d"}"#).expect("complete");
        assert_eq!(cli.secret.expect("a secret").reveal(), "s");
        let sdk = Login::read(
            r#"{"clientId":"c","clientSecret":"s","tenantId":"t","subscriptionId":"u","resourceManagerEndpointUrl":"https://x/"}"#,
        )
        .expect("complete");
        assert_eq!(sdk.resource_manager.as_deref(), Some("https://x/"));
    }

    #[test]
    fn what_is_wrong_is_said_without_any_of_the_text() {
        assert_eq!(
            Login::read(r#"{"clientId":"c"}"#).expect_err("incomplete"),
            "lacks clientSecret, tenantId"
        );
        let error = Login::read("hunter2").expect_err("no JSON");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(Login::read("[]").expect_err("no object"), "is no JSON object");
    }

    #[test]
    fn known_addresses_are_known_clouds() {
        assert_eq!(cloud_words("https://management.azure.com"), ("AzureCloud", None));
        assert_eq!(cloud_words("https://management.usgovcloudapi.net/"), ("AzureUSGovernment", None));
        assert_eq!(cloud_words("https://local:1/"), ("AzureStack", Some("https://local:1/".to_owned())));
    }
}
