//! Settings: which stay with their slot at a swap and which move.
//!
//! Owns the rules of stickiness. Pure functions over maps; must not know of operations
//! or time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// Which names stay with their slot, for one pair of slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stickiness {
    app_settings: Vec<String>,
    connection_strings: Vec<String>,
    extension_versions: bool,
    diagnostics: bool,
}

/// Diagnostic settings that stay without being named (arm-app-service.md §7).
const DIAGNOSTICS: [&str; 2] = ["WEBSITE_HTTPLOGGING_RETENTION_DAYS", "DIAGNOSTICS_AZUREBLOBRETENTIONDAYS"];

impl Stickiness {
    /// Reads the rules: the site's list, and the names that stay by themselves unless **both** slots
    /// override it (arm-app-service.md §11, "on all slots").
    pub fn of(
        names: &SlotSettingNames,
        one: &BTreeMap<String, String>,
        other: &BTreeMap<String, String>,
    ) -> Self {
        let overridden = |name: &str| [one, other].iter().all(|slot| lookup(slot, name) == Some("0"));
        let all = overridden("WEBSITE_OVERRIDE_PRESERVE_DEFAULT_STICKY_SLOT_SETTINGS");
        Self {
            app_settings: names.app_setting_names.clone().unwrap_or_default(),
            connection_strings: names.connection_string_names.clone().unwrap_or_default(),
            extension_versions: !all && !overridden("WEBSITE_OVERRIDE_STICKY_EXTENSION_VERSIONS"),
            diagnostics: !all && !overridden("WEBSITE_OVERRIDE_STICKY_DIAGNOSTICS_SETTINGS"),
        }
    }

    /// Whether an app setting stays.
    pub fn keeps_app_setting(&self, name: &str) -> bool {
        let upper = name.to_ascii_uppercase();
        self.app_settings.iter().any(|sticky| sticky.eq_ignore_ascii_case(name))
            || (self.extension_versions && upper.ends_with("_EXTENSION_VERSION"))
            || (self.diagnostics && DIAGNOSTICS.contains(&upper.as_str()))
    }

    /// Whether a connection string stays.
    pub fn keeps_connection_string(&self, name: &str) -> bool {
        self.connection_strings.iter().any(|sticky| sticky.eq_ignore_ascii_case(name))
    }

    /// Takes the sticky part out of a slot's settings; what moves is left.
    pub fn take(
        &self,
        app_settings: &mut BTreeMap<String, String>,
        connection_strings: &mut BTreeMap<String, ConnectionString>,
    ) -> StickyValues {
        StickyValues {
            app_settings: split_off(app_settings, |name| self.keeps_app_setting(name)),
            connection_strings: split_off(connection_strings, |name| self.keeps_connection_string(name)),
        }
    }
}

impl StickyValues {
    /// Whether there is nothing that stays.
    pub fn is_empty(&self) -> bool {
        self.app_settings.is_empty() && self.connection_strings.is_empty()
    }
}

/// A setting by its name, without regard to case, as Windows has environment variables.
pub fn lookup<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    settings.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn split_off<V>(map: &mut BTreeMap<String, V>, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, V> {
    let (taken, left) = std::mem::take(map).into_iter().partition(|(name, _)| wanted(name));
    *map = left;
    taken
}

/// The lines of `slotsdiffs` for two maps of settings (arm-app-service.md §10; rules and levels unconfirmed).
pub fn differences(
    setting_type: &'static str,
    current: &BTreeMap<String, String>,
    target: &BTreeMap<String, String>,
    stays: impl Fn(&str) -> bool,
) -> Vec<SlotDifference> {
    let names: std::collections::BTreeSet<&String> = current.keys().chain(target.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (here, there) = (current.get(name), target.get(name));
            let sticky = stays(name);
            if here == there || (sticky && here.is_some() && there.is_some()) {
                return None;
            }
            let (level, diff_rule, what) = if sticky {
                ("Warning", "SlotSettingsMissing", "is a slot setting that only one of the slots has")
            } else {
                ("Information", "SettingsWillBeModifiedInDestination", "moves with the swap")
            };
            Some(SlotDifference {
                level,
                setting_type,
                diff_rule,
                setting_name: name.clone(),
                value_in_current_slot: here.cloned(),
                value_in_target_slot: there.cloned(),
                description: format!("The setting '{name}' {what}."),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn names(app_settings: &[&str]) -> SlotSettingNames {
        SlotSettingNames {
            app_setting_names: Some(app_settings.iter().map(|name| (*name).to_owned()).collect()),
            ..SlotSettingNames::default()
        }
    }

    #[test]
    fn named_settings_and_the_usual_ones_stay() {
        let none = BTreeMap::new();
        let rules = Stickiness::of(&names(&["Colour"]), &none, &none);
        assert!(rules.keeps_app_setting("COLOUR"));
        assert!(rules.keeps_app_setting("FUNCTIONS_EXTENSION_VERSION"));
        assert!(rules.keeps_app_setting("WEBSITE_HTTPLOGGING_RETENTION_DAYS"));
        assert!(!rules.keeps_app_setting("GREETING"));
    }

    #[test]
    fn an_override_counts_only_on_both_slots() {
        let on = map(&[("WEBSITE_OVERRIDE_STICKY_EXTENSION_VERSIONS", "0")]);
        let off = BTreeMap::new();
        let keeps = |one, other| {
            Stickiness::of(&names(&[]), one, other).keeps_app_setting("FUNCTIONS_EXTENSION_VERSION")
        };
        assert!(keeps(&on, &off));
        assert!(!keeps(&on, &on));
    }

    #[test]
    fn taking_splits_a_slot_without_losing_a_setting() {
        let (mut settings, mut strings) = (map(&[("A", "1"), ("B", "2")]), BTreeMap::new());
        let rules = Stickiness::of(&names(&["b"]), &BTreeMap::new(), &BTreeMap::new());
        let sticky = rules.take(&mut settings, &mut strings);
        assert_eq!((settings, sticky.app_settings), (map(&[("A", "1")]), map(&[("B", "2")])));
    }

    #[test]
    fn differences_name_what_moves_and_slot_settings_that_one_side_lacks() {
        let lines = differences(
            "AppSetting",
            &map(&[("A", "1"), ("S", "x"), ("SAME", "=")]),
            &map(&[("A", "2"), ("T", "y"), ("SAME", "=")]),
            |name| name == "S" || name == "T",
        );
        let seen: Vec<(&str, &str)> =
            lines.iter().map(|line| (line.setting_name.as_str(), line.level)).collect();
        assert_eq!(seen, [("A", "Information"), ("S", "Warning"), ("T", "Warning")]);
    }
}
