//! A slot's settings: app settings, connection strings, general ones, and which of them stay.
//!
//! Owns the calls (arm-app-service §11) and keeps every value a secret. Must not decide
//! what moves at a swap.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::arm::{ResourceManager, SITES_VERSION, SitePath, parse};
use super::error::AzureError;
use crate::http::{Body, Repeat, Request};
use crate::names::SlotName;
use crate::secret::Secret;

/// Names that stay with their slot; each list is null until it is first written
/// (seen-in-recordings 10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSettingNames {
    /// App settings.
    #[serde(default)]
    pub app_setting_names: Option<Vec<String>>,
    /// Connection strings.
    #[serde(default)]
    pub connection_string_names: Option<Vec<String>>,
}

/// The settings of one slot.
#[derive(Debug, Clone, Default)]
pub struct SlotSettings {
    /// App settings.
    pub app_settings: BTreeMap<String, Secret>,
    /// Connection strings, with their type.
    pub connection_strings: BTreeMap<String, Secret>,
    /// `config/web`, each value as its JSON text.
    pub general: BTreeMap<String, Secret>,
}

#[derive(Deserialize)]
struct NamesDocument {
    properties: SlotSettingNames,
}

impl ResourceManager {
    /// `GET …/config/slotConfigNames` of the app; the names apply to all its slots.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn slot_setting_names(&self, path: &SitePath) -> Result<SlotSettingNames, AzureError> {
        let doing = "read which settings stay with their slot";
        let place = format!("{}/config/slotConfigNames", path.of(&SlotName::production()));
        let request = Request::get(self.url(&place, SITES_VERSION)?);
        let document: NamesDocument = parse(&self.send(request, doing).await?, doing)?;
        Ok(document.properties)
    }

    /// All settings of a slot. The lists are reads in the shape of a POST, which need a right
    /// of their own (`config/list/action`) and which a read-only lock forbids.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn slot_settings(&self, path: &SitePath, slot: &SlotName) -> Result<SlotSettings, AzureError> {
        let config = format!("{}/config", path.of(slot));
        let (app_settings, connection_strings, general) = tokio::try_join!(
            self.settings(Method::POST, format!("{config}/appsettings/list"), slot),
            self.settings(Method::POST, format!("{config}/connectionstrings/list"), slot),
            self.settings(Method::GET, format!("{config}/web"), slot),
        )?;
        Ok(SlotSettings { app_settings, connection_strings, general })
    }

    async fn settings(
        &self,
        method: Method,
        place: String,
        slot: &SlotName,
    ) -> Result<BTreeMap<String, Secret>, AzureError> {
        let doing = format!("read the settings of {slot}");
        let request = Request::new(method, self.url(&place, SITES_VERSION)?, Body::Empty, Repeat::Safe);
        let mut document: Value = parse(&self.send(request, &doing).await?, &doing)?;
        // An error of the reader would quote what it did not expect, and that may be a secret.
        let Some(Value::Object(properties)) = document.get_mut("properties").map(Value::take) else {
            return Err(AzureError::shape(doing, "the answer has no properties"));
        };
        let secret = |value: Value| match value {
            Value::String(text) => Secret::new(text),
            other => Secret::new(other.to_string()),
        };
        Ok(properties.into_iter().map(|(name, value)| (name, secret(value))).collect())
    }
}
