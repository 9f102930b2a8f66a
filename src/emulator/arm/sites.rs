//! Sites as a whole: showing, listing, locks.
//!
//! Owns the answers; the shape is `shape`'s. Must not change anything but locks.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::shape::{self, Standing};
use super::{Failure, Reply, unknown};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{Lock, SlotRef, World};

/// The api-version of a request.
pub(super) fn version(call: &Call) -> &str {
    call.query.get("api-version").unwrap_or_default()
}

/// A site or slot, if it is there.
pub(super) fn shape_of(
    cloud: &Cloud,
    world: &World,
    slot: &SlotRef,
    version: &str,
    standing: Standing,
) -> Result<Value, Failure> {
    let found = world.slot(slot)?;
    let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
    Ok(shape::site(cloud, world, site, found, version, standing))
}

/// `GET` of a site or slot.
pub(super) fn show(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    let shown = cloud.shared.read(|world| shape_of(cloud, world, slot, version(call), Standing::Read))?;
    Ok(wire::ok(&shown))
}

/// `GET …/sites`, of the subscription or of the group. Slots are not in it unless asked for.
pub(super) fn list(cloud: &Cloud, call: &Call) -> Response<Body> {
    let slots = call.query.flag("includeSlots") == Some(true);
    let sites: Vec<Value> = cloud.shared.read(|world| {
        world
            .sites()
            .flat_map(|site| site.slots.values().map(move |slot| (site, slot)))
            .filter(|(_, slot)| slots || slot.name.is_production())
            .map(|(site, slot)| shape::site(cloud, world, site, slot, version(call), Standing::Read))
            .collect()
    });
    wire::ok(&json!({"value": sites, "nextLink": null, "id": null}))
}

/// Management locks on the site (arm-app-service.md §15).
pub(super) fn locks(cloud: &Cloud, call: &Call, slot: &SlotRef, rest: &[&str]) -> Reply {
    let site = &slot.site;
    let shape = |name: &str, level: Lock| {
        json!({
            "id": format!("{}/providers/Microsoft.Web/sites/{site}/providers/Microsoft.Authorization/locks/{name}",
                shape::group_id(cloud)),
            "name": name, "type": "Microsoft.Authorization/locks", "properties": {"level": level},
        })
    };
    match (call.method.as_str(), rest) {
        ("GET", []) => {
            let lock = cloud.shared.read(|world| world.site(site.as_str()).and_then(|site| site.lock));
            let all: Vec<Value> = lock.map(|level| shape("lock", level)).into_iter().collect();
            Ok(wire::ok(&json!({"value": all})))
        }
        ("PUT", [name]) => {
            let body = call.json().map_err(Failure::malformed)?;
            let level = body.pointer("/properties/level").cloned().unwrap_or_default();
            let lock: Lock = serde_json::from_value(level)
                .map_err(|error| Failure::gateway(400, "LockLevelInvalid", error.to_string()))?;
            cloud.shared.act(|world| world.set_lock(site, Some(lock)))?;
            Ok(wire::ok(&shape(name, lock)))
        }
        ("DELETE", [_]) => {
            cloud.shared.act(|world| world.set_lock(site, None))?;
            Ok(wire::empty(StatusCode::OK))
        }
        _ => Err(unknown(call)),
    }
}
