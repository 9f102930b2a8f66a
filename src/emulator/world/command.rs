//! Commands on one slot: start, stop, settings, policies, locks; and the guards that
//! every command passes.
//!
//! Owns which writes a lock, a running operation or a pending preview forbids. Must
//! not know of HTTP.

use std::collections::BTreeMap;

use serde_json::Value;

use super::settings::{Stickiness, differences, lookup};
use super::{
    ConnectionString, Lock, PublishingPolicy, Refusal, Site, Slot, SlotDifference, SlotRef, SlotSettingNames,
    SlotState, World,
};
use crate::names::SiteName;

/// Properties of the site itself that a PUT or PATCH may bring; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct SlotChange {
    /// `httpsOnly`.
    pub https_only: Option<bool>,
    /// `clientAffinityEnabled`.
    pub client_affinity: Option<bool>,
    /// `virtualNetworkSubnetId`; the inner `None` removes it.
    pub subnet: Option<Option<String>>,
    /// `tags`.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether App Service authentication is on (`config/authsettingsV2`).
    pub authentication: Option<bool>,
}

// ---------------------------------------------------------------- guards
impl World {
    pub(super) fn site_of(&self, site: &SiteName) -> Result<&Site, Refusal> {
        self.sites.get(site).ok_or_else(|| Refusal::SiteNotFound {
            site: site.to_string(),
            resource_group: self
                .sites
                .values()
                .next()
                .map(|any| any.resource_group.to_string())
                .unwrap_or_default(),
        })
    }

    /// A slot.
    ///
    /// # Errors
    ///
    /// 404 for a site or a slot that is not there.
    pub fn slot(&self, slot: &SlotRef) -> Result<&Slot, Refusal> {
        let site = self.site_of(&slot.site)?;
        site.slots.get(&slot.slot).ok_or_else(|| Refusal::SlotNotFound {
            site: site.name.clone(),
            slot: slot.slot.clone(),
            resource_group: site.resource_group.clone(),
        })
    }

    /// Whether a POST that changes nothing is allowed, such as `appsettings/list`: a read-only lock
    /// forbids it (arm-app-service.md §15).
    ///
    /// # Errors
    ///
    /// 409 ScopeLocked, 404.
    pub fn check_post(&self, slot: &SlotRef) -> Result<(), Refusal> {
        self.slot(slot)?;
        if self.site_of(&slot.site)?.lock == Some(Lock::ReadOnly) {
            let scope = format!("Microsoft.Web/sites/{}", slot.site);
            return Err(Refusal::ScopeLocked { scope, action: "write" });
        }
        Ok(())
    }

    /// What every write passes: the slot is there, not locked, and no operation runs on it.
    pub(super) fn guard_write(&self, slot: &SlotRef) -> Result<(), Refusal> {
        self.check_post(slot)?;
        match self.running_operation(slot) {
            Some(operation) => Err(operation.in_progress()),
            None => Ok(()),
        }
    }

    /// What a configuration write passes besides: no preview is pending (arm-app-service.md §8).
    fn guard_config(&self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(slot_ref)?;
        let slot = self.slot(slot_ref)?;
        if slot.prepared.is_some() || slot.target_swap_slot.is_some() {
            return Err(Refusal::PreparedForSwap);
        }
        Ok(())
    }
}

// ---------------------------------------------------------------- running state
impl World {
    /// Starts a slot.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn start(&mut self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(slot_ref)?;
        if let Some(slot) = self.slot_mut(slot_ref).filter(|slot| slot.state == SlotState::Stopped) {
            slot.state = SlotState::Running;
            self.restart_instances(slot_ref);
        }
        Ok(())
    }

    /// Stops a slot.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn stop(&mut self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(slot_ref)?;
        if let Some(slot) = self.slot_mut(slot_ref) {
            slot.state = SlotState::Stopped;
        }
        self.stop_instances(slot_ref);
        Ok(())
    }

    /// Restarts a slot's instances.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn restart(&mut self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(slot_ref)?;
        self.restart_instances(slot_ref);
        Ok(())
    }
}

// ---------------------------------------------------------------- configuration
impl World {
    /// Replaces **all** app settings (arm-app-service.md §11); instances and SCM restart when one changed.
    ///
    /// # Errors
    ///
    /// 404, 409 while an operation runs or a preview is pending.
    pub fn put_app_settings(
        &mut self,
        slot: &SlotRef,
        settings: BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        self.guard_config(slot)?;
        self.configure(slot, |slot| std::mem::replace(&mut slot.app_settings, settings) != slot.app_settings);
        Ok(())
    }

    /// Replaces all connection strings; instances and SCM restart when one changed.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`.
    pub fn put_connection_strings(
        &mut self,
        slot: &SlotRef,
        strings: BTreeMap<String, ConnectionString>,
    ) -> Result<(), Refusal> {
        self.guard_config(slot)?;
        self.configure(slot, |slot| {
            std::mem::replace(&mut slot.connection_strings, strings) != slot.connection_strings
        });
        Ok(())
    }

