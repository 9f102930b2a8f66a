//! Resource Manager as its callers see it.
//!
//! Owns the paths, who may use them, and the headers of every answer; one file per
//! family of resources owns the shapes. Must not decide what App Service decides:
//! each command goes to the world.

use std::sync::Arc;

use hyper::{Method, Response};

use super::cloud::{Cloud, Role};
use super::front::Body;
use super::token::bearer::{self, BadToken};
use super::wire::{self, Call};
use super::world::{SlotRef, World};
use crate::names::{SiteName, SlotName};

mod deployments;
mod error;
mod instances;
mod metadata;
mod operations;
mod plans;
mod publishing;
mod settings;
mod shape;
mod sites;
mod slots;
mod subscriptions;
mod swap;

use error::Failure;

/// An answer or the reason why there is none.
type Reply = Result<Response<Body>, Failure>;

/// Answers a request.
pub async fn answer(cloud: &Arc<Cloud>, call: Call) -> Response<Body> {
    let mut response = match admit(cloud, &call) {
        Ok(()) => match route(cloud, &call).await {
            Ok(response) => response,
            Err(failure) => failure.response(),
        },
        Err(refusal) => *refusal,
    };
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("x-ms-ratelimit-remaining-subscription-global-reads", "3749"),
    ] {
        wire::set(&mut response, name, value);
    }
    let request = uuid::Uuid::new_v4().to_string();
    let correlation = call.header("x-ms-correlation-request-id").unwrap_or(&request).to_owned();
    wire::set(&mut response, "x-ms-request-id", &request);
    wire::set(&mut response, "x-ms-correlation-request-id", &correlation);
    response
}

/// The answer to a request whose body could not be read (the text is Resource Manager's, its code unconfirmed).
pub fn unread(failure: wire::BodyFailure) -> Response<Body> {
    let (code, text) = match failure {
        wire::BodyFailure::TooLong => {
            ("RequestContentTooLarge", "The request content size exceeds the maximum size of 4 MB.")
        }
        wire::BodyFailure::Broken => ("InvalidRequestContent", "The request content could not be read."),
        wire::BodyFailure::TooSlow => ("RequestTimeout", "The request content did not arrive in time."),
    };
    Failure::gateway(failure.status().as_u16(), code, text).response()
}

/// Token, role and api-version. The metadata document is for everybody.
fn admit(cloud: &Cloud, call: &Call) -> Result<(), Box<Response<Body>>> {
    if metadata::is_document(call) {
        return Ok(());
    }
    let now = cloud.shared.read(World::now);
    bearer::check(&cloud.directory, call.header("authorization"), now, false)
        .map_err(|bad| Box::new(unauthorized(cloud, &bad, now)))?;
    if !allowed(cloud.role(), call) {
        return Err(Box::new(forbidden(cloud, call).response()));
    }
    if call.query.get("api-version").is_none_or(str::is_empty) {
        let text = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(Box::new(Failure::gateway(400, "MissingApiVersionParameter", text).response()));
    }
    Ok(())
}

/// 401 with the codes of arm-app-service.md §6 (ExpiredAuthenticationToken); the other codes and the texts are
/// from general knowledge (unconfirmed).
fn unauthorized(cloud: &Cloud, bad: &BadToken, now: time::OffsetDateTime) -> Response<Body> {
    let (code, message) = match bad {
        BadToken::Missing => (
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.".to_owned(),
        ),
        BadToken::Invalid => ("InvalidAuthenticationToken", "The access token is invalid.".to_owned()),
        BadToken::Audience(audience) => (
            "InvalidAuthenticationTokenAudience",
            format!(
                "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the allowed audiences '{}'.",
                cloud.directory.resource_manager
            ),
        ),
        BadToken::Expired(until) => {
            let until = time::OffsetDateTime::from_unix_timestamp(*until).unwrap_or(now);
            let message = format!(
                "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
                wire::rfc3339(until),
                wire::rfc3339(now)
            );
            ("ExpiredAuthenticationToken", message)
        }
    };
    let mut response = Failure::gateway(401, code, message).response();
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\"",
        cloud.directory.authority, cloud.directory.tenant
    );
    wire::set(&mut response, "www-authenticate", &challenge);
    response
}

fn allowed(role: Role, call: &Call) -> bool {
    // Whoever signs in sees the tenant's and the subscription's list, perhaps an empty one.
    let list = matches!(call.path.lower().as_slice(), ["subscriptions"] | ["tenants"]);
    match role {
        Role::Contributor => true,
        Role::Reader => call.method == Method::GET,
        Role::None => list,
    }
}

