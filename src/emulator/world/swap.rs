//! The swap, step by step as arm-app-service.md §7 has it.
//!
//! Owns operations and the order of their steps. Must not do anything but change the
//! world and ask for effects; every step is an event of the agenda or an answer of
//! the runtime, so each can be seen from outside, also with durations of zero.

use std::collections::BTreeSet;

use super::agenda::Event;
use super::{
    InstanceState, Operation, OperationId, OperationState, Prepared, Refusal, SideId, Slot, SlotRef,
    SlotState, SlotSwapStatus, SwapStep, World,
};
use crate::emulator::scenario::Milestone;
use crate::names::SlotName;

/// A slot's name as `slotSwapStatus` and the error texts have it: production with a capital
/// (seen-in-recordings.md 1, arm-app-service.md §9).
pub(super) fn shown(slot: &SlotName) -> String {
    if slot.is_production() { "Production".to_owned() } else { slot.to_string() }
}

// ---------------------------------------------------------------- beginning
impl World {
    /// The operation that runs on a slot.
    pub(super) fn running_operation(&self, slot: &SlotRef) -> Option<&Operation> {
        // Newest first: all but the last few have ended.
        self.operations.iter().rev().find(|operation| {
            operation.is_running()
                && operation.site == slot.site
                && (operation.source == slot.slot || operation.target == slot.slot)
        })
    }

    /// What a swap and a preview check alike. Gives whether a preview of this very pair is pending.
    pub(super) fn guard_swap(&self, source: &SlotRef, target: &SlotRef) -> Result<bool, Refusal> {
        self.guard_write(source)?;
        if source == target {
            let message = format!("Source and target slot are the same: '{}'.", shown(&source.slot));
            return Err(Refusal::BadRequest { message });
        }
        if source.site != target.site || self.slot(target).is_err() {
            return Err(Refusal::TargetSlotNotFound { site: source.site.clone(), slot: target.slot.clone() });
        }
        self.guard_write(target)?;
        let (from, to) = (self.slot(source)?, self.slot(target)?);
        let pending = from.prepared.as_ref().is_some_and(|prepared| prepared.target == target.slot)
            && to.target_swap_slot.as_ref() == Some(&source.slot);
        if pending {
            return Ok(true);
        }
        for slot in [to, from] {
            let prepared = slot.prepared.as_ref().map(|prepared| &prepared.target);
            if let Some(with) = slot.target_swap_slot.as_ref().or(prepared) {
                return Err(Refusal::AlreadyPrepared { slot: shown(&slot.name), with: shown(with) });
            }
        }
        Ok(false)
    }

    /// Begins a swap (arm-app-service.md §6); the answer is 202 with the id. It completes a pending preview
    /// of the same pair.
    ///
    /// # Errors
    ///
    /// 404, 400 when both are one slot, 409.
    pub fn begin_swap(
        &mut self,
        source: &SlotRef,
        target: &SlotRef,
        preserve_vnet: bool,
    ) -> Result<OperationId, Refusal> {
        self.guard_swap(source, target)?;
        let id = OperationId(self.ids.guid());
        let step = SwapStep::Accepted;
        let due = self.agenda.schedule(self.now + self.durations.swap_apply, Event::Swap(id.clone(), step));
        // The names in the spelling of the slots, whatever the request's.
        let (source_name, target_name) = (self.slot(source)?.name.clone(), self.slot(target)?.name.clone());
        self.operations.push(Operation {
            id: id.clone(),
            site: self.site_of(&source.site)?.name.clone(),
            source: source_name,
            target: target_name,
            asked_by: None,
            preserve_vnet,
            created: self.now,
            ended: None,
            state: OperationState::Running,
            step,
            steps: vec![(step, self.now)],
            due: Some(due),
            cold: BTreeSet::new(),
        });
        for slot in [source, target] {
            if let Some(slot) = self.slot_mut(slot) {
                slot.in_progress_operation = Some(id.clone());
            }
        }
        self.reach(Milestone::SwapAccepted);
        Ok(id)
    }
}

// ---------------------------------------------------------------- steps
impl World {
    /// Remembers who began an operation.
    pub fn attribute(&mut self, id: &OperationId, request: Option<&str>) {
        if let Some(operation) = self.operation_mut(id) {
            operation.asked_by = request.map(str::to_owned);
        }
    }

