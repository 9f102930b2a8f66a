//! Carries out what the world asks for, and moves its time.
//!
//! Owns the one lock around the world, the driver task, and everything that runs:
//! app processes, static files, scripted apps, unpacking. Must not decide anything
//! that App Service decides.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::scenario::TimeMode;
use super::world::{AlarmId, InstanceKey, Routes, SideId, SlotRef, Timestamp, WorkerId, World};

pub(in crate::emulator) mod app;
pub mod body;
mod carry;
mod clock;
pub(in crate::emulator) mod connection;
mod detect;
mod gate;
mod output;
mod process;
mod scripted;
mod static_files;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod unpack;
mod work;

use app::App;
use clock::Clock;
pub(in crate::emulator) use gate::Pass;
pub(in crate::emulator) use table::{Table, TableRoute};
pub(in crate::emulator) use unpack::unpack_image;
use work::{InHand, Work};

/// How long a shutdown waits for apps that do not end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(15);

/// The world with its runtime; cheap to clone.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    clock: Clock,
    /// Counts changes of the world.
    changes: watch::Sender<u64>,
    /// What the front end reads; changes with the world, under its lock.
    table: watch::Sender<Arc<Table>>,
    wake: Notify,
    apps: Mutex<HashMap<InstanceKey, Arc<App>>>,
    alarms: Mutex<HashMap<AlarmId, oneshot::Sender<InHand>>>,
    logs: output::Logs,
    forced: Mutex<HashMap<(SideId, String), u16>>,
    /// Whether there is any forced answer: spares every request the lock.
    any_forced: AtomicBool,
    work: Arc<Work>,
    tasks: TaskTracker,
    closing: CancellationToken,
    base_environment: BTreeMap<OsString, OsString>,
    front_wait: Duration,
    /// Counts the front end's requests, for taking turns.
    turns: AtomicU64,
}

struct State {
    world: World,
    /// What the table was made of.
    routes: Routes,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking test left behind is still a world.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Starts the driver task. Must be called inside a tokio runtime. The environment is what every app process
    /// gets besides its settings: the composition root passes on PATH and little else, no secrets.
    pub fn start(world: World, mode: TimeMode, environment: BTreeMap<OsString, OsString>) -> Self {
        let inner = Inner {
            clock: Clock::new(world.now(), mode),
            changes: watch::Sender::new(0),
            table: watch::Sender::default(),
            wake: Notify::new(),
            apps: Mutex::default(),
            alarms: Mutex::default(),
            logs: output::Logs::default(),
            forced: Mutex::default(),
            any_forced: AtomicBool::new(false),
            work: Arc::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            base_environment: environment,
            front_wait: world.durations().front_wait,
            turns: AtomicU64::new(0),
            state: Mutex::new(State { world, routes: Routes::new() }),
        };
        let shared = Self { inner: Arc::new(inner) };
        shared.act(|_| ());
        shared.track(shared.clone().drive());
        shared
    }

    /// Locks the world, lets everything due happen, runs the closure, hands the effects out and wakes the
    /// driver. The closure must be short, must not block and must not call `Shared` again.
    pub fn act<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = lock(&self.inner.state);
        let now = self.inner.clock.now();
        state.world.advance_to(now);
        let result = change(&mut state.world);
        self.publish(&mut state);
        drop(state);
        self.inner.wake.notify_one();
        result
    }

    /// Locks the world and reads. It is as the driver left it, at most a moment old.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.inner.state).world)
    }

    /// Hands the effects out and shows the change, before anyone else can change more.
    fn publish(&self, state: &mut State) {
        let effects = state.world.take_effects();
        self.carry_out(&state.world, effects);
        let routes = state.world.routes();
        if routes != state.routes {
            let table = Table::new(&routes, &lock(&self.inner.apps));
            self.inner.table.send_replace(Arc::new(table));
            state.routes = routes;
        }
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// A counter that grows with every change: await `changed()` instead of sleeping, then `read` again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Waits until the closure gives something, looking after every change; `None` when the (real)
    /// time is over.
    pub async fn wait_for<T>(&self, limit: Duration, mut look: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let mut changes = self.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = self.read(&mut look) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, waiting).await.ok().flatten()
    }

    /// The world's time, without its lock.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The container log of an instance, or of all instances of a slot when no worker is named: what the app
    /// wrote, bounded, newest part, with the platform's own lines.
    pub fn container_log(&self, slot: &SlotRef, worker: Option<&WorkerId>) -> String {
        let side = self.read(|world| world.slot(slot).map(|slot| slot.side.id));
        side.map(|side| self.inner.logs.read(side, worker)).unwrap_or_default()
    }

    /// Makes a scripted or any other app answer a path with a status from now on, whatever it would say
    /// (the control endpoint's `app-fails`); `None` ends it. It belongs to the content and moves with it.
    pub fn force_answer(&self, slot: &SlotRef, path: &str, status: Option<u16>) {
        let Ok(side) = self.read(|world| world.slot(slot).map(|slot| slot.side.id)) else { return };
        let mut forced = lock(&self.inner.forced);
        match status {
            Some(status) => forced.insert((side, path.to_owned()), status),
            None => forced.remove(&(side, path.to_owned())),
        };
        self.inner.any_forced.store(!forced.is_empty(), Ordering::Release);
    }

    fn forced_answer(&self, side: SideId, path: &str) -> Option<u16> {
        if !self.inner.any_forced.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.inner.forced).get(&(side, path.to_owned())).copied()
    }

    /// Whether the app of an instance runs, for tests.
    pub fn is_running(&self, key: &InstanceKey) -> bool {
        lock(&self.inner.apps).get(key).is_some_and(|app| !app.is_stopped())
    }

    /// Ends the driver and kills every app; returns when all processes are gone.
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        // What does not end by then ends with its pipe, when the program does.
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, self.inner.tasks.wait()).await;
    }

    /// Completes when the shutdown begins.
    pub async fn closed(&self) {
        self.inner.closing.cancelled().await;
    }

    fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn(task);
    }

    fn base_environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.inner.base_environment
    }

    /// Writes a line to an instance's log.
    fn say(&self, key: &InstanceKey, line: &str) {
        self.inner.logs.write(self.now(), key.side, &key.worker, line);
    }

    /// What the front end reads.
    pub(in crate::emulator) fn table(&self) -> watch::Receiver<Arc<Table>> {
        self.inner.table.subscribe()
    }

    /// How long a request may wait for an instance.
    pub(in crate::emulator) fn front_wait(&self) -> Duration {
        self.inner.front_wait
    }

    /// A number that grows with every call.
    pub(in crate::emulator) fn turn(&self) -> u64 {
        self.inner.turns.fetch_add(1, Ordering::Relaxed)
    }
}
