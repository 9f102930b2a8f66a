//! The emulator without listeners, for simulations: requests are handed to its services
//! within the process, and time may be tokio's own, which a test can let run by itself.
//!
//! Owns which host is which service. Has no TLS, no port and no control endpoint.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper::{Request, Response};
use rustls::ServerConfig;
use time::OffsetDateTime;

use super::authority::CertificateAuthority;
use super::cloud::{Cloud, Service};
use super::fault::Kind;
use super::front::Body;
use super::misbehave::Marks;
use super::runtime::Shared;
use super::scenario::Scenario;
use super::world::{SlotHosts, SlotRef, World};
use super::{Places, Ready, StartError, describe, identity, prepare_folder, tenant, unpack_images, wire};
use crate::names::SlotName;

const RESOURCE_MANAGER: &str = "management.test";
const AUTHORITY: &str = "login.test";

/// An emulator in this process.
pub struct Inside {
    cloud: Arc<Cloud>,
    ready: Ready,
}

/// Why a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// There is no such host.
    NoSuchHost,
    /// The connection was reset.
    Reset,
    /// Something that is not HTTP came back.
    Garbage,
}

/// What a host is asked as.
pub type Host = (Service, wire::Path);

impl Inside {
    /// Starts it at this time; the first apps are up when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(
        scenario: Scenario,
        folder: &Path,
        secret: &str,
        now: OffsetDateTime,
    ) -> Result<Self, StartError> {
        let folder = prepare_folder(folder)?;
        let hosts = scenario.slot_names().into_iter().map(|name| (name.clone(), hosts_of(&scenario, &name)));
        let hosts = hosts.collect();
        let places = Places {
            resource_manager: RESOURCE_MANAGER.to_owned(),
            authority: AUTHORITY.to_owned(),
            control: "control.test".to_owned(),
        };
        let ready = describe(&scenario, places, &hosts, folder.join("ca.pem"), Some(secret.to_owned()));
        let directory = tenant(&ready, &scenario)?;
        unpack_images(&scenario, &folder.join("contents")).await?;
        let world = World::new(&scenario, &hosts, folder.join("contents"), now)?;
        let shared = Shared::start(world, scenario.time, Default::default());
        let identity = identity(&ready, &scenario, &folder);
        let cloud = Arc::new(Cloud::new(shared, directory, identity, unused_certificate()?));
        cloud.shared.drain().await;
        Ok(Self { cloud, ready })
    }

    /// Where everything is.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What the skins share.
    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    /// Which service a request is for, and its path; none where there is no such host.
    pub fn place(&self, host: &str, path: &str) -> Option<Host> {
        let service = match host {
            RESOURCE_MANAGER => Service::ResourceManager,
            AUTHORITY => Service::Authority,
            host => self.cloud.shared.read(|world| {
                world.sites().flat_map(|site| site.slots.values().map(move |slot| (site, slot))).find_map(
                    |(site, slot)| {
                        let place = SlotRef::new(site.name.clone(), slot.name.clone());
                        match host {
                            host if host == slot.hosts.app => Some(Service::App(place)),
                            host if host == slot.hosts.scm => Some(Service::Scm(place)),
                            _ => None,
                        }
                    },
                )
            })?,
        };
        Some((service, wire::Path::new(path)))
    }

    /// Answers a request, well or badly.
    ///
    /// # Errors
    ///
    /// [`Silence`] where there is no answer.
    pub async fn answer(
        &self,
        (service, path): Host,
        request: Request<Body>,
        fault: Option<&Kind>,
    ) -> Result<Response<Body>, Silence> {
        let marks = Arc::new(Marks::default());
        match self.cloud.treat(&service, &marks, path, request, fault).await {
            Ok(_) if marks.is_garbage() => Err(Silence::Garbage),
            Ok(response) => Ok(response),
            Err(_) => Err(Silence::Reset),
        }
    }

    /// Ends everything that runs.
    pub async fn shutdown(self) {
        self.cloud.close().await;
        self.cloud.shared.shutdown().await;
    }
}

fn hosts_of(scenario: &Scenario, slot: &SlotName) -> SlotHosts {
    let name = match slot.is_production() {
        true => scenario.app.to_string(),
        false => format!("{}-{slot}", scenario.app),
    };
    SlotHosts { app: format!("{name}.test"), scm: format!("{name}.scm.test") }
}

/// Listeners would want one; it is made once for all.
fn unused_certificate() -> Result<Arc<ServerConfig>, StartError> {
    static MADE: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(Arc::clone(made));
    }
    let authority = CertificateAuthority::make(OffsetDateTime::now_utc())?;
    Ok(Arc::clone(MADE.get_or_init(|| authority.server)))
}
