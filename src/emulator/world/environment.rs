//! What an app sees in its environment.
//!
//! Owns the names that App Service gives to settings, connection strings and the site
//! (arm-app-service.md §11, last table; App Service's documents on environment
//! variables for the prefixes). Pure. PORT belongs to the runtime.

use std::collections::BTreeMap;

use super::site::{Site, Slot, WorkerId};

/// The prefix of a connection string's variable, by its type.
fn prefix(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "mysql" => "MYSQLCONNSTR_",
        "sqlserver" => "SQLCONNSTR_",
        "sqlazure" => "SQLAZURECONNSTR_",
        "postgresql" => "POSTGRESQLCONNSTR_",
        "notificationhub" => "NOTIFICATIONHUBCONNSTR_",
        "servicebus" => "SERVICEBUSCONNSTR_",
        "eventhub" => "EVENTHUBCONNSTR_",
        "apihub" => "APIHUBCONNSTR_",
        "docdb" => "DOCDBCONNSTR_",
        "rediscache" => "REDISCACHECONNSTR_",
        _ => "CUSTOMCONNSTR_",
    }
}

/// The environment of an app that starts now in this slot on this worker. It stays as it is when the
/// side changes slots: a process is not restarted by the switch.
pub(super) fn environment(site: &Site, slot: &Slot, worker: &WorkerId) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, value) in &slot.app_settings {
        // Linux turns what cannot be in a variable's name into underscores, as in `Logging__Level`.
        let plain = if site.is_linux() { name.replace([':', '.', '-'], "_") } else { name.clone() };
        environment.insert(format!("APPSETTING_{plain}"), value.clone());
        environment.insert(plain, value.clone());
    }
    for (name, string) in &slot.connection_strings {
        environment.insert(format!("{}{name}", prefix(&string.kind)), string.value.clone());
    }
    let slot_name = if slot.name.is_production() { "Production" } else { slot.name.as_str() };
    for (name, value) in [
        ("WEBSITE_SITE_NAME", site.name.as_str()),
        ("WEBSITE_SLOT_NAME", slot_name),
        ("WEBSITE_HOSTNAME", slot.hosts.app.as_str()),
        ("WEBSITE_INSTANCE_ID", worker.0.as_str()),
        ("WEBSITE_RESOURCE_GROUP", site.resource_group.as_str()),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    environment
}
