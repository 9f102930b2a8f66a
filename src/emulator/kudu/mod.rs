//! Kudu, the SCM host of a slot, as its callers see it.
//!
//! Owns the paths, who may use them, and the affinity cookies of every answer. Each slot
//! has a host, credentials and a lock of its own; history and files belong to the
//! content and move with it at a swap (kudu-deploy.md §1). Not modelled: command,
//! processes, log stream, `zip/`, the DELETEs of deployments and settings.

use std::sync::Arc;

use hyper::{Method, Request, Response, StatusCode};

use super::cloud::{self, Cloud, Role};
use super::front::Body;
use super::token::bearer;
use super::wire::{self, Call, Path};
use super::world::{Refusal, Slot, SlotRef, World};

mod environment;
mod fetch;
pub mod logs;
mod order;
pub mod publish;
pub mod records;
mod vfs;

/// An answer or the refusal in its place.
type Reply = Result<Response<Body>, Refusal>;

/// Answers a request to the SCM host of a slot.
pub async fn answer(
    cloud: &Arc<Cloud>,
    slot: &SlotRef,
    path: Path,
    request: Request<Body>,
) -> Response<Body> {
    let mut response = match admit(cloud, slot, &request) {
        Ok(()) => match route(cloud, slot, path, request).await {
            Ok(response) => response,
            Err(refusal) => refused(&refusal),
        },
        Err(response) => {
            // A client that is still sending its package should be able to read the answer.
            wire::discard(request.into_body()).await;
            *response
        }
    };
    pin(cloud, slot, &mut response);
    response
}

/// Every answer of SCM sets both cookies (seen-in-recordings.md 25). There is one Kudu per slot here, so the
/// cookie says where the request would have been answered and nothing depends on it.
fn pin(cloud: &Cloud, slot: &SlotRef, response: &mut Response<Body>) {
    let worker = cloud.shared.read(|world| {
        let instances = &world.slot(slot).ok()?.side.instances;
        instances.iter().map(|instance| instance.worker.clone()).min()
    });
    let Some(worker) = worker else { return };
    wire::add(response, "set-cookie", &format!("ARRAffinity={worker};Path=/;HttpOnly;Secure"));
    let same_site = format!("ARRAffinitySameSite={worker};Path=/;HttpOnly;SameSite=None;Secure");
    wire::add(response, "set-cookie", &same_site);
}

/// First whether Kudu is there at all, then who asks.
fn admit(cloud: &Cloud, slot: &SlotRef, request: &Request<Body>) -> Result<(), Box<Response<Body>>> {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    cloud.shared.read(|world| {
        world.check_scm(slot).map_err(|refusal| Box::new(refused(&refusal)))?;
        let found = world.slot(slot).map_err(|refusal| Box::new(refused(&refusal)))?;
        if basic(header, found) {
            return Ok(());
        }
        if bearer::check(&cloud.directory, header, world.now(), true).is_err() {
            let mut response = wire::empty(StatusCode::UNAUTHORIZED);
            wire::set(&mut response, "www-authenticate", "Basic realm=\"site\"");
            return Err(Box::new(response));
        }
        // The role needs Microsoft.Web/sites/publish/Action (kudu-deploy.md §2); the status is unconfirmed.
        if cloud.role() != Role::Contributor {
            return Err(Box::new(wire::empty(StatusCode::FORBIDDEN)));
        }
        Ok(())
    })
}

/// Basic sign-in with the slot's own credentials, where the policy allows it (kudu-deploy.md §2).
fn basic(header: Option<&str>, slot: &Slot) -> bool {
    use base64::Engine as _;
    let given = header
        .and_then(|header| header.trim().split_once(' '))
        .and_then(|(scheme, value)| scheme.eq_ignore_ascii_case("basic").then_some(value.trim()));
    let Some(given) = given else { return false };
    let decoded = base64::engine::general_purpose::STANDARD.decode(given).unwrap_or_default();
    let expected = format!("{}:{}", slot.publishing.user, slot.publishing.password);
    slot.publishing.scm_allowed && decoded == expected.as_bytes()
}

/// Kudu's refusals are plain texts, those of the front end before it are pages (seen-in-recordings.md 25).
fn refused(refusal: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match refusal {
        Refusal::ScmRestarting | Refusal::SiteStopped => {
            wire::content(status, "text/html", refusal.to_string())
        }
        _ => wire::content(status, "text/plain; charset=utf-8", refusal.to_string()),
    }
}

async fn route(cloud: &Arc<Cloud>, slot: &SlotRef, path: Path, request: Request<Body>) -> Reply {
    let lower = path.lower();
    let upload = matches!(request.method(), &Method::POST | &Method::PUT);
    match lower.as_slice() {
        ["api", kind @ ("publish" | "zipdeploy" | "wardeploy")] if upload => {
            publish::receive(cloud, slot, kind, request).await
        }
        ["api", "vfs", ..] => vfs::answer(cloud, slot, &path, request).await,
        _ => match cloud::call(path, request).await {
            Ok(call) => in_memory(cloud, slot, &call),
            Err(failure) => Ok(wire::empty(failure.status())),
        },
    }
}

fn in_memory(cloud: &Cloud, slot: &SlotRef, call: &Call) -> Reply {
    let lower = call.path.lower();
    // Windows has the routes with and without api (kudu-deploy.md §8, "Dual").
    let rest = lower.strip_prefix(&["api"]).unwrap_or(&lower);
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(wire::content(StatusCode::OK, "text/html", "<!DOCTYPE html><title>Kudu</title>")),
        ("GET", ["deployments"]) => records::list(cloud, slot, call),
        ("GET", ["deployments", "latest"]) => records::latest(cloud, slot, call),
        ("GET", ["deployments", id]) => records::one(cloud, slot, id),
        ("GET", ["deployments", id, "log"]) => records::log_of(cloud, slot, id),
        ("GET", ["deployments", id, "log", line]) => records::details(cloud, slot, id, line),
        ("PUT", ["deployments", id]) => records::write(cloud, slot, call, id),
        ("GET", ["environment"]) => environment::environment(cloud, slot),
        ("GET", ["settings"]) => environment::settings(cloud, slot),
        ("GET", ["settings", name]) => environment::setting(cloud, slot, name),
        ("GET", ["diagnostics", "runtime"]) => environment::runtime(cloud, slot),
        ("GET", ["logs", "docker" | "container"]) => logs::list(cloud, slot),
        ("GET", ["logs", "docker" | "container", "zip"] | ["dump"]) => logs::archive(cloud, slot),
        _ => {
            let text = format!("The emulator does not model {} /{}.", call.method, call.path.rest(0));
            Err(Refusal::NotFound { what: text })
        }
    }
}

/// Looks at a slot with its site.
fn look<T>(
    cloud: &Cloud,
    slot: &SlotRef,
    look: impl FnOnce(&World, &super::world::Site, &Slot) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let missing = || Refusal::NotFound { what: "The site".to_owned() };
        let site = world.site(slot.site.as_str()).ok_or_else(missing)?;
        look(world, site, found)
    })
}
