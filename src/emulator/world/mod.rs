//! App Service as state: sites, slots, content, operations, time. Pure.
//!
//! Commands check, change and schedule; [`World::advance_to`] moves time; what has to
//! be done outside comes out of [`World::take_effects`], and its result comes back by
//! [`World::instance_changed`], [`World::ping_answered`] and [`World::unpacked`]. Must
//! not do I/O, wait, lock, read a clock or draw a random number: the same commands at
//! the same times give the same world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::scenario::{Durations, Milestone, Scenario};
use crate::names::{ResourceGroup, SiteName, SlotName};

pub mod agenda;
pub mod deployment;
pub mod instance;
pub mod refusal;
pub mod settings;
pub mod site;
pub mod swap;

use agenda::Agenda;
pub use deployment::{
    Deployment, DeploymentKey, DeploymentStatus, LogKind, LogLine, PackageKind, RecordedDeployment, Upload,
    UploadTicket,
};
pub use instance::{AppSpec, Instance, InstanceChange, InstanceKey, InstanceState};
pub use refusal::{Origin, Refusal};
pub use settings::{
    ConnectionString, Experiments, RampUpRule, SlotDifference, SlotSettingNames, StickyValues, WebConfig,
};
pub use site::{
    Lock, Plan, Prepared, Publishing, PublishingPolicy, Scm, Side, SideId, Site, Slot, SlotHosts, SlotRef,
    SlotState, SlotSwapStatus, WorkerId,
};
pub use swap::{Operation, OperationId, OperationState, SwapStep};

/// A point in time, UTC.
pub type Timestamp = time::OffsetDateTime;

/// A ping under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub u64);

/// A wake-up that the runtime asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmId(pub u64);

/// What the runtime is to do. It answers, where an answer is due, on the same key or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run the app; answer with `instance_changed`.
    StartInstance {
        /// Which.
        key: InstanceKey,
        /// What to run.
        app: AppSpec,
    },
    /// Take no new request, let those in flight end, kill the rest.
    StopInstance {
        /// Which.
        key: InstanceKey,
        /// How long requests in flight may take.
        drain: Duration,
    },
    /// GET over plain HTTP from inside (arm-app-service.md §7, 4); answer with `ping_answered`.
    Ping {
        /// Which ping.
        id: PingId,
        /// Of which instance.
        key: InstanceKey,
        /// The path, beginning with `/`.
        path: String,
    },
    /// Put an upload in its place; answer with `unpacked`.
    Unpack {
        /// Which.
        key: DeploymentKey,
        /// What, and how.
        upload: Box<UploadOrder>,
    },
    /// Remove a deleted slot's content.
    RemoveFolder(PathBuf),
    /// The time the runtime asked for has come.
    Alarm(AlarmId),
}

/// What [`Effect::Unpack`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOrder {
    /// The bytes, or a folder to copy.
    pub file: PathBuf,
    /// `/home` of the side.
    pub home: PathBuf,
    /// The type.
    pub kind: PackageKind,
    /// Where it goes.
    pub path: Option<String>,
    /// Whether what is there goes first.
    pub clean: bool,
    /// The checksum that came with it.
    pub sha256: Option<String>,
    /// Whether the site runs on Linux.
    pub linux: bool,
}

/// What someone other than the API's consumer did, and what came of it.
#[derive(Debug, Clone)]
pub struct ActorResult {
    /// When.
    pub time: Timestamp,
    /// The actor's number in the scenario.
    pub actor: usize,
    /// Nothing, or why it was refused.
    pub result: Result<(), Refusal>,
}

/// The whole state.
#[derive(Debug, Clone)]
pub struct World {
    now: Timestamp,
    agenda: Agenda,
    effects: Vec<Effect>,
    durations: Durations,
    folder: PathBuf,
    plans: BTreeMap<String, Plan>,
    sites: BTreeMap<SiteName, Site>,
    operations: Vec<Operation>,
    milestones: Vec<(Milestone, Timestamp)>,
}

// ---------------------------------------------------------------- reading
impl World {
    /// A world with the scenario's site, its slots and their first content. `hosts` must name every
    /// slot of [`Scenario::slot_names`]; `folder` is where contents will lie; nothing is written yet.
    ///
    /// # Errors
    ///
    /// A scenario that contradicts itself: a slot without hosts, too many slots for the tier.
    pub fn new(
        scenario: &Scenario,
        hosts: &BTreeMap<SlotName, SlotHosts>,
        folder: PathBuf,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let _ = (scenario, hosts, folder, now);
        unimplemented!()
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A site by its name.
    pub fn site(&self, name: &str) -> Option<&Site> {
        SiteName::new(name).ok().and_then(|name| self.sites.get(&name))
    }

    /// All sites.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.values()
    }

