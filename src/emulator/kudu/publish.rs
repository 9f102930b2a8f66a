//! Uploads: OneDeploy, zipdeploy, wardeploy.
//!
//! Owns the query's meaning and the answers (kudu-deploy.md §3, §4). The body goes to a
//! file as it comes and is never held in memory. Must not unpack anything. Not modelled:
//! `packageUri`, `reset`, remote builds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::Reply;
use crate::emulator::cloud::Cloud;
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Query};
use crate::emulator::world::{
    DeploymentKey, DeploymentStatus, PackageKind, Refusal, SlotRef, Timestamp, Upload, UploadTicket,
};

/// The limit of a zip (kudu-deploy.md §3).
const LARGEST: u64 = 2048 * 1024 * 1024;

/// When front ends cut a request (kudu-deploy.md §3).
const FRONT_END_LIMIT: Duration = Duration::from_secs(230);

/// What an upload's query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    kind: PackageKind,
    path: Option<String>,
    clean: bool,
    restart: bool,
    asynchronous: bool,
    tracked: bool,
    one_deploy: bool,
    deployer: String,
    message: String,
    author: String,
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
    let order = match order(endpoint, &Query::new(head.uri.query()), &head.headers, linux) {
        Ok(order) => order,
        Err(message) => return refuse(body, Refusal::BadRequest { message }).await,
    };
    if length(&head.headers).is_some_and(|length| length > LARGEST) {
        return Ok(wire::empty(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let ticket = match cloud.shared.act(|world| world.lock_for_upload(slot)) {
        Ok(ticket) => ticket,
        Err(refusal) => return refuse(body, refusal).await,
    };
    let mut arrival = Arrival { cloud, ticket: Some(ticket), file: cloud.upload_path() };
    if let Err(status) = store(body, &arrival.file, length(&head.headers)).await {
        return Ok(wire::empty(status));
    }
    let checksum = head.headers.get("x-ms-artifact-checksum").and_then(|value| value.to_str().ok());
    let upload = order.upload(arrival.file.clone(), checksum);
    let Some(ticket) = arrival.ticket.take() else {
        return Ok(wire::empty(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let begun =
        cloud.shared.act(|world| world.begin_deployment(ticket, upload).map(|key| (key, world.now())));
    let (key, now) = match begun {
        Ok(begun) => begun,
        Err(refusal) => {
            arrival.remove_file();
            return Err(refusal);
        }
    };
    if order.asynchronous {
        return accepted(cloud, slot, &order, &key, now, linux);
    }
    Ok(finished(cloud, &key).await)
}

async fn refuse(body: Body, refusal: Refusal) -> Reply {
    wire::discard(body).await;
    Err(refusal)
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
    while let Some(frame) = body.frame().await {
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

impl Order {
    fn upload(&self, file: PathBuf, checksum: Option<&str>) -> Upload {
        Upload {
            file,
            kind: self.kind,
            path: self.path.clone(),
            clean: self.clean,
            restart: self.restart,
            sha256: checksum.map(|text| text.trim().to_ascii_lowercase()),
            deployer: self.deployer.clone(),
            message: self.message.clone(),
            author: self.author.clone(),
        }
    }

    /// What stands behind `deployer=` in the Location (seen-in-recordings.md 22).
    fn location_deployer(&self, linux: bool) -> &'static str {
        match (self.one_deploy, linux) {
            (true, _) => "OneDeploy",
            (false, true) => "Push-Deployer",
            (false, false) => "ZipDeploy",
        }
    }
}

fn order(endpoint: &str, query: &Query, headers: &HeaderMap, linux: bool) -> Result<Order, String> {
    let json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"));
    if json {
        // Kudu reads {"packageUri"} then (kudu-deploy.md §3).
        return Err("The emulator does not fetch packages from a URL (packageUri).".to_owned());
    }
    let flag = |name: &str, usual: bool| query.flag(name).unwrap_or(usual);
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let common = |kind, deployer: &str, message: &str| Order {
        kind,
        path: None,
        clean: false,
        restart: true,
        asynchronous: flag("isAsync", false),
        tracked: flag("trackDeploymentProgress", false),
        one_deploy: false,
        deployer: text("deployer").unwrap_or_else(|| deployer.to_owned()),
        message: text("message").unwrap_or_else(|| message.to_owned()),
        author: text("author").unwrap_or_else(|| "N/A".to_owned()),
    };
    let pushed = "Created via a push deployment";
    let deployer = if linux { "Push-Deployer" } else { "ZipDeploy" };
    match endpoint {
        "zipdeploy" => Ok(Order {
            clean: flag("clean", false),
            restart: flag("restart", true),
            ..common(PackageKind::Zip, deployer, pushed)
        }),
        "wardeploy" => {
            let name = text("name").unwrap_or_else(|| "ROOT".to_owned());
            let path = Some(checked_path(&format!("webapps/{name}"))?);
            Ok(Order { path, clean: true, ..common(PackageKind::War, deployer, pushed) })
        }
        _ => one_deploy(query),
    }
}

/// `/api/publish`. The query's deployer and message are ignored, both are "OneDeploy"
/// (kudu-deploy.md §3, seen-in-recordings.md 22 and 25).
fn one_deploy(query: &Query) -> Result<Order, String> {
    let named = query.get("type").unwrap_or_default();
    let kind = match named.to_ascii_lowercase().as_str() {
        "zip" => PackageKind::Zip,
        "war" => PackageKind::War,
        "jar" => PackageKind::Jar,
        "ear" => PackageKind::Ear,
        "lib" => PackageKind::Lib,
        "static" => PackageKind::Static,
        "script" => PackageKind::Script,
        "startup" => PackageKind::Startup,
        _ => return Err(format!("type='{named}' not recognized")),
    };
    let flag = |name: &str, usual: bool| query.flag(name).unwrap_or(usual);
    let path = query.get("path").filter(|path| !path.is_empty());
    let needs_path = matches!(kind, PackageKind::Lib | PackageKind::Static | PackageKind::Script);
    if needs_path && path.is_none_or(|path| path.ends_with('/')) {
        return Err("Path must be defined for this type of artifact and must not end with '/'.".to_owned());
    }
    let clean = flag("clean", kind == PackageKind::Zip);
    if let Some(path) = path {
        let whole = path.trim_end_matches('/').to_ascii_lowercase();
        if clean && matches!(whole.as_str(), "" | "/home" | "/home/site") {
            return Err(format!("Clean deployments cannot be performed in the directory {path}"));
        }
    }
    Ok(Order {
        kind,
        path: path.map(checked_path).transpose()?.filter(|path| !path.is_empty()),
        clean,
        restart: flag("restart", true),
        asynchronous: flag("async", false),
        tracked: flag("trackDeploymentProgress", false),
        one_deploy: true,
        deployer: "OneDeploy".to_owned(),
        message: "OneDeploy".to_owned(),
        author: "N/A".to_owned(),
    })
}

/// A path below wwwroot; the absolute spelling is taken too. Must not contain `..`
/// (kudu-deploy.md §3).
fn checked_path(path: &str) -> Result<String, String> {
    let wwwroot = "/home/site/wwwroot";
    let below = match path.get(..wwwroot.len()) {
        Some(start) if start.eq_ignore_ascii_case(wwwroot) => &path[wwwroot.len()..],
        _ if path.to_ascii_lowercase().starts_with("/home") => {
            return Err(format!("The emulator deploys below {wwwroot} only, not to {path}"));
        }
        _ => path,
    };
    let below = below.trim_matches('/');
    let wrong = below.contains('\\')
        || below.chars().any(char::is_control)
        || below.split('/').any(|part| part == ".." || part == ".");
    if wrong { Err(format!("Path '{path}' is not valid")) } else { Ok(below.to_owned()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: &str, query: &str, linux: bool) -> Result<Order, String> {
        order(endpoint, &Query::new(Some(query)), &HeaderMap::new(), linux)
    }

    #[test]
    fn clean_is_usual_for_zip_and_for_nothing_else() {
        let zip = read("publish", "type=ZIP&async=True", true).expect("well formed");
        assert!(zip.clean && zip.restart && zip.asynchronous && zip.one_deploy);
        let war = read("publish", "type=war&restart=False", true).expect("well formed");
        assert!(!war.clean && !war.restart && !war.asynchronous);
        let old = read("zipdeploy", "isAsync=true&message=hello&deployer=me", false).expect("well formed");
        assert_eq!((old.clean, old.message.as_str(), old.deployer.as_str()), (false, "hello", "me"));
        let fixed = read("publish", "type=zip&deployer=me&message=hello", true).expect("well formed");
        assert_eq!((fixed.deployer.as_str(), fixed.message.as_str()), ("OneDeploy", "OneDeploy"));
    }

    #[test]
    fn paths_stay_below_wwwroot() {
        let path = |query: &str| read("publish", query, true).map(|order| order.path);
        assert_eq!(path("type=static&path=/home/site/wwwroot/a/b.html"), Ok(Some("a/b.html".to_owned())));
        assert_eq!(path("type=zip&path=sub/"), Ok(Some("sub".to_owned())));
        assert_eq!(path("type=zip"), Ok(None));
        for query in [
            "type=static",
            "type=static&path=a/",
            "type=zip&path=../../etc",
            "type=zip&path=a/./b",
            "type=zip&path=/home&clean=true",
            "type=zip&path=/home/site/libs",
            "type=exe",
            "",
        ] {
            assert!(path(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_json_body_is_an_order_to_fetch_which_is_not_modelled() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().expect("a value"))]);
        assert!(order("publish", &Query::new(Some("type=zip")), &headers, true).is_err());
    }
}
