//! What somebody else may do to the same app while a run is on its way.
//!
//! Owns the list for the table. Must not know a verb.

use super::packages;
use crate::emulator::inside::Inside;
use crate::emulator::scenario::Action;
use crate::emulator::world::SlotRef;
use crate::names::{SiteName, SlotName};

/// What somebody else does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// One of an actor's actions.
    World(Action),
    /// Prepares a swap with preview of staging.
    Preview,
}

impl Deed {
    /// Whether production may serve something else for it.
    pub(super) fn reaches_production(&self) -> bool {
        match self {
            Self::World(Action::Swap { .. }) => true,
            Self::World(Action::Deploy { slot, .. }) => slot.is_production(),
            _ => false,
        }
    }

    /// Whether it is a swap.
    pub(super) fn is_swap(&self) -> bool {
        matches!(self, Self::World(Action::Swap { .. }))
    }
}

/// All of the table, by their names there.
pub(super) fn all() -> Vec<(&'static str, Deed)> {
    let (staging, production) = (staging(), SlotName::production());
    let deploy = |slot: &SlotName| Action::Deploy { slot: slot.clone(), package: packages::path("3") };
    let set = [("COLOUR".to_owned(), "blue".to_owned())];
    let world = |name, action| (name, Deed::World(action));
    vec![
        world("others swap", Action::Swap { source: staging.clone(), target: production.clone() }),
        world("others deploy to staging", deploy(&staging)),
        world("others deploy to production", deploy(&production)),
        ("others prepare a preview", Deed::Preview),
        world("others set staging", Action::Settings { slot: staging.clone(), set: set.clone().into() }),
        world("others set production", Action::Settings { slot: production.clone(), set: set.into() }),
        world("others scale out", Action::Scale { workers: 3 }),
        world("staging's SCM restarts", Action::RestartScm { slot: staging }),
        world("production's SCM restarts", Action::RestartScm { slot: production }),
    ]
}

/// Does it; what Azure refuses is not done, which is so for everybody.
pub(super) fn act(inside: &Inside, deed: &Deed) {
    let site = SiteName::new("shop").expect("four letters are an app's name");
    let (source, target) = (SlotRef::new(site.clone(), staging()), SlotRef::production(site));
    let _ = inside.cloud().shared.act(|world| match deed {
        Deed::World(action) => world.perform(action.clone()),
        Deed::Preview => world.apply_slot_config(&source, &target),
    });
}

fn staging() -> SlotName {
    SlotName::new("staging").expect("seven letters are a slot's name")
}
