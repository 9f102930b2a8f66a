//! The routing table: the world's routes with the apps behind them.
//!
//! Owns the snapshot that the front end reads without the world's lock. A switch shows
//! in it at once and whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::app::App;
use crate::emulator::world::{InstanceKey, Routes, SlotRef};
use crate::names::SlotName;

/// All routes at one moment.
#[derive(Default)]
pub(in crate::emulator) struct Table {
    routes: HashMap<SlotRef, TableRoute>,
}

/// How one slot's host is served.
pub(in crate::emulator) struct TableRoute {
    pub(in crate::emulator) stopped: bool,
    pub(in crate::emulator) affinity: bool,
    pub(in crate::emulator) ready: Vec<Arc<App>>,
    pub(in crate::emulator) rules: Vec<(SlotName, f64)>,
}

impl Table {
    pub(super) fn new(routes: &Routes, apps: &HashMap<InstanceKey, Arc<App>>) -> Self {
        let routes = routes.iter().map(|(slot, route)| {
            let ready = route.ready.iter().filter_map(|key| apps.get(key).cloned()).collect();
            let rules = route.rules.clone();
            (slot.clone(), TableRoute { stopped: route.stopped, affinity: route.affinity, ready, rules })
        });
        Self { routes: routes.collect() }
    }

    pub(in crate::emulator) fn route(&self, slot: &SlotRef) -> Option<&TableRoute> {
        self.routes.get(slot)
    }
}
