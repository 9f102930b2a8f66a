//! Instances: the app of a side on a worker.
//!
//! Owns their states. Must not start anything: [`super::Effect::StartInstance`] asks
//! the runtime, which answers with [`super::World::instance_changed`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Timestamp;
use super::agenda::EventKey;
use super::site::{SideId, SlotRef, WorkerId};

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
    /// What is served: `/home/site/wwwroot`.
    pub folder: PathBuf,
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
