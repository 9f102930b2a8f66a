//! Instances: the app of a side on a worker.
//!
//! Owns their states. Must not start anything: [`super::Effect::StartInstance`] asks
//! the runtime, which answers with [`super::World::instance_changed`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::agenda::{Event, EventKey};
use super::environment::environment;
use super::settings::lookup;
use super::site::{SideId, Slot, SlotRef, SlotState, WorkerId};
use super::{Effect, Timestamp, World};

/// Which start of which side on which worker; a restart is a new generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The side that it runs.
    pub side: SideId,
    /// Where.
    pub worker: WorkerId,
    /// Counts starts, over all instances of the world.
    pub generation: u64,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// Asked to start, not yet answering.
    Starting,
    /// Answers.
    Ready,
    /// Did not start, or died and did not come back.
    Failed {
        /// What the runtime said.
        reason: String,
    },
}

/// The app of a side on a worker.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Where.
    pub worker: WorkerId,
    /// Which start.
    pub generation: u64,
    /// How it is.
    pub state: InstanceState,
    /// Since when.
    pub since: Timestamp,
    /// Not ready before this time, though the app may answer: the scenario's `start`.
    pub(super) not_before: Timestamp,
    /// The end of its time to start.
    pub(super) limit: Option<EventKey>,
}

/// What the runtime needs to start an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    /// The slot it starts for.
    pub slot: SlotRef,
    /// What is served: `/home/site/wwwroot`, or the content of the slot's image.
    pub folder: PathBuf,
    /// The slot's image, where no registry holds it: then nothing can be started.
    pub missing_image: Option<String>,
    /// `/home`.
    pub home: PathBuf,
    /// `appCommandLine`, if set.
    pub start_command: Option<String>,
    /// Settings, connection strings with their prefixes, and WEBSITE_*; PORT is the runtime's to add.
    pub environment: BTreeMap<String, String>,
    /// The worker's place in the plan, from 0, for scripted apps.
    pub worker_index: usize,
}

/// What the runtime says of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceChange {
    /// Its port accepts connections.
    Up,
    /// It did not start, or ended.
    Down {
        /// In words, for the log.
        reason: String,
    },
}

/// How long a container may take to start: WEBSITES_CONTAINER_START_TIME_LIMIT, 10 to 1800 s, default
/// 230 s on Linux (arm-app-service.md §7, §11); the same is taken for Windows.
fn start_limit(slot: &Slot) -> Duration {
    let seconds = lookup(&slot.app_settings, "WEBSITES_CONTAINER_START_TIME_LIMIT")
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map_or(230, |seconds| seconds.clamp(10, 1800));
    Duration::from_secs(seconds)
}

impl World {
    /// Starts the app of a slot on one worker; whatever ran there must have been stopped.
    fn start_instance(&mut self, slot_ref: &SlotRef, worker: &WorkerId, worker_index: usize) {
        let Some(site) = self.sites.get(&slot_ref.site) else { return };
        let Some(slot) = site.slots.get(&slot_ref.slot) else { return };
        self.last_generation += 1;
        let key =
            InstanceKey { side: slot.side.id, worker: worker.clone(), generation: self.last_generation };
        let command = slot.web_config.app_command_line.trim();
        // An image is pulled when its container starts (kudu-deploy.md §12); what wwwroot holds is not run.
        let container = slot.web_config.container();
        let image = container.and_then(|reference| self.images.get(reference));
        let app = AppSpec {
            slot: slot_ref.clone(),
            folder: image.unwrap_or(&slot.side.folder).clone(),
            missing_image: container.filter(|_| image.is_none()).map(str::to_owned),
            home: slot.side.files.clone(),
            start_command: (!command.is_empty()).then(|| command.to_owned()),
            environment: environment(site, slot, worker),
            worker_index,
        };
        let limit = self.agenda.schedule(self.now + start_limit(slot), Event::InstanceLimit(key.clone()));
        let instance = Instance {
            worker: worker.clone(),
            generation: key.generation,
            state: InstanceState::Starting,
            since: self.now,
            not_before: self.now + self.durations.start,
            limit: Some(limit),
        };
        self.effects.push(Effect::StartInstance { key, app });
        if let Some(slot) = self.slot_mut(slot_ref) {
            slot.side.instances.push(instance);
        }
    }

    fn stop_instance(&mut self, side: SideId, instance: Instance) {
        if let Some(limit) = instance.limit {
            self.agenda.cancel(limit);
        }
        let key = InstanceKey { side, worker: instance.worker, generation: instance.generation };
        self.effects.push(Effect::StopInstance { key, drain: self.durations.drain });
    }