    /// Changes a slot's configuration; the closure says whether apps must restart for it.
    fn configure(&mut self, slot_ref: &SlotRef, change: impl FnOnce(&mut Slot) -> bool) {
        let now = self.now;
        let Some(slot) = self.slot_mut(slot_ref) else { return };
        slot.last_modified = now;
        if change(slot) {
            self.restart_scm(slot_ref);
            self.restart_instances(slot_ref);
        }
    }

    /// Replaces `slotConfigNames`; nothing restarts. A list that is not named becomes empty
    /// (seen-in-recordings.md 10).
    ///
    /// # Errors
    ///
    /// As `put_app_settings`, for any slot of the site.
    pub fn put_slot_setting_names(
        &mut self,
        site_name: &SiteName,
        names: SlotSettingNames,
    ) -> Result<(), Refusal> {
        let slots: Vec<_> = self.site_of(site_name)?.slots.keys().cloned().collect();
        for slot in slots {
            self.guard_config(&SlotRef::new(site_name.clone(), slot))?;
        }
        if let Some(site) = self.sites.get_mut(site_name) {
            site.slot_setting_names = SlotSettingNames {
                app_setting_names: Some(names.app_setting_names.unwrap_or_default()),
                connection_string_names: Some(names.connection_string_names.unwrap_or_default()),
                azure_storage_config_names: Some(names.azure_storage_config_names.unwrap_or_default()),
            };
        }
        Ok(())
    }

    /// Merges the properties into `config/web` (PATCH); instances and SCM restart when a part of the stack or
    /// the start command changed.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`; 400 for a field of the wrong kind.
    pub fn patch_web_config(&mut self, slot_ref: &SlotRef, properties: Value) -> Result<(), Refusal> {
        self.guard_config(slot_ref)?;
        let before = &self.slot(slot_ref)?.web_config;
        let after = before.patched(&properties).map_err(|message| Refusal::BadRequest { message })?;
        let differently = before.runs_differently(&after);
        self.configure(slot_ref, |slot| {
            slot.web_config = after;
            differently
        });
        Ok(())
    }

    /// What else a PUT or PATCH of the site itself may change.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`.
    pub fn patch_slot(&mut self, slot_ref: &SlotRef, change: SlotChange) -> Result<(), Refusal> {
        self.guard_config(slot_ref)?;
        self.configure(slot_ref, |slot| {
            slot.https_only = change.https_only.unwrap_or(slot.https_only);
            slot.client_affinity = change.client_affinity.unwrap_or(slot.client_affinity);
            slot.authentication = change.authentication.unwrap_or(slot.authentication);
            if let Some(subnet) = change.subnet {
                slot.subnet = subnet;
            }
            if let Some(tags) = change.tags {
                slot.tags = tags;
            }
            false
        });
        Ok(())
    }

    /// Allows or forbids basic sign-in.
    ///
    /// # Errors
    ///
    /// 404, 409 ScopeLocked.
    pub fn set_publishing_policy(
        &mut self,
        slot_ref: &SlotRef,
        policy: PublishingPolicy,
        allow: bool,
    ) -> Result<(), Refusal> {
        self.check_post(slot_ref)?;
        if let Some(slot) = self.slot_mut(slot_ref) {
            match policy {
                PublishingPolicy::Scm => slot.publishing.scm_allowed = allow,
                PublishingPolicy::Ftp => slot.publishing.ftp_allowed = allow,
            }
        }
        Ok(())
    }

    /// Sets or removes a management lock.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn set_lock(&mut self, site_name: &SiteName, lock: Option<Lock>) -> Result<(), Refusal> {
        self.site_of(site_name)?;
        if let Some(site) = self.sites.get_mut(site_name) {
            site.lock = lock;
        }
        Ok(())
    }

    /// What `slotsdiffs` lists (arm-app-service.md §10).
    ///
    /// # Errors
    ///
    /// 404.
    pub fn slot_differences(
        &self,
        source: &SlotRef,
        target: &SlotRef,
    ) -> Result<Vec<SlotDifference>, Refusal> {
        let names = &self.site_of(&source.site)?.slot_setting_names;
        let (current, other) = (self.slot(source)?, self.slot(target)?);
        let rules = Stickiness::of(names, &current.app_settings, &other.app_settings);
        let mut lines = differences("AppSetting", &current.app_settings, &other.app_settings, |name| {
            rules.keeps_app_setting(name)
        });
        let values = |slot: &Slot| -> BTreeMap<String, String> {
            slot.connection_strings
                .iter()
                .map(|(name, string)| (name.clone(), string.value.clone()))
                .collect()
        };
        lines.extend(differences("ConnectionString", &values(current), &values(other), |name| {
            rules.keeps_connection_string(name)
        }));
        let stack = |slot: &Slot| {
            let version = &slot.web_config.linux_fx_version;
            BTreeMap::from([("LinuxFxVersion".to_owned(), version.clone())])
        };
        lines.extend(differences("General", &stack(current), &stack(other), |_| false));
        Ok(lines)
    }

    /// A setting of a slot, without regard to case.
    pub(super) fn setting(&self, slot: &SlotRef, name: &str) -> Option<String> {
        self.slot(slot).ok().and_then(|slot| lookup(&slot.app_settings, name).map(str::to_owned))
    }
}
