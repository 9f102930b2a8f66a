//! The parts of Azure's documents that Slotway reads. Every field may be missing:
//! what the release needs and does not find is its own decision to refuse.

use serde::{Deserialize, Deserializer};

/// Reads `null` like a missing field.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub value: Vec<T>,
    /// Where the next page is.
    #[serde(default)]
    pub next_link: Option<String>,
}

/// A site or a slot (arm-app-service §3).
#[derive(Debug, Clone, Deserialize)]
pub struct Site {
    /// The full resource id.
    pub id: String,
    /// `app`, or `app/slot`.
    pub name: String,
    /// Such as `app,linux`; test by membership.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    /// Everything else.
    pub properties: SiteProperties,
}

/// The properties of a site or slot.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteProperties {
    /// "Running" or "Stopped"; says nothing of the app inside.
    #[serde(default, deserialize_with = "or_default")]
    pub state: String,
    /// False when the site is switched off by the platform.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// "Normal" or "Exceeded" (quota).
    #[serde(default, deserialize_with = "or_default")]
    pub usage_state: String,
    /// The only trustworthy host name of the app.
    #[serde(default, deserialize_with = "or_default")]
    pub default_host_name: String,
    /// App hosts and the SCM host ("Repository").
    #[serde(default, deserialize_with = "or_default")]
    pub host_name_ssl_states: Vec<HostNameSslState>,
    /// The plan's resource id.
    #[serde(default, deserialize_with = "or_default")]
    pub server_farm_id: String,
    /// "FlexConsumption" for plans without slots.
    #[serde(default, deserialize_with = "or_default")]
    pub sku: String,
    /// Set for apps hosted on Container Apps, which have no slots.
    #[serde(default)]
    pub managed_environment_id: Option<String>,
    /// Changes sides at a swap: which content lies here (seen-in-recordings 3).
    #[serde(default)]
    pub deployment_id: Option<String>,
    /// The slot this one has been prepared to swap with (seen-in-recordings 4).
    #[serde(default)]
    pub target_swap_slot: Option<String>,
    /// The last finished swap; null if there was none (seen-in-recordings 1).
    #[serde(default)]
    pub slot_swap_status: Option<SlotSwapStatus>,
    /// Set while an operation runs on the site.
    #[serde(default)]
    pub in_progress_operation_id: Option<String>,
}

/// One host name of a site.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostNameSslState {
    /// The host, with its port where there is one.
    pub name: String,
    /// "Standard" for the app, "Repository" for SCM.
    #[serde(default, deserialize_with = "or_default")]
    pub host_type: String,
}

/// The last finished swap (arm-app-service §3).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSwapStatus {
    /// When it ended.
    #[serde(default, deserialize_with = "or_default")]
    pub timestamp_utc: String,
    /// The slot in the request's path.
    #[serde(default, deserialize_with = "or_default")]
    pub source_slot_name: String,
    /// "Production", or the other slot.
    #[serde(default, deserialize_with = "or_default")]
    pub destination_slot_name: String,
}

impl Site {
    /// The host of the SCM site, never computed (arm-app-service §3, kudu-deploy §1).
    pub fn scm_host(&self) -> Option<&str> {
        self.properties
            .host_name_ssl_states
            .iter()
            .find(|host| host.host_type.eq_ignore_ascii_case("Repository"))
            .map(|host| host.name.as_str())
    }
}

/// An App Service plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Its tier.
    pub sku: Option<Sku>,
}

/// The size of a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Sku {
    /// "Standard", "PremiumV3" …
    #[serde(default, deserialize_with = "or_default")]
    pub tier: String,
}

/// The part of `config/web` that concerns a release (arm-app-service §11).
#[derive(Debug, Clone, Deserialize)]
pub struct WebConfigDocument {
    /// The settings.
    pub properties: WebConfig,
}

/// General settings of a slot.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebConfig {
    /// Set: Kudu swaps by itself after each deployment.
    #[serde(default, deserialize_with = "or_default")]
    pub auto_swap_slot_name: String,
    /// Traffic rules, on production.
    #[serde(default, deserialize_with = "or_default")]
    pub experiments: Experiments,
    /// `DOCKER|image` for containers.
    #[serde(default, deserialize_with = "or_default")]
    pub linux_fx_version: String,
    /// The same for Windows containers.
    #[serde(default, deserialize_with = "or_default")]
    pub windows_fx_version: String,
    /// The start command.
    #[serde(default, deserialize_with = "or_default")]
    pub app_command_line: String,
}

