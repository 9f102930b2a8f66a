//! The settings of both slots, which only `plan` asks for.
//!
//! Owns the reading. Must not say what a swap does with them: that is the plan's.
//!
//! The values are not given to the hosts to be masked, other than azure-pipelines §5.3 advises:
//! they travel as [`Secret`], which nothing can print, and `plan` shows no logs in which they
//! could come back. A mask would hold for all later steps of the job: values such as a region
//! or the app's own address would vanish from every log, and GitHub drops a job's outputs that
//! hold a masked value (github-actions §2), so `production-url` would be gone for the next job.

pub use crate::azure::settings::{SlotSettingNames, SlotSettings};
use crate::azure::{AzureError, ResourceManager, SitePath};
use crate::names::SlotName;
use crate::secret::Secret;

/// Settings by name; their values are secrets.
pub type SettingValues = std::collections::BTreeMap<String, Secret>;

/// What a swap may move between production and a slot.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Production's.
    pub production: SlotSettings,
    /// The slot's.
    pub slot: SlotSettings,
    /// Which of them stay.
    pub names: SlotSettingNames,
}

/// Reads the settings of both sides, for `plan`.
///
/// # Errors
///
/// [`AzureError`], for a missing right or a lock too.
pub async fn settings(
    azure: &ResourceManager,
    path: &SitePath,
    slot: &SlotName,
) -> Result<Settings, AzureError> {
    let production_name = SlotName::production();
    let (production, slot, names) = tokio::try_join!(
        azure.slot_settings(path, &production_name),
        azure.slot_settings(path, slot),
        azure.slot_setting_names(path),
    )?;
    Ok(Settings { production, slot, names })
}
