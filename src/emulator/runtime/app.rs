//! An instance that runs: static files, a script, or a process.
//!
//! Owns the way from a start to its end, and how a request is answered. Must not
//! choose instances; the front end does.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::body::{Body, discard, text};
use super::connection::{Connections, SendError};
use super::detect::{AppKind, detect};
use super::gate::{Gate, Pass};
use super::scripted::{Script, ScriptedApp};
use super::work::InHand;
use super::{Shared, output, process, static_files};
use crate::emulator::world::{AppSpec, InstanceChange, InstanceKey};

/// An instance, from its start until its last request has been answered.
pub(in crate::emulator) struct App {
    pub(in crate::emulator) key: InstanceKey,
    gate: Arc<Gate>,
    /// Set before the world hears that it is up.
    target: OnceLock<Target>,
    /// Cancelled when it is to end.
    stop: CancellationToken,
}

enum Target {
    Static(PathBuf),
    Scripted(ScriptedApp),
    Process(Connections),
}

impl App {
    pub(super) fn new(key: InstanceKey, stop: CancellationToken) -> Self {
        Self { key, gate: Arc::default(), target: OnceLock::new(), stop }
    }

    /// Lets a request in, unless the instance is stopping.
    pub(in crate::emulator) fn enter(&self) -> Option<Pass> {
        self.gate.enter()
    }

    /// Whether it has been told to end, and has.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Answers a request that has been let in.
    pub(in crate::emulator) async fn answer(
        &self,
        shared: &Shared,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        if let Some(status) = shared.forced_answer(self.key.side, request.uri().path()) {
            discard(request.into_body()).await;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(text(status, "text/plain", "This answer was ordered.\n"));
        }
        match self.target.get() {
            Some(Target::Process(connections)) => connections.send(request).await,
            Some(Target::Static(folder)) => {
                let response = static_files::answer(folder, &request).await;
                discard(request.into_body()).await;
                Ok(response)
            }
            Some(Target::Scripted(app)) => {
                let (latency, response) = app.answer(request.uri().path(), shared.now());
                discard(request.into_body()).await;
                let _in_hand = shared.sleep(latency, None).await;
                Ok(response)
            }
            None => Err(SendError::NotSent(Box::new(request))),
        }
    }

    /// Lets nobody in, waits for those inside, then ends the app.
    pub(super) async fn stop(&self, drain: Duration) {
        self.gate.shut();
        tokio::select! {
            biased;
            () = self.gate.empty() => {}
            () = tokio::time::sleep(drain) => {}
            () = self.stop.cancelled() => {}
        }
        self.stop.cancel();
    }
}

/// Runs an instance to its end.
pub(super) async fn run(shared: Shared, app: Arc<App>, spec: AppSpec, in_hand: InHand) {
    match detect(&spec) {
        Err(reason) => shared.changed(&app.key, InstanceChange::Down { reason }),
        Ok(AppKind::Static) => {
            // There is nothing to run; the folder may still be empty.
            let _ = app.target.set(Target::Static(spec.folder));
            shared.changed(&app.key, InstanceChange::Up);
        }
        Ok(AppKind::Scripted(script)) => run_script(&shared, &app, spec, script, in_hand).await,
        Ok(AppKind::Command(command)) => run_process(&shared, &app, spec, &command, in_hand).await,
    }
}

async fn run_script(shared: &Shared, app: &App, spec: AppSpec, script: Script, in_hand: InHand) {
    let _in_hand = tokio::select! {
        biased;
        in_hand = shared.sleep(script.start, Some(in_hand)) => in_hand,
        () = app.stop.cancelled() => return,
    };
    let change = if script.fails_to_start {
        InstanceChange::Down { reason: "the script says that it does not start".to_owned() }
    } else {
        let scripted = ScriptedApp::new(script, spec.environment, spec.worker_index, shared.now());
        let _ = app.target.set(Target::Scripted(scripted));
        InstanceChange::Up
    };
    shared.changed(&app.key, change);
}

async fn run_process(shared: &Shared, app: &App, spec: AppSpec, command: &str, in_hand: InHand) {
    let started = match process::free_port().await {
        Ok(port) => {
            process::start(&spec, command, port, shared.base_environment()).map(|child| (port, child))
        }
        Err(error) => Err(error),
    };
    let (port, mut child) = match started {
        Ok(started) => started,
        Err(error) => {
            let reason = format!("the app cannot be started: {error}");
            return shared.changed(&app.key, InstanceChange::Down { reason });
        }
    };
    shared.say(&app.key, &format!("Starting the app on port {port}."));
    let (out, err) = child.outputs();
    if let Some(out) = out {
        shared.log_of(&app.key, out);
    }
    if let Some(err) = err {
        shared.log_of(&app.key, err);
    }
    tokio::select! {
        biased;
        () = process::answers(port) => {}
        reason = child.ended() => {
            child.end().await;
            return shared.changed(&app.key, InstanceChange::Down { reason });
        }
        () = app.stop.cancelled() => return child.end().await,
    }
    let _ = app.target.set(Target::Process(Connections::new(port)));
    shared.changed(&app.key, InstanceChange::Up);
    drop(in_hand);
    tokio::select! {
        biased;
        reason = child.ended() => {
            child.end().await;
            shared.changed(&app.key, InstanceChange::Down { reason });
        }
        () = app.stop.cancelled() => child.end().await,
    }
}

impl Shared {
    /// Tells the world of an instance, and its log.
    fn changed(&self, key: &InstanceKey, change: InstanceChange) {
        match &change {
            InstanceChange::Up => self.say(key, "The app answers."),
            InstanceChange::Down { reason } => self.say(key, reason),
        }
        self.act(|world| world.instance_changed(key, change));
    }

    /// Keeps an output of an app in its log until it ends.
    fn log_of(&self, key: &InstanceKey, from: impl tokio::io::AsyncRead + Unpin + Send + 'static) {
        let (shared, key) = (self.clone(), key.clone());
        self.track(async move { output::lines(from, |line| shared.say(&key, line)).await });
    }
}
