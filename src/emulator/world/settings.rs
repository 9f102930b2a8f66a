//! Settings: which stay with their slot at a swap and which move.
//!
//! Owns the rules of stickiness and the shape of `config/web`. Pure functions over
//! maps; must not know of operations or time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A connection string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionString {
    /// Its value, a secret.
    pub value: String,
    /// MySql, SQLServer, SQLAzure, Custom … (arm-app-service.md §11).
    #[serde(rename = "type")]
    pub kind: String,
}

/// `config/slotConfigNames`. Each list is null until the first PUT, which turns the
/// lists it does not name into empty ones (seen-in-recordings.md 10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSettingNames {
    /// App settings that stay.
    #[serde(default)]
    pub app_setting_names: Option<Vec<String>>,
    /// Connection strings that stay.
    #[serde(default)]
    pub connection_string_names: Option<Vec<String>>,
    /// Storage mounts that stay.
    #[serde(default)]
    pub azure_storage_config_names: Option<Vec<String>>,
}

/// The sticky part of a slot's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StickyValues {
    /// App settings.
    pub app_settings: BTreeMap<String, String>,
    /// Connection strings.
    pub connection_strings: BTreeMap<String, ConnectionString>,
}

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

/// One line of `slotsdiffs` (arm-app-service.md §10). Values may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotDifference {
    /// "Information" or "Warning" (unconfirmed).
    pub level: &'static str,
    /// "AppSetting", "ConnectionString" or "General".
    pub setting_type: &'static str,
    /// "SettingsWillBeModifiedInDestination" and the like (unconfirmed).
    pub diff_rule: &'static str,
    /// The setting's name.
    pub setting_name: String,
    /// Null when absent.
    pub value_in_current_slot: Option<String>,
    /// Null when absent.
    pub value_in_target_slot: Option<String>,
    /// A sentence.
    pub description: String,
}
