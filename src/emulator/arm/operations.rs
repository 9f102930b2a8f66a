//! Operation results: what a client polls.
//!
//! Owns the Location and the answers (arm-app-service.md §6, seen-in-recordings.md 7, 8).
//! How a swap failed is told by the status of the poll.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;

use super::error;
use super::shape::{self, Standing};
use super::sites::{shape_of, version};
use super::{Failure, Reply};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{OperationId, OperationState, SlotRef, Timestamp};

/// The ticks of .NET at the beginning of 1970.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;

/// The length of the certificate in `c`: the whole Location had 3,102 to 3,251 characters in 2024.
const CERTIFICATE_BYTES: usize = 1_740;

/// `.../operationresults/{id}` with the signed parameters of today's service: `t` (ticks), `c` (a
/// certificate, the same for all), `s` and `h`, new with every poll. They sign nothing here.
pub(super) fn location(cloud: &Cloud, slot: &SlotRef, id: &str, version: &str) -> String {
    let path = cloud.shared.read(|world| {
        world
            .site(slot.site.as_str())
            .zip(world.slot(slot).ok())
            .map(|(site, found)| shape::slot_id(cloud, site, found))
            .unwrap_or_default()
    });
    let base = cloud.identity.resource_manager.trim_end_matches('/');
    let now = cloud.shared.read(crate::emulator::world::World::now);
    format!("{base}{path}/operationresults/{id}?api-version={version}&{}", signature(now))
}

/// The signed parameters.
pub(super) fn signature(now: Timestamp) -> String {
    let ticks = now.unix_timestamp_nanos() / 100 + UNIX_EPOCH_TICKS;
    let noise = |length: usize| {
        let bytes: Vec<u8> =
            std::iter::repeat_with(|| uuid::Uuid::new_v4().into_bytes()).flatten().take(length).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let certificate = URL_SAFE_NO_PAD.encode([0x30; CERTIFICATE_BYTES]);
    format!("t={ticks}&c={certificate}&s={}&h={}", noise(256), noise(32))
}

/// An ETag as App Service writes it.
pub(super) fn etag(id: &str) -> String {
    format!("\"{}\"", id.replace('-', "").to_uppercase().chars().take(15).collect::<String>())
}

/// `GET …/operationresults/{id}`: 202 while it runs, then 200 with the source slot's site, or the
/// failure's status and body.
pub(super) fn poll(cloud: &Cloud, call: &Call, slot: &SlotRef, id: &str) -> Reply {
    let id = OperationId(id.to_owned());
    let found = cloud.shared.act(|world| {
        let operation = world.operation(&id).filter(|operation| operation.site == slot.site);
        operation.map(|operation| (operation.state.clone(), operation.source_ref()))
    });
    let Some((state, source)) = found else {
        return Err(Failure::not_found(format!("The operation '{id}'")));
    };
    match state {
        OperationState::Running => {
            let mut response = wire::empty(StatusCode::ACCEPTED);
            wire::set(&mut response, "location", &location(cloud, slot, &id.0, version(call)));
            wire::set(&mut response, "retry-after", &cloud.identity.retry_after_seconds());
            Ok(response)
        }
        OperationState::Succeeded => {
            let shown =
                cloud.shared.read(|world| shape_of(cloud, world, &source, version(call), Standing::Read))?;
            let mut response = wire::ok(&shown);
            wire::set(&mut response, "etag", &etag(&id.0));
            Ok(response)
        }
        OperationState::Failed(refusal) => Ok(error::refused(&refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_as_long_as_recorded_and_new_each_time() {
        let now = time::macros::datetime!(2026-11-21 12:00:00 UTC);
        let (one, other) = (signature(now), signature(now));
        assert_ne!(one, other);
        assert!(one.starts_with("t=639") && (2_700..3_200).contains(&one.len()), "{}", one.len());
    }
}
