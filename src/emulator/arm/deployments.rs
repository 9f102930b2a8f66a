//! Deployments seen through Resource Manager, and their runtime status.
//!
//! Owns the envelopes (arm-app-service.md §13, seen-in-recordings.md 16). The records are
//! Kudu's and need Kudu to be up.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::operations;
use super::shape;
use super::sites::version;
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::kudu::{publish, records};
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{Deployment, DeploymentStatus, InstanceState, Site, Slot, SlotRef};

/// `GET …/deployments`, `/deployments/{id}` and `/latest`, `/deployments/{id}/log`.
pub(super) fn records(cloud: &Cloud, call: &Call, slot: &SlotRef, rest: &[&str], written_id: &str) -> Reply {
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
            ["latest"] => latest(cloud, call, site, found),
            [id] => Ok(wire::ok(&envelope(cloud, site, found, one(id)?))),
            [id, "log"] => Ok(wire::ok(&log(cloud, site, found, one(id)?))),
            _ => Err(Failure::not_found("The resource")),
        }
    })
}

/// The newest, as Kudu answers it: 202 while it is under way, with a Location of Resource Manager's
/// (kudu-deploy.md §6, seen-in-recordings.md 15).
fn latest(cloud: &Cloud, call: &Call, site: &Site, slot: &Slot) -> Reply {
    let newest = slot.side.deployments.last();
    let record = newest.ok_or_else(|| Failure::not_found("The deployment 'latest'"))?;
    let body = envelope(cloud, site, slot, record);
    Ok(if records::is_over(record) {
        wire::ok(&body)
    } else {
        accepted(cloud, call, site, slot, record, &body)
    })
}

/// Each line in an envelope of its own, as Kudu makes them (Kudu.Services, DeploymentController.GetLogEntry and
/// ArmUtils.Create: the name joins the names of the path).
fn log(cloud: &Cloud, site: &Site, slot: &Slot, record: &Deployment) -> Value {
    let id = format!("{}/deployments/{}/log", shape::slot_id(cloud, site, slot), record.id);
    let lines: Vec<Value> = records::log(&slot.hosts.scm, record)
        .into_iter()
        .map(|line| {
            let own = line["id"].as_str().unwrap_or_default().to_owned();
            json!({
                "id": format!("{id}/{own}"),
                "name": format!("{}/{}/{own}", shape::full_name(site, slot), record.id),
                "type": format!("{}/deployments/log", shape::slot_type(slot)),
                "location": site.location,
                "properties": line,
            })
        })
        .collect();
    json!({"value": lines, "nextLink": null, "id": null})
}

/// `PUT …/extensions/onedeploy`: the package is fetched from `packageUri` before the answer, which recordings show
/// to take its time, and deployed behind it. The answer is the record of the first moment: no id yet, temporary
/// (seen-in-recordings.md 15).
pub(super) async fn one_deploy(cloud: &Arc<Cloud>, call: &Call, slot: &SlotRef) -> Reply {
    let body = call.json().map_err(Failure::malformed)?;
    let key = publish::fetched(cloud, slot, &body["properties"]).await?;
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        let record = world.deployment(&key).ok_or_else(|| Failure::not_found("The deployment"))?;
        let mut body = envelope(cloud, site, found, record);
        let first = json!({
            "id": null, "status": 0, "status_text": "Receiving changes.", "is_temp": true, "complete": false,
            "active": false, "end_time": null, "last_success_end_time": null,
        });
        if let (Some(shown), Value::Object(first)) = (body["properties"].as_object_mut(), first) {
            shown.extend(first);
        }
        body["id"] = json!(format!("{}/extensions/onedeploy", shape::slot_id(cloud, site, found)));
        body["name"] = json!(format!("{}/onedeploy", shape::full_name(site, found)));
        body["type"] = json!(format!("{}/extensions", shape::slot_type(found)));
        Ok(accepted(cloud, call, site, found, record, &body))
    })
}

/// 202 with Kudu's Location as it looks through Resource Manager: the request's own api-version
/// (seen-in-recordings.md 15, 21).
fn accepted(
    cloud: &Cloud,
    call: &Call,
    site: &Site,
    slot: &Slot,
    record: &Deployment,
    body: &Value,
) -> hyper::Response<Body> {
    let mut response = wire::json(StatusCode::ACCEPTED, body);
    let base = cloud.identity.resource_manager.trim_end_matches('/');
    let own = records::location(&slot.hosts.scm, &record.deployer, record.received);
    let question = own.split_once('?').map_or("", |(_, question)| question);
    let location = format!(
        "{base}{}/deployments/latest?api-version={}&{question}",
        shape::slot_id(cloud, site, slot),
        version(call)
    );
    wire::set(&mut response, "location", &location);
    records::retry_hint(&mut response, site.is_linux());
    response
}

/// The name joins the names of the path (Kudu.Services/Arm/ArmUtils.cs, Create).
fn envelope(cloud: &Cloud, site: &Site, slot: &Slot, record: &Deployment) -> Value {
    json!({
        "id": format!("{}/deployments/{}", shape::slot_id(cloud, site, slot), record.id),
        "name": format!("{}/{}", shape::full_name(site, slot), record.id),
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
