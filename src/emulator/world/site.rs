//! Plans, sites, slots and sides: what there is.
//!
//! Owns the nouns. A [`Slot`] is what stays at a swap, its [`Side`] what moves. Must
//! not decide anything: the commands do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Timestamp;
use super::deployment::Deployment;
use super::instance::Instance;
use super::operation::OperationId;
use super::settings::{ConnectionString, SlotSettingNames, Stickiness, StickyValues};
use super::web_config::WebConfig;
use crate::names::{ResourceGroup, SiteName, SlotName};

/// Which slot of which site. The site itself is the slot "production".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotRef {
    /// The site.
    pub site: SiteName,
    /// The slot, perhaps production.
    pub slot: SlotName,
}

impl SlotRef {
    /// Names a slot.
    pub fn new(site: SiteName, slot: SlotName) -> Self {
        Self { site, slot }
    }

    /// Names the site itself.
    pub fn production(site: SiteName) -> Self {
        Self { site, slot: SlotName::production() }
    }
}

impl std::fmt::Display for SlotRef {
    /// As Azure writes it in the name of a site: `app` or `app/slot`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.slot.is_production() {
            write!(formatter, "{}", self.site)
        } else {
            write!(formatter, "{}/{}", self.site, self.slot)
        }
    }
}

/// A machine of a plan: 64 hex digits, the name of Resource Manager's `instances` and
/// the value of the ARRAffinity cookie (arm-app-service.md §14).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct WorkerId(pub String);

impl std::fmt::Display for WorkerId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An App Service plan: the machines that all slots of its sites share.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name (`serverFarmId` ends in it).
    pub name: String,
    /// `sku.tier`: "Standard" …
    pub tier: String,
    /// `sku.name`: "S1" …
    pub size: String,
    /// Its machines; their number is `sku.capacity`.
    pub workers: Vec<WorkerId>,
}

/// How many slots beside production a tier allows (arm-app-service.md §4).
pub fn slots_allowed(tier: &str) -> usize {
    let tier = tier.to_ascii_lowercase();
    if tier.starts_with("premium") || tier.starts_with("isolated") {
        20
    } else if tier == "standard" {
        5
    } else {
        0
    }
}

/// The level of a management lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Lock {
    /// Blocks every write and every POST action, swap and listing of secrets among them.
    ReadOnly,
    /// Blocks deletes only.
    CanNotDelete,
}

/// An app with its slots.
#[derive(Debug, Clone)]
pub struct Site {
    /// The app's name in the spelling it was created with.
    pub name: SiteName,
    /// Where it is.
    pub resource_group: ResourceGroup,
    /// "West Europe" …
    pub location: String,
    /// "app,linux" or "app"; test by membership, not equality.
    pub kind: String,
    /// The name of its plan.
    pub plan: String,
    /// The settings that stay with their slot; one list for all slots.
    pub slot_setting_names: SlotSettingNames,
    /// All slots, production among them.
    pub slots: BTreeMap<SlotName, Slot>,
    /// A management lock on the site.
    pub lock: Option<Lock>,
    /// When it was created.
    pub created: Timestamp,
}

impl Site {
    /// Whether the site runs on Linux (`properties.reserved`).
    pub fn is_linux(&self) -> bool {
        self.kind.split(',').any(|part| part == "linux")
    }
}

/// The two listeners of a slot, each "127.0.0.1:4001": `defaultHostName` and the
/// host of type Repository. They stay with the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotHosts {
    /// Where the app answers.
    pub app: String,
    /// Where Kudu answers.
    pub scm: String,
}

/// `properties.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// Meant to run; says nothing of readiness.
    Running,
    /// Stopped by command.
    Stopped,
}

/// The publishing credentials and policies, which stay with the slot.
#[derive(Debug, Clone)]
pub struct Publishing {
    /// `$app` or `$app__slot` (kudu-deploy.md §2).
    pub user: String,
    /// The password.
    pub password: String,
    /// `basicPublishingCredentialsPolicies/scm`.
    pub scm_allowed: bool,
    /// `basicPublishingCredentialsPolicies/ftp`.
    pub ftp_allowed: bool,
}

/// Which publishing policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishingPolicy {
    /// Basic sign-in at SCM.
    Scm,
    /// Sign-in at FTP.
    Ftp,
}

