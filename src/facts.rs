//! What Azure says about an app and its slots, read before anything is planned.
//!
//! Owns the reading, in parallel, of everything that a plan and a proof need. Must
//! not judge: whether a fact forbids a release is the plan's to say.

use std::time::Duration;

use crate::azure::model::{Containers, Site, SlotSwapStatus, WebConfig};
use crate::azure::{AzureError, ResourceManager, Scm, SitePath};
use crate::names::{ReleaseId, SlotName};
use reqwest::Url;

mod note;
mod served;
mod settings;

pub use note::{End, Mark, Note};
pub use served::read_build;
use served::{Served, read_served};
pub use settings::{SettingValues, Settings, SlotSettingNames, SlotSettings, settings};

/// Which build a slot serves, as read from Azure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// Code, by the id of the active deployment record.
    Deployment(ReleaseId),
    /// A container, by its image reference.
    Image(ReleaseId),
    /// Several containers, by the kind of their description; no single image says which build it is.
    Containers(&'static str),
    /// Nothing was ever deployed.
    Nothing,
    /// It could not be read; the reason.
    Unreadable(String),
}

impl Build {
    /// The release id, where the build has one.
    pub fn release_id(&self) -> Option<&ReleaseId> {
        match self {
            Self::Deployment(id) | Self::Image(id) => Some(id),
            _ => None,
        }
    }

    /// Whether this is that build; what could not be read is no build, and one set of
    /// several containers cannot be told from another.
    pub fn is(&self, other: &Self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::Containers(_)) && self == other
    }

    fn of(containers: Containers<'_>) -> Self {
        match containers {
            Containers::Several(kind) => Self::Containers(kind),
            Containers::Image(image) => match ReleaseId::image(image) {
                Ok(image) => Self::Image(image),
                Err(error) => Self::Unreadable(error.to_string()),
            },
        }
    }
}

impl std::fmt::Display for Build {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployment(id) => write!(formatter, "{id}"),
            Self::Image(image) => write!(formatter, "{image}"),
            Self::Containers(kind) => write!(formatter, "several containers ({kind})"),
            Self::Nothing => formatter.write_str("nothing deployed"),
            Self::Unreadable(_) => formatter.write_str("could not be read"),
        }
    }
}

/// What is known of one slot.
#[derive(Debug, Clone)]
pub struct SlotFacts {
    /// Its name.
    pub slot: SlotName,
    /// The URL of its default host, as read.
    pub url: Url,
    /// The host of its SCM site, as read.
    pub scm_host: Option<String>,
    /// Which build it serves.
    pub build: Build,
    /// What Slotway wrote beside that build.
    pub note: Option<Note>,
    /// Why that could not be read, where it was tried.
    pub note_unread: Option<String>,
    /// When its deployment ended, in Kudu's words.
    pub since: Option<String>,
    /// ARM's word for which content lies here; changes sides at a swap.
    pub content_id: Option<String>,
    /// "Running" or "Stopped".
    pub state: String,
    /// False when the platform has switched it off.
    pub enabled: bool,
    /// "Exceeded" when a quota is used up.
    pub usage_state: String,
    /// The slot it is prepared to swap with.
    pub prepared_with: Option<String>,
    /// The last finished swap.
    pub last_swap: Option<SlotSwapStatus>,
    /// An operation under way.
    pub operation: Option<String>,
    /// A deployment under way: its content is neither the old nor the new.
    pub deploying: Option<String>,
    /// Set when Kudu swaps by itself after a deployment.
    pub auto_swap: Option<String>,
    /// Traffic rules: slot and percent.
    pub traffic: Vec<(String, f64)>,
    /// The start command; empty where none is set.
    pub startup_command: String,
    /// Ids of the workers; empty when they could not be listed.
    pub instances: Vec<String>,
}