    fn operation_mut(&mut self, id: &OperationId) -> Option<&mut Operation> {
        self.operations.iter_mut().rev().find(|operation| operation.id == *id)
    }

    /// Puts an operation at a step, and the step's end into the agenda if it is known.
    fn enter(&mut self, id: &OperationId, step: SwapStep, lasts: Option<std::time::Duration>) {
        let now = self.now;
        let due = lasts.map(|lasts| self.agenda.schedule(now + lasts, Event::Swap(id.clone(), step)));
        if let Some(operation) = self.operation_mut(id) {
            operation.step = step;
            operation.steps.push((step, now));
            operation.due = due;
        }
    }

    /// A swap's event: the step named is over.
    pub(super) fn swap_step_over(&mut self, id: &OperationId, step: SwapStep) {
        let Some(operation) = self.operation_mut(id).filter(|op| op.is_running() && op.step == step) else {
            return;
        };
        operation.due = None;
        let operation = operation.clone();
        let source = operation.source_ref();
        match step {
            SwapStep::Accepted => {
                self.apply_settings(&source, &operation.target_ref());
                self.enter(id, SwapStep::RestartingSource, None);
                self.source_looked_at(id);
            }
            SwapStep::RestartingSource if self.uses_local_cache(&source) => {
                self.enter(id, SwapStep::FillingCache, None);
                self.ping_source(id, true);
            }
            SwapStep::RestartingSource | SwapStep::RestartingAfterCache => {
                self.enter(id, SwapStep::WarmingUp, None);
                self.ping_source(id, false);
            }
            SwapStep::FillingCache => {
                self.restart_instances(&source);
                self.enter(id, SwapStep::RestartingAfterCache, None);
                self.source_looked_at(id);
            }
            SwapStep::WarmingUp => self.enter(id, SwapStep::Switching, Some(self.durations.swap_switch)),
            SwapStep::Switching if !self.all_ready(&source) => {
                let refusal = self.not_started(&source);
                self.fail_swap(id, refusal);
            }
            SwapStep::Switching => {
                self.switch(&operation);
                self.enter(id, SwapStep::Switched, Some(std::time::Duration::ZERO));
                self.reach(Milestone::SwapSwitched);
            }
            SwapStep::Switched => {
                self.restart_other(&source);
                self.enter(id, SwapStep::RestartingOther, Some(self.durations.swap_finish));
            }
            SwapStep::RestartingOther => self.finish_swap(&operation),
            SwapStep::Finished => {}
        }
    }

    fn uses_local_cache(&self, source: &SlotRef) -> bool {
        self.setting(source, "WEBSITE_LOCAL_CACHE_OPTION")
            .is_some_and(|value| value.eq_ignore_ascii_case("always"))
    }

    fn all_ready(&self, slot: &SlotRef) -> bool {
        self.slot(slot).is_ok_and(|slot| {
            let instances = &slot.side.instances;
            !instances.is_empty() && instances.iter().all(|instance| instance.state == InstanceState::Ready)
        })
    }

    /// Step 1: the target's sticky settings go to the source, whose instances restart if there are any
    /// (arm-app-service.md §7, 1). Nothing is left to do when a preview has done it.
    pub(super) fn apply_settings(&mut self, source: &SlotRef, target: &SlotRef) {
        let Some(site) = self.sites.get_mut(&source.site) else { return };
        let Some(to) = site.slots.get(&target.slot) else { return };
        let (mut settings, mut strings) = (to.app_settings.clone(), to.connection_strings.clone());
        let Some(from) = site.slots.get_mut(&source.slot).filter(|slot| slot.prepared.is_none()) else {
            return;
        };
        let rules = super::settings::Stickiness::of(&site.slot_setting_names, &from.app_settings, &settings);
        let theirs = rules.take(&mut settings, &mut strings);
        let own = rules.take(&mut from.app_settings, &mut from.connection_strings);
        let restarted = !theirs.is_empty() || !own.is_empty();
        from.app_settings.extend(theirs.app_settings);
        from.connection_strings.extend(theirs.connection_strings);
        from.prepared = Some(Prepared { target: target.slot.clone(), own, rules, restarted });
        from.last_modified = self.now;
        if restarted {
            self.restart_scm(source);
            self.restart_instances(source);
        }
    }

