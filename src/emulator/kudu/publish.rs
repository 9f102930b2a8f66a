//! Uploads: OneDeploy, zipdeploy, wardeploy.
//!
//! Owns the way of a package to a file and the answers (kudu-deploy.md §3, §4). The body
//! goes to the file as it comes and is never held in memory. Must not unpack anything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::order::{self, Order};
use super::{Reply, fetch};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::{Body, BodyError};
use crate::emulator::wire::{self, Query};
use crate::emulator::world::{DeploymentKey, DeploymentStatus, Refusal, SlotRef, Timestamp, UploadTicket};

/// The limit of a zip (kudu-deploy.md §3).
const LARGEST: u64 = 2048 * 1024 * 1024;

/// When front ends cut a request (kudu-deploy.md §3).
const FRONT_END_LIMIT: Duration = Duration::from_secs(230);

/// Where a package comes from.
enum Source<'a> {
    /// The request brings it.
    Body { body: Body, length: Option<u64>, checksum: Option<&'a str> },
    /// It is fetched from there.
    Address(String),
}

/// Why there is no deployment.
enum Stopped {
    Refused(Refusal),
    Status(StatusCode),
}

/// Receives an upload.
pub(super) async fn receive(
    cloud: &Arc<Cloud>,
    slot: &SlotRef,
    endpoint: &str,
    request: Request<Body>,
) -> Reply {
    let (head, body) = request.into_parts();
    let linux = super::look(cloud, slot, |_, site, _| Ok(site.is_linux()))?;
    let order = match order::read(endpoint, &Query::new(head.uri.query()), linux) {
        Ok(order) => order,
        Err(message) => {
            wire::discard(body).await;
            return Err(Refusal::BadRequest { message });
        }
    };
    let source = if is_json(&head.headers) {
        Source::Address(address(body).await?)
    } else {
        let checksum = head.headers.get("x-ms-artifact-checksum").and_then(|value| value.to_str().ok());
        Source::Body { body, length: length(&head.headers), checksum }
    };
    match begin(cloud, slot, &order, source).await {
        Ok((key, now)) if order.asynchronous => accepted(cloud, slot, &order, &key, now, linux),
        Ok((key, _)) => Ok(finished(cloud, &key).await),
        Err(Stopped::Refused(refusal)) => Err(refusal),
        Err(Stopped::Status(status)) => Ok(wire::empty(status)),
    }
}

/// Deploys what Resource Manager's `extensions/onedeploy` names in its properties.
///
/// # Errors
///
/// 400 for what cannot be, Kudu's refusals.
pub async fn fetched(
    cloud: &Arc<Cloud>,
    slot: &SlotRef,
    properties: &Value,
) -> Result<DeploymentKey, Refusal> {
    let order = order::from_properties(properties).map_err(|message| Refusal::BadRequest { message })?;
    let source = Source::Address(package_uri(properties)?);
    match begin(cloud, slot, &order, source).await {
        Ok((key, _)) => Ok(key),
        Err(Stopped::Refused(refusal)) => Err(refusal),
        Err(Stopped::Status(status)) => Err(Refusal::BadRequest { message: status.to_string() }),
    }
}