/// 403 with the action that is missing (arm-app-service.md §2; the text is from general knowledge).
fn forbidden(cloud: &Cloud, call: &Call) -> Failure {
    let lower = call.path.lower();
    if let ["subscriptions", _, types @ ..] = lower.as_slice()
        && !lower.contains(&"providers")
    {
        // The subscription itself and what it lists belong to another provider.
        let types = [&["subscriptions"], types].concat().join("/");
        return lacking(cloud, call, &format!("Microsoft.Resources/{types}/read"));
    }
    let provider = lower.iter().position(|segment| segment.contains('.')).unwrap_or(0);
    // Every second segment behind the provider is a type; a verb without a name is one too.
    let types = lower.iter().skip(provider + 1).step_by(2).copied().collect::<Vec<_>>().join("/");
    let verb = match call.method {
        Method::GET => "read",
        Method::DELETE => "delete",
        Method::POST => "action",
        _ => "write",
    };
    lacking(cloud, call, &format!("Microsoft.Web/{types}/{verb}"))
}

fn lacking(cloud: &Cloud, call: &Call, action: &str) -> Failure {
    let object = &cloud.directory.application.object_id;
    let client = &cloud.directory.application.client_id;
    let scope = call.path.rest(0);
    let message = format!(
        "The client '{client}' with object id '{object}' does not have authorization to perform action '{action}' over scope '/{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    );
    Failure::gateway(403, "AuthorizationFailed", message)
}

async fn route(cloud: &Arc<Cloud>, call: &Call) -> Reply {
    match call.path.lower().as_slice() {
        ["metadata", "endpoints"] => Ok(metadata::endpoints(cloud, call)),
        ["tenants"] => Ok(subscriptions::tenants(cloud)),
        ["subscriptions"] => Ok(subscriptions::list(cloud)),
        ["subscriptions", id, rest @ ..] => {
            if !id.eq_ignore_ascii_case(&cloud.identity.subscription) {
                let text = format!("The subscription '{id}' could not be found.");
                return Err(Failure::gateway(404, "SubscriptionNotFound", text));
            }
            match rest {
                ["resourcegroups", group, rest @ ..] if !rest.is_empty() => {
                    check_group(cloud, group, call.path.original(3))?;
                    in_group(cloud, call, rest).await
                }
                _ => in_subscription(cloud, call, rest),
            }
        }
        _ => Err(unknown(call)),
    }
}

fn check_group(cloud: &Cloud, group: &str, written: &str) -> Result<(), Failure> {
    if group.eq_ignore_ascii_case(cloud.identity.resource_group.as_str()) {
        return Ok(());
    }
    let text = format!("Resource group '{written}' could not be found.");
    Err(Failure::gateway(404, "ResourceGroupNotFound", text))
}

fn in_subscription(cloud: &Arc<Cloud>, call: &Call, rest: &[&str]) -> Reply {
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(subscriptions::show(cloud)),
        ("GET", ["resourcegroups"]) => Ok(subscriptions::groups(cloud)),
        ("GET", ["resourcegroups", group]) => {
            check_group(cloud, group, call.path.original(3))?;
            Ok(subscriptions::group(cloud))
        }
        ("GET", ["resources"]) => subscriptions::resources(cloud, call),
        ("GET", ["providers", "microsoft.web", "sites"]) => Ok(sites::list(cloud, call)),
        ("GET", ["providers", "microsoft.web", "serverfarms"]) => Ok(plans::list(cloud)),
        _ => Err(unknown(call)),
    }
}

async fn in_group(cloud: &Arc<Cloud>, call: &Call, rest: &[&str]) -> Reply {
    match (call.method.as_str(), rest) {
        ("GET", ["resources"]) => subscriptions::resources(cloud, call),
        ("GET", ["providers", "microsoft.web", "sites"]) => Ok(sites::list(cloud, call)),
        ("GET", ["providers", "microsoft.web", "serverfarms"]) => Ok(plans::list(cloud)),
        ("GET", ["providers", "microsoft.web", "serverfarms", name]) => plans::show(cloud, name),
        ("PUT" | "PATCH", ["providers", "microsoft.web", "serverfarms", name]) => {
            plans::scale(cloud, call, name)
        }
        (_, ["providers", "microsoft.web", "sites", _, "slots"]) => {
            let slot = slot_ref(cloud, call.path.original(7), "production")?;
            slots::list(cloud, call, &slot.site)
        }
        (_, ["providers", "microsoft.web", "sites", _, "slots", _, rest @ ..]) => {
            let slot = slot_ref(cloud, call.path.original(7), call.path.original(9))?;
            of_slot(cloud, call, &slot, rest, 10).await
        }
        (_, ["providers", "microsoft.web", "sites", _, rest @ ..]) => {
            let slot = slot_ref(cloud, call.path.original(7), "production")?;
            of_slot(cloud, call, &slot, rest, 8).await
        }
        _ => Err(unknown(call)),
    }
}

/// Names a slot; a name that no slot can have is not there.
fn slot_ref(cloud: &Cloud, site: &str, slot: &str) -> Result<SlotRef, Failure> {
    let resource = if slot.eq_ignore_ascii_case("production") {
        format!("Microsoft.Web/sites/{site}")
    } else {
        format!("Microsoft.Web/sites/{site}/slots/{slot}")
    };
    match (SiteName::new(site), SlotName::new(slot)) {
        (Ok(site), Ok(slot)) => Ok(SlotRef::new(site, slot)),
        _ => Err(Failure::gateway(
            404,
            "ResourceNotFound",
            format!(
                "The Resource '{resource}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                cloud.identity.resource_group
            ),
        )),
    }
}