    /// Takes a slot's preparation back: its own sticky settings return, its instances restart.
    pub(super) fn revert_settings(&mut self, source: &SlotRef) {
        let now = self.now;
        let Some(slot) = self.slot_mut(source) else { return };
        let Some(prepared) = slot.prepared.take() else { return };
        prepared.rules.take(&mut slot.app_settings, &mut slot.connection_strings);
        slot.app_settings.extend(prepared.own.app_settings);
        slot.connection_strings.extend(prepared.own.connection_strings);
        slot.last_modified = now;
        if prepared.restarted {
            self.restart_scm(source);
            self.restart_instances(source);
        }
    }

    /// Looks whether a swap can go on, after something about its source changed.
    pub(super) fn source_changed(&mut self, side: SideId) {
        let Some(slot) = self.slot_of_side(side) else { return };
        let running = self.running_operation(&slot).filter(|operation| operation.source == slot.slot);
        if let Some(id) = running.map(|operation| operation.id.clone()) {
            self.source_looked_at(&id);
        }
    }

    /// Step 2 and its like: waits for every source instance; one that failed ends the swap
    /// (arm-app-service.md §7, 2).
    fn source_looked_at(&mut self, id: &OperationId) {
        let Some(operation) = self.operation(id).cloned() else { return };
        if operation.step >= SwapStep::Switched || operation.step == SwapStep::Accepted {
            return;
        }
        let source = operation.source_ref();
        let Ok(slot) = self.slot(&source) else { return };
        let instances = &slot.side.instances;
        let failed = instances.iter().any(|instance| matches!(instance.state, InstanceState::Failed { .. }));
        if failed || instances.is_empty() {
            let refusal = self.not_started(&source);
            return self.fail_swap(id, refusal);
        }
        let waits = matches!(operation.step, SwapStep::RestartingSource | SwapStep::RestartingAfterCache);
        let ready = instances.iter().all(|instance| instance.state == InstanceState::Ready);
        match (waits, ready, operation.due) {
            (true, true, None) => self.schedule_end_of(id, operation.step),
            (true, false, Some(due)) => {
                // One came up and another went away before the swap looked.
                self.agenda.cancel(due);
                if let Some(operation) = self.operation_mut(id) {
                    operation.due = None;
                }
            }
            _ => {}
        }
    }

    /// The source restarted for another reason: the swap waits for it again.
    pub(super) fn prepare_source_again(&mut self, id: &OperationId) {
        self.forget_pings(id);
        if let Some(due) = self.operation(id).and_then(|operation| operation.due) {
            self.agenda.cancel(due);
        }
        self.enter(id, SwapStep::RestartingSource, None);
        self.source_looked_at(id);
    }

    /// The step ends as soon as its event comes up: now, but not in the same breath.
    pub(super) fn schedule_end_of(&mut self, id: &OperationId, step: SwapStep) {
        let due = self.agenda.schedule(self.now, Event::Swap(id.clone(), step));
        if let Some(operation) = self.operation_mut(id) {
            operation.due = Some(due);
        }
    }

    /// How a swap fails whose source does not run. On Linux the words are those of the failed ping
    /// (arm-app-service.md §7, last lines); a stopped source is unconfirmed.
    fn not_started(&self, source: &SlotRef) -> Refusal {
        let (site, slot) = (source.site.clone(), shown(&source.slot));
        let linux = self.site_of(&source.site).is_ok_and(super::Site::is_linux);
        let stopped = self.slot(source).is_ok_and(|slot| slot.state == SlotState::Stopped);
        if linux && !stopped {
            Refusal::PingFailed { site, slot }
        } else {
            Refusal::WorkerNotStarted { site, slot }
        }
    }

    /// Ends a swap before its switch: all source changes are reverted (arm-app-service.md §7, 2), a pending
    /// preview with them (unconfirmed).
    pub(super) fn fail_swap(&mut self, id: &OperationId, refusal: Refusal) {
        let Some(operation) = self.operation(id).filter(|operation| operation.is_running()).cloned() else {
            return;
        };
        if let Some(due) = operation.due {
            self.agenda.cancel(due);
        }
        self.forget_pings(id);
        // Ended first, so that the restart of the source is not taken for one of its steps.
        self.end_operation(&operation, OperationState::Failed(refusal));
        if let Some(target) = self.slot_mut(&operation.target_ref()) {
            target.target_swap_slot = None;
        }
        self.revert_settings(&operation.source_ref());
        self.reach(Milestone::SwapFailed);
    }

