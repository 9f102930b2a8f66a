//! Counts what the runtime has in hand, so that stepped time waits for it.
//!
//! Owns the counter. A task that sleeps on the world's clock is not counted: it waits
//! for the time, not the time for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Work {
    count: AtomicUsize,
    done: Notify,
}

/// Held by a task from its effect to its answer.
pub(super) struct InHand {
    work: Arc<Work>,
}

impl Work {
    pub(super) fn begin(self: &Arc<Self>) -> InHand {
        self.count.fetch_add(1, Ordering::AcqRel);
        InHand { work: Arc::clone(self) }
    }

    /// Returns when nothing is in hand.
    pub(super) async fn idle(&self) {
        loop {
            let done = self.done.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            done.await;
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.work.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.work.done.notify_waiters();
        }
    }
}