    /// All plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }

    /// The plan of a site.
    pub fn plan_of(&self, site: &SiteName) -> Option<&Plan> {
        self.sites.get(site).and_then(|site| self.plans.get(&site.plan))
    }

    /// A slot.
    ///
    /// # Errors
    ///
    /// 404 for a site or a slot that is not there.
    pub fn slot(&self, slot: &SlotRef) -> Result<&Slot, Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// An operation, running or ended.
    pub fn operation(&self, id: &OperationId) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == *id)
    }

    /// All operations, oldest first.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The milestones reached, in order.
    pub fn milestones(&self) -> &[(Milestone, Timestamp)] {
        &self.milestones
    }

    /// What the scenario's actors did.
    pub fn actor_results(&self) -> &[ActorResult] {
        unimplemented!()
    }

    /// The deployment a ticket or an answer spoke of, wherever its side is now.
    pub fn deployment(&self, key: &DeploymentKey) -> Option<&Deployment> {
        let _ = key;
        unimplemented!()
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
        let _ = (source, target);
        unimplemented!()
    }

    /// Whether a POST that changes nothing is allowed, such as `appsettings/list`: a read-only lock
    /// forbids it (arm-app-service.md §15).
    ///
    /// # Errors
    ///
    /// 409 ScopeLocked, 404.
    pub fn check_post(&self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Whether Kudu answers at all: the skin calls it first for every SCM request.
    ///
    /// # Errors
    ///
    /// 503 while it restarts, 403 when the slot is stopped, 404.
    pub fn check_scm(&self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }
}

// ---------------------------------------------------------------- commands
/// Each command checks everything before it changes anything.
impl World {
    /// Creates a site on a plan that exists.
    ///
    /// # Errors
    ///
    /// 404 for the plan, 409 when the name is taken.
    pub fn create_site(
        &mut self,
        name: SiteName,
        resource_group: ResourceGroup,
        location: String,
        kind: String,
        plan: String,
        hosts: SlotHosts,
    ) -> Result<(), Refusal> {
        let _ = (name, resource_group, location, kind, plan, hosts);
        unimplemented!()
    }

    /// Creates a slot: empty, with one setting of its own on Windows (seen-in-recordings.md 6). A slot that is
    /// there stays as it is: the skin writes what the body brought with the other commands.
    ///
    /// # Errors
    ///
    /// 404, 400 for the name "production", 409 for the tier's limit, the lock or a running operation.
    pub fn create_slot(&mut self, slot: &SlotRef, hosts: SlotHosts) -> Result<(), Refusal> {
        let _ = (slot, hosts);
        unimplemented!()
    }

