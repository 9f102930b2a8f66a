//! Counts the requests that are inside an instance, and shuts it.
//!
//! Owns the promise that a request is either refused at the gate or waited for. No
//! lock: it stands on the path of every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Set in the counter once the gate is shut.
const SHUT: usize = 1 << (usize::BITS - 1);

/// The gate of one instance.
#[derive(Default)]
pub(super) struct Gate {
    inside: AtomicUsize,
    left: Notify,
}

/// Held while a request is inside; dropped when its answer has been sent whole.
pub(in crate::emulator) struct Pass {
    gate: Arc<Gate>,
}

impl Gate {
    /// Lets a request in, unless the gate is shut.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Pass> {
        let before = self.inside.fetch_add(1, Ordering::AcqRel);
        let pass = Pass { gate: Arc::clone(self) };
        (before & SHUT == 0).then_some(pass)
    }

    /// Lets nobody in any more.
    pub(super) fn shut(&self) {
        self.inside.fetch_or(SHUT, Ordering::AcqRel);
    }

    /// Returns when nobody is inside. Only for a gate that is shut.
    pub(super) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.inside.load(Ordering::Acquire) & !SHUT == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let before = self.gate.inside.fetch_sub(1, Ordering::AcqRel);
        if before == SHUT | 1 {
            self.gate.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_shut_gate_lets_nobody_in_and_is_empty_when_the_last_has_left() {
        let gate = Arc::new(Gate::default());
        let (one, two) = (gate.enter().expect("open"), gate.enter().expect("open"));
        gate.shut();
        assert!(gate.enter().is_none());
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.empty().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .expect("empty in time")
            .expect("no panic");
    }
}
