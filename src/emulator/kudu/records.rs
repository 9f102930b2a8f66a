//! Deployment records: `/api/deployments`.
//!
//! Owns their shape (kudu-deploy.md §6, §7, seen-in-recordings.md 21 to 25). Must not
//! change a record but by a pipeline's PUT.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Reply, look};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{
    Deployment, DeploymentStatus, LogKind, LogLine, RecordedDeployment, Refusal, Site, Slot, SlotRef,
    Timestamp,
};

/// The Location of an accepted upload and of a pending record. The emulator's hosts have their port,
/// as the real ones do on Linux (seen-in-recordings.md 22).
pub fn location(scm: &str, deployer: &str, time: Timestamp) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day]_[hour]-[minute]-[second]Z");
    let time = time.format(format).unwrap_or_default();
    let deployer: String = url::form_urlencoded::byte_serialize(deployer.as_bytes()).collect();
    format!("https://{scm}/api/deployments/latest?deployer={deployer}&time={time}")
}

/// On Linux a header spelt `retryafter` (seen-in-recordings.md 21); whether a real Retry-After stands beside it
/// cannot be seen, so there is none. On Windows Kudu's source has the real one (kudu-deploy.md §3).
pub fn retry_hint(response: &mut Response<Body>, linux: bool) {
    wire::set(response, if linux { "retryafter" } else { "retry-after" }, "30");
}

/// A DeployResult.
pub fn shape(site: &Site, slot: &Slot, record: &Deployment) -> Value {
    let linux = site.is_linux();
    let scm = &slot.hosts.scm;
    // Null for zipdeploy on Linux, by id for OneDeploy, "latest" on Windows (seen-in-recordings.md 24).
    let url = match (linux, record.deployer == "OneDeploy" || record.recorded) {
        (true, true) => Some(format!("https://{scm}/api/deployments/{}", record.id)),
        (true, false) => None,
        (false, _) if record.complete => Some(format!("https://{scm}/api/deployments/{}", record.id)),
        (false, _) => Some(format!("https://{scm}/api/deployments/latest")),
    };
    let succeeded = matches!(record.status, DeploymentStatus::Success | DeploymentStatus::PartialSuccess);
    let ended = record.ended.map(wire::rfc3339);
    let mut shape = json!({
        "id": record.id,
        "status": record.status.number(),
        "status_text": record.status_text,
        "author_email": record.author_email,
        "author": record.author,
        "deployer": record.deployer,
        "message": record.message,
        "progress": record.progress,
        "received_time": wire::rfc3339(record.received),
        "start_time": wire::rfc3339(record.started),
        "end_time": ended,
        "last_success_end_time": if succeeded { json!(ended) } else { Value::Null },
        "complete": record.complete,
        "active": record.active,
        "is_temp": record.is_temp,
        "is_readonly": !record.recorded,
        "url": url,
        "log_url": url.as_ref().map(|url| format!("{url}/log")),
        "site_name": if slot.name.is_production() {
            site.name.to_string()
        } else {
            format!("{}__{}", site.name, slot.name)
        },
    });
    // The one is on Linux only, the other on Windows only (seen-in-recordings.md 23).
    if linux {
        shape["build_summary"] = json!({"errors": [], "warnings": []});
    } else {
        let failed = matches!(record.status, DeploymentStatus::Failed | DeploymentStatus::Cancelled);
        let state = match (is_over(record), failed) {
            (false, _) => "InProgress",
            (true, true) => "Failed",
            (true, false) => "Succeeded",
        };
        shape["provisioningState"] = json!(state);
    }
    shape
}

/// Whether a deployment has come to an end.
pub fn is_over(record: &Deployment) -> bool {
    !matches!(
        record.status,
        DeploymentStatus::Pending | DeploymentStatus::Building | DeploymentStatus::Deploying
    )
}

/// The lines of a record's log.
pub fn log(scm: &str, record: &Deployment) -> Vec<Value> {
    record.log.iter().map(|line| line_shape(scm, &record.id, line)).collect()
}

fn line_shape(scm: &str, id: &str, line: &LogLine) -> Value {
    let kind = match line.kind {
        LogKind::Message => 0,
        LogKind::Warning => 1,
        LogKind::Error => 2,
    };
    let details =
        (!line.details.is_empty()).then(|| format!("https://{scm}/api/deployments/{id}/log/{}", line.id));
    json!({
        "log_time": wire::rfc3339(line.time),
        "id": line.id,
        "message": line.message,
        "type": kind,
        "details_url": details,
    })
}

/// `GET /api/deployments`, newest first, with an ETag. `?warmup=true` asks for the same.
pub(super) fn list(cloud: &Cloud, slot: &SlotRef, call: &Call) -> Reply {
    let body = look(cloud, slot, |_, site, found| {
        let all: Vec<Value> =
            found.side.deployments.iter().rev().map(|record| shape(site, found, record)).collect();
        Ok(Value::Array(all))
    })?;
    let digest = Sha256::digest(body.to_string().as_bytes());
    let etag = format!("\"{:02x}{:02x}{:02x}{:02x}\"", digest[0], digest[1], digest[2], digest[3]);
    let mut response = if call.header("if-none-match") == Some(etag.as_str()) {
        wire::empty(StatusCode::NOT_MODIFIED)
    } else {
        wire::ok(&body)
    };
    wire::set(&mut response, "etag", &etag);
    Ok(response)
}