/// What is known of the app.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its place.
    pub path: SitePath,
    /// Such as `app,linux`.
    pub kind: Vec<String>,
    /// The plan's tier, or "FlexConsumption"; unknown where the plan may not be read.
    pub tier: Option<String>,
    /// Whether it is hosted on Container Apps.
    pub on_container_apps: bool,
    /// All slots beside production.
    pub slots: Vec<SlotName>,
    /// Production.
    pub production: SlotFacts,
    /// The slot that releases go through, if it exists.
    pub staging: Option<SlotFacts>,
}

impl Facts {
    /// Whether the app runs on Linux (arm-app-service §3, values of `kind`).
    pub fn is_linux(&self) -> bool {
        self.has_kind("linux")
    }

    /// Whether the app was made for custom containers (the same).
    pub fn is_for_containers(&self) -> bool {
        self.has_kind("container")
    }

    fn has_kind(&self, word: &str) -> bool {
        self.kind.iter().any(|part| part.eq_ignore_ascii_case(word))
    }
}

/// How often facts are read that a swap changed between one call and the next.
const READINGS: usize = 6;
/// The pause before they are read again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Reads the facts in two rounds of parallel calls, and once more what lies in which slot:
/// a swap may have switched in between, and then half of them are those of before.
///
/// # Errors
///
/// [`AzureError`] for anything that a release cannot do without; what it can do
/// without (the plan, the instances, the SCM sites) is marked as unknown instead.
pub async fn gather(
    azure: &ResourceManager,
    path: &SitePath,
    staging: &SlotName,
) -> Result<Facts, AzureError> {
    for _ in 1..READINGS {
        let facts = gather_once(azure, path, staging).await?;
        if is_of_one_moment(azure, &facts).await? {
            return Ok(facts);
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    let mut facts = gather_once(azure, path, staging).await?;
    for slot in std::iter::once(&mut facts.production).chain(&mut facts.staging) {
        slot.build =
            Build::Unreadable("the slots were swapped again and again while they were read".to_owned());
    }
    Ok(facts)
}

/// Whether both slots still hold what they held when the first of the facts was read.
async fn is_of_one_moment(azure: &ResourceManager, facts: &Facts) -> Result<bool, AzureError> {
    let Some(staging) = &facts.staging else { return Ok(true) };
    let (production, other) = tokio::try_join!(azure.site(&facts.path, &facts.production.slot), async {
        absent_is_none(azure.site(&facts.path, &staging.slot).await)
    },)?;
    let same = |now: &Site, was: &SlotFacts| {
        now.properties.deployment_id == was.content_id && now.properties.slot_swap_status == was.last_swap
    };
    Ok(same(&production, &facts.production) && other.is_some_and(|other| same(&other, staging)))
}

async fn gather_once(
    azure: &ResourceManager,
    path: &SitePath,
    staging: &SlotName,
) -> Result<Facts, AzureError> {
    let production_name = SlotName::production();
    let (site, slot, slots) = tokio::try_join!(
        azure.site(path, &production_name),
        async { Ok(azure.site(path, staging).await) },
        azure.slots(path),
    )?;
    let slots: Vec<SlotName> = slots.iter().filter_map(slot_name).collect();
    // One that stands in the list is there, whatever the answer to the question for it was.
    let slot = if slots.contains(staging) { Some(slot?) } else { absent_is_none(slot)? };
    let (tier, production, staging) = tokio::try_join!(
        async { Ok(tier(azure, &site).await) },
        slot_facts(azure, path, &production_name, &site),
        async {
            match &slot {
                Some(found) => slot_facts(azure, path, staging, found).await.map(Some),
                None => Ok(None),
            }
        },
    )?;
    Ok(Facts {
        path: path.clone(),
        kind: site.kind.split(',').map(|part| part.trim().to_owned()).collect(),
        tier,
        on_container_apps: site.properties.managed_environment_id.is_some(),
        slots,
        production,
        staging,
    })
}

/// Reads one slot anew: what `status` and a rollback's look back need.
///
/// # Errors
///
/// [`AzureError`] when the slot itself cannot be read.
pub async fn read_slot(
    azure: &ResourceManager,
    path: &SitePath,
    slot: &SlotName,
) -> Result<SlotFacts, AzureError> {
    let site = azure.site(path, slot).await?;
    slot_facts(azure, path, slot, &site).await
}

/// Reads one slot anew whose instances have been listed before: what it serves and whether
/// anything is under way there, by as few requests as that takes.
///
/// # Errors
///
/// [`AzureError`] when the slot itself cannot be read.
pub async fn read_known_slot(
    azure: &ResourceManager,
    path: &SitePath,
    known: &SlotFacts,
) -> Result<SlotFacts, AzureError> {
    let (site, config) =
        tokio::try_join!(azure.site(path, &known.slot), azure.web_config(path, &known.slot))?;
    facts_of(azure, &known.slot, &site, config, known.instances.clone()).await
}

async fn slot_facts(
    azure: &ResourceManager,
    path: &SitePath,
    slot: &SlotName,
    site: &Site,
) -> Result<SlotFacts, AzureError> {
    let (config, instances) = tokio::join!(azure.web_config(path, slot), azure.instances(path, slot));
    // Without the right to list instances a single unpinned probe has to do.
    facts_of(azure, slot, site, config?, instances.unwrap_or_default()).await
}

async fn facts_of(
    azure: &ResourceManager,
    slot: &SlotName,
    site: &Site,
    config: WebConfig,
    instances: Vec<String>,
) -> Result<SlotFacts, AzureError> {
    let Served { build, note, note_unread, since, deploying } =
        read_served(azure, site, &config, instances.first().map(String::as_str)).await;
    let properties = &site.properties;
    let url = Url::parse(&format!("https://{}/", properties.default_host_name))
        .map_err(|error| AzureError::shape(format!("find the host of {slot}"), error))?;
    Ok(SlotFacts {
        slot: slot.clone(),
        url,
        scm_host: site.scm_host().map(str::to_owned),
        build,
        note,
        note_unread,
        since,
        content_id: properties.deployment_id.clone(),
        state: properties.state.clone(),
        enabled: properties.enabled.unwrap_or(true),
        usage_state: properties.usage_state.clone(),
        prepared_with: properties.target_swap_slot.clone().filter(|name| !name.is_empty()),
        last_swap: properties.slot_swap_status.clone(),
        operation: properties.in_progress_operation_id.clone().filter(|id| !id.is_empty()),
        deploying,
        auto_swap: Some(config.auto_swap_slot_name).filter(|name| !name.is_empty()),
        startup_command: config.app_command_line,
        traffic: config
            .experiments
            .ramp_up_rules
            .into_iter()
            .filter(|rule| rule.reroute_percentage > 0.0)
            .map(|rule| (rule.name, rule.reroute_percentage))
            .collect(),
        instances,
    })
}

/// The SCM site of a slot whose host was read.
///
/// # Errors
///
/// [`AzureError::Shape`] when the slot has no SCM host.
pub fn scm(azure: &ResourceManager, host: Option<&str>, instance: Option<&str>) -> Result<Scm, AzureError> {
    let host = host.ok_or_else(|| AzureError::shape("find the slot's SCM site", "it has no SCM host"))?;
    Scm::new(azure.http().clone(), azure.credential().clone(), host, instance)
}

async fn tier(azure: &ResourceManager, site: &Site) -> Option<String> {
    if site.properties.sku.eq_ignore_ascii_case("FlexConsumption") {
        return Some(site.properties.sku.clone());
    }
    let plan = azure.plan(&site.properties.server_farm_id).await.ok()?;
    plan.sku.map(|sku| sku.tier).filter(|tier| !tier.is_empty())
}

fn absent_is_none(found: Result<Site, AzureError>) -> Result<Option<Site>, AzureError> {
    match found {
        Ok(site) => Ok(Some(site)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A slot's name in a list is `app/slot` (arm-app-service §4).
fn slot_name(site: &Site) -> Option<SlotName> {
    SlotName::new(site.name.rsplit('/').next()?).ok()
}
