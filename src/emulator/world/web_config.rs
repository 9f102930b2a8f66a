//! `config/web`: its shape, and what of it moves at a swap.
//!
//! Owns the fields that matter to a release and keeps the others. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One rule of `experiments.rampUpRules` (arm-app-service.md §11).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RampUpRule {
    /// The slot.
    pub name: String,
    /// Its default host.
    pub action_host_name: String,
    /// 0 to 100; an explicit 0 keeps the manual opt-in possible.
    pub reroute_percentage: f64,
    /// changeStep and whatever else was written.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// `config/web`, part `experiments`; never null on the wire (real-clients.md, traffic-routing).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Experiments {
    /// The rules, on production's `config/web`.
    pub ramp_up_rules: Vec<RampUpRule>,
}

/// `config/web` as it goes over the wire: the skin serialises it as `properties`.
///
/// At a swap [`WebConfig::exchange_what_moves`] exchanges the stack; the rest stays
/// (arm-app-service.md §7, "settings that move").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebConfig {
    /// "NODE|22-lts", "DOCKER|image"; moves.
    pub linux_fx_version: String,
    /// "DOCKER|image" or null; moves.
    pub windows_fx_version: Option<String>,
    /// The start command; moves with the stack (unconfirmed).
    pub app_command_line: String,
    /// Moves.
    pub use32_bit_worker_process: bool,
    /// Moves.
    pub net_framework_version: String,
    /// Moves.
    pub handler_mappings: Value,
    /// Path mappings; moves.
    pub virtual_applications: Value,
    /// Stays.
    pub always_on: bool,
    /// Stays (unconfirmed).
    pub health_check_path: Option<String>,
    /// Stays.
    pub auto_swap_slot_name: Option<String>,
    /// Stays.
    pub number_of_workers: u32,
    /// Stays.
    pub experiments: Experiments,
    /// Stays.
    pub acr_use_managed_identity_creds: bool,
    /// Stays.
    #[serde(rename = "acrUserManagedIdentityID")]
    pub acr_user_managed_identity_id: Option<String>,
    /// Stays.
    pub scm_ip_security_restrictions_use_main: bool,
    /// Stays.
    pub http20_enabled: bool,
    /// Stays.
    pub min_tls_version: String,
    /// Stays.
    pub ftps_state: String,
    /// Stays.
    pub public_network_access: Option<String>,
    /// Whatever else was written; stays.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            linux_fx_version: String::new(),
            windows_fx_version: None,
            app_command_line: String::new(),
            use32_bit_worker_process: true,
            net_framework_version: "v4.0".to_owned(),
            handler_mappings: Value::Null,
            virtual_applications: Value::Null,
            always_on: false,
            health_check_path: None,
            auto_swap_slot_name: None,
            number_of_workers: 1,
            experiments: Experiments::default(),
            acr_use_managed_identity_creds: false,
            acr_user_managed_identity_id: None,
            scm_ip_security_restrictions_use_main: false,
            http20_enabled: false,
            min_tls_version: "1.2".to_owned(),
            ftps_state: "FtpsOnly".to_owned(),
            public_network_access: None,
            other: BTreeMap::new(),
        }
    }
}

impl WebConfig {
    /// Exchanges the stack and its mappings with another slot; all else stays where it is.
    pub fn exchange_what_moves(&mut self, other: &mut Self) {
        use std::mem::swap;
        swap(&mut self.linux_fx_version, &mut other.linux_fx_version);
        swap(&mut self.windows_fx_version, &mut other.windows_fx_version);
        swap(&mut self.app_command_line, &mut other.app_command_line);
        swap(&mut self.use32_bit_worker_process, &mut other.use32_bit_worker_process);
        swap(&mut self.net_framework_version, &mut other.net_framework_version);
        swap(&mut self.handler_mappings, &mut other.handler_mappings);
        swap(&mut self.virtual_applications, &mut other.virtual_applications);
    }

