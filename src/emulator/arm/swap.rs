//! Swap, swap with preview, slot differences.
//!
//! Owns the bodies and the answers (arm-app-service.md §6, §8, §10). Must not swap: the
//! world does.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::operations;
use super::shape;
use super::sites::version;
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{Refusal, SlotRef};
use crate::names::SlotName;

/// The body of slotsswap, applySlotConfig and slotsdiffs. Both fields are required in the model
/// (arm-app-service.md §6); az sends camel case, names compare without regard to it.
struct Pair {
    target: SlotRef,
    preserve_vnet: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PairBody {
    #[serde(alias = "TargetSlot", alias = "targetslot")]
    target_slot: String,
    #[serde(default = "yes", alias = "PreserveVnet", alias = "preservevnet")]
    preserve_vnet: bool,
}

fn yes() -> bool {
    true
}

impl Pair {
    fn read(call: &Call, source: &SlotRef) -> Result<Self, Failure> {
        let body: PairBody =
            serde_json::from_value(call.json().map_err(Failure::malformed)?).map_err(|error| {
                Failure::bad_request(format!("The parameter slotSwapEntity has an invalid value: {error}."))
            })?;
        let target = SlotName::new(&body.target_slot).map_err(|_| {
            // A name that no slot can have is a slot that is not there.
            Failure::not_found(format!("Site slot '{}' of site '{}'", body.target_slot, source.site))
        })?;
        Ok(Self { target: SlotRef::new(source.site.clone(), target), preserve_vnet: body.preserve_vnet })
    }
}

/// `POST …/slotsswap`: 202 with Location and Retry-After, an ETag, no body and no content type
/// (seen-in-recordings.md 7, 8). Without a slot in the path production is the source.
pub(super) fn begin(cloud: &Cloud, call: &Call, source: &SlotRef) -> Reply {
    let pair = Pair::read(call, source)?;
    let id = cloud.shared.act(|world| {
        let id = world.begin_swap(source, &pair.target, pair.preserve_vnet)?;
        world.attribute(&id, call.header("x-ms-client-request-id"));
        Ok::<_, Refusal>(id)
    })?;
    let mut response = wire::empty(StatusCode::ACCEPTED);
    let location = operations::location(cloud, source, &id.0, version(call));
    wire::set(&mut response, "location", &location);
    wire::set(&mut response, "retry-after", &cloud.identity.retry_after_seconds());
    wire::set(&mut response, "etag", &operations::etag(&id.0));
    Ok(response)
}

/// `POST …/applySlotConfig`: 200, empty, no Location (seen-in-recordings.md 9).
pub(super) fn apply(cloud: &Cloud, call: &Call, source: &SlotRef) -> Reply {
    let pair = Pair::read(call, source)?;
    cloud.shared.act(|world| world.apply_slot_config(source, &pair.target))?;
    Ok(wire::empty(StatusCode::OK))
}

/// `POST …/resetSlotConfig`: 200, empty, also when nothing is pending (seen-in-recordings.md 9).
pub(super) fn reset(cloud: &Cloud, which: &SlotRef) -> Reply {
    cloud.shared.act(|world| world.reset_slot_config(which))?;
    Ok(wire::empty(StatusCode::OK))
}

/// `POST …/slotsdiffs` (arm-app-service.md §10).
pub(super) fn differences(cloud: &Cloud, call: &Call, source: &SlotRef) -> Reply {
    let pair = Pair::read(call, source)?;
    let (differences, id) = cloud.shared.read(|world| {
        world.check_post(source)?;
        let differences = world.slot_differences(source, &pair.target)?;
        let id = world
            .site(source.site.as_str())
            .zip(world.slot(source).ok())
            .map(|(site, slot)| shape::slot_id(cloud, site, slot))
            .unwrap_or_default();
        Ok::<_, Failure>((differences, id))
    })?;
    let items: Vec<_> = differences
        .iter()
        .map(|difference| {
            json!({
                "id": format!("{id}/slotsdiffs/{}", difference.setting_name),
                "name": difference.setting_name,
                "type": "Microsoft.Web/sites/slotsdiffs",
                "properties": difference,
            })
        })
        .collect();
    Ok(wire::ok(&json!({"value": items, "nextLink": null, "id": null})))
}
