//! Deployments seen through Resource Manager, and their runtime status.
//!
//! Owns the envelopes (arm-app-service.md §13, seen-in-recordings.md 16). The records are
//! Kudu's and need Kudu to be up. Not modelled: `extensions/onedeploy`.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::operations;
use super::shape;
use super::sites::version;
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::kudu::records;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{Deployment, DeploymentStatus, InstanceState, Site, Slot, SlotRef};

/// `GET …/deployments`, `/deployments/{id}`, `/deployments/{id}/log`.
pub(super) fn records(cloud: &Cloud, slot: &SlotRef, rest: &[&str], written_id: &str) -> Reply {
    cloud.shared.read(|world| {
        world.check_scm(slot)?;
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        let one = |id: &str| {
            let missing = || Failure::not_found(format!("The deployment '{written_id}'"));
            found.side.deployment(id).ok_or_else(missing)
        };
        match rest {
            [] => {
                let all: Vec<Value> = found
                    .side
                    .deployments
                    .iter()
                    .rev()
                    .map(|record| envelope(cloud, site, found, record))
                    .collect();
                Ok(wire::ok(&json!({"value": all, "nextLink": null, "id": null})))
            }
            [id] => Ok(wire::ok(&envelope(cloud, site, found, one(id)?))),
            [id, "log"] => {
                let record = one(id)?;
                let lines = records::log(&found.hosts.scm, record);
                Ok(wire::ok(&json!({"value": lines, "nextLink": null, "id": null})))
            }
            _ => Err(Failure::not_found("The resource")),
        }
    })
}

fn envelope(cloud: &Cloud, site: &Site, slot: &Slot, record: &Deployment) -> Value {
    json!({
        "id": format!("{}/deployments/{}", shape::slot_id(cloud, site, slot), record.id),
        "name": record.id,
        "type": format!("{}/deployments", shape::slot_type(slot)),
        "location": site.location,
        "properties": records::shape(site, slot, record),
    })
}

/// `GET …/deploymentStatus` and `/deploymentStatus/{id}`: Linux only. While it is under way 202 with the full body
/// and a signed Location; every end comes with 200. A newer deployment makes an older id 404.
pub(super) fn status(cloud: &Cloud, call: &Call, slot: &SlotRef, rest: &[&str]) -> Reply {
    let (mut body, over) = cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        if !site.is_linux() {
            return Err(Failure::not_found("The deployment status of a Windows app"));
        }
        let newest = found.side.deployments.iter().rev().find(|record| !record.recorded);
        match (newest, rest) {
            (Some(record), []) => Ok((runtime_status(cloud, site, found, record), None)),
            (None, []) => Ok((Value::Null, None)),
            (Some(record), [id])
                if [&record.id, &record.final_id].iter().any(|own| own.eq_ignore_ascii_case(id)) =>
            {
                Ok((runtime_status(cloud, site, found, record), Some(is_over(found, record))))
            }
            (_, [id]) => Err(Failure::not_found(format!("The deployment '{id}'"))),
            _ => Err(Failure::not_found("The resource")),
        }
    })?;
    let Some(over) = over else {
        let all: Vec<Value> = std::iter::once(body.take()).filter(|one| !one.is_null()).collect();
        return Ok(wire::ok(&json!({"value": all, "nextLink": null, "id": null})));
    };
    if over {
        return Ok(wire::ok(&body));
    }
    let mut response = wire::json(StatusCode::ACCEPTED, &body);
    let base = cloud.identity.resource_manager.trim_end_matches('/');
    let id = body["id"].as_str().unwrap_or_default();
    let now = cloud.shared.read(crate::emulator::world::World::now);
    let location = format!("{base}{id}?api-version={}&{}", version(call), operations::signature(now));
    wire::set(&mut response, "location", &location);
    wire::set(&mut response, "retry-after", &cloud.identity.retry_after_seconds());
    Ok(response)
}

/// How many instances are starting, ready, failed.
fn instances(slot: &Slot) -> (usize, usize, usize) {
    let count = |wanted: fn(&InstanceState) -> bool| {
        slot.side.instances.iter().filter(|instance| wanted(&instance.state)).count()
    };
    (
        count(|state| *state == InstanceState::Starting),
        count(|state| *state == InstanceState::Ready),
        count(|state| matches!(state, InstanceState::Failed { .. })),
    )
}

fn phase(slot: &Slot, record: &Deployment) -> &'static str {
    let (starting, ready, failed) = instances(slot);
    match record.status {
        DeploymentStatus::Success if starting > 0 => "RuntimeStarting",
        DeploymentStatus::Success if failed > 0 || ready == 0 => "RuntimeFailed",
        DeploymentStatus::Success | DeploymentStatus::PartialSuccess => "RuntimeSuccessful",
        DeploymentStatus::Failed => "BuildFailed",
        DeploymentStatus::Cancelled | DeploymentStatus::Conflict => "BuildAborted",
        DeploymentStatus::Pending if record.is_temp => "BuildRequestReceived",
        DeploymentStatus::Pending | DeploymentStatus::Building | DeploymentStatus::Deploying => {
            "BuildInProgress"
        }
    }
}

fn is_over(slot: &Slot, record: &Deployment) -> bool {
    matches!(phase(slot, record), "RuntimeSuccessful" | "RuntimeFailed" | "BuildFailed" | "BuildAborted")
}

fn runtime_status(cloud: &Cloud, site: &Site, slot: &Slot, record: &Deployment) -> Value {
    let phase = phase(slot, record);
    let (starting, ready, failed) = instances(slot);
    // Counts mean something once the build is over.
    let built = phase.starts_with("Runtime");
    let counted = |number: usize| if built { number } else { 0 };
    let scm = &slot.hosts.scm;
    // The texts of the errors, "proccess" included, are the service's own (seen-in-recordings.md 16).
    let (logs, error) = match phase {
        "BuildFailed" => (
            json!([format!("https://{scm}/api/deployments/{}/log", record.id)]),
            Some(("04914", "Deployment failed because the build process failed.")),
        ),
        "RuntimeFailed" => (
            json!([format!("https://{scm}/api/logs/docker")]),
            Some((
                "04915",
                "Deployment failed because the site failed to start: the worker proccess failed.",
            )),
        ),
        _ => (Value::Null, None),
    };
    let errors = error.map(|(extended, message)| {
        json!([{"extendedCode": extended, "messageTemplate": message, "code": "BadRequest", "message": message}])
    });
    json!({
        "id": format!("{}/deploymentStatus/{}", shape::slot_id(cloud, site, slot), record.id),
        "name": record.id,
        "type": format!("{}/deploymentStatus", shape::slot_type(slot)),
        "location": site.location,
        "properties": {
            "deploymentId": record.id,
            "status": phase,
            "numberOfInstancesInProgress": counted(starting),
            "numberOfInstancesSuccessful": counted(ready),
            "numberOfInstancesFailed": counted(failed),
            "failedInstancesLogs": logs,
            "errors": errors,
        },
    })
}
