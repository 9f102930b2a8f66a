//! Moves the world's time: the driver in real mode, commands in stepped mode.
//!
//! Owns waiting. Must not skip an event: stepped time stops at each, and goes on only
//! when the apps have answered.

use std::time::Duration;

use super::{InHand, Shared, lock};
use crate::emulator::scenario::TimeMode;

/// How long (in real time) a step waits for apps to answer before time goes on without them.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// The longest that `drain` moves the time or waits.
const DAY: Duration = Duration::from_secs(24 * 3600);
const DRAIN_LIMIT: Duration = Duration::from_secs(600);

impl Shared {
    /// The driver: lets happen what is due, then sleeps until more is.
    pub(super) async fn drive(self) {
        loop {
            let next = self.let_happen();
            let pause = next.and_then(|next| self.inner.clock.until(next));
            let due = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.inner.wake.notified() => {}
                () = due => {}
                () = self.inner.closing.cancelled() => return,
            }
        }
    }

    /// Lets everything happen that is due now; says when more is.
    fn let_happen(&self) -> Option<super::Timestamp> {
        let mut state = lock(&self.inner.state);
        let now = self.inner.clock.now();
        let mut happened = false;
        while state.world.happen_next(now) {
            happened = true;
        }
        state.world.advance_to(now);
        if happened {
            self.publish(&mut state);
        }
        state.world.next_due()
    }

    /// Sleeps on the world's clock. What the caller has in hand is put down meanwhile when the time is stepped,
    /// and taken up again at the waking, so that the time waits for what comes of it.
    pub(super) async fn sleep(&self, time: Duration, in_hand: Option<InHand>) -> Option<InHand> {
        if time.is_zero() {
            return in_hand;
        }
        if self.inner.clock.mode() == TimeMode::Real {
            tokio::time::sleep(time).await;
            return in_hand;
        }
        let woken = self.act(|world| {
            let id = world.set_alarm(world.now() + time);
            let (sender, receiver) = tokio::sync::oneshot::channel();
            lock(&self.inner.alarms).insert(id, sender);
            receiver
        });
        drop(in_hand);
        woken.await.ok()
    }

    /// Stepped mode: moves the time by so much, event by event, letting apps answer in between.
    pub async fn step(&self, by: Duration) {
        let until = self.now() + by;
        while self.step_to_next(until).await {}
        let mut state = lock(&self.inner.state);
        self.inner.clock.set(until);
        state.world.advance_to(until);
        self.publish(&mut state);
    }

    /// Lets apps answer, then one event happen; false when none is due until then.
    async fn step_to_next(&self, until: super::Timestamp) -> bool {
        self.settle().await;
        let mut state = lock(&self.inner.state);
        let Some(due) = state.world.next_due().filter(|due| *due <= until) else { return false };
        self.inner.clock.set(due);
        state.world.happen_next(due);
        self.publish(&mut state);
        true
    }

    /// Waits until the apps have answered what they were asked.
    async fn settle(&self) {
        // An app that is slower than this counts as one that does not answer.
        let _ = tokio::time::timeout(SETTLE_LIMIT, self.inner.work.idle()).await;
    }

    /// Stepped mode: moves the time until nothing is due any more (at most a day). In real mode waits until no
    /// operation, deployment or start is under way (at most ten minutes).
    pub async fn drain(&self) {
        if self.inner.clock.mode() == TimeMode::Real {
            self.wait_for(DRAIN_LIMIT, |world| (!world.is_busy()).then_some(())).await;
            return;
        }
        let last = self.now() + DAY;
        while self.step_to_next(last).await {}
    }
}