    fn end_operation(&mut self, operation: &Operation, state: OperationState) {
        let now = self.now;
        if let Some(operation) = self.operation_mut(&operation.id) {
            operation.state = state;
            operation.ended = Some(now);
            operation.due = None;
        }
        for slot in [operation.source_ref(), operation.target_ref()] {
            if let Some(slot) = self.slot_mut(&slot) {
                slot.in_progress_operation = None;
            }
        }
    }

    /// A plan changed its size: swaps that have not switched fail (arm-app-service.md §9).
    pub(super) fn allocation_changed(&mut self, plan: &str) {
        let hit: Vec<(OperationId, Refusal)> = self
            .operations
            .iter()
            .filter(|operation| operation.is_running() && operation.step < SwapStep::Switched)
            .filter(|operation| self.sites.get(&operation.site).is_some_and(|site| site.plan == plan))
            .map(|operation| {
                let (site, slot) = (operation.site.clone(), shown(&operation.source));
                (operation.id.clone(), Refusal::AllocationChanged { site, slot })
            })
            .collect();
        for (id, refusal) in hit {
            self.fail_swap(&id, refusal);
        }
    }
}

// ---------------------------------------------------------------- the switch and after
impl World {
    /// Step 5: the sides change slots (arm-app-service.md §7, 5). Nothing restarts: the target serves the
    /// instances that are warm.
    fn switch(&mut self, operation: &Operation) {
        let Some(site) = self.sites.get_mut(&operation.site) else { return };
        let Some(mut source) = site.slots.remove(&operation.source) else { return };
        if let Some(target) = site.slots.get_mut(&operation.target) {
            exchange(&mut source, target, operation.preserve_vnet);
        }
        site.slots.insert(operation.source.clone(), source);
        let target = operation.target_ref();
        if self.slot(&target).is_ok_and(|slot| slot.state == SlotState::Stopped) {
            self.stop_instances(&target);
        }
    }

    /// Step 6: the old production restarts with the settings of the slot it is in now.
    fn restart_other(&mut self, source: &SlotRef) {
        let now = self.now;
        if let Some(slot) = self.slot_mut(source) {
            slot.last_modified = now;
        }
        self.restart_scm(source);
        self.restart_instances(source);
    }

    fn finish_swap(&mut self, operation: &Operation) {
        let status = SlotSwapStatus {
            timestamp: self.now,
            source: shown(&operation.source),
            destination: shown(&operation.target),
        };
        for slot in [operation.source_ref(), operation.target_ref()] {
            if let Some(slot) = self.slot_mut(&slot) {
                slot.slot_swap_status = Some(status.clone());
            }
        }
        self.enter(&operation.id, SwapStep::Finished, None);
        self.end_operation(operation, OperationState::Succeeded);
        self.reach(Milestone::SwapFinished);
    }
}

/// Exchanges two slots: sides, stack and the settings that move. The sticky settings end where they were
/// before the swap; the source wears the target's since step 1.
fn exchange(source: &mut Slot, target: &mut Slot, preserve_vnet: bool) {
    use std::mem::swap;
    let Some(prepared) = source.prepared.take() else { return };
    target.target_swap_slot = None;
    let theirs = prepared.rules.take(&mut target.app_settings, &mut target.connection_strings);
    prepared.rules.take(&mut source.app_settings, &mut source.connection_strings);
    swap(&mut source.app_settings, &mut target.app_settings);
    swap(&mut source.connection_strings, &mut target.connection_strings);
    target.app_settings.extend(theirs.app_settings);
    target.connection_strings.extend(theirs.connection_strings);
    source.app_settings.extend(prepared.own.app_settings);
    source.connection_strings.extend(prepared.own.connection_strings);
    swap(&mut source.side, &mut target.side);
    // It moves with the content (seen-in-recordings.md 2).
    swap(&mut source.last_modified, &mut target.last_modified);
    source.web_config.exchange_what_moves(&mut target.web_config);
    if !preserve_vnet {
        swap(&mut source.subnet, &mut target.subnet);
    }
}