/// What containers a slot runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers<'a> {
    /// One custom image, by its reference.
    Image(&'a str),
    /// Several, described elsewhere: `COMPOSE` or `SITECONTAINERS` (arm-app-service §11).
    Several(&'static str),
}

impl WebConfig {
    /// The containers that this slot runs; none where it runs code on a built-in stack.
    pub fn containers(&self) -> Option<Containers<'_>> {
        [&self.linux_fx_version, &self.windows_fx_version].into_iter().find_map(|version| {
            let (kind, image) = version.split_once('|').unwrap_or((version, ""));
            match kind.to_ascii_uppercase().as_str() {
                "DOCKER" => Some(Containers::Image(image)),
                "COMPOSE" => Some(Containers::Several("COMPOSE")),
                "SITECONTAINERS" => Some(Containers::Several("SITECONTAINERS")),
                _ => None,
            }
        })
    }
}

/// Rules that send a share of production's requests to slots.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiments {
    /// One rule a slot.
    #[serde(default, deserialize_with = "or_default")]
    pub ramp_up_rules: Vec<RampUpRule>,
}

/// One traffic rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RampUpRule {
    /// The slot's name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Percent of requests.
    #[serde(default)]
    pub reroute_percentage: f64,
}

/// An instance of a site; its name is also its ARRAffinity value (arm-app-service §14).
#[derive(Debug, Clone, Deserialize)]
pub struct Instance {
    /// The worker's id.
    pub name: String,
}

/// A resource found by name.
#[derive(Debug, Clone, Deserialize)]
pub struct Resource {
    /// The full resource id.
    pub id: String,
}

/// One difference between two slots (arm-app-service §10); values are not read, they may be secrets.
#[derive(Debug, Clone, Deserialize)]
pub struct SlotDifference {
    /// The difference itself.
    pub properties: SlotDifferenceProperties,
}

/// What differs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotDifferenceProperties {
    /// The setting's name.
    #[serde(default, deserialize_with = "or_default")]
    pub setting_name: String,
    /// "AppSetting", "ConnectionString", "General" …
    #[serde(default, deserialize_with = "or_default")]
    pub setting_type: String,
    /// Which rule applies.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_rule: String,
}

/// One of Kudu's deployment records (kudu-deploy §6).
#[derive(Debug, Clone, Deserialize)]
pub struct DeploymentRecord {
    /// GUID on Linux, 32 hex digits on Windows; begins with `temp` at first.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// See [`DeploymentStatus`].
    #[serde(default)]
    pub status: Option<i64>,
    /// What it is doing.
    #[serde(default, deserialize_with = "or_default")]
    pub status_text: String,
    /// Whether it has ended.
    #[serde(default, deserialize_with = "or_default")]
    pub complete: bool,
    /// Whether this is the content that the slot serves.
    #[serde(default, deserialize_with = "or_default")]
    pub active: bool,
    /// Whether its id will change.
    #[serde(default, deserialize_with = "or_default")]
    pub is_temp: bool,
    /// When Kudu received it.
    #[serde(default)]
    pub received_time: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub end_time: Option<String>,
}

/// What a deployment's status number means (Kudu's DeployStatus.cs; -1, 5 and 6 in
/// Azure/functions-action azure-app-kudu-service.ts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// 0, 1 or 2: pending, building, deploying. Linux stays at 0 throughout (seen-in-recordings 24).
    UnderWay,
    /// 4.
    Succeeded,
    /// 3.
    Failed,
    /// -1.
    Cancelled,
    /// 5: cancelled by another deployment.
    Conflict,
    /// 6.
    PartlySucceeded,
    /// A number nobody has documented; never success.
    Unknown(i64),
}

