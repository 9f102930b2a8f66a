//! Swap with preview: its first half and its cancellation (arm-app-service.md §8).
//!
//! Owns when a preview is allowed and what taking it back does. Its second half is
//! the ordinary swap.

use super::swap::shown;
use super::{Refusal, SlotRef, World};
use crate::emulator::scenario::Milestone;

impl World {
    /// Phase 1 of a swap with preview: the source wears the target's sticky settings and restarts. The answer
    /// comes before the restarts are over.
    ///
    /// # Errors
    ///
    /// 404, 400, 409.
    pub fn apply_slot_config(&mut self, source: &SlotRef, target: &SlotRef) -> Result<(), Refusal> {
        if self.guard_swap(source, target)? {
            let (slot, with) = (shown(&target.slot), shown(&source.slot));
            return Err(Refusal::AlreadyPrepared { slot, with });
        }
        if self.slot(source)?.authentication || self.slot(target)?.authentication {
            return Err(Refusal::AuthenticationEnabled);
        }
        let source_name = self.slot(source)?.name.clone();
        let now = self.now;
        if let Some(slot) = self.slot_mut(target) {
            slot.target_swap_slot = Some(source_name);
            // Production's lastModifiedTimeUtc was the time of the preceding preview (seen-in-recordings.md 2).
            slot.last_modified = now;
        }
        self.apply_settings(source, target);
        self.reach(Milestone::PreviewApplied);
        Ok(())
    }

    /// Cancels a pending preview. Works on its source and on its target: PowerShell resets the one, the CLI the
    /// other (arm-app-service.md §8, seen-in-recordings.md 9). On any other slot it does nothing, successfully.
    ///
    /// # Errors
    ///
    /// 404, 409 while an operation runs.
    pub fn reset_slot_config(&mut self, which: &SlotRef) -> Result<(), Refusal> {
        self.guard_write(which)?;
        let slot = self.slot(which)?;
        let partner = |name: &crate::names::SlotName| SlotRef::new(which.site.clone(), name.clone());
        let prepared = slot.prepared.as_ref().map(|prepared| (which.clone(), partner(&prepared.target)));
        let waiting = slot.target_swap_slot.as_ref().map(|source| (partner(source), which.clone()));
        for (source, target) in prepared.into_iter().chain(waiting) {
            if let Some(slot) = self.slot_mut(&target) {
                slot.target_swap_slot = None;
            }
            self.revert_settings(&source);
        }
        Ok(())
    }
}
