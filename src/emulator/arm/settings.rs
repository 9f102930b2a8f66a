//! `config/…`: app settings, connection strings, names that stay, `config/web`.
//!
//! Owns the envelopes (arm-app-service.md §11, seen-in-recordings.md 10 to 12). Must not
//! know what stays and what moves.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::publishing;
use super::shape;
use super::{Failure, Reply, unknown};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{ConnectionString, Site, Slot, SlotChange, SlotRef, SlotSettingNames};

/// What is below `config`.
pub(super) fn route(cloud: &Cloud, call: &Call, slot: &SlotRef, rest: &[&str]) -> Reply {
    match (call.method.as_str(), rest) {
        ("GET", []) => list(cloud, slot),
        ("GET", ["web"]) => web(cloud, slot),
        ("PUT" | "PATCH", ["web"]) => write_web(cloud, call, slot),
        ("POST", ["appsettings", "list"]) => app_settings(cloud, slot, true),
        ("PUT", ["appsettings"]) => write_app_settings(cloud, call, slot),
        ("POST", ["connectionstrings", "list"]) => connection_strings(cloud, slot, true),
        ("PUT", ["connectionstrings"]) => write_connection_strings(cloud, call, slot),
        ("GET", ["slotconfignames"]) => slot_setting_names(cloud, slot),
        ("PUT", ["slotconfignames"]) => write_slot_setting_names(cloud, call, slot),
        ("POST", ["publishingcredentials", "list"]) => publishing::credentials(cloud, slot),
        ("POST", ["metadata", "list"]) => dictionary(cloud, slot, "metadata", json!({}), true),
        ("POST", ["azurestorageaccounts", "list"]) => {
            dictionary(cloud, slot, "azurestorageaccounts", json!({}), true)
        }
        ("GET", ["authsettingsv2"]) => authentication(cloud, slot),
        ("PUT", ["authsettingsv2"]) => write_authentication(cloud, call, slot),
        _ => Err(unknown(call)),
    }
}

fn look<T>(cloud: &Cloud, slot: &SlotRef, look: impl FnOnce(&Site, &Slot) -> T) -> Result<T, Failure> {
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        Ok(look(site, found))
    })
}

fn properties(call: &Call) -> Result<Value, Failure> {
    let mut body = call.json().map_err(Failure::malformed)?;
    Ok(body.get_mut("properties").map(Value::take).unwrap_or_default())
}

/// An envelope whose name and type are those that az's recordings show for lists of settings.
fn dictionary(cloud: &Cloud, slot: &SlotRef, name: &str, properties: Value, read: bool) -> Reply {
    if read {
        cloud.shared.read(|world| world.check_post(slot))?;
    }
    let body = look(cloud, slot, |site, found| {
        json!({
            "id": format!("{}/config/{name}", shape::slot_id(cloud, site, found)),
            "name": name,
            "type": "Microsoft.Web/sites/config",
            "location": site.location,
            "properties": properties,
        })
    })?;
    Ok(wire::ok(&body))
}

fn app_settings(cloud: &Cloud, slot: &SlotRef, read: bool) -> Reply {
    let settings = look(cloud, slot, |_, found| json!(found.app_settings))?;
    dictionary(cloud, slot, "appsettings", settings, read)
}

/// Replaces all of them; 200 at once (seen-in-recordings.md 12).
fn write_app_settings(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let wrong = || Failure::bad_request("properties must be an object whose values are texts.");
    let mut settings = BTreeMap::new();
    for (name, value) in object(properties(call)?)? {
        // .NET reads numbers and booleans as texts.
        let value = match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(wrong()),
        };
        settings.insert(name, value);
    }
    cloud.shared.act(|world| world.put_app_settings(slot, settings))?;
    app_settings(cloud, slot, false)
}

fn object(value: Value) -> Result<Map<String, Value>, Failure> {
    match value {
        Value::Object(object) => Ok(object),
        // A body without them must not wipe everything that is there.
        _ => Err(Failure::bad_request("properties must be an object.")),
    }
}

fn connection_strings(cloud: &Cloud, slot: &SlotRef, read: bool) -> Reply {
    let strings = look(cloud, slot, |_, found| json!(found.connection_strings))?;
    dictionary(cloud, slot, "connectionstrings", strings, read)
}

fn write_connection_strings(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let mut strings = BTreeMap::new();
    for (name, value) in object(properties(call)?)? {
        let string: ConnectionString = serde_json::from_value(value).map_err(|error| {
            Failure::bad_request(format!("The connection string '{name}' is invalid: {error}."))
        })?;
        strings.insert(name, string);
    }
    cloud.shared.act(|world| world.put_connection_strings(slot, strings))?;
    connection_strings(cloud, slot, false)
}

/// `id` is null, the name the site's and the type a site's (seen-in-recordings.md 10).
fn slot_setting_names(cloud: &Cloud, slot: &SlotRef) -> Reply {
    if !slot.slot.is_production() {
        return Err(Failure::not_found("slotConfigNames of a slot"));
    }
    let body = look(cloud, slot, |site, _| {
        json!({
            "id": null,
            "name": site.name,
            "type": "Microsoft.Web/sites",
            "location": site.location,
            "properties": site.slot_setting_names,
        })
    })?;
    Ok(wire::ok(&body))
}