impl DeploymentRecord {
    /// What the number means; a missing one is as unknown as a new one.
    pub fn status(&self) -> DeploymentStatus {
        match self.status {
            Some(0..=2) => DeploymentStatus::UnderWay,
            Some(3) => DeploymentStatus::Failed,
            Some(4) => DeploymentStatus::Succeeded,
            Some(-1) => DeploymentStatus::Cancelled,
            Some(5) => DeploymentStatus::Conflict,
            Some(6) => DeploymentStatus::PartlySucceeded,
            Some(number) => DeploymentStatus::Unknown(number),
            None => DeploymentStatus::Unknown(i64::MIN),
        }
    }

    /// Whether its id is provisional (kudu-deploy §5).
    pub fn is_provisional(&self) -> bool {
        self.is_temp && self.id.to_ascii_lowercase().contains("temp") || self.id.is_empty()
    }
}

/// One line of a deployment's log.
#[derive(Debug, Clone, Deserialize)]
pub struct LogEntry {
    /// Its id, for its details.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// The line; foreign text.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// Where more lines are.
    #[serde(default)]
    pub details_url: Option<String>,
}

/// One of the files that `api/logs/docker` lists (kudu-deploy §8).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerLog {
    /// RFC 3339.
    #[serde(default, deserialize_with = "or_default")]
    pub last_updated: String,
    /// Such as `/home/LogFiles/2026_11_21_lw0sdlwk0001_default_docker.log`.
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
}

impl ContainerLog {
    /// The file's name, if it is one that can stand in an address as it is.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.path.rsplit(['/', '\\']).next()?;
        let plain =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-');
        (!name.is_empty() && !name.starts_with('.') && name.chars().all(plain)).then_some(name)
    }

    /// Whether the app's own container is meant, not the SCM site's or those that the platform
    /// puts beside it (names seen in public logs; unconfirmed by documentation).
    pub fn is_of_the_app(&self) -> bool {
        let name = self.file_name().unwrap_or_default().to_ascii_lowercase();
        !name.is_empty() && !["_scm_", "easyauth", "_msi_"].iter().any(|other| name.contains(other))
    }

    /// Whether it holds the app's output: `…_default_docker.log`; `…_docker.log` holds the platform's
    /// own lines (names seen in public logs; unconfirmed by documentation).
    pub fn is_written_by_the_app(&self) -> bool {
        self.file_name().is_some_and(|name| name.contains("_default_") || name.contains("_app."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_with_nulls_and_unknown_fields_is_read() {
        let site: Site = serde_json::from_str(
            r#"{"id":"/x","name":"app/staging","kind":"app,linux","new":1,"properties":{"state":"Running",
            "slotSwapStatus":null,"targetSwapSlot":null,"usageState":null,"hostNameSslStates":[
            {"name":"a:1","hostType":"Standard"},{"name":"b:2","hostType":"Repository"}]}}"#,
        )
        .expect("well formed");
        assert_eq!(site.scm_host(), Some("b:2"));
        assert_eq!(site.properties.slot_swap_status, None);
    }

    #[test]
    fn the_apps_own_log_is_told_from_its_neighbours() {
        let log = |path: &str| ContainerLog { last_updated: String::new(), path: path.to_owned() };
        let app = log("/home/LogFiles/2026_11_21_lw0sdlwk0001_default_docker.log");
        assert_eq!(app.file_name(), Some("2026_11_21_lw0sdlwk0001_default_docker.log"));
        assert!(app.is_of_the_app() && app.is_written_by_the_app());
        let platform = log("/home/LogFiles/2026_11_21_lw0sdlwk0001_docker.log");
        assert!(platform.is_of_the_app() && !platform.is_written_by_the_app());
        assert!(!log("/home/LogFiles/2026_11_21_lw0sdlwk0001_default_scm_docker.log").is_of_the_app());
        for strange in ["", "/", "/home/..", "/home/a b", "/home/a?b"] {
            assert!(!log(strange).is_of_the_app(), "{strange}");
        }
    }

    #[test]
    fn an_undocumented_status_is_never_success() {
        let record = |status| DeploymentRecord {
            status,
            ..serde_json::from_str("{}").expect("all fields may be missing")
        };
        assert_eq!(record(Some(4)).status(), DeploymentStatus::Succeeded);
        assert_eq!(record(Some(7)).status(), DeploymentStatus::Unknown(7));
        assert!(matches!(record(None).status(), DeploymentStatus::Unknown(_)));
    }
}
