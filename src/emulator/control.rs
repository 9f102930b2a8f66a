//! The control endpoint: what tests and rehearsals may ask that Azure does not offer.
//!
//! Owns its JSON. HTTPS with the same authority, no token: it listens on loopback and
//! its port is told to the owner only. Never shows a body, a secret or a token.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cloud::{Cloud, Role};
use super::fault::Faults;
use super::front::Body;
use super::scenario::Action;
use super::token::AssertionOrder;
use super::wire::{self, Call};
use super::world::{
    InstanceState, Lock, Operation, OperationState, Refusal, Site, Slot, SlotRef, SlotState, World,
};
use crate::names::{SiteName, SlotName};

/// Answers a request.
pub async fn answer(cloud: &Arc<Cloud>, call: Call) -> Response<Body> {
    match route(cloud, &call).await {
        Ok(body) => wire::ok(&body),
        Err((status, message)) => wire::json(status, &json!({ "error": message })),
    }
}

type Reply = Result<Value, (StatusCode, String)>;

fn bad(message: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, message.to_string())
}

fn refused(refusal: &Refusal) -> (StatusCode, String) {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, refusal.to_string())
}

async fn route(cloud: &Arc<Cloud>, call: &Call) -> Reply {
    match (call.method.as_str(), call.path.lower().as_slice()) {
        ("GET", ["world"]) => Ok(cloud.shared.read(snapshot)),
        ("GET", ["operations"]) => Ok(json!(cloud.shared.read(operations))),
        ("GET", ["requests"]) => Ok(json!(cloud.requests.all())),
        ("POST", ["step"]) => {
            let seconds = call.json().map_err(bad)?.get("seconds").and_then(Value::as_f64);
            let by = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            cloud.shared.step(by.ok_or_else(|| bad("seconds must be a number from 0 on"))?).await;
            Ok(cloud.shared.read(snapshot))
        }
        ("POST", ["drain"]) => {
            cloud.shared.drain().await;
            Ok(cloud.shared.read(snapshot))
        }
        ("POST", ["faults"]) => {
            let rule = Faults::parse(&call.json().map_err(bad)?).map_err(bad)?;
            cloud.faults.add(rule).map_err(bad)?;
            Ok(json!({}))
        }
        ("DELETE", ["faults"]) => {
            cloud.faults.clear();
            Ok(json!({}))
        }
        ("POST", ["act"]) => {
            let action: Act = serde_json::from_slice(&call.body).map_err(bad)?;
            act(cloud, action)
        }
        ("POST", ["tokens", "expire"]) => {
            cloud.directory.expire_all();
            Ok(json!({}))
        }
        ("POST", ["assertions"]) => {
            let order: AssertionOrder = serde_json::from_value(call.json().map_err(bad)?).map_err(bad)?;
            let clock = time::OffsetDateTime::now_utc();
            let assertion = cloud.directory.assertion(&order, clock).map_err(bad)?;
            Ok(json!({ "value": assertion }))
        }
        ("POST", ["shutdown"]) => {
            cloud.asked_to_end.cancel();
            Ok(json!({}))
        }
        _ => Err((StatusCode::NOT_FOUND, format!("no such thing: {} /{}", call.method, call.path.rest(0)))),
    }
}

/// What somebody else does to the world, as from the portal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
enum Act {
    Swap {
        source: SlotName,
        #[serde(default = "SlotName::production")]
        target: SlotName,
        #[serde(default = "yes")]
        preserve_vnet: bool,
    },
    Deploy {
        slot: SlotName,
        package: PathBuf,
    },
    Restart {
        slot: SlotName,
    },
    /// Kudu alone.
    RestartScm {
        slot: SlotName,
    },
    Start {
        slot: SlotName,
    },
    Stop {
        slot: SlotName,
    },
    /// Writes app settings and leaves the others as they are; null removes one.
    Settings {
        slot: SlotName,
        set: BTreeMap<String, Option<String>>,
    },
    Scale {
        workers: usize,
    },
    Lock {
        level: Option<Lock>,
    },
    /// What the application may do from now on.
    Role(Role),
    /// An app answers a path with a status, whatever it would say; without a status no more.
    AppFails {
        slot: SlotName,
        path: String,
        #[serde(default)]
        status: Option<u16>,
    },
}

fn yes() -> bool {
    true
}

fn act(cloud: &Cloud, action: Act) -> Reply {
    let site =
        cloud.shared.read(|world| world.sites().next().map(|site| (site.name.clone(), site.plan.clone())));
    let (site, plan) = site.ok_or_else(|| bad("there is no site"))?;
    let slot = |slot: SlotName| SlotRef::new(site.clone(), slot);
    let done = match action {
        Act::Swap { source, target, preserve_vnet } => {
            let begun =
                cloud.shared.act(|world| world.begin_swap(&slot(source), &slot(target), preserve_vnet));
            return begun.map(|id| json!({ "operation": id })).map_err(|refusal| refused(&refusal));
        }
        Act::Deploy { slot, package } => {
            cloud.shared.act(|world| world.perform(Action::Deploy { slot, package }))
        }
        Act::Restart { slot: name } => cloud.shared.act(|world| world.restart(&slot(name))),
        Act::RestartScm { slot } => cloud.shared.act(|world| world.perform(Action::RestartScm { slot })),
        Act::Start { slot: name } => cloud.shared.act(|world| world.start(&slot(name))),
        Act::Stop { slot: name } => cloud.shared.act(|world| world.stop(&slot(name))),
        Act::Settings { slot: name, set } => {
            cloud.shared.act(|world| write_settings(world, &slot(name), set))
        }
        Act::Scale { workers } => cloud.shared.act(|world| world.scale(&plan, workers)),
        Act::Lock { level } => cloud.shared.act(|world| world.set_lock(&site, level)),
        Act::Role(role) => {
            cloud.set_role(role);
            Ok(())
        }
        Act::AppFails { slot: name, path, status } => {
            if status.is_some_and(|status| StatusCode::from_u16(status).is_err()) {
                return Err(bad("status must be from 100 to 999"));
            }
            let slot = slot(name);
            let there = cloud.shared.read(|world| world.slot(&slot).map(|_| ()));
            there.map(|()| cloud.shared.force_answer(&slot, &path, status))
        }
    };
    done.map(|()| json!({})).map_err(|refusal| refused(&refusal))
}

