//! Slots: list, create, change, delete, start, stop, restart.
//!
//! Owns how a PUT's body is taken apart into commands (arm-app-service.md §4, §5). Must
//! not decide what a new slot has: the world does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::shape::{self, Standing};
use super::sites::{shape_of, version};
use super::{Failure, Reply, unknown};
use crate::emulator::cloud::{Cloud, SlotListeners};
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{ConnectionString, InstanceState, SlotChange, SlotRef, SlotState, World};
use crate::names::SiteName;

/// How long a synchronous restart may take: front ends cut requests after 230 s (kudu-deploy.md §3).
const PATIENCE: Duration = Duration::from_secs(230);

/// `GET {site}/slots`; production is not in it.
pub(super) fn list(cloud: &Cloud, call: &Call, site: &SiteName) -> Reply {
    if call.method != hyper::Method::GET {
        return Err(unknown(call));
    }
    cloud.shared.read(|world| {
        world.slot(&SlotRef::production(site.clone()))?;
        let slots: Vec<Value> = world
            .site(site.as_str())
            .into_iter()
            .flat_map(|site| site.slots.values().map(move |slot| (site, slot)))
            .filter(|(_, slot)| !slot.name.is_production())
            .map(|(site, slot)| shape::site(cloud, world, site, slot, version(call), Standing::Read))
            .collect();
        Ok(wire::ok(&json!({"value": slots, "nextLink": null, "id": null})))
    })
}

/// `PUT` or `PATCH` of a site or slot. A PUT creates what is not there; it answers 200 with the
/// work done (seen-in-recordings.md 5).
pub(super) async fn put(cloud: &Arc<Cloud>, call: &Call, slot: &SlotRef) -> Reply {
    let body = call.json().map_err(Failure::malformed)?;
    if body.pointer("/properties/cloningInfo").is_some_and(|info| !info.is_null()) {
        return Err(Failure::bad_request("The emulator does not model cloningInfo."));
    }
    let orders = Orders::read(&body)?;
    let exists = cloud.shared.read(|world| world.slot(slot).is_ok());
    if exists {
        cloud.shared.act(|world| orders.carry_out(world, slot))?;
    } else {
        create(cloud, slot, &body).await?;
        cloud.shared.act(|world| orders.carry_out(world, slot))?;
    }
    let shown = cloud.shared.read(|world| shape_of(cloud, world, slot, version(call), Standing::Written))?;
    Ok(wire::ok(&shown))
}

/// A new slot, or a new site on a plan that exists, needs two ports of its own.
async fn create(cloud: &Arc<Cloud>, slot: &SlotRef, body: &Value) -> Result<(), Failure> {
    let system = |error: std::io::Error| Failure::System(format!("no port for the slot: {error}"));
    let listeners = SlotListeners::bind().await.map_err(system)?;
    let hosts = listeners.hosts().map_err(system)?;
    let alarm = cloud.shared.act(|world| {
        if slot.slot.is_production() {
            let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let plan = text("/properties/serverFarmId").rsplit('/').next().unwrap_or_default().to_owned();
            let kind = Some(text("/kind")).filter(|kind| !kind.is_empty()).unwrap_or("app").to_owned();
            let (group, location) = (cloud.identity.resource_group.clone(), text("/location").to_owned());
            world.create_site(slot.site.clone(), group, location, kind, plan, hosts)?;
        } else {
            world.create_slot(slot, hosts)?;
        }
        let ready = world.now() + cloud.identity.create_slot;
        world.set_alarm(ready);
        Ok::<_, Failure>(ready)
    })?;
    cloud.open_slot(slot, listeners);
    // The answer comes when the work is done: 22 to 33 s for a new slot (seen-in-recordings.md 5).
    if !cloud.identity.create_slot.is_zero() {
        cloud.shared.wait_for(PATIENCE, |world| (world.now() >= alarm).then_some(())).await;
    }
    Ok(())
}

/// What the body of a PUT asks for, taken apart before anything is done.
#[derive(Default)]
struct Orders {
    change: SlotChange,
    app_settings: Option<BTreeMap<String, String>>,
    connection_strings: Option<BTreeMap<String, ConnectionString>>,
    web_config: Option<Value>,
}

impl Orders {
    fn read(body: &Value) -> Result<Self, Failure> {
        let properties = body.get("properties").cloned().unwrap_or_default();
        let flag = |name: &str| properties.get(name).and_then(Value::as_bool);
        let mut orders = Self {
            change: SlotChange {
                https_only: flag("httpsOnly"),
                client_affinity: flag("clientAffinityEnabled"),
                subnet: properties
                    .get("virtualNetworkSubnetId")
                    .map(|subnet| subnet.as_str().filter(|id| !id.is_empty()).map(str::to_owned)),
                tags: body.get("tags").filter(|tags| tags.is_object()).map(texts),
                authentication: None,
            },
            ..Self::default()
        };
        let Some(config) = properties.get("siteConfig").and_then(Value::as_object) else { return Ok(orders) };
        let mut config: Map<String, Value> = config
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if let Some(settings) = config.remove("appSettings") {
            orders.app_settings = Some(pairs(&settings, "value")?.into_iter().collect());
        }
        if let Some(strings) = config.remove("connectionStrings") {
            let kinds: BTreeMap<String, String> = pairs(&strings, "type")?.into_iter().collect();
            let strings = pairs(&strings, "connectionString")?;
            orders.connection_strings = Some(
                strings
                    .into_iter()
                    .map(|(name, value)| {
                        let kind = kinds.get(&name).cloned().unwrap_or_else(|| "Custom".to_owned());
                        (name, ConnectionString { value, kind })
                    })
                    .collect(),
            );
        }
        if !config.is_empty() {
            orders.web_config = Some(Value::Object(config));
        }
        Ok(orders)
    }