    /// Stops all instances of a slot.
    pub(super) fn stop_instances(&mut self, slot_ref: &SlotRef) {
        let Some(slot) = self.slot_mut(slot_ref) else { return };
        let side = slot.side.id;
        for instance in std::mem::take(&mut slot.side.instances) {
            self.stop_instance(side, instance);
        }
    }

    /// Stops what runs in a slot and, unless the slot is stopped, starts its app on every worker of the plan.
    pub(super) fn restart_instances(&mut self, slot_ref: &SlotRef) {
        self.stop_instances(slot_ref);
        let running = self.slot(slot_ref).is_ok_and(|slot| slot.state == SlotState::Running);
        if !running {
            return;
        }
        let workers = self.plan_of(&slot_ref.site).map(|plan| plan.workers.clone()).unwrap_or_default();
        for (index, worker) in workers.iter().enumerate() {
            self.start_instance(slot_ref, worker, index);
        }
    }

    /// Makes the instances of a slot fit the plan after a change of its size.
    pub(super) fn fit_instances(&mut self, slot_ref: &SlotRef) {
        let workers = self.plan_of(&slot_ref.site).map(|plan| plan.workers.clone()).unwrap_or_default();
        let Some(slot) = self.slot_mut(slot_ref) else { return };
        if slot.state == SlotState::Stopped {
            return;
        }
        let side = slot.side.id;
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut slot.side.instances)
            .into_iter()
            .partition(|instance| workers.contains(&instance.worker));
        let present: Vec<WorkerId> = kept.iter().map(|instance| instance.worker.clone()).collect();
        slot.side.instances = kept;
        for instance in gone {
            self.stop_instance(side, instance);
        }
        for (index, worker) in workers.iter().enumerate() {
            if !present.contains(worker) {
                self.start_instance(slot_ref, worker, index);
            }
        }
    }

    fn instance_mut(&mut self, key: &InstanceKey) -> Option<&mut Instance> {
        self.side_mut(key.side)?
            .instances
            .iter_mut()
            .find(|instance| instance.worker == key.worker && instance.generation == key.generation)
    }

    /// An instance came up or went down. An older generation is no news.
    pub fn instance_changed(&mut self, key: &InstanceKey, change: InstanceChange) {
        let now = self.now;
        let Some(instance) = self.instance_mut(key) else { return };
        match (change, &instance.state) {
            (InstanceChange::Up, InstanceState::Starting) => {
                // Even a start that takes no time is an event of its own.
                let at = instance.not_before.max(now);
                self.agenda.schedule(at, Event::InstanceReady(key.clone()));
            }
            (InstanceChange::Down { reason }, InstanceState::Starting) => self.instance_failed(key, reason),
            (InstanceChange::Down { reason }, InstanceState::Ready) => {
                self.instance_failed(key, reason);
                self.agenda.schedule(now + self.durations.revive, Event::InstanceRevived(key.clone()));
            }
            (InstanceChange::Up, _) | (InstanceChange::Down { .. }, InstanceState::Failed { .. }) => {}
        }
    }

    fn instance_failed(&mut self, key: &InstanceKey, reason: String) {
        let now = self.now;
        let Some(instance) = self.instance_mut(key) else { return };
        instance.state = InstanceState::Failed { reason };
        instance.since = now;
        if let Some(limit) = instance.limit.take() {
            self.agenda.cancel(limit);
        }
        self.source_changed(key.side);
    }

    pub(super) fn instance_ready(&mut self, key: &InstanceKey) {
        let now = self.now;
        let Some(instance) = self.instance_mut(key) else { return };
        if instance.state != InstanceState::Starting {
            return;
        }
        instance.state = InstanceState::Ready;
        instance.since = now;
        if let Some(limit) = instance.limit.take() {
            self.agenda.cancel(limit);
        }
        self.source_changed(key.side);
    }

    pub(super) fn instance_limit_reached(&mut self, key: &InstanceKey) {
        let starting = self.instance_mut(key).is_some_and(|found| found.state == InstanceState::Starting);
        if starting {
            self.instance_failed(key, "did not start within the expected time limit".to_owned());
            self.effects.push(Effect::StopInstance { key: key.clone(), drain: Duration::ZERO });
        }
    }

    pub(super) fn revive_instance(&mut self, key: &InstanceKey) {
        let failed = self
            .instance_mut(key)
            .is_some_and(|instance| matches!(instance.state, InstanceState::Failed { .. }));
        let Some(slot_ref) = self.slot_of_side(key.side).filter(|_| failed) else { return };
        let Some(side) = self.side_mut(key.side) else { return };
        let (dead, others) = std::mem::take(&mut side.instances)
            .into_iter()
            .partition(|instance| instance.worker == key.worker);
        side.instances = others;
        let dead: Vec<Instance> = dead;
        for instance in dead {
            self.stop_instance(key.side, instance);
        }
        self.fit_instances(&slot_ref);
    }
}
