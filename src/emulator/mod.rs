//! App Service as a consumer of its API sees it, on this machine.
//!
//! A pure world ([`world`]) carried out by a runtime ([`runtime`]) under thin HTTPS skins:
//! Resource Manager ([`arm`]), Kudu ([`kudu`]), Entra ([`token`]), the front end ([`front`]) and the
//! control endpoint ([`control`]). Must not use anything of the rest of the program but
//! `crate::names`, read the environment, print, or exit; all its files lie in one folder
//! that the caller owns.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::names::SlotName;

pub mod arm;
pub mod authority;
pub mod cloud;
pub mod control;
pub mod fault;
pub mod front;
#[cfg(test)]
pub mod inside;
pub mod kudu;
pub mod listen;
pub mod misbehave;
pub mod ready;
pub mod requests;
pub mod runtime;
pub mod scenario;
pub mod token;
pub mod wire;
pub mod world;

#[cfg(test)]
mod tests;

use authority::{AuthorityError, CertificateAuthority};
use cloud::{Cloud, Identity, Service, SlotListeners};
use fault::{FaultRule, Faults};
pub use ready::{Ready, SlotUrls};
use runtime::Shared;
use scenario::Scenario;
use token::{Application, Directory, FederatedCredential, exchange_audience};
use world::{Refusal, SlotRef, World};

/// How long the first apps may take before the emulator counts as serving without them.
const FIRST_APPS: Duration = Duration::from_secs(60);

/// What an emulator is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The world, its durations and its faults.
    pub scenario: Scenario,
    /// What production serves first, a folder or a zip, where the scenario does not say.
    pub production: Option<PathBuf>,
    /// Where all files go; made if it is not there, left to the caller to remove.
    pub folder: PathBuf,
    /// The application's secret; a random one unless given.
    pub client_secret: Option<String>,
    /// What app processes get beside their settings: where programs are, and no secret.
    pub environment: BTreeMap<OsString, OsString>,
}

