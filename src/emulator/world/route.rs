//! What the front end needs to know, as a snapshot.
//!
//! Owns which instances may answer for a host now. Pure reading.

use std::collections::BTreeMap;

use super::{InstanceKey, InstanceState, SlotRef, SlotState, World};
use crate::names::SlotName;

/// How requests to one slot's host are answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Whether the slot is stopped.
    pub stopped: bool,
    /// Whether ARRAffinity is set.
    pub affinity: bool,
    /// The instances that answer, in the order of the workers' names.
    pub ready: Vec<InstanceKey>,
    /// The ramp-up rules of production: slot and per cent.
    pub rules: Vec<(SlotName, f64)>,
}

/// The routes of all hosts.
pub type Routes = BTreeMap<SlotRef, Route>;

impl World {
    /// The routes as they are now.
    pub fn routes(&self) -> Routes {
        let mut routes = Routes::new();
        for site in self.sites.values() {
            for slot in site.slots.values() {
                let mut ready: Vec<InstanceKey> = slot
                    .side
                    .instances
                    .iter()
                    .filter(|instance| instance.state == InstanceState::Ready)
                    .map(|instance| InstanceKey {
                        side: slot.side.id,
                        worker: instance.worker.clone(),
                        generation: instance.generation,
                    })
                    .collect();
                ready.sort_by(|one, other| one.worker.cmp(&other.worker));
                let rules = &slot.web_config.experiments.ramp_up_rules;
                let rules = if slot.name.is_production() { rules.as_slice() } else { &[] };
                let rules = rules
                    .iter()
                    .filter_map(|rule| Some((SlotName::new(&rule.name).ok()?, rule.reroute_percentage)))
                    .filter(|(name, _)| site.slots.contains_key(name))
                    .collect();
                let route = Route {
                    stopped: slot.state == SlotState::Stopped,
                    affinity: slot.client_affinity,
                    ready,
                    rules,
                };
                routes.insert(SlotRef::new(site.name.clone(), slot.name.clone()), route);
            }
        }
        routes
    }
}
