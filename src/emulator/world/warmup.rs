//! The requests that a swap sends to its source instances (arm-app-service.md §7, 3 and 4).
//!
//! Owns which answers count and how often is tried. Must not send anything:
//! [`super::Effect::Ping`] asks the runtime.

use super::agenda::{Event, EventKey};
use super::operation::{OperationId, SwapStep};
use super::swap::shown;
use super::{Effect, InstanceKey, PingId, Refusal, SlotRef, World};

/// How often is tried before the swap fails: WEBSITE_SLOT_MAX_NUMBER_OF_TIMEOUTS, default 5
/// (arm-app-service.md §11).
const TRIES: u32 = 5;

/// A ping on its way, or waiting for its next try.
#[derive(Debug, Clone)]
pub(super) struct Ping {
    operation: OperationId,
    key: InstanceKey,
    /// For local cache any answer counts (arm-app-service.md §7, 3).
    fills_cache: bool,
    tries: u32,
    /// The event that will end the wait.
    next: EventKey,
}

/// What the source's settings say of pings.
struct PingRules {
    path: String,
    /// `None`: anything counts, 500 too (arm-app-service.md §11).
    statuses: Option<Vec<u16>>,
    tries: u32,
}

impl World {
    fn ping_rules(&self, source: &SlotRef, fills_cache: bool) -> PingRules {
        let setting = |name: &str| self.setting(source, name).filter(|text| !text.trim().is_empty());
        let tries = setting("WEBSITE_SLOT_MAX_NUMBER_OF_TIMEOUTS").and_then(|text| text.trim().parse().ok());
        let tries = tries.unwrap_or(TRIES).max(1);
        if fills_cache {
            return PingRules { path: "/".to_owned(), statuses: None, tries };
        }
        let path = setting("WEBSITE_SWAP_WARMUP_PING_PATH").unwrap_or_else(|| "/".to_owned());
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let statuses = setting("WEBSITE_SWAP_WARMUP_PING_STATUSES")
            .map(|text| text.split(',').filter_map(|part| part.trim().parse().ok()).collect());
        PingRules { path, statuses, tries }
    }

    /// Sends a ping to every source instance.
    pub(super) fn ping_source(&mut self, id: &OperationId, fills_cache: bool) {
        let Some(operation) = self.operation(id) else { return };
        let source = operation.source_ref();
        let Ok(slot) = self.slot(&source) else { return };
        let side = slot.side.id;
        let keys: Vec<InstanceKey> = slot
            .side
            .instances
            .iter()
            .map(|instance| InstanceKey {
                side,
                worker: instance.worker.clone(),
                generation: instance.generation,
            })
            .collect();
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.id == *id) {
            operation.cold = keys.iter().map(|key| key.worker.clone()).collect();
        }
        for key in keys {
            self.send_ping(&source, id.clone(), key, fills_cache, 1);
        }
    }

    fn send_ping(
        &mut self,
        source: &SlotRef,
        operation: OperationId,
        key: InstanceKey,
        fills_cache: bool,
        tries: u32,
    ) {
        let path = self.ping_rules(source, fills_cache).path;
        // A new id for every try, so that a late answer to an earlier one is none.
        let id = PingId(self.next_number());
        let next = self.agenda.schedule(self.now + self.durations.ping_timeout, Event::PingLimit(id));
        self.pings.insert(id, Ping { operation, key: key.clone(), fills_cache, tries, next });
        self.effects.push(Effect::Ping { id, key, path });
    }

    /// A ping was answered with this status, or could not be sent.
    pub fn ping_answered(&mut self, id: PingId, status: Option<u16>) {
        let Some(ping) = self.pings.remove(&id) else { return };
        self.agenda.cancel(ping.next);
        let Some(operation) = self.operation(&ping.operation).filter(|operation| operation.is_running())
        else {
            return;
        };
        let (source, step) = (operation.source_ref(), operation.step);
        let rules = self.ping_rules(&source, ping.fills_cache);
        let counts =
            status.is_some_and(|status| rules.statuses.is_none_or(|wanted| wanted.contains(&status)));
        if counts {
            self.worker_is_warm(&ping, step);
        } else if ping.tries >= rules.tries {
            let (site, slot) = (source.site.clone(), shown(&source.slot));
            self.fail_swap(&ping.operation, Refusal::PingFailed { site, slot });
        } else {
            let id = PingId(self.next_number());
            let next = self.agenda.schedule(self.now + self.durations.ping_retry, Event::PingAgain(id));
            self.pings.insert(id, Ping { next, ..ping });
        }
    }

    fn worker_is_warm(&mut self, ping: &Ping, step: SwapStep) {
        let operation = self.operations.iter_mut().find(|operation| operation.id == ping.operation);
        let Some(operation) = operation else { return };
        operation.cold.remove(&ping.key.worker);
        if operation.cold.is_empty() {
            self.schedule_end_of(&ping.operation, step);
        }
    }

    pub(super) fn ping_again(&mut self, id: PingId) {
        let Some(ping) = self.pings.remove(&id) else { return };
        let Some(source) = self.operation(&ping.operation).map(super::Operation::source_ref) else { return };
        self.send_ping(&source, ping.operation, ping.key, ping.fills_cache, ping.tries + 1);
    }

    /// Forgets the pings of an operation that ended.
    pub(super) fn forget_pings(&mut self, operation: &OperationId) {
        let (gone, kept) = std::mem::take(&mut self.pings)
            .into_iter()
            .partition(|(_, ping): &(PingId, Ping)| ping.operation == *operation);
        self.pings = kept;
        let gone: std::collections::BTreeMap<PingId, Ping> = gone;
        for ping in gone.into_values() {
            self.agenda.cancel(ping.next);
        }
    }
}