/// What is below a site or a slot; "production" as a slot's name means the site (real-clients.md, `--action
/// reset`). `at` is the index of the first segment of `rest` in the path.
async fn of_slot(cloud: &Arc<Cloud>, call: &Call, slot: &SlotRef, rest: &[&str], at: usize) -> Reply {
    // Everything but the creation of a site or slot needs it to be there.
    if !(rest.is_empty() && call.method == Method::PUT) {
        cloud.shared.read(|world| world.slot(slot).map(|_| ()))?;
    }
    match (call.method.as_str(), rest) {
        ("GET", []) => sites::show(cloud, call, slot),
        ("PUT" | "PATCH", []) => slots::put(cloud, call, slot).await,
        ("DELETE", []) => slots::delete(cloud, call, slot),
        ("POST", [verb @ ("start" | "stop" | "restart")]) => slots::power(cloud, call, slot, verb).await,
        ("POST", ["slotsswap"]) => swap::begin(cloud, call, slot),
        ("POST", ["applyslotconfig"]) => swap::apply(cloud, call, slot),
        ("POST", ["resetslotconfig"]) => swap::reset(cloud, slot),
        ("POST", ["slotsdiffs"]) => swap::differences(cloud, call, slot),
        ("GET", ["operationresults", id]) => operations::poll(cloud, call, slot, id),
        (_, ["config", rest @ ..]) => settings::route(cloud, call, slot, rest),
        (_, ["basicpublishingcredentialspolicies", rest @ ..]) => {
            publishing::policies(cloud, call, slot, rest)
        }
        ("POST", ["publishxml"]) => publishing::profile(cloud, slot),
        ("GET", ["deployments", rest @ ..]) => {
            deployments::records(cloud, call, slot, rest, call.path.original(at + 1))
        }
        ("PUT", ["extensions", "onedeploy"]) => deployments::one_deploy(cloud, call, slot).await,
        ("GET", ["deploymentstatus", rest @ ..]) => deployments::status(cloud, call, slot, rest),
        (verb, ["instances", id, rest @ ..]) if !rest.is_empty() => {
            // Kudu of one instance, which is Kudu of the slot here (real-clients.md, `--src-url`).
            instances::check(cloud, slot, id)?;
            match (verb, rest) {
                ("GET", ["deployments"]) => deployments::records(cloud, call, slot, &[], ""),
                ("PUT", ["extensions", "onedeploy"]) => deployments::one_deploy(cloud, call, slot).await,
                _ => Err(unknown(call)),
            }
        }
        ("GET", ["instances", rest @ ..]) => instances::route(cloud, slot, rest),
        ("POST", ["containerlogs", rest @ ..]) => instances::logs(cloud, slot, rest),
        (_, ["providers", "microsoft.authorization", "locks", rest @ ..]) => {
            sites::locks(cloud, call, slot, rest)
        }
        _ => Err(unknown(call)),
    }
}

/// The paths below a site or slot that are modelled, with any verb: a wrong one gets 405.
fn is_modelled(rest: &[&str]) -> bool {
    matches!(
        rest,
        [] | ["start"
            | "stop"
            | "restart"
            | "slotsswap"
            | "applyslotconfig"
            | "resetslotconfig"
            | "slotsdiffs"]
            | ["publishxml" | "slots" | "deployments" | "deploymentstatus" | "instances" | "containerlogs"]
            | ["config"]
            | ["config", "web" | "appsettings" | "connectionstrings" | "slotconfignames" | "authsettingsv2"]
            | [
                "config",
                "appsettings"
                    | "connectionstrings"
                    | "publishingcredentials"
                    | "metadata"
                    | "azurestorageaccounts",
                "list"
            ]
            | ["basicpublishingcredentialspolicies"]
            | ["basicpublishingcredentialspolicies", "scm" | "ftp"]
            | ["operationresults" | "deployments" | "deploymentstatus" | "instances", _]
            | ["extensions", "onedeploy"]
    )
}

/// What is not modelled says so, in the shape of a type that does not exist.
fn unknown(call: &Call) -> Failure {
    let lower = call.path.lower();
    let below = match lower.as_slice() {
        ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.web", "sites", _, rest @ ..] => {
            Some(rest)
        }
        _ => None,
    };
    let below = below.map(|rest| match rest {
        ["slots", _, rest @ ..] => rest,
        rest => rest,
    });
    if below.is_some_and(is_modelled) {
        return Failure::wrong_verb(&call.method);
    }
    let text = format!(
        "The emulator does not model {} '/{}' (api-version '{}').",
        call.method,
        call.path.rest(0),
        call.query.get("api-version").unwrap_or_default()
    );
    Failure::gateway(404, "InvalidResourceType", text)
}
