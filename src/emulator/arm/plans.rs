//! App Service plans: `Microsoft.Web/serverfarms`.
//!
//! Owns their shape. Must not decide how far a plan may grow: the world does.

use hyper::Response;
use serde_json::{Value, json};

use super::shape;
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{Plan, World};

/// `GET …/serverfarms`.
pub(super) fn list(cloud: &Cloud) -> Response<Body> {
    let plans: Vec<Value> =
        cloud.shared.read(|world| world.plans().map(|plan| plan_shape(cloud, world, plan)).collect());
    wire::ok(&json!({"value": plans, "nextLink": null, "id": null}))
}

/// `GET …/serverfarms/{name}`.
pub(super) fn show(cloud: &Cloud, name: &str) -> Reply {
    let found = cloud.shared.read(|world| {
        world
            .plans()
            .find(|plan| plan.name.eq_ignore_ascii_case(name))
            .map(|plan| plan_shape(cloud, world, plan))
    });
    let missing = || {
        Failure::gateway(
            404,
            "ResourceNotFound",
            format!(
                "The Resource 'Microsoft.Web/serverFarms/{name}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                cloud.identity.resource_group
            ),
        )
    };
    found.map(|plan| wire::ok(&plan)).ok_or_else(missing)
}

/// `PUT` or `PATCH …/serverfarms/{name}` with another `sku.capacity`.
pub(super) fn scale(cloud: &Cloud, call: &Call, name: &str) -> Reply {
    let body = call.json().map_err(Failure::malformed)?;
    if let Some(capacity) = body.pointer("/sku/capacity").and_then(Value::as_u64) {
        let workers = usize::try_from(capacity).unwrap_or(usize::MAX);
        let plan = cloud.shared.read(|world| {
            world.plans().find(|plan| plan.name.eq_ignore_ascii_case(name)).map(|plan| plan.name.clone())
        });
        cloud.shared.act(|world| world.scale(plan.as_deref().unwrap_or(name), workers))?;
    }
    show(cloud, name)
}

/// `sku` tells slot support and the number of instances (arm-app-service.md §3).
fn plan_shape(cloud: &Cloud, world: &World, plan: &Plan) -> Value {
    let sites: Vec<_> = world.sites().filter(|site| site.plan == plan.name).collect();
    let linux = sites.iter().any(|site| site.is_linux());
    let location = sites.first().map(|site| site.location.clone()).unwrap_or_default();
    json!({
        "id": shape::plan_id(cloud, &plan.name),
        "name": plan.name,
        "type": "Microsoft.Web/serverfarms",
        "kind": if linux { "linux" } else { "app" },
        "location": location,
        "tags": null,
        "properties": {
            "serverFarmId": 1,
            "name": plan.name,
            "status": "Ready",
            "provisioningState": "Succeeded",
            "geoRegion": location,
            "resourceGroup": cloud.identity.resource_group,
            "subscription": cloud.identity.subscription,
            "numberOfSites": sites.iter().map(|site| site.slots.len()).sum::<usize>(),
            "numberOfWorkers": plan.workers.len(),
            "currentNumberOfWorkers": plan.workers.len(),
            "maximumNumberOfWorkers": 30,
            "maximumElasticWorkerCount": 1,
            "perSiteScaling": false,
            "elasticScaleEnabled": false,
            "reserved": linux,
            "isXenon": false,
            "hyperV": false,
            "isSpot": false,
            "zoneRedundant": false,
        },
        "sku": {
            "name": plan.size,
            "tier": plan.tier,
            "size": plan.size,
            "family": plan.size.chars().next().map(String::from).unwrap_or_default(),
            "capacity": plan.workers.len(),
        },
    })
}
