//! The settings of both slots, which only `plan` asks for.
//!
//! Owns the reading. Must not say what a swap does with them: that is the plan's.

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
