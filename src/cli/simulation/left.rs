//! What a run that ended anywhere has left in the world, and what must come of it then.
//!
//! Owns the expectations of whoever comes after, drawn from the emulator's world: where the
//! builds lie, which swap still runs, which marks are open. Must not ask the code under test.

use super::Simulation;
use crate::emulator::world::{Slot, SwapStep, World};
use crate::facts::{End, Mark, Note};
use crate::names::SlotName;
use crate::release::machine::Outcome;

/// A slot's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// Its active deployment.
    pub(super) build: String,
    note: Option<Note>,
}

/// The world once the swap under way, if there is one, has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) production: Content,
    pub(super) staging: Content,
    /// Whether an operation runs now.
    pub(super) busy: bool,
    /// How many swaps will have been carried out.
    pub(super) switches: usize,
}

/// What of a release has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing: production is proven, or nothing was swapped and nothing says that it might be.
    Nothing,
    /// A swap was announced that never came.
    NeverSent,
    /// The new build is in production, and nobody has proven it.
    Unproven,
    /// The same, or it was proven, and then a swap back was announced that never came.
    BackNeverSent,
    /// The old build is back, and nobody has proven it.
    BackUnproven,
}

impl Left {
    pub(super) fn read(simulation: &Simulation) -> Self {
        simulation.inside.cloud().shared.read(|world| {
            let running = world.operations().iter().find(|operation| operation.is_running());
            let will_switch = running.is_some_and(|operation| operation.step < SwapStep::Switched);
            let mut sides = ["production", "staging"].map(|name| content(world, name));
            if will_switch {
                sides.reverse();
            }
            let [production, staging] = sides;
            let switches = super::truth::switches_of(world) + usize::from(will_switch);
            Self { production, staging, busy: running.is_some(), switches }
        })
    }

    /// What has no end, where this was production's build before the release.
    pub(super) fn open(&self, old: &str) -> Open {
        let is_open = |mark: &Option<Mark>| mark.as_ref().is_some_and(|mark| mark.end != Some(End::Proven));
        let marks = |content: &Content| {
            content
                .note
                .as_ref()
                .map_or((false, false), |note| (is_open(&note.swap), is_open(&note.rollback)))
        };
        if self.production.build != old {
            return match marks(&self.production) {
                (_, true) => Open::BackNeverSent,
                (true, false) => Open::Unproven,
                (false, false) => Open::Nothing,
            };
        }
        // Who took a release back by hand has closed its rollback, and its swap with it.
        let was_back = self.staging.note.as_ref().is_some_and(|note| note.rollback.is_some());
        match marks(&self.staging) {
            (_, true) => Open::BackUnproven,
            (true, false) if !was_back => Open::NeverSent,
            _ => Open::Nothing,
        }
    }

    /// Whether a rollback can go from the new build to this one, which lies in staging.
    pub(super) fn leads_back_to(&self, old: &str) -> bool {
        self.production.build != old && self.staging.build == old
    }
}

impl Open {
    /// What `settle` comes to.
    pub(super) fn settled(self, is_bad: bool) -> Outcome {
        match self {
            Self::Nothing | Self::NeverSent => Outcome::NothingToDo,
            Self::Unproven if !is_bad => Outcome::Released,
            Self::Unproven | Self::BackNeverSent | Self::BackUnproven => Outcome::RolledBack,
        }
    }

    /// Whether a deployment to staging would destroy the way back from what nobody has proven.
    pub(super) fn forbids_a_deployment(self) -> bool {
        matches!(self, Self::Unproven | Self::BackNeverSent)
    }
}

fn content(world: &World, name: &str) -> Content {
    let name = SlotName::new(name).expect("a slot's name");
    let slot = world.sites().find_map(|site| site.slots.get(&name)).expect("the slot is there");
    let build = slot.side.active_deployment().map(|record| record.id.clone()).unwrap_or_default();
    let note = note(slot, &build);
    Content { build, note }
}

/// The note lies beside the deployment's record, and moves with the content.
fn note(slot: &Slot, build: &str) -> Option<Note> {
    let file = slot.side.files.join("site/deployments").join(build).join("slotway.json");
    let text = std::fs::read_to_string(file).ok()?;
    Some(serde_json::from_str(&text).expect("a note that slotway wrote"))
}
