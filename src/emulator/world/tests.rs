//! What the world is tested with: a stage with a runtime that answers as the test says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::emulator::scenario::Scenario;
use crate::names::SlotName;

mod deployments;
mod previews;
mod random;
mod slots;
mod swaps;

/// A world and its stand-in runtime.
pub(super) struct Stage {
    pub(super) world: World,
    /// Effects that have not been answered.
    pub(super) open: Vec<Effect>,
}

pub(super) fn slot(name: &str) -> SlotRef {
    SlotRef::new(SiteName::new("contoso-web").expect("name"), SlotName::new(name).expect("name"))
}

pub(super) fn staging() -> SlotRef {
    slot("staging")
}

pub(super) fn production() -> SlotRef {
    slot("production")
}

pub(super) fn hosts(number: u16) -> SlotHosts {
    SlotHosts { app: format!("127.0.0.1:{number}"), scm: format!("127.0.0.1:{}", number + 1) }
}

pub(super) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Stage {
    /// A world from a scenario, before anything has started.
    pub(super) fn raw(scenario: &str) -> Self {
        let scenario = Scenario::from_yaml(scenario).expect("scenario");
        let hosts =
            scenario.slot_names().into_iter().zip(1u16..).map(|(name, n)| (name, hosts(4000 + 2 * n)));
        let now = time::macros::datetime!(2026-11-21 12:00 UTC);
        let world = World::new(&scenario, &hosts.collect(), "/contents".into(), now).expect("world");
        Self { world, open: Vec::new() }
    }

    /// A world in which every app runs.
    pub(super) fn new(scenario: &str) -> Self {
        let mut stage = Self::raw(scenario);
        stage.settle();
        stage
    }

    /// Lets one event happen, or else answers one effect well. False when there is nothing of either.
    pub(super) fn one(&mut self) -> bool {
        self.open.extend(self.world.take_effects());
        let now = self.world.now();
        if self.world.happen_next(now) {
            return true;
        }
        match self.open.is_empty() {
            true => false,
            false => {
                let effect = self.open.remove(0);
                self.answer(effect, true);
                true
            }
        }
    }

    /// Answers an effect: well, or badly.
    pub(super) fn answer(&mut self, effect: Effect, well: bool) {
        match effect {
            Effect::StartInstance { key, .. } if well => {
                self.world.instance_changed(&key, InstanceChange::Up);
            }
            Effect::StartInstance { key, .. } => {
                let reason = "does not start".to_owned();
                self.world.instance_changed(&key, InstanceChange::Down { reason });
            }
            Effect::Ping { id, .. } => self.world.ping_answered(id, if well { Some(200) } else { None }),
            Effect::Unpack { key, .. } => {
                let result = if well { Ok(()) } else { Err("no zip".to_owned()) };
                self.world.unpacked(&key, result);
            }
            Effect::StopInstance { .. } | Effect::Remove(_) | Effect::Alarm(_) => {}
        }
    }

    /// Lets everything happen, in time too, answering well, until the world is quiet.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.one() {
                continue;
            }
            match self.world.next_due() {
                Some(due) => self.world.advance_to(due),
                None => return,
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets everything happen until the condition holds.
    pub(super) fn until(&mut self, what: &str, condition: impl Fn(&Stage) -> bool) {
        for _ in 0..100_000 {
            self.look();
            if condition(self) {
                return;
            }
            if !self.one() {
                let due = self.world.next_due().unwrap_or_else(|| panic!("never: {what}"));
                self.world.advance_to(due);
            }
        }
        panic!("never: {what}");
    }

    pub(super) fn swap(&mut self) -> OperationId {
        self.world.begin_swap(&staging(), &production(), true).expect("swap begins")
    }

    pub(super) fn step_of(&self, id: &OperationId) -> SwapStep {
        self.world.operation(id).expect("operation").step
    }

    pub(super) fn at(&mut self, id: &OperationId, step: SwapStep) {
        self.until(&format!("{step:?}"), |stage| stage.step_of(id) >= step);
        assert_eq!(self.step_of(id), step);
    }

    pub(super) fn state(&self, id: &OperationId) -> OperationState {
        self.world.operation(id).expect("operation").state.clone()
    }

    pub(super) fn slot(&self, slot: &SlotRef) -> &Slot {
        self.world.slot(slot).expect("slot")
    }

    pub(super) fn content(&self, slot: &SlotRef) -> &str {
        &self.slot(slot).side.content_id
    }

    pub(super) fn generations(&self, slot: &SlotRef) -> Vec<u64> {
        self.slot(slot).side.instances.iter().map(|instance| instance.generation).collect()
    }

    pub(super) fn all_ready(&self, slot: &SlotRef) -> bool {
        let instances = &self.slot(slot).side.instances;
        !instances.is_empty() && instances.iter().all(|instance| instance.state == InstanceState::Ready)
    }

    /// Takes the effects that are asked for now and answers none.
    pub(super) fn look(&mut self) -> &[Effect] {
        self.open.extend(self.world.take_effects());
        &self.open
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        let then = self.world.now() + Duration::from_secs(seconds);
        self.world.advance_to(then);
    }
}
