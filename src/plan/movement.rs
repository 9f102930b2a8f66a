//! What a swap does to the settings that production runs with.
//!
//! Pure. Knows names and whether values are the same; no value leaves it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::{SettingValues, Settings};

/// What kind of setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An environment variable of the app.
    AppSetting,
    /// A connection string.
    ConnectionString,
    /// A general setting, by its name in `config/web`.
    General,
}

/// What becomes of it for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Production gets the slot's value, which is another.
    Changes,
    /// Production gets a setting that it has not.
    Appears,
    /// Production loses a setting, which goes to the slot.
    Disappears,
    /// It moves, and both sides have the same value.
    MovesUnchanged,
    /// It stays, and both sides have it.
    Stays,
    /// It stays with production, and the slot is checked without it.
    OnlyInProduction,
    /// It stays with the slot, and production runs without it.
    OnlyInSlot,
}

/// One setting and its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Movement {
    /// What becomes of it.
    pub effect: Effect,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// General settings that move: the stack and its version, 32 or 64 bit, handler and path
/// mappings (arm-app-service §7). That the start command goes with the stack is unconfirmed.
const GENERAL_MOVES: [&str; 14] = [
    "appCommandLine",
    "handlerMappings",
    "javaContainer",
    "javaContainerVersion",
    "javaVersion",
    "linuxFxVersion",
    "netFrameworkVersion",
    "nodeVersion",
    "phpVersion",
    "powerShellVersion",
    "pythonVersion",
    "use32BitWorkerProcess",
    "virtualApplications",
    "windowsFxVersion",
];

/// General settings that stay and that an app may feel.
const GENERAL_STAYS: [&str; 9] = [
    "alwaysOn",
    "cors",
    "ftpsState",
    "healthCheckPath",
    "http20Enabled",
    "ipSecurityRestrictions",
    "minTlsVersion",
    "publicNetworkAccess",
    "webSocketsEnabled",
];

/// App settings that stay without being named (arm-app-service §7).
const STAYS_BY_ITSELF: [&str; 2] =
    ["WEBSITE_HTTPLOGGING_RETENTION_DAYS", "DIAGNOSTICS_AZUREBLOBRETENTIONDAYS"];

/// Every setting's way at a swap of the slot with production, those that change production first.
/// Of the general ones only those that differ.
pub fn movements(settings: &Settings) -> Vec<Movement> {
    let (production, slot) = (&settings.production, &settings.slot);
    let names = &settings.names;
    let named = |list: &Option<Vec<String>>, name: &str| {
        list.iter().flatten().any(|stays| stays.eq_ignore_ascii_case(name))
    };
    let overridden =
        |name: &str| [production, slot].iter().all(|side| value(&side.app_settings, name) == Some("0"));
    let all = overridden("WEBSITE_OVERRIDE_PRESERVE_DEFAULT_STICKY_SLOT_SETTINGS");
    let versions = !all && !overridden("WEBSITE_OVERRIDE_STICKY_EXTENSION_VERSIONS");
    let diagnostics = !all && !overridden("WEBSITE_OVERRIDE_STICKY_DIAGNOSTICS_SETTINGS");
    let app_setting_stays = |name: &str| {
        let upper = name.to_ascii_uppercase();
        named(&names.app_setting_names, name)
            || (versions && upper.ends_with("_EXTENSION_VERSION"))
            || (diagnostics && STAYS_BY_ITSELF.contains(&upper.as_str()))
    };
    let connection_string_stays = |name: &str| named(&names.connection_string_names, name);
    let mut found =
        of_kind(Kind::AppSetting, &production.app_settings, &slot.app_settings, app_setting_stays);
    found.extend(of_kind(
        Kind::ConnectionString,
        &production.connection_strings,
        &slot.connection_strings,
        connection_string_stays,
    ));
    found.extend(general(&production.general, &slot.general));
    found.sort();
    found
}

fn of_kind(
    kind: Kind,
    production: &SettingValues,
    slot: &SettingValues,
    stays: impl Fn(&str) -> bool,
) -> Vec<Movement> {
    let names: BTreeSet<&String> = production.keys().chain(slot.keys()).collect();
    let effect = |name: &String| match (stays(name), production.get(name), slot.get(name)) {
        (true, Some(_), Some(_)) => Effect::Stays,
        (true, Some(_), None) => Effect::OnlyInProduction,
        (true, None, _) => Effect::OnlyInSlot,
        (false, Some(one), Some(other)) if one == other => Effect::MovesUnchanged,
        (false, Some(_), Some(_)) => Effect::Changes,
        (false, None, _) => Effect::Appears,
        (false, Some(_), None) => Effect::Disappears,
    };
    names.into_iter().map(|name| Movement { effect: effect(name), kind, name: name.clone() }).collect()
}

/// Only what differs; null, nothing and an empty list are the same here.
fn general(production: &SettingValues, slot: &SettingValues) -> Vec<Movement> {
    let of = |side: &SettingValues, name: &str| {
        let text = value(side, name).unwrap_or_default();
        if matches!(text, "null" | "[]") { String::new() } else { text.to_owned() }
    };
    let differs = |name: &&str| of(production, name) != of(slot, name);
    let one = |effect| move |name: &str| Movement { effect, kind: Kind::General, name: name.to_owned() };
    let moves = GENERAL_MOVES.into_iter().filter(differs).map(one(Effect::Changes));
    moves.chain(GENERAL_STAYS.into_iter().filter(differs).map(one(Effect::Stays))).collect()
}

fn value<'a>(settings: &'a SettingValues, name: &str) -> Option<&'a str> {
    settings.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.reveal())
}

#[cfg(test)]
mod tests;
