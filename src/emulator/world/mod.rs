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

use super::scenario::{Actor, Durations, Milestone};
use crate::names::SiteName;

pub mod agenda;
mod clock;
pub mod command;
mod create;
mod deploying;
pub mod deployment;
mod environment;
pub mod ids;
pub mod instance;
pub mod operation;
mod preview;
pub mod refusal;
pub mod route;
pub mod settings;
pub mod site;
mod swap;
#[cfg(test)]
mod tests;
mod warmup;
pub mod web_config;

use agenda::Agenda;
pub use command::SlotChange;
pub use deployment::{
    Deployment, DeploymentKey, DeploymentStatus, LogKind, LogLine, PackageKind, RecordedDeployment, Upload,
    UploadTicket,
};
pub use instance::{AppSpec, Instance, InstanceChange, InstanceKey, InstanceState};
pub use operation::{Operation, OperationId, OperationState, SwapStep};
pub use refusal::{Origin, Refusal};
pub use route::{Route, Routes};
pub use settings::{ConnectionString, SlotDifference, SlotSettingNames, StickyValues};
pub use site::{
    Lock, Plan, Prepared, Publishing, PublishingPolicy, Scm, Side, SideId, Site, Slot, SlotHosts, SlotRef,
    SlotState, SlotSwapStatus, WorkerId,
};
pub use web_config::{Experiments, RampUpRule, WebConfig};

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
    /// Remove a file or folder that is not needed any more.
    Remove(PathBuf),
    /// The time the runtime asked for has come.
    Alarm(AlarmId),
}

/// What [`Effect::Unpack`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOrder {
    /// The bytes, or a folder to copy.
    pub file: PathBuf,
    /// Whether the file is to be removed afterwards.
    pub temporary: bool,
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
    hides_operations: bool,
    folder: PathBuf,
    /// What the registries hold: the folder of each image's content, by its reference.
    images: BTreeMap<String, PathBuf>,
    ids: ids::Ids,
    plans: BTreeMap<String, Plan>,
    sites: BTreeMap<SiteName, Site>,
    operations: Vec<Operation>,
    milestones: Vec<(Milestone, Timestamp)>,
    actors: Vec<Actor>,
    acting_site: SiteName,
    actor_results: Vec<ActorResult>,
    pings: BTreeMap<PingId, warmup::Ping>,
    deploying: BTreeMap<DeploymentKey, deploying::Deploying>,
    last_side: u64,
    last_generation: u64,
    last_number: u64,
}

// ---------------------------------------------------------------- reading
impl World {
    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How long things take.
    pub fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Whether a site says which operation is under way on it.
    pub fn hides_operations(&self) -> bool {
        self.hides_operations
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

    /// An operation, running or ended.
    pub fn operation(&self, id: &OperationId) -> Option<&Operation> {
        self.operations.iter().rev().find(|operation| operation.id == *id)
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
        &self.actor_results
    }
}

// ---------------------------------------------------------------- for the rooms below
impl World {
    fn slot_mut(&mut self, slot: &SlotRef) -> Option<&mut Slot> {
        self.sites.get_mut(&slot.site)?.slots.get_mut(&slot.slot)
    }

    /// In which slot a side is now.
    pub fn slot_of_side(&self, side: SideId) -> Option<SlotRef> {
        let slots = self.sites.values().flat_map(|site| site.slots.values().map(move |slot| (site, slot)));
        slots
            .into_iter()
            .find(|(_, slot)| slot.side.id == side)
            .map(|(site, slot)| SlotRef::new(site.name.clone(), slot.name.clone()))
    }

    /// A side, wherever it is now.
    pub fn side(&self, side: SideId) -> Option<&Side> {
        self.contents().find(|content| content.id == side)
    }

    fn side_mut(&mut self, side: SideId) -> Option<&mut Side> {
        let slots = self.sites.values_mut().flat_map(|site| site.slots.values_mut());
        slots.map(|slot| &mut slot.side).find(|content| content.id == side)
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