/// Takes the lock, gets the package, begins the deployment.
async fn begin(
    cloud: &Arc<Cloud>,
    slot: &SlotRef,
    order: &Order,
    source: Source<'_>,
) -> Result<(DeploymentKey, Timestamp), Stopped> {
    if let Source::Body { length: Some(length), .. } = &source
        && *length > LARGEST
    {
        return Err(Stopped::Status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let ticket = match cloud.shared.act(|world| world.lock_for_upload(slot)) {
        Ok(ticket) => ticket,
        Err(refusal) => {
            if let Source::Body { body, .. } = source {
                wire::discard(body).await;
            }
            return Err(Stopped::Refused(refusal));
        }
    };
    let mut arrival = Arrival { cloud, ticket: Some(ticket), file: cloud.upload_path() };
    let checksum = match source {
        Source::Body { body, length, checksum } => {
            store(body, &arrival.file, length).await.map_err(Stopped::Status)?;
            checksum
        }
        Source::Address(address) => {
            let got = fetch::get(&address, &arrival.file, LARGEST).await;
            got.map_err(|message| Stopped::Refused(Refusal::BadRequest { message }))?;
            None
        }
    };
    let upload = order.upload(arrival.file.clone(), checksum);
    let Some(ticket) = arrival.ticket.take() else {
        return Err(Stopped::Status(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let begun =
        cloud.shared.act(|world| world.begin_deployment(ticket, upload).map(|key| (key, world.now())));
    begun.map_err(|refusal| {
        arrival.remove_file();
        Stopped::Refused(refusal)
    })
}

/// A body in JSON is an order to fetch the package (kudu-deploy.md §3).
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
}

async fn address(body: Body) -> Result<String, Refusal> {
    let wrong = |message: &str| Refusal::BadRequest { message: message.to_owned() };
    let bytes = wire::read(body, wire::BODY_LIMIT).await.map_err(|_| wrong("The body cannot be read."))?;
    let order: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    // Resource Manager's envelope is read too (KuduLite, pull request 186).
    package_uri(order.get("properties").unwrap_or(&order))
}

fn package_uri(order: &Value) -> Result<String, Refusal> {
    let given = order.get("packageUri").and_then(Value::as_str).filter(|address| !address.is_empty());
    let missing = || Refusal::BadRequest { message: "Request body does not contain packageUri".to_owned() };
    given.map(str::to_owned).ok_or_else(missing)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An upload on its way: gives the lock back and removes the file unless it became a deployment.
struct Arrival<'a> {
    cloud: &'a Cloud,
    ticket: Option<UploadTicket>,
    file: PathBuf,
}

impl Arrival<'_> {
    fn remove_file(&self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.remove_file();
            self.cloud.shared.act(|world| world.abandon_upload(ticket));
        }
    }
}

/// Writes a body to a file as it comes.
async fn store(mut body: Body, file: &PathBuf, length: Option<u64>) -> Result<(), StatusCode> {
    let broken = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let mut writer = BufWriter::with_capacity(64 * 1024, File::create(file).await.map_err(broken)?);
    let mut received: u64 = 0;
    // A client that stops sending must not hold the lock for ever.
    while let Some(frame) = next(&mut body).await? {
        // A client that goes away in the middle gets no deployment; nobody reads this answer.
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(bytes) = frame.data_ref() else { continue };
        received += bytes.len() as u64;
        if received > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        writer.write_all(bytes).await.map_err(broken)?;
    }
    writer.flush().await.map_err(broken)?;
    if length.is_some_and(|length| length != received) { Err(StatusCode::BAD_REQUEST) } else { Ok(()) }
}

/// The next piece of a body, within the time that front ends allow.
async fn next(
    body: &mut Body,
) -> Result<Option<Result<hyper::body::Frame<bytes::Bytes>, BodyError>>, StatusCode> {
    tokio::time::timeout(FRONT_END_LIMIT, body.frame()).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)
}

/// 202 with the headers of seen-in-recordings.md 21 and 22.
fn accepted(
    cloud: &Cloud,
    slot: &SlotRef,
    order: &Order,
    key: &DeploymentKey,
    now: Timestamp,
    linux: bool,
) -> Reply {
    let mut response = wire::empty(StatusCode::ACCEPTED);
    let scm = super::look(cloud, slot, |_, _, found| Ok(found.hosts.scm.clone()))?;
    let location = super::records::location(&scm, order.location_deployer(linux), now);
    wire::set(&mut response, "location", &location);
    super::records::retry_hint(&mut response, linux);
    // On Linux always, on Windows when tracking was asked of OneDeploy.
    if linux || (order.one_deploy && order.tracked) {
        wire::set(&mut response, "scm-deployment-id", &key.final_id);
    }
    Ok(response)
}

/// The answer to a synchronous upload: 200 when it is over, 500 with the reason when it failed.
async fn finished(cloud: &Cloud, key: &DeploymentKey) -> Response<Body> {
    let ended = cloud
        .shared
        .wait_for(FRONT_END_LIMIT, |world| match world.deployment(key) {
            None => Some(Err(StatusCode::NOT_FOUND)),
            Some(record) if record.killed => Some(Err(StatusCode::BAD_GATEWAY)),
            Some(record) if !record.complete => None,
            Some(record) if record.status == DeploymentStatus::Success => Some(Ok(None)),
            Some(record) => {
                let last = record.log.last().map(|line| line.message.clone());
                Some(Ok(Some(last.unwrap_or_else(|| "Deployment failed.".to_owned()))))
            }
        })
        .await;
    match ended {
        Some(Ok(None)) => wire::empty(StatusCode::OK),
        Some(Ok(Some(reason))) => {
            wire::content(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", reason)
        }
        Some(Err(status)) => wire::content(status, "text/html", "The service is unavailable."),
        None => wire::content(StatusCode::GATEWAY_TIMEOUT, "text/html", "504.0 GatewayTimeout"),
    }
}