fn write_slot_setting_names(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let mut given = object(properties(call)?)?;
    given.retain(|_, value| !value.is_null());
    let names: SlotSettingNames = serde_json::from_value(Value::Object(given))
        .map_err(|error| Failure::bad_request(format!("slotConfigNames is invalid: {error}.")))?;
    cloud.shared.act(|world| world.put_slot_setting_names(&slot.site, names))?;
    slot_setting_names(cloud, slot)
}

/// The keys that `config/web` has beside those the world keeps.
const WEB_KEYS: &str = "phpVersion pythonVersion nodeVersion powerShellVersion javaVersion javaContainer \
    javaContainerVersion metadata appSettings connectionStrings machineKey limits autoHealRules tracingOptions \
    cors push apiDefinition managedServiceIdentityId xManagedServiceIdentityId keyVaultReferenceIdentity \
    azureStorageAccounts azureMonitorLogCategories websiteTimeZone documentRoot minTlsCipherSuite \
    apiManagementConfig routingRules runtimeADUser runtimeADUserPassword";

/// `config/web` with everything that clients may look at.
fn web_properties(slot: &Slot) -> Value {
    let mut all: Map<String, Value> =
        WEB_KEYS.split_whitespace().map(|name| (name.to_owned(), Value::Null)).collect();
    let usual = json!({
        "defaultDocuments": ["Default.htm", "Default.html", "index.htm", "index.html", "default.aspx", "index.php"],
        "requestTracingEnabled": false, "remoteDebuggingEnabled": false, "remoteDebuggingVersion": "VS2022",
        "httpLoggingEnabled": false, "logsDirectorySizeLimit": 35, "detailedErrorLoggingEnabled": false,
        "publishingUsername": publishing::user(slot), "scmType": "None", "webSocketsEnabled": false,
        "managedPipelineMode": "Integrated", "loadBalancing": "LeastRequests", "autoHealEnabled": false,
        "vnetName": "", "vnetRouteAllEnabled": false, "vnetPrivatePortsCount": 0, "localMySqlEnabled": false,
        "ipSecurityRestrictions": [], "scmIpSecurityRestrictions": [], "scmMinTlsVersion": "1.2",
        "preWarmedInstanceCount": 0, "functionAppScaleLimit": 0, "elasticWebAppScaleLimit": 0,
        "functionsRuntimeScaleMonitoringEnabled": false, "minimumElasticInstanceCount": 0,
    });
    for part in [usual, serde_json::to_value(&slot.web_config).unwrap_or_default()] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// The name is the site's, also for a slot (seen-in-recordings.md 11).
fn web_shape(cloud: &Cloud, site: &Site, slot: &Slot) -> Value {
    json!({
        "id": format!("{}/config/web", shape::slot_id(cloud, site, slot)),
        "name": site.name,
        "type": "Microsoft.Web/sites/config",
        "location": site.location,
        "properties": web_properties(slot),
    })
}

fn web(cloud: &Cloud, slot: &SlotRef) -> Reply {
    Ok(wire::ok(&look(cloud, slot, |site, found| web_shape(cloud, site, found))?))
}

fn list(cloud: &Cloud, slot: &SlotRef) -> Reply {
    let web = look(cloud, slot, |site, found| web_shape(cloud, site, found))?;
    Ok(wire::ok(&json!({"value": [web], "nextLink": null, "id": null})))
}

/// The answer has id, name and type of the site or slot (seen-in-recordings.md 11). A PUT is taken as a PATCH:
/// what it does not name stays as it is, where the real service would set its default.
fn write_web(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let mut given = object(properties(call)?)?;
    given.retain(|name, value| !(value.is_null() && WEB_KEYS.split_whitespace().any(|key| key == name)));
    for read_only in ["publishingUsername", "publishingPassword", "appSettings", "connectionStrings"] {
        given.remove(read_only);
    }
    cloud.shared.act(|world| world.patch_web_config(slot, Value::Object(given)))?;
    let body = look(cloud, slot, |site, found| {
        json!({
            "id": shape::slot_id(cloud, site, found),
            "name": shape::full_name(site, found),
            "type": shape::slot_type(found),
            "location": site.location,
            "properties": web_properties(found),
        })
    })?;
    Ok(wire::ok(&body))
}

/// Of App Service authentication only whether it is on (arm-app-service.md §8, last line).
fn authentication(cloud: &Cloud, slot: &SlotRef) -> Reply {
    let on = look(cloud, slot, |_, found| found.authentication)?;
    dictionary(cloud, slot, "authsettingsV2", json!({"platform": {"enabled": on}}), false)
}

fn write_authentication(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let on = properties(call)?.pointer("/platform/enabled").and_then(Value::as_bool).unwrap_or(false);
    let change = SlotChange { authentication: Some(on), ..SlotChange::default() };
    cloud.shared.act(|world| world.patch_slot(slot, change))?;
    authentication(cloud, slot)
}