/// The last finished swap; null before the first (seen-in-recordings.md 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSwapStatus {
    /// When it ended; the skin writes milliseconds.
    pub timestamp: Timestamp,
    /// `sourceSlotName`; production is "Production".
    pub source: String,
    /// `destinationSlotName`; production is "Production" (seen-in-recordings.md 1).
    pub destination: String,
}

/// Kudu's own process.
#[derive(Debug, Clone, Default)]
pub struct Scm {
    /// Set while it restarts; until then it answers 503 (seen-in-recordings.md 25).
    pub restarting_until: Option<Timestamp>,
}

/// What waits between the two halves of a swap with preview, or during a swap before its switch.
/// It lies on the source slot.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The slot whose sticky settings the source has now.
    pub target: SlotName,
    /// The source's own sticky settings, to be given back.
    pub own: StickyValues,
    /// Which names stay; read once, so that both halves agree.
    pub rules: Stickiness,
    /// Whether settings were applied at all, and instances restarted for it.
    pub restarted: bool,
}

/// A slot: what stays at a swap, and the side it has now.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its name in the spelling it was created with.
    pub name: SlotName,
    /// Its listeners.
    pub hosts: SlotHosts,
    /// Running or stopped; stays (unconfirmed).
    pub state: SlotState,
    /// All app settings, sticky ones among them. While the slot is prepared for a swap it shows the
    /// target's sticky values (seen-in-recordings.md 9).
    pub app_settings: BTreeMap<String, String>,
    /// All connection strings; as `app_settings`.
    pub connection_strings: BTreeMap<String, ConnectionString>,
    /// `config/web`.
    pub web_config: WebConfig,
    /// Credentials and policies.
    pub publishing: Publishing,
    /// `clientAffinityEnabled`: whether the front end sets ARRAffinity.
    pub client_affinity: bool,
    /// `httpsOnly`.
    pub https_only: bool,
    /// `virtualNetworkSubnetId`; moves only at a swap with `preserveVnet: false`.
    pub subnet: Option<String>,
    /// Whether App Service authentication is on, which forbids a preview.
    pub authentication: bool,
    /// Other properties a PUT brought, kept for the skin; they stay.
    pub tags: BTreeMap<String, String>,
    /// The content with the apps that run it.
    pub side: Side,
    /// `targetSwapSlot`: on the *target* of a pending preview, the source's name (seen-in-recordings.md 4).
    pub target_swap_slot: Option<SlotName>,
    /// Set on the source while the target's settings lie on it.
    pub prepared: Option<Prepared>,
    /// `slotSwapStatus`, identical on both slots (seen-in-recordings.md 1).
    pub slot_swap_status: Option<SlotSwapStatus>,
    /// `inProgressOperationId`, on both slots while a swap runs (arm-app-service.md §3).
    pub in_progress_operation: Option<OperationId>,
    /// `lastModifiedTimeUtc`: moves with the content at a swap (seen-in-recordings.md 2).
    pub last_modified: Timestamp,
    /// Kudu's process.
    pub scm: Scm,
}

/// The identity of a [`Side`], for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SideId(pub u64);

/// The content with the apps that run it; changes slots at a swap.
#[derive(Debug, Clone)]
pub struct Side {
    /// Who it is.
    pub id: SideId,
    /// `properties.deploymentId`: `{site}` or `{site}__{4 hex}` (seen-in-recordings.md 3).
    pub content_id: String,
    /// `/home` of this content, for vfs: `site/wwwroot`, `site/deployments`, `LogFiles`.
    pub files: PathBuf,
    /// `/home/site/wwwroot`: what is served.
    pub folder: PathBuf,
    /// Deployment records, oldest first; they lie in the content and move with it (kudu-deploy.md §1).
    pub deployments: Vec<Deployment>,
    /// Kudu's lock, a file in `/home/site/locks` (kudu-deploy.md §5).
    pub deployment_lock: Option<u64>,
    /// One per worker of the plan; empty while the slot is stopped.
    pub instances: Vec<Instance>,
}

impl Side {
    /// The record that is served.
    pub fn active_deployment(&self) -> Option<&Deployment> {
        self.deployments.iter().rev().find(|deployment| deployment.active)
    }

    /// The newest record (`/api/deployments/latest`).
    pub fn latest_deployment(&self) -> Option<&Deployment> {
        self.deployments.last()
    }

    /// A record by its present id.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id.eq_ignore_ascii_case(id))
    }
}