/// Why the emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or a port.
    #[error("{doing}: {cause}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        cause: io::Error,
    },
    /// The certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The signing key of the tenant.
    #[error(transparent)]
    Key(#[from] token::jwt::KeyError),
    /// The scenario contradicts itself.
    #[error("the scenario makes no world: {0}")]
    World(#[from] Refusal),
    /// An image of the scenario.
    #[error("the image {image}: {problem}")]
    Image {
        /// Its reference.
        image: String,
        /// What is wrong with its content.
        problem: String,
    },
    /// A fault rule of the scenario.
    #[error("faults, rule {number}: {problem}")]
    Fault {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |cause| StartError::System { doing, cause }
}

/// A running emulator.
pub struct Emulator {
    cloud: Arc<Cloud>,
    ready: Ready,
    az_folder: PathBuf,
}

/// Starts an emulator; it serves when this returns, apps of the first contents included.
///
/// # Errors
///
/// [`StartError`]; nothing is left running.
pub async fn start(options: Options) -> Result<Emulator, StartError> {
    let mut scenario = options.scenario;
    let faults = read_faults(&scenario)?;
    if let Some(package) = options.production {
        scenario.slots.entry(SlotName::production()).or_default().package.get_or_insert(package);
    }
    let folder = prepare_folder(&options.folder)?;
    let clock = time::OffsetDateTime::now_utc();
    let authority = CertificateAuthority::make(clock)?;
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, &authority.pem).map_err(system("write the authority's certificate"))?;

    let listeners = Listeners::bind(&scenario).await.map_err(system("bind a port of loopback"))?;
    let hosts = listeners.hosts().map_err(system("read a bound port"))?;
    let places = listeners.places().map_err(system("read a bound port"))?;
    let ready = describe(&scenario, places, &hosts, ca_file, options.client_secret);
    let directory = tenant(&ready, &scenario)?;
    unpack_images(&scenario, &folder.join("contents")).await?;
    let world = World::new(&scenario, &hosts, folder.join("contents"), clock)?;
    let shared = Shared::start(world, scenario.time, options.environment);
    let identity = identity(&ready, &scenario, &folder);
    let cloud = Arc::new(Cloud::new(shared, directory, identity, authority.server));
    for (number, rule) in faults.into_iter().enumerate() {
        let problem = |error: fault::FaultError| error.to_string();
        if let Err(problem) = cloud.faults.add(rule).map_err(problem) {
            cloud.shared.shutdown().await;
            return Err(StartError::Fault { number: number + 1, problem });
        }
    }
    listeners.open(&cloud, &scenario);
    // An app that never starts must not keep the emulator from starting.
    if tokio::time::timeout(FIRST_APPS, cloud.shared.drain()).await.is_err() {
        tracing::warn!("the first apps are not up yet");
    }
    Ok(Emulator { cloud, ready, az_folder: folder.join("az") })
}

impl Emulator {
    /// Where everything is.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Shell exports for Slotway, az and the SDKs.
    pub fn print_env(&self) -> String {
        self.ready.print_env(&self.az_folder)
    }

    /// Waits until somebody asks the control endpoint for the end.
    pub async fn until_asked_to_stop(&mut self) {
        self.cloud.asked_to_end.cancelled().await;
    }

    /// What the skins share, for tests within the room.
    #[cfg(test)]
    fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    /// Ends the listeners, kills the apps' processes and waits for all of them.
    pub async fn shutdown(self) {
        self.cloud.close().await;
        self.cloud.shared.shutdown().await;
    }
}

fn read_faults(scenario: &Scenario) -> Result<Vec<FaultRule>, StartError> {
    let read = |(index, rule): (usize, &serde_json::Value)| {
        Faults::parse(rule)
            .map_err(|error| StartError::Fault { number: index + 1, problem: error.to_string() })
    };
    scenario.faults.iter().enumerate().map(read).collect()
}

/// Fills the registries: each image's content is copied, so that no app runs in a folder of the user's.
async fn unpack_images(scenario: &Scenario, contents: &Path) -> Result<(), StartError> {
    for (image, folder) in scenario.image_folders(contents) {
        let Some(package) = scenario.images.get(&image).map(|seed| seed.package.clone()) else { continue };
        let unpacked = tokio::task::spawn_blocking(move || runtime::unpack_image(&package, &folder)).await;
        let unpacked = unpacked.unwrap_or_else(|_| Err("it could not be unpacked".to_owned()));
        unpacked.map_err(|problem| StartError::Image { image, problem })?;
    }
    Ok(())
}

fn prepare_folder(folder: &Path) -> Result<PathBuf, StartError> {
    for name in ["contents", "uploads", "az"] {
        std::fs::create_dir_all(folder.join(name)).map_err(system("make the emulator's folder"))?;
    }
    // Apps are started in their own folders, so that every path has to be whole.
    folder.canonicalize().map_err(system("find the emulator's folder"))
}

/// All listeners of the beginning.
struct Listeners {
    resource_manager: TcpListener,
    authority: TcpListener,
    control: TcpListener,
    slots: BTreeMap<SlotName, SlotListeners>,
}

impl Listeners {
    async fn bind(scenario: &Scenario) -> io::Result<Self> {
        let mut slots = BTreeMap::new();
        for name in scenario.slot_names() {
            slots.insert(name, SlotListeners::bind().await?);
        }
        Ok(Self {
            resource_manager: cloud::bind().await?,
            authority: cloud::bind().await?,
            control: cloud::bind().await?,
            slots,
        })
    }

    fn hosts(&self) -> io::Result<BTreeMap<SlotName, world::SlotHosts>> {
        self.slots.iter().map(|(name, listeners)| Ok((name.clone(), listeners.hosts()?))).collect()
    }

    fn places(&self) -> io::Result<Places> {
        Ok(Places {
            resource_manager: self.resource_manager.local_addr()?.to_string(),
            authority: self.authority.local_addr()?.to_string(),
            control: self.control.local_addr()?.to_string(),
        })
    }

    fn open(self, cloud: &Arc<Cloud>, scenario: &Scenario) {
        cloud.open(self.resource_manager, Service::ResourceManager);
        cloud.open(self.authority, Service::Authority);
        cloud.open(self.control, Service::Control);
        for (name, listeners) in self.slots {
            cloud.open_slot(&SlotRef::new(scenario.app.clone(), name), listeners);
        }
    }
}

/// The hosts of the services that belong to no slot.
struct Places {
    resource_manager: String,
    authority: String,
    control: String,
}

fn describe(
    scenario: &Scenario,
    places: Places,
    hosts: &BTreeMap<SlotName, world::SlotHosts>,
    ca_file: PathBuf,
    client_secret: Option<String>,
) -> Ready {
    let slots = hosts.iter().map(|(name, hosts)| {
        let urls =
            SlotUrls { url: format!("https://{}", hosts.app), scm_url: format!("https://{}", hosts.scm) };
        (name.to_string(), urls)
    });
    Ready {
        resource_manager: format!("https://{}/", places.resource_manager),
        authority: format!("https://{}", places.authority),
        ca_file,
        tenant_id: guid(scenario.seed, "tenant"),
        client_id: guid(scenario.seed, "client"),
        client_secret: client_secret
            .or_else(|| scenario.application.client_secret.clone())
            .unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()),
        subscription_id: guid(scenario.seed, "subscription"),
        resource_group: scenario.resource_group.to_string(),
        app_name: scenario.app.to_string(),
        slots: slots.collect(),
        control: format!("https://{}/", places.control),
    }
}

fn identity(ready: &Ready, scenario: &Scenario, folder: &Path) -> Identity {
    Identity {
        subscription: ready.subscription_id.clone(),
        resource_group: scenario.resource_group.clone(),
        resource_manager: ready.resource_manager.clone(),
        retry_after: scenario.durations.retry_after,
        create_slot: scenario.durations.create_slot,
        uploads: folder.join("uploads"),
    }
}

/// A GUID that is the same in every run with the same seed.
fn guid(seed: u64, purpose: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("{seed}/{purpose}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// A tenant with one application; its first federated credential is for the issuer that the control endpoint plays.
fn tenant(ready: &Ready, scenario: &Scenario) -> Result<Directory, StartError> {
    let own = FederatedCredential {
        issuer: format!("{}oidc", ready.control),
        subject: format!("repo:contoso/{}:environment:production", scenario.app),
        audience: exchange_audience(),
        keys: Vec::new(),
    };
    let application = Application {
        client_id: ready.client_id.clone(),
        object_id: guid(scenario.seed, "object"),
        secret: ready.client_secret.clone(),
        federated: std::iter::once(own).chain(scenario.application.federated_credentials.clone()).collect(),
        certificates: scenario.application.certificates.clone(),
    };
    let lifetime = scenario.durations.token_lifetime;
    let (authority, tenant) = (ready.authority.clone(), ready.tenant_id.clone());
    Ok(Directory::new(authority, tenant, application, ready.resource_manager.clone(), lifetime)?)
}