/// `GET /api/deployments/latest`: 202 while some record is under way, else 200 with the newest.
pub(super) fn latest(cloud: &Cloud, slot: &SlotRef, call: &Call) -> Reply {
    let agent = call.header("user-agent").unwrap_or_default();
    // These two get a stub while the lock is held (kudu-deploy.md §6).
    let stubbed = agent.contains("VSTS_") || agent.contains("azure-resource-manager");
    look(cloud, slot, |_, site, found| {
        let records = &found.side.deployments;
        if stubbed && found.side.deployment_lock.is_some() {
            let stub =
                json!({"status": 0, "status_text": "", "complete": false, "active": false, "is_temp": true});
            return Ok(pending(&stub, site, found, records.last()));
        }
        let under_way = records.iter().rev().find(|record| !is_over(record));
        match (under_way, records.last()) {
            (Some(record), _) => Ok(pending(&shape(site, found, record), site, found, Some(record))),
            (None, Some(record)) => Ok(wire::ok(&shape(site, found, record))),
            (None, None) => Err(missing("latest")),
        }
    })
}

fn pending(body: &Value, site: &Site, slot: &Slot, record: Option<&Deployment>) -> Response<Body> {
    let mut response = wire::json(StatusCode::ACCEPTED, body);
    if let Some(record) = record {
        let location = location(&slot.hosts.scm, &record.deployer, record.received);
        wire::set(&mut response, "location", &location);
    }
    retry_hint(&mut response, site.is_linux());
    response
}

fn missing(id: &str) -> Refusal {
    Refusal::NotFound { what: format!("Deployment '{id}'") }
}

/// `GET /api/deployments/{id}`.
pub(super) fn one(cloud: &Cloud, slot: &SlotRef, id: &str) -> Reply {
    look(cloud, slot, |_, site, found| {
        let record = found.side.deployment(id).ok_or_else(|| missing(id))?;
        let body = shape(site, found, record);
        Ok(if is_over(record) { wire::ok(&body) } else { pending(&body, site, found, Some(record)) })
    })
}

/// `GET /api/deployments/{id}/log`; "latest" stands for the newest.
pub(super) fn log_of(cloud: &Cloud, slot: &SlotRef, id: &str) -> Reply {
    look(cloud, slot, |_, _, found| {
        let record = by_id(found, id)?;
        Ok(wire::ok(&Value::Array(log(&found.hosts.scm, record))))
    })
}

fn by_id<'a>(slot: &'a Slot, id: &str) -> Result<&'a Deployment, Refusal> {
    let record = if id == "latest" { slot.side.deployments.last() } else { slot.side.deployment(id) };
    record.ok_or_else(|| missing(id))
}

/// `GET /api/deployments/{id}/log/{line}`: what is one level down.
pub(super) fn details(cloud: &Cloud, slot: &SlotRef, id: &str, line: &str) -> Reply {
    look(cloud, slot, |_, _, found| {
        let record = by_id(found, id)?;
        let parent = record.log.iter().find(|own| own.id.eq_ignore_ascii_case(line));
        let parent = parent.ok_or_else(|| Refusal::NotFound { what: format!("LogId '{line}'") })?;
        let lines: Vec<Value> =
            parent.details.iter().map(|child| line_shape(&found.hosts.scm, id, child)).collect();
        Ok(wire::ok(&Value::Array(lines)))
    })
}

/// `PUT /api/deployments/{id}`: a pipeline's own record (kudu-deploy.md §7). Without status 3 or 4, message,
/// deployer and author it would mean "deploy this commit", and there is no repository: 404.
pub(super) fn write(cloud: &Cloud, slot: &SlotRef, call: &Call, id: &str) -> Reply {
    let body = call.json().map_err(|message| Refusal::BadRequest { message })?;
    let text = |name: &str| {
        body.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned)
    };
    let status = body.get("status").and_then(Value::as_i64).filter(|status| matches!(status, 3 | 4));
    let given = (status, text("message"), text("deployer"), text("author"));
    let (Some(status), Some(message), Some(deployer), Some(author)) = given else {
        return Err(Refusal::NotFound { what: "The repository".to_owned() });
    };
    let success = status == 4;
    let written = call.path.lower().iter().position(|segment| *segment == id);
    let record = RecordedDeployment {
        id: written.map_or(id, |index| call.path.original(index)).to_owned(),
        success,
        active: body.get("active").and_then(Value::as_bool).unwrap_or(success),
        message,
        deployer,
        author,
        details: text("details"),
    };
    let id = record.id.clone();
    cloud.shared.act(|world| world.record_deployment(slot, record))?;
    one(cloud, slot, &id)
}