fn write_settings(
    world: &mut World,
    slot: &SlotRef,
    set: BTreeMap<String, Option<String>>,
) -> Result<(), Refusal> {
    let mut settings = world.slot(slot)?.app_settings.clone();
    for (name, value) in set {
        match value {
            Some(value) => settings.insert(name, value),
            None => settings.remove(&name),
        };
    }
    world.put_app_settings(slot, settings)
}

/// Everything that can be seen of the world, but for passwords and values of connection strings.
fn snapshot(world: &World) -> Value {
    let sites: BTreeMap<&SiteName, Value> =
        world.sites().map(|site| (&site.name, site_snapshot(world, site))).collect();
    let milestones: Vec<Value> = world
        .milestones()
        .iter()
        .map(|(milestone, at)| json!({"milestone": milestone, "time": wire::rfc3339(*at)}))
        .collect();
    let actors: Vec<Value> = world
        .actor_results()
        .iter()
        .map(|done| {
            json!({
                "actor": done.actor,
                "time": wire::rfc3339(done.time),
                "refused": done.result.as_ref().err().map(Refusal::to_string),
            })
        })
        .collect();
    json!({
        "now": wire::rfc3339(world.now()),
        "next_due": world.next_due().map(wire::rfc3339),
        "sites": sites,
        "operations": operations(world),
        "milestones": milestones,
        "actors": actors,
    })
}

fn site_snapshot(world: &World, site: &Site) -> Value {
    let slots: BTreeMap<&SlotName, Value> =
        site.slots.values().map(|slot| (&slot.name, slot_snapshot(slot))).collect();
    json!({
        "slots": slots,
        "slot_setting_names": site.slot_setting_names,
        "lock": site.lock,
        "workers": world.plan_of(&site.name).map(|plan| plan.workers.clone()),
    })
}

fn slot_snapshot(slot: &Slot) -> Value {
    let deployments: Vec<Value> = slot
        .side
        .deployments
        .iter()
        .map(|record| {
            json!({
                "id": record.id, "status": record.status.number(), "complete": record.complete,
                "active": record.active, "killed": record.killed, "message": record.message,
                "deployer": record.deployer, "received": wire::rfc3339(record.received),
            })
        })
        .collect();
    let instances: Vec<Value> = slot
        .side
        .instances
        .iter()
        .map(|instance| {
            let (state, reason) = match &instance.state {
                InstanceState::Starting => ("starting", None),
                InstanceState::Ready => ("ready", None),
                InstanceState::Failed { reason } => ("failed", Some(reason)),
            };
            json!({
                "worker": instance.worker, "generation": instance.generation, "state": state,
                "reason": reason, "since": wire::rfc3339(instance.since),
            })
        })
        .collect();
    json!({
        "state": if slot.state == SlotState::Running { "running" } else { "stopped" },
        "content": slot.side.content_id,
        "active_deployment": slot.side.active_deployment().map(|record| record.id.clone()),
        "deployments": deployments,
        "deploying": slot.side.deployment_lock.is_some(),
        "instances": instances,
        "app_settings": slot.app_settings,
        "web_config": slot.web_config,
        "connection_string_names": slot.connection_strings.keys().collect::<Vec<_>>(),
        "target_swap_slot": slot.target_swap_slot,
        "in_progress_operation": slot.in_progress_operation,
        "slot_swap_status": slot.slot_swap_status.as_ref().map(|status| json!({
            "time": wire::rfc3339(status.timestamp),
            "source": status.source,
            "destination": status.destination,
        })),
        "scm_restarting": slot.scm.restarting_until.is_some(),
    })
}

fn operations(world: &World) -> Vec<Value> {
    world.operations().iter().map(operation).collect()
}

fn operation(operation: &Operation) -> Value {
    let (state, failure) = match &operation.state {
        OperationState::Running => ("running", None),
        OperationState::Succeeded => ("succeeded", None),
        OperationState::Failed(refusal) => ("failed", Some(refusal.to_string())),
    };
    let steps: Vec<Value> =
        operation.steps.iter().map(|(step, at)| json!({"step": step, "time": wire::rfc3339(*at)})).collect();
    json!({
        "id": operation.id, "source": operation.source, "target": operation.target, "state": state,
        "failure": failure, "created": wire::rfc3339(operation.created),
        "ended": operation.ended.map(wire::rfc3339), "step": operation.step, "steps": steps,
    })
}
