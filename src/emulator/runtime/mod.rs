//! Carries out what the world asks for, and moves its time.
//!
//! Owns the one lock around the world, the driver task, and everything that runs:
//! app processes, static files, scripted apps, unpacking. Must not decide anything
//! that App Service decides.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::world::{InstanceKey, SlotRef, WorkerId, World};

/// The world with its runtime; cheap to clone.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {}

impl Shared {
    /// Starts the driver task. Must be called inside a tokio runtime.
    pub fn start(world: World, mode: super::scenario::TimeMode) -> Self {
        let _ = (world, mode);
        Self { inner: Arc::new(Inner {}) }
    }

    /// Locks the world, lets everything due happen, runs the closure, hands the effects out and wakes the
    /// driver. The closure must be short and must not block.
    pub fn act<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let _ = (change, &self.inner);
        unimplemented!()
    }

    /// Locks the world and reads. It is as the driver left it, at most a moment old.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let _ = look;
        unimplemented!()
    }

    /// A counter that grows with every change: await `changed()` instead of sleeping, then `read` again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// Waits until the closure gives something, looking after every change; `None` when the (real)
    /// time is over.
    pub async fn wait_for<T>(&self, limit: Duration, look: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let _ = (limit, look);
        unimplemented!()
    }

    /// Stepped mode: moves the time by so much, event by event, letting apps answer in between.
    pub async fn step(&self, by: Duration) {
        let _ = by;
        unimplemented!()
    }

    /// Stepped mode: moves the time until nothing is due any more (at most a day). In real mode waits until no
    /// operation, deployment or start is under way.
    pub async fn drain(&self) {
        unimplemented!()
    }

    /// The container log of an instance, or of all instances of a slot when no worker is named: what the app
    /// wrote, bounded, newest part, with the platform's own lines.
    pub fn container_log(&self, slot: &SlotRef, worker: Option<&WorkerId>) -> String {
        let _ = (slot, worker);
        unimplemented!()
    }

    /// Makes a scripted or any other app answer a path with a status from now on, whatever it would say
    /// (the control endpoint's `app-fails`); `None` ends it. It belongs to the content and moves with it.
    pub fn force_answer(&self, slot: &SlotRef, path: &str, status: Option<u16>) {
        let _ = (slot, path, status);
        unimplemented!()
    }

    /// Whether the app of an instance runs, for tests.
    pub fn is_running(&self, key: &InstanceKey) -> bool {
        let _ = key;
        unimplemented!()
    }

    /// Ends the driver and kills every app; returns when all processes are gone.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
