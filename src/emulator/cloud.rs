//! What every skin needs: the world with its runtime, the tenant, the listeners.
//!
//! Owns the way from a request to its service, with the faults and the log on that
//! way, and the listeners of the slots. Must not know any path of any service.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::AUTHORIZATION;
use hyper::{Request, Response, StatusCode};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::{Approach, Faults, ServiceName};
use super::front::{self, Body};
use super::misbehave::{self, Dropped, Marks, Said};
use super::requests::RequestLog;
use super::runtime::Shared;
use super::scenario::Milestone;
use super::token::{self, Directory};
use super::wire::{self, BodyFailure, Call, Path, Query};
use super::world::{SlotHosts, SlotRef};
use super::{arm, control, kudu, listen};
use crate::names::ResourceGroup;

/// What a listener serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// Resource Manager.
    ResourceManager,
    /// Entra.
    Authority,
    /// Kudu of a slot.
    Scm(SlotRef),
    /// The front end of a slot.
    App(SlotRef),
    /// The control endpoint.
    Control,
}

impl Service {
    /// The name that fault rules and the log use.
    pub fn name(&self) -> ServiceName {
        match self {
            Self::ResourceManager => ServiceName::ResourceManager,
            Self::Authority => ServiceName::Authority,
            Self::Scm(_) => ServiceName::Scm,
            Self::App(_) => ServiceName::App,
            Self::Control => ServiceName::Control,
        }
    }

    /// The slot that a listener belongs to.
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Scm(slot) | Self::App(slot) => Some(slot.slot.as_str()),
            _ => None,
        }
    }
}

/// What the application may do (arm-app-service.md §15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything here, as Website Contributor and Contributor may.
    Contributor,
    /// Reads only.
    Reader,
    /// Nothing.
    None,
}

/// Names and numbers that do not change while the emulator runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The subscription's GUID.
    pub subscription: String,
    /// The one resource group.
    pub resource_group: ResourceGroup,
    /// Resource Manager's URL with a slash at its end.
    pub resource_manager: String,
    /// `Retry-After` of a swap and its polls.
    pub retry_after: Duration,
    /// How long creating a slot takes.
    pub create_slot: Duration,
    /// Where uploads are kept until they are unpacked.
    pub uploads: PathBuf,
}

/// Everything that a skin needs.
pub struct Cloud {
    /// The world with its runtime.
    pub shared: Shared,
    /// The tenant.
    pub directory: Directory,
    /// Names and numbers.
    pub identity: Identity,
    /// What goes wrong.
    pub faults: Faults,
    /// What came.
    pub requests: RequestLog,
    /// Ends everything.
    pub ending: CancellationToken,
    /// Set by the control endpoint for the owner of the emulator to see.
    pub asked_to_end: CancellationToken,
    tls: Arc<ServerConfig>,
    tasks: TaskTracker,
    slots: Mutex<BTreeMap<SlotRef, CancellationToken>>,
    role: Mutex<Role>,
    files: AtomicU64,
}

/// The listeners of a slot, bound but not serving.
pub struct SlotListeners {
    /// For the app.
    pub app: TcpListener,
    /// For Kudu.
    pub scm: TcpListener,
}

impl SlotListeners {
    /// Binds two free ports of loopback.
    ///
    /// # Errors
    ///
    /// The system has none.
    pub async fn bind() -> io::Result<Self> {
        Ok(Self { app: bind().await?, scm: bind().await? })
    }

    /// Their names as the world keeps them.
    ///
    /// # Errors
    ///
    /// The system does not tell the ports.
    pub fn hosts(&self) -> io::Result<SlotHosts> {
        Ok(SlotHosts { app: self.app.local_addr()?.to_string(), scm: self.scm.local_addr()?.to_string() })
    }
}

/// Binds a free port of loopback.
///
/// # Errors
///
/// The system has none.
pub async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
}

impl Identity {
    /// `Retry-After` in whole seconds, never 0: clients take that for none (real-clients.md, swap).
    pub fn retry_after_seconds(&self) -> String {
        self.retry_after.as_millis().div_ceil(1000).max(1).to_string()
    }
}

impl Cloud {
    /// Puts the parts together; nothing serves yet.
    pub fn new(shared: Shared, directory: Directory, identity: Identity, tls: Arc<ServerConfig>) -> Self {
        Self {
            shared,
            directory,
            identity,
            faults: Faults::default(),
            requests: RequestLog::default(),
            ending: CancellationToken::new(),
            asked_to_end: CancellationToken::new(),
            tls,
            tasks: TaskTracker::new(),
            slots: Mutex::default(),
            role: Mutex::new(Role::Contributor),
            files: AtomicU64::new(0),
        }
    }

    /// Serves on a listener until the emulator ends.
    pub fn open(self: &Arc<Self>, listener: TcpListener, service: Service) {
        self.open_until(listener, service, self.ending.child_token());
    }

    /// Serves a slot until it is deleted.
    pub fn open_slot(self: &Arc<Self>, slot: &SlotRef, listeners: SlotListeners) {
        let ending = self.ending.child_token();
        self.open_until(listeners.app, Service::App(slot.clone()), ending.clone());
        self.open_until(listeners.scm, Service::Scm(slot.clone()), ending.clone());
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(slot.clone(), ending);
    }