    /// Deletes a slot with its content. A pending preview on the target stays (arm-app-service.md §4).
    ///
    /// # Errors
    ///
    /// 404, 400 for production, 409.
    pub fn delete_slot(&mut self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Starts a slot.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn start(&mut self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Stops a slot.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn stop(&mut self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Restarts a slot's instances.
    ///
    /// # Errors
    ///
    /// 404, 409.
    pub fn restart(&mut self, slot: &SlotRef) -> Result<(), Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Replaces **all** app settings (arm-app-service.md §11); instances and SCM restart.
    ///
    /// # Errors
    ///
    /// 404, 409 while an operation runs or a preview is pending.
    pub fn put_app_settings(
        &mut self,
        slot: &SlotRef,
        settings: BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let _ = (slot, settings);
        unimplemented!()
    }

    /// Replaces all connection strings; instances and SCM restart.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`.
    pub fn put_connection_strings(
        &mut self,
        slot: &SlotRef,
        strings: BTreeMap<String, ConnectionString>,
    ) -> Result<(), Refusal> {
        let _ = (slot, strings);
        unimplemented!()
    }

    /// Replaces `slotConfigNames`; nothing restarts.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`, for any slot of the site.
    pub fn put_slot_setting_names(
        &mut self,
        site: &SiteName,
        names: SlotSettingNames,
    ) -> Result<(), Refusal> {
        let _ = (site, names);
        unimplemented!()
    }

    /// Merges the properties into `config/web` (PATCH); instances and SCM restart when a part of the stack or
    /// the start command changed.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`; 400 for a field of the wrong kind.
    pub fn patch_web_config(&mut self, slot: &SlotRef, properties: Value) -> Result<(), Refusal> {
        let _ = (slot, properties);
        unimplemented!()
    }

    /// What else a PUT or PATCH of the site itself may change.
    ///
    /// # Errors
    ///
    /// As `put_app_settings`.
    pub fn patch_slot(&mut self, slot: &SlotRef, change: SlotChange) -> Result<(), Refusal> {
        let _ = (slot, change);
        unimplemented!()
    }

    /// Allows or forbids basic sign-in.
    ///
    /// # Errors
    ///
    /// 404, 409 ScopeLocked.
    pub fn set_publishing_policy(
        &mut self,
        slot: &SlotRef,
        policy: PublishingPolicy,
        allow: bool,
    ) -> Result<(), Refusal> {
        let _ = (slot, policy, allow);
        unimplemented!()
    }

    /// Gives a plan this many machines, at least one. A swap before its switch fails by it
    /// (arm-app-service.md §9, "allocation of VM instances").
    ///
    /// # Errors
    ///
    /// 404, 400.
    pub fn scale(&mut self, plan: &str, workers: usize) -> Result<(), Refusal> {
        let _ = (plan, workers);
        unimplemented!()
    }

    /// Sets or removes a management lock.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn set_lock(&mut self, site: &SiteName, lock: Option<Lock>) -> Result<(), Refusal> {
        let _ = (site, lock);
        unimplemented!()
    }

    /// Begins a swap (arm-app-service.md §6); the answer is 202 with the id. It completes a pending preview
    /// of the same pair.
    ///
    /// # Errors
    ///
    /// 404, 400 when both are one slot, 409.
    pub fn begin_swap(
        &mut self,
        source: &SlotRef,
        target: &SlotRef,
        preserve_vnet: bool,
    ) -> Result<OperationId, Refusal> {
        let _ = (source, target, preserve_vnet);
        unimplemented!()
    }

    /// Phase 1 of a swap with preview (arm-app-service.md §8).
    ///
    /// # Errors
    ///
    /// 404, 400, 409.
    pub fn apply_slot_config(&mut self, source: &SlotRef, target: &SlotRef) -> Result<(), Refusal> {
        let _ = (source, target);
        unimplemented!()
    }

    /// Cancels a pending preview. Works on its source and on its target: PowerShell resets the one, the CLI the
    /// other (arm-app-service.md §8, seen-in-recordings.md 9). On any other slot it does nothing, successfully.
    ///
    /// # Errors
    ///
    /// 404, 409 while an operation runs.
    pub fn reset_slot_config(&mut self, which: &SlotRef) -> Result<(), Refusal> {
        let _ = which;
        unimplemented!()
    }

    /// Takes Kudu's lock, before the body is read (kudu-deploy.md §5).
    ///
    /// # Errors
    ///
    /// 409 when it is held or the package comes from a URL, 503, 403, 404.
    pub fn lock_for_upload(&mut self, slot: &SlotRef) -> Result<UploadTicket, Refusal> {
        let _ = slot;
        unimplemented!()
    }

    /// Begins the deployment of an upload that has arrived: a record with a temporary id appears.
    ///
    /// # Errors
    ///
    /// 409 when the lock was lost meanwhile (an SCM restart).
    pub fn begin_deployment(
        &mut self,
        ticket: UploadTicket,
        upload: Upload,
    ) -> Result<DeploymentKey, Refusal> {
        let _ = (ticket, upload);
        unimplemented!()
    }

    /// Gives the lock back without a deployment.
    pub fn abandon_upload(&mut self, ticket: UploadTicket) {
        let _ = ticket;
        unimplemented!()
    }

    /// Writes a record for a pipeline (kudu-deploy.md §7).
    ///
    /// # Errors
    ///
    /// 409 under the lock or when the id exists, 400 for an active failure, 503, 403, 404.
    pub fn record_deployment(&mut self, slot: &SlotRef, record: RecordedDeployment) -> Result<(), Refusal> {
        let _ = (slot, record);
        unimplemented!()
    }
}

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

// ---------------------------------------------------------------- the runtime's answers and time
impl World {
    /// An instance came up or went down. An older generation is no news.
    pub fn instance_changed(&mut self, key: &InstanceKey, change: InstanceChange) {
        let _ = (key, change);
        unimplemented!()
    }

    /// A ping was answered with this status, or could not be sent.
    pub fn ping_answered(&mut self, ping: PingId, status: Option<u16>) {
        let _ = (ping, status);
        unimplemented!()
    }

    /// An upload is in its place, or could not be put there.
    pub fn unpacked(&mut self, key: &DeploymentKey, result: Result<(), String>) {
        let _ = (key, result);
        unimplemented!()
    }

    /// Asks for [`Effect::Alarm`] at a time.
    pub fn set_alarm(&mut self, at: Timestamp) -> AlarmId {
        let _ = at;
        unimplemented!()
    }

    /// When the next event is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.next_due()
    }

    /// Lets everything happen that is due until then. Time never goes back.
    pub fn advance_to(&mut self, time: Timestamp) {
        let _ = time;
        unimplemented!()
    }

    /// Takes what is to be done outside, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}