    fn carry_out(&self, world: &mut World, slot: &SlotRef) -> Result<(), Failure> {
        world.patch_slot(slot, self.change.clone())?;
        if let Some(settings) = &self.app_settings {
            world.put_app_settings(slot, settings.clone())?;
        }
        if let Some(strings) = &self.connection_strings {
            world.put_connection_strings(slot, strings.clone())?;
        }
        if let Some(config) = &self.web_config {
            world.patch_web_config(slot, config.clone())?;
        }
        Ok(())
    }
}

/// `[{name, <field>}]` as pairs.
fn pairs(list: &Value, field: &str) -> Result<Vec<(String, String)>, Failure> {
    let wrong =
        || Failure::bad_request(format!("siteConfig must hold a list of objects with name and {field}."));
    let text = |item: &Value, field: &str| item.get(field).and_then(Value::as_str).map(str::to_owned);
    list.as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|item| Some((text(item, "name")?, text(item, field).unwrap_or_default())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(wrong)
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// `DELETE` of a slot: 200 without a body (seen-in-recordings.md 5). That of a site takes its slots with it, and its
/// plan when it was the last one on it, unless told not to (arm-app-service.md §4; mgmt-web, `delete`).
pub(super) fn delete(cloud: &Cloud, call: &Call, slot: &SlotRef) -> Reply {
    if slot.slot.is_production() {
        let with_plan = call.query.flag("deleteEmptyServerFarm") != Some(false);
        for gone in cloud.shared.act(|world| world.delete_site(&slot.site, with_plan))? {
            cloud.close_slot(&gone);
        }
    } else {
        cloud.shared.act(|world| world.delete_slot(slot))?;
        cloud.close_slot(slot);
    }
    Ok(wire::empty(StatusCode::OK))
}

/// `POST …/start`, `/stop`, `/restart`: 200 without a body, before the worker is ready unless
/// `synchronous=true` (arm-app-service.md §5).
pub(super) async fn power(cloud: &Cloud, call: &Call, slot: &SlotRef, verb: &str) -> Reply {
    cloud.shared.act(|world| match verb {
        "start" => world.start(slot),
        "stop" => world.stop(slot),
        // A soft restart applies configuration and restarts if needed; here configuration is always
        // applied, so nothing is left to do.
        _ if call.query.flag("softRestart") == Some(true) => Ok(()),
        _ => world.restart(slot),
    })?;
    if verb == "restart" && call.query.flag("synchronous") == Some(true) {
        cloud.shared.wait_for(PATIENCE, |world| settled(world, slot)).await;
    }
    Ok(wire::empty(StatusCode::OK))
}

/// Whether every instance of a slot has come up or failed.
fn settled(world: &World, slot: &SlotRef) -> Option<()> {
    let slot = world.slot(slot).ok()?;
    let up = slot.side.instances.iter().all(|instance| instance.state != InstanceState::Starting);
    (slot.state == SlotState::Stopped || up).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_taken_apart_and_nulls_are_left_out() {
        let body = json!({"location": "West Europe", "tags": {"a": "b"}, "properties": {
            "httpsOnly": true, "virtualNetworkSubnetId": null,
            "siteConfig": {"alwaysOn": true, "phpVersion": null,
                "appSettings": [{"name": "A", "value": "1"}],
                "connectionStrings": [{"name": "C", "connectionString": "x", "type": "SQLAzure"}]}}});
        let Ok(orders) = Orders::read(&body) else { panic!("well formed") };
        assert_eq!((orders.change.https_only, orders.change.subnet), (Some(true), Some(None)));
        assert_eq!(orders.app_settings, Some(BTreeMap::from([("A".to_owned(), "1".to_owned())])));
        let strings = orders.connection_strings.expect("given");
        assert_eq!((strings["C"].value.as_str(), strings["C"].kind.as_str()), ("x", "SQLAzure"));
        assert_eq!(orders.web_config, Some(json!({"alwaysOn": true})));
    }

    #[test]
    fn a_put_of_the_wrong_shape_is_refused_whole() {
        let body = json!({"properties": {"siteConfig": {"appSettings": {"A": "1"}}}});
        assert!(Orders::read(&body).is_err());
        let Ok(orders) = Orders::read(&json!({})) else { panic!("nothing is well formed") };
        assert!(orders.app_settings.is_none() && orders.web_config.is_none());
    }
}
