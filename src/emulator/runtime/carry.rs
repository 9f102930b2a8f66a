//! Carries out the effects that the world asks for.
//!
//! Owns the running apps. Called under the world's lock, so it only hands work to
//! tasks; their results come back through [`Shared::act`].

use std::sync::Arc;

use hyper::Request;
use tokio::time::timeout;

use super::app::{self, App};
use super::body::empty;
use super::unpack::unpack;
use super::{Shared, lock};
use crate::emulator::world::{AppSpec, DeploymentKey, Effect, InstanceKey, PingId, UploadOrder, World};

impl Shared {
    pub(super) fn carry_out(&self, world: &World, effects: Vec<Effect>) {
        if self.inner.closing.is_cancelled() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::StartInstance { key, app } => self.start_app(key, app),
                Effect::StopInstance { key, drain } => {
                    if let Some(app) = lock(&self.inner.apps).remove(&key) {
                        self.track(async move { app.stop(drain).await });
                    }
                }
                Effect::Ping { id, key, path } => self.ping(world, id, &key, path),
                Effect::Unpack { key, upload } => self.unpack(key, upload),
                Effect::Remove(path) => self.remove(path),
                Effect::Alarm(id) => {
                    if let Some(sleeper) = lock(&self.inner.alarms).remove(&id) {
                        // One that does not wait any more needs no waking.
                        let _ = sleeper.send(self.inner.work.begin());
                    }
                }
            }
        }
    }

    fn start_app(&self, key: InstanceKey, spec: AppSpec) {
        let app = Arc::new(App::new(key.clone(), self.inner.closing.child_token()));
        lock(&self.inner.apps).insert(key, Arc::clone(&app));
        let in_hand = self.inner.work.begin();
        self.track(app::run(self.clone(), app, spec, in_hand));
    }

    /// Plain HTTP, from inside, not by the public name (arm-app-service.md §7, 4).
    fn ping(&self, world: &World, id: PingId, key: &InstanceKey, path: String) {
        let app = lock(&self.inner.apps).get(key).cloned();
        let host = world
            .slot_of_side(key.side)
            .and_then(|slot| world.slot(&slot).ok().map(|slot| slot.hosts.app.clone()));
        let (shared, in_hand) = (self.clone(), self.inner.work.begin());
        let limit = world.durations().ping_timeout;
        self.track(async move {
            let status = match app {
                Some(app) => tokio::select! {
                    biased;
                    status = timeout(limit, shared.ping_app(&app, &path, host.as_deref().unwrap_or("localhost"))) => {
                        status.ok().flatten()
                    }
                    () = shared.inner.closing.cancelled() => None,
                },
                None => None,
            };
            shared.act(|world| world.ping_answered(id, status));
            drop(in_hand);
        });
    }

    async fn ping_app(&self, app: &App, path: &str, host: &str) -> Option<u16> {
        let _pass = app.enter()?;
        // The platform's own User-Agent is unconfirmed.
        let request = Request::builder().uri(path).header("host", host).header("user-agent", "SiteWarmup");
        let response = app.answer(self, request.body(empty()).ok()?).await.ok()?;
        let status = response.status().as_u16();
        super::body::discard(response.into_body()).await;
        Some(status)
    }

    fn unpack(&self, key: DeploymentKey, order: Box<UploadOrder>) {
        let (shared, in_hand) = (self.clone(), self.inner.work.begin());
        self.track(async move {
            let id = key.final_id.clone();
            let result = tokio::task::spawn_blocking(move || unpack(&order, &id)).await;
            let result = result.unwrap_or_else(|_| Err("The package could not be unpacked.".to_owned()));
            shared.act(|world| world.unpacked(&key, result));
            drop(in_hand);
        });
    }

    fn remove(&self, path: std::path::PathBuf) {
        self.track(async move {
            // The caller's folder is temporary: what cannot be removed now goes with it.
            let _ = match tokio::fs::metadata(&path).await {
                Ok(metadata) if metadata.is_dir() => tokio::fs::remove_dir_all(&path).await,
                Ok(_) => tokio::fs::remove_file(&path).await,
                Err(error) => Err(error),
            };
        });
    }
}
