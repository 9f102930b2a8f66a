//! Instances and container logs.
//!
//! Owns their shapes (arm-app-service.md §14, seen-in-recordings.md 17). Must not say more
//! of an instance than Azure does.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::shape;
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::kudu::logs as kudu_logs;
use crate::emulator::wire;
use crate::emulator::world::{Site, Slot, SlotRef, SlotState, WorkerId};

/// `GET …/instances` and `/instances/{id}`; `value`, `nextLink` and `id` stand beside each other.
pub(super) fn route(cloud: &Cloud, slot: &SlotRef, rest: &[&str]) -> Reply {
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        let mut workers: Vec<&WorkerId> =
            found.side.instances.iter().map(|instance| &instance.worker).collect();
        workers.sort();
        match rest {
            [] => {
                let all: Vec<Value> =
                    workers.into_iter().map(|worker| instance(cloud, site, found, worker)).collect();
                Ok(wire::ok(&json!({"value": all, "nextLink": null, "id": null})))
            }
            [id] => {
                let worker = workers.into_iter().find(|worker| worker.0.eq_ignore_ascii_case(id));
                let worker = worker.ok_or_else(|| Failure::not_found(format!("The instance '{id}'")))?;
                Ok(wire::ok(&instance(cloud, site, found, worker)))
            }
            _ => Err(Failure::not_found("The resource")),
        }
    })
}

/// Whether a slot has an instance.
pub(super) fn check(cloud: &Cloud, slot: &SlotRef, id: &str) -> Result<(), Failure> {
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let there = found.side.instances.iter().any(|instance| instance.worker.0.eq_ignore_ascii_case(id));
        if there { Ok(()) } else { Err(Failure::not_found(format!("The instance '{id}'"))) }
    })
}

/// The state of a Linux app's instance was UNKNOWN though it worked: it says nothing of readiness.
fn instance(cloud: &Cloud, site: &Site, slot: &Slot, worker: &WorkerId) -> Value {
    let state = match (slot.state, site.is_linux()) {
        (SlotState::Stopped, _) => "STOPPED",
        (SlotState::Running, true) => "UNKNOWN",
        (SlotState::Running, false) => "READY",
    };
    let id = format!("{}/instances/{worker}", shape::slot_id(cloud, site, slot));
    let scm = &slot.hosts.scm;
    json!({
        "id": id,
        "name": worker,
        "type": format!("{}/instances", shape::slot_type(slot)),
        "location": site.location,
        "properties": {
            "siteInstanceName": worker,
            "state": state,
            "statusUrl": format!("https://{scm}/api/instances/{worker}/status"),
            "healthCheckUrl": slot.web_config.health_check_path.as_ref().map(|path| format!("https://{}{path}", slot.hosts.app)),
            "detectorUrl": format!("https://{scm}/api/instances/{worker}/detector"),
            "consoleUrl": format!("https://{scm}/webssh/host?instance={worker}"),
            "containers": null,
            "physicalZone": null,
            "machineName": kudu_logs::machine_name(worker),
        },
    })
}

/// `POST …/containerlogs`: 200 with the text, 204 when there is none; `/zip/download` gives a zip.
pub(super) fn logs(cloud: &Cloud, slot: &SlotRef, rest: &[&str]) -> Reply {
    cloud.shared.read(|world| world.check_post(slot))?;
    match rest {
        [] => {
            let text = cloud.shared.container_log(slot, None);
            if text.is_empty() {
                return Ok(wire::empty(StatusCode::NO_CONTENT));
            }
            Ok(wire::content(StatusCode::OK, "application/octet-stream", text))
        }
        ["zip", "download"] => {
            let files = kudu_logs::files(cloud, slot)?;
            let zip = kudu_logs::zipped(&files).map_err(|error| Failure::System(error.to_string()))?;
            Ok(wire::content(StatusCode::OK, "application/octet-stream", zip))
        }
        _ => Err(Failure::not_found("The resource")),
    }
}
