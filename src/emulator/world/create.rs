//! How sites and slots come and go.
//!
//! Owns what a new site or slot has in the beginning. Must not know of listeners: the
//! hosts are given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::ids::Ids;
use super::site::slots_allowed;
use super::{
    Effect, Lock, PackageKind, Plan, Publishing, Refusal, Side, SideId, Site, Slot, SlotHosts, SlotRef,
    SlotSettingNames, SlotState, Timestamp, Upload, WebConfig, WorkerId, World,
};
use crate::emulator::scenario::{Scenario, SlotSeed};
use crate::names::{ResourceGroup, SiteName, SlotName};

/// What a scenario's plan is called.
const PLAN: &str = "plan";

impl World {
    /// A world with the scenario's site, its slots and their first content. `hosts` must name every
    /// slot of [`Scenario::slot_names`]; `folder` is where contents will lie; nothing is written yet.
    ///
    /// # Errors
    ///
    /// A scenario that contradicts itself: a slot without hosts, too many slots for the tier, no worker.
    pub fn new(
        scenario: &Scenario,
        hosts: &BTreeMap<SlotName, SlotHosts>,
        folder: PathBuf,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut world = Self {
            now,
            agenda: super::agenda::Agenda::default(),
            effects: Vec::new(),
            durations: scenario.durations.clone(),
            hides_operations: scenario.hides_operations,
            images: scenario.image_folders(&folder),
            folder,
            ids: Ids::new(scenario.seed),
            plans: BTreeMap::new(),
            sites: BTreeMap::new(),
            operations: Vec::new(),
            milestones: Vec::new(),
            actors: scenario.actors.clone(),
            acting_site: scenario.app.clone(),
            actor_results: Vec::new(),
            pings: BTreeMap::new(),
            deploying: BTreeMap::new(),
            last_side: 0,
            last_generation: 0,
            last_number: 0,
        };
        let production = SlotName::production();
        let host_of = |slot: &SlotName| {
            hosts.get(slot).cloned().ok_or_else(|| Refusal::BadRequest {
                message: format!("There are no hosts for the slot '{slot}'."),
            })
        };
        let plan = Plan {
            name: PLAN.to_owned(),
            tier: scenario.tier.clone(),
            size: size_of(&scenario.tier),
            workers: Vec::new(),
        };
        world.plans.insert(PLAN.to_owned(), plan);
        world.scale(PLAN, scenario.workers)?;
        let (site, group) = (scenario.app.clone(), scenario.resource_group.clone());
        let (location, kind) = (scenario.location.clone(), scenario.kind.clone());
        world.add_site(site.clone(), group, location, kind, PLAN.to_owned(), host_of(&production)?);
        for slot in scenario.slot_names() {
            if !slot.is_production() {
                world.add_slot(&SlotRef::new(site.clone(), slot.clone()), host_of(&slot)?)?;
            }
        }
        for slot in scenario.slot_names() {
            let seed = scenario.slots.get(&slot).cloned().unwrap_or_default();
            world.seed_slot(&SlotRef::new(site.clone(), slot), seed)?;
        }
        Ok(world)
    }

    /// Gives a slot what the scenario says. Its app starts when its content is in place.
    fn seed_slot(&mut self, slot_ref: &SlotRef, seed: SlotSeed) -> Result<(), Refusal> {
        let sticky: Vec<String> = seed.slot_settings.keys().cloned().collect();
        if let Some(site) = self.sites.get_mut(&slot_ref.site).filter(|_| !sticky.is_empty()) {
            let names = site.slot_setting_names.app_setting_names.get_or_insert_default();
            let all: BTreeSet<String> = names.drain(..).chain(sticky).collect();
            names.extend(all);
            site.slot_setting_names.connection_string_names.get_or_insert_default();
            site.slot_setting_names.azure_storage_config_names.get_or_insert_default();
        }
        let Some(slot) = self.slot_mut(slot_ref) else { return Ok(()) };
        slot.app_settings.extend(seed.settings);
        slot.app_settings.extend(seed.slot_settings);
        if let Some(properties) = seed.web_config {
            slot.web_config =
                slot.web_config.patched(&properties).map_err(|message| Refusal::BadRequest { message })?;
        }
        if seed.stopped {
            slot.state = SlotState::Stopped;
        }
        let Some(file) = seed.package else {
            self.restart_instances(slot_ref);
            return Ok(());
        };
        let upload = Upload {
            kind: kind_of(&file),
            file,
            path: None,
            clean: true,
            restart: true,
            sha256: None,
            deployer: "Push-Deployer".to_owned(),
            message: "Created via a push deployment".to_owned(),
            author: "N/A".to_owned(),
        };
        self.deploy_from_inside(slot_ref, upload, true)
    }