    /// The configuration with some properties replaced; a null takes the default.
    ///
    /// # Errors
    ///
    /// A sentence for a property of the wrong kind.
    pub fn patched(&self, properties: &Value) -> Result<Self, String> {
        let Value::Object(properties) = properties else {
            return Err("The properties of the request are no object.".to_owned());
        };
        let Ok(Value::Object(mut merged)) = serde_json::to_value(self) else {
            return Err("The configuration cannot be written.".to_owned());
        };
        for (name, value) in properties {
            // Names compare without regard to case, as everywhere in Resource Manager.
            let name =
                merged.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned().unwrap_or(name.clone());
            if value.is_null() {
                merged.remove(&name);
            } else {
                merged.insert(name, value.clone());
            }
        }
        serde_json::from_value(Value::Object(merged))
            .map_err(|error| format!("The request has a property of the wrong kind: {error}"))
    }

    /// The custom container that the slot runs, as its stack says after `DOCKER|`; of several
    /// containers the whole text, which no registry of a scenario holds.
    pub fn container(&self) -> Option<&str> {
        let stacks = [self.linux_fx_version.as_str(), self.windows_fx_version.as_deref().unwrap_or_default()];
        stacks.into_iter().find_map(|stack| {
            let (kind, rest) = stack.split_once('|').unwrap_or((stack, ""));
            match kind.to_ascii_uppercase().as_str() {
                "DOCKER" => Some(rest),
                "COMPOSE" | "SITECONTAINERS" => Some(stack),
                _ => None,
            }
        })
    }

    /// Whether apps have to restart to see the other configuration.
    pub fn runs_differently(&self, other: &Self) -> bool {
        self.linux_fx_version != other.linux_fx_version
            || self.windows_fx_version != other.windows_fx_version
            || self.app_command_line != other.app_command_line
            || self.use32_bit_worker_process != other.use32_bit_worker_process
            || self.net_framework_version != other.net_framework_version
            || self.handler_mappings != other.handler_mappings
            || self.virtual_applications != other.virtual_applications
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_moves_and_the_rest_of_config_web_stays() {
        let mut one = WebConfig { linux_fx_version: "NODE|22".into(), always_on: true, ..Default::default() };
        let mut other = WebConfig { linux_fx_version: "PYTHON|3.13".into(), ..Default::default() };
        one.exchange_what_moves(&mut other);
        assert_eq!((one.linux_fx_version.as_str(), one.always_on), ("PYTHON|3.13", true));
        assert_eq!((other.linux_fx_version.as_str(), other.always_on), ("NODE|22", false));
    }

    #[test]
    fn the_container_is_read_from_either_stack() {
        let on = |linux: &str, windows: Option<&str>| WebConfig {
            linux_fx_version: linux.into(),
            windows_fx_version: windows.map(str::to_owned),
            ..Default::default()
        };
        assert_eq!(on("DOCKER|app:1", None).container(), Some("app:1"));
        assert_eq!(on("", Some("docker|app:2")).container(), Some("app:2"));
        assert_eq!(on("COMPOSE|eA==", None).container(), Some("COMPOSE|eA=="));
        assert_eq!(on("NODE|22-lts", None).container(), None);
    }

    #[test]
    fn a_patch_changes_what_it_names_and_keeps_unknown_properties() {
        let before = WebConfig::default();
        let patch = serde_json::json!({"AlwaysOn": true, "nodeVersion": "~22", "experiments":
            {"rampUpRules": [{"name": "staging", "actionHostName": "127.0.0.1:1", "reroutePercentage": 15.0}]}});
        let after = before.patched(&patch).expect("well formed");
        assert!(after.always_on && !after.runs_differently(&before));
        assert_eq!(after.experiments.ramp_up_rules[0].reroute_percentage, 15.0);
        let wire = serde_json::to_value(&after).expect("writes");
        assert_eq!(wire["nodeVersion"], "~22");
        assert!(wire.get("alwaysOn").is_some() && wire.get("AlwaysOn").is_none());
        assert!(before.patched(&serde_json::json!({"alwaysOn": "perhaps"})).is_err());
    }
}