    /// Closes the listeners of a slot.
    pub fn close_slot(&self, slot: &SlotRef) {
        if let Some(ending) = self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(slot) {
            ending.cancel();
        }
    }

    fn open_until(self: &Arc<Self>, listener: TcpListener, service: Service, ending: CancellationToken) {
        let door = listen::Door {
            cloud: Arc::clone(self),
            service: Arc::new(service),
            tls: Arc::clone(&self.tls).into(),
            tasks: self.tasks.clone(),
            ending,
        };
        self.tasks.spawn(listen::accept(listener, door));
    }

    /// Ends all listeners and connections and waits for them.
    pub async fn close(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What the application may do now.
    pub fn role(&self) -> Role {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the application may do.
    pub fn set_role(&self, role: Role) {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner) = role;
    }

    /// A new path for an upload.
    pub fn upload_path(&self) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.identity.uploads.join(format!("upload-{number}"))
    }

    /// Whether the world has reached a milestone.
    pub fn reached(&self, milestone: Milestone) -> bool {
        self.shared.read(|world| world.milestones().iter().any(|(reached, _)| *reached == milestone))
    }

    /// Whether a rule wants a connection to this service refused.
    pub fn refuses(&self, service: &Service) -> bool {
        self.faults.refuses(service.name(), service.slot(), |milestone| self.reached(milestone))
    }

    /// Answers a request, well or badly.
    ///
    /// # Errors
    ///
    /// [`Dropped`] when a fault wants the connection to end instead.
    pub async fn answer(
        self: &Arc<Self>,
        service: &Service,
        marks: &Arc<Marks>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Dropped> {
        let path = Path::new(request.uri().path());
        let slot = match service {
            Service::ResourceManager => path.slot().map(str::to_owned),
            other => other.slot().map(str::to_owned),
        };
        let method = request.method().clone();
        let whole = request.uri().path_and_query().map_or("/", |whole| whole.as_str());
        let number = self.requests.begin(service.name(), slot.as_deref(), method.as_str(), whole);
        let approach = Approach {
            service: service.name(),
            slot: slot.as_deref(),
            method: method.as_str(),
            path: &path.regular(),
        };
        let fault = self.faults.strike(approach, |milestone| self.reached(milestone));
        let result = self.treat(service, marks, path, request, fault.as_ref()).await;
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        self.requests.end(number, status, fault.as_ref().map(super::fault::Kind::name));
        result
    }

    /// Answers a request well, or badly in the way that is given.
    ///
    /// # Errors
    ///
    /// [`Dropped`] when the connection is to end instead.
    pub async fn treat(
        self: &Arc<Self>,
        service: &Service,
        marks: &Arc<Marks>,
        path: Path,
        request: Request<Body>,
        fault: Option<&super::fault::Kind>,
    ) -> Result<Response<Body>, Dropped> {
        let Some(kind) = fault else { return Ok(self.route(service, path, request).await) };
        tracing::debug!(fault = kind.name(), method = %request.method(), path = path.regular(), "fault applied");
        // One request, two possible ends: the service's work or being thrown away.
        let shelf = Mutex::new(Some(request));
        let take = || shelf.lock().unwrap_or_else(PoisonError::into_inner).take();
        let act = async {
            match take() {
                Some(request) => self.route(service, path, request).await,
                None => wire::empty(StatusCode::INTERNAL_SERVER_ERROR),
            }
        };
        let pass = async {
            let Some(request) = take() else { return Said::default() };
            let credentials = request.headers().get(AUTHORIZATION);
            let credentials = credentials
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .unwrap_or_default();
            Said { credentials, body: wire::discard(request.into_body()).await }
        };
        misbehave::carry_out(kind, marks, act, pass).await
    }

    async fn route(
        self: &Arc<Self>,
        service: &Service,
        path: Path,
        request: Request<Body>,
    ) -> Response<Body> {
        match service {
            Service::App(slot) => front::serve(self.shared.clone(), slot.clone(), request).await,
            Service::Scm(slot) => kudu::answer(self, slot, path, request).await,
            Service::ResourceManager => match call(path, request).await {
                Ok(call) => arm::answer(self, call).await,
                Err(failure) => arm::unread(failure),
            },
            Service::Authority => match call(path, request).await {
                Ok(call) => {
                    let clock = time::OffsetDateTime::now_utc();
                    let now = self.shared.read(super::world::World::now);
                    token::answer(&self.directory, &call, now, clock)
                }
                Err(failure) => wire::empty(failure.status()),
            },
            Service::Control => match call(path, request).await {
                Ok(call) => control::answer(self, call).await,
                Err(failure) => wire::empty(failure.status()),
            },
        }
    }
}

/// Takes a request with its body into memory.
///
/// # Errors
///
/// The body cannot be read.
pub async fn call(path: Path, request: Request<Body>) -> Result<Call, BodyFailure> {
    let (head, body) = request.into_parts();
    let length = head.headers.get(hyper::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > wire::BODY_LIMIT) {
        // Taken to its end, so that the client can read the answer.
        wire::discard(body).await;
        return Err(BodyFailure::TooLong);
    }
    let body = wire::read(body, wire::BODY_LIMIT).await?;
    let query = Query::new(head.uri.query());
    Ok(Call { method: head.method, path, query, headers: head.headers, body })
}