    fn add_site(
        &mut self,
        name: SiteName,
        resource_group: ResourceGroup,
        location: String,
        kind: String,
        plan: String,
        hosts: SlotHosts,
    ) {
        let slot = self.new_slot(&name, SlotName::production(), hosts);
        let site = Site {
            name: name.clone(),
            resource_group,
            location,
            kind,
            plan,
            slot_setting_names: SlotSettingNames::default(),
            slots: BTreeMap::from([(SlotName::production(), slot)]),
            lock: None,
            created: self.now,
        };
        self.sites.insert(name, site);
    }

    /// Creates a site on a plan that exists.
    ///
    /// # Errors
    ///
    /// 404 for the plan, 400 when the name is taken.
    pub fn create_site(
        &mut self,
        name: SiteName,
        resource_group: ResourceGroup,
        location: String,
        kind: String,
        plan: String,
        hosts: SlotHosts,
    ) -> Result<(), Refusal> {
        if !self.plans.contains_key(&plan) {
            return Err(Refusal::NotFound { what: format!("The server farm '{plan}'") });
        }
        if self.sites.contains_key(&name) {
            return Err(Refusal::BadRequest {
                message: format!("Website with given name {name} already exists."),
            });
        }
        self.add_site(name.clone(), resource_group, location, kind, plan, hosts);
        self.restart_instances(&SlotRef::production(name));
        Ok(())
    }

    /// Creates a slot: empty, with one setting of its own on Windows (seen-in-recordings.md 6). A slot that is
    /// there stays as it is: the skin writes what the body brought with the other commands.
    ///
    /// # Errors
    ///
    /// 404, 400 for the name "production", 409 for the tier's limit, the lock or a running operation.
    pub fn create_slot(&mut self, slot: &SlotRef, hosts: SlotHosts) -> Result<(), Refusal> {
        self.guard_write(&SlotRef::production(slot.site.clone()))?;
        if self.slot(slot).is_ok() {
            return self.guard_write(slot);
        }
        self.add_slot(slot, hosts)?;
        self.restart_instances(slot);
        Ok(())
    }

    fn add_slot(&mut self, slot_ref: &SlotRef, hosts: SlotHosts) -> Result<(), Refusal> {
        if slot_ref.slot.is_production() {
            return Err(Refusal::BadRequest { message: "Slot name 'production' is reserved.".to_owned() });
        }
        let tier = self.plan_of(&slot_ref.site).map(|plan| plan.tier.clone()).unwrap_or_default();
        let site = self.site_of(&slot_ref.site)?;
        // The map holds production too.
        if site.slots.len() > slots_allowed(&tier) {
            return Err(Refusal::TooManySlots { tier });
        }
        let linux = site.is_linux();
        let mut slot = self.new_slot(&slot_ref.site, slot_ref.slot.clone(), hosts);
        if !linux {
            slot.app_settings.insert("WEBSITE_NODE_DEFAULT_VERSION".to_owned(), "6.9.1".to_owned());
        }
        if let Some(site) = self.sites.get_mut(&slot_ref.site) {
            site.slots.insert(slot_ref.slot.clone(), slot);
        }
        Ok(())
    }

    fn new_slot(&mut self, site: &SiteName, name: SlotName, hosts: SlotHosts) -> Slot {
        let user = if name.is_production() { format!("${site}") } else { format!("${site}__{name}") };
        let side = self.new_side(site, name.is_production());
        Slot {
            name,
            hosts,
            state: SlotState::Running,
            app_settings: BTreeMap::new(),
            connection_strings: BTreeMap::new(),
            web_config: WebConfig::default(),
            // Basic sign-in is forbidden on a new app (seen-in-recordings.md 13).
            publishing: Publishing {
                user,
                password: self.ids.hex(60),
                scm_allowed: false,
                ftp_allowed: false,
            },
            client_affinity: true,
            https_only: false,
            subnet: None,
            authentication: false,
            tags: BTreeMap::new(),
            side,
            target_swap_slot: None,
            prepared: None,
            slot_swap_status: None,
            in_progress_operation: None,
            last_modified: self.now,
            scm: super::Scm::default(),
        }
    }

