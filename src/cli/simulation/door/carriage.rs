//! What a request is called, and its translation between the client's library and the services.
//!
//! Owns nothing that lasts. Must not know of troubles.

use futures_util::stream;
use http_body_util::BodyExt as _;
use reqwest::{Request, Response};
use tokio::time::Instant;

use crate::emulator::cloud::Service;
use crate::emulator::wire::{self, Path};
use crate::http::simulated::NoAnswer;

/// Whom a request asks for what, without names that differ from run to run.
pub(super) fn kind_of(service: &Service, path: &Path, request: &Request) -> String {
    let method = request.method().as_str();
    let lower = path.lower();
    match service {
        Service::ResourceManager => {
            let Some(at) = lower.iter().position(|segment| *segment == "sites") else {
                let what = lower.iter().rev().find(|segment| !segment.contains(['.', '-'])).copied();
                let farm = lower.contains(&"serverfarms");
                return format!("arm {method} {}", if farm { "plan" } else { what.unwrap_or_default() });
            };
            let slot = path.slot().unwrap_or("production").to_lowercase();
            let rest = if slot == "production" { at + 2 } else { at + 4 };
            let rest = lower.get(rest..).unwrap_or_default();
            let what = match rest {
                [] => "site".to_owned(),
                ["operationresults", ..] => "operationresults".to_owned(),
                rest => rest.join("/"),
            };
            format!("arm {method} {slot} {what}")
        }
        Service::Authority => format!("login {method} token"),
        Service::Scm(slot) => {
            let what = match lower.strip_prefix(&["api"]).unwrap_or(&lower) {
                ["vfs", ..] => "note".to_owned(),
                ["deployments", _, "log"] => "log".to_owned(),
                ["deployments", _, "log", _] => "log details".to_owned(),
                rest => rest.join("/"),
            };
            format!("scm {} {method} {what}", slot.slot)
        }
        Service::App(slot) => format!("app {} {method} /{}", slot.slot, lower.join("/")),
        Service::Control => "control".to_owned(),
    }
}

pub(super) fn http_request(
    request: Request,
) -> Result<hyper::Request<crate::emulator::front::Body>, NoAnswer> {
    let broken = |error: reqwest::Error| NoAnswer::Broken(error.to_string());
    let request: hyper::Request<reqwest::Body> = request.try_into().map_err(broken)?;
    Ok(request.map(|body| body.map_err(Into::into).boxed()))
}

/// The answer as the client's library gives it: its body is read within the request's limit.
pub(super) fn response(
    answer: hyper::Response<crate::emulator::front::Body>,
    deadline: Option<Instant>,
) -> Response {
    let (head, body) = answer.into_parts();
    let chunks = stream::unfold(body, move |mut body| async move {
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let frame = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, body.frame()).await,
            None => Ok(body.frame().await),
        };
        let chunk = match frame {
            Ok(None) => return None,
            Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
            Ok(Some(Err(error))) => Err(std::io::Error::other(error)),
            Err(_) => Err(late()),
        };
        Some((chunk, body))
    });
    hyper::Response::from_parts(head, reqwest::Body::wrap_stream(chunks)).into()
}

/// The same as an operation that goes on and is asked for where it was asked for, or where it said.
pub(super) fn still_running(
    answer: &hyper::Response<crate::emulator::front::Body>,
    url: &str,
) -> hyper::Response<crate::emulator::front::Body> {
    let running = serde_json::json!({"status": "Running"});
    let mut running = wire::json(hyper::StatusCode::ACCEPTED, &running);
    let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
    wire::set(&mut running, "location", location.unwrap_or(url));
    wire::set(&mut running, "retry-after", "1");
    running
}
