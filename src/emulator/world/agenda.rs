//! What will happen when: the only clock of the world.
//!
//! Owns the order of events by time, then by the order in which they were put down.
//! Must not know what an event does.

use std::collections::BTreeMap;

use super::Timestamp;
use super::deployment::DeploymentKey;
use super::instance::InstanceKey;
use super::operation::{OperationId, SwapStep};
use super::site::SlotRef;
use super::{AlarmId, PingId};

/// Where an event stands in the agenda.
pub type EventKey = (Timestamp, u64);

/// Something that will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The next step of a swap, if it is still at the step named.
    Swap(OperationId, SwapStep),
    /// An instance that answers may count as ready.
    InstanceReady(InstanceKey),
    /// An instance has had its time to start.
    InstanceLimit(InstanceKey),
    /// An instance that died is started again.
    InstanceRevived(InstanceKey),
    /// A ping has had its time to answer.
    PingLimit(PingId),
    /// A ping is tried again.
    PingAgain(PingId),
    /// A deployment goes on.
    Deployment(DeploymentKey),
    /// Kudu is back.
    ScmUp(SlotRef),
    /// The scenario's actor of this number acts.
    Actor(usize),
    /// The runtime asked to be told.
    Alarm(AlarmId),
}

/// The events to come.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    events: BTreeMap<EventKey, Event>,
    sequence: u64,
}

impl Agenda {
    /// Puts an event down.
    pub fn schedule(&mut self, at: Timestamp, event: Event) -> EventKey {
        self.sequence += 1;
        let key = (at, self.sequence);
        self.events.insert(key, event);
        key
    }

    /// Strikes an event out; one that has happened is none any more.
    pub fn cancel(&mut self, key: EventKey) {
        self.events.remove(&key);
    }

    /// When the next event is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event that is due at `until` or before.
    pub fn take_due(&mut self, until: Timestamp) -> Option<(Timestamp, Event)> {
        let first = self.events.first_entry()?;
        if first.key().0 > until {
            return None;
        }
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
    }
}