    fn new_side(&mut self, site: &SiteName, first: bool) -> Side {
        self.last_side += 1;
        let content_id = if first {
            site.to_string()
        } else {
            // Four digits are few; a content id must be the site's only one of its kind.
            loop {
                let id = format!("{site}__{}", self.ids.hex(4));
                if !self.contents().any(|side| side.content_id == id) {
                    break id;
                }
            }
        };
        let files = self.folder.join(format!("content-{}", self.last_side));
        Side {
            id: SideId(self.last_side),
            content_id,
            folder: files.join("site").join("wwwroot"),
            files,
            deployments: Vec::new(),
            deployment_lock: None,
            instances: Vec::new(),
        }
    }

    /// Deletes a slot with its content. A pending preview on the target stays (arm-app-service.md §4).
    ///
    /// # Errors
    ///
    /// 404, 400 for production, 409.
    pub fn delete_slot(&mut self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(slot_ref)?;
        if slot_ref.slot.is_production() {
            return Err(Refusal::BadRequest { message: "The production slot cannot be deleted.".to_owned() });
        }
        if self.site_of(&slot_ref.site)?.lock == Some(Lock::CanNotDelete) {
            let scope = format!("Microsoft.Web/sites/{}/slots/{}", slot_ref.site, slot_ref.slot);
            return Err(Refusal::ScopeLocked { scope, action: "delete" });
        }
        self.remove_slot(slot_ref);
        Ok(())
    }

    /// Deletes a site with all its slots, and its plan if nothing else is on it and that is wanted. Gives the slots
    /// that are gone.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn delete_site(&mut self, name: &SiteName, with_plan: bool) -> Result<Vec<SlotRef>, Refusal> {
        self.guard_write(&SlotRef::production(name.clone()))?;
        let site = self.site_of(name)?;
        if site.lock == Some(Lock::CanNotDelete) {
            return Err(Refusal::ScopeLocked {
                scope: format!("Microsoft.Web/sites/{name}"),
                action: "delete",
            });
        }
        let (plan, own) = (site.plan.clone(), site.name.clone());
        let slots: Vec<SlotRef> =
            site.slots.keys().map(|slot| SlotRef::new(own.clone(), slot.clone())).collect();
        for slot in &slots {
            self.remove_slot(slot);
        }
        self.sites.remove(name);
        if with_plan && self.sites.values().all(|site| site.plan != plan) {
            self.plans.remove(&plan);
        }
        Ok(slots)
    }

    fn remove_slot(&mut self, slot_ref: &SlotRef) {
        self.stop_instances(slot_ref);
        self.kill_deployment(slot_ref);
        let site = self.sites.get_mut(&slot_ref.site);
        if let Some(slot) = site.and_then(|site| site.slots.remove(&slot_ref.slot)) {
            self.effects.push(Effect::Remove(slot.side.files));
        }
    }

    /// Gives a plan this many machines, at least one. A swap before its switch fails by it
    /// (arm-app-service.md §9, "allocation of VM instances").
    ///
    /// # Errors
    ///
    /// 404, 400.
    pub fn scale(&mut self, plan: &str, workers: usize) -> Result<(), Refusal> {
        let Some(present) = self.plans.get(plan).map(|plan| plan.workers.len()) else {
            return Err(Refusal::NotFound { what: format!("The server farm '{plan}'") });
        };
        if workers == 0 || workers > 30 {
            let message = format!("The number of workers must be between 1 and 30, not {workers}.");
            return Err(Refusal::BadRequest { message });
        }
        if workers == present {
            return Ok(());
        }
        let new: Vec<WorkerId> = (present..workers).map(|_| WorkerId(self.ids.hex(64))).collect();
        if let Some(plan) = self.plans.get_mut(plan) {
            plan.workers.truncate(workers);
            plan.workers.extend(new);
        }
        let sites = self.sites.values().filter(|site| site.plan == plan);
        let slots: Vec<SlotRef> = sites
            .flat_map(|site| site.slots.keys().map(|slot| SlotRef::new(site.name.clone(), slot.clone())))
            .collect();
        self.allocation_changed(plan);
        for slot in slots {
            self.fit_instances(&slot);
        }
        Ok(())
    }
}

fn size_of(tier: &str) -> String {
    match tier.to_ascii_lowercase().as_str() {
        "free" => "F1",
        "basic" => "B1",
        "standard" => "S1",
        "premium" => "P1",
        "premiumv2" => "P1v2",
        "premiumv3" => "P1v3",
        _ => "S1",
    }
    .to_owned()
}

/// The type of a scenario's package, by its name; a folder counts as a zip.
pub(super) fn kind_of(file: &std::path::Path) -> PackageKind {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "war" => PackageKind::War,
        "jar" => PackageKind::Jar,
        "ear" => PackageKind::Ear,
        _ => PackageKind::Zip,
    }
}
