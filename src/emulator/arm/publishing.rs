//! Publishing credentials, profiles and policies.
//!
//! Owns their shapes (arm-app-service.md §12, seen-in-recordings.md 13, 14). Must not hand
//! out a password while the policy forbids basic sign-in.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::shape;
use super::{Failure, Reply, unknown};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire::{self, Call};
use crate::emulator::world::{PublishingPolicy, Site, Slot, SlotRef};

/// What stands for user and password while the policy forbids basic sign-in.
const REDACTED: &str = "REDACTED";

/// The publishing user as far as it is shown.
pub(super) fn user(slot: &Slot) -> &str {
    if slot.publishing.scm_allowed { &slot.publishing.user } else { REDACTED }
}

fn password(slot: &Slot) -> &str {
    if slot.publishing.scm_allowed { &slot.publishing.password } else { REDACTED }
}

fn look<T>(cloud: &Cloud, slot: &SlotRef, look: impl FnOnce(&Site, &Slot) -> T) -> Result<T, Failure> {
    cloud.shared.read(|world| {
        let found = world.slot(slot)?;
        let site = world.site(slot.site.as_str()).ok_or_else(|| Failure::not_found("The site"))?;
        Ok(look(site, found))
    })
}

/// `basicPublishingCredentialsPolicies` and those of scm and ftp, read and written.
pub(super) fn policies(cloud: &Cloud, call: &Call, slot: &SlotRef, rest: &[&str]) -> Reply {
    let shape = |name: &str| {
        look(cloud, slot, |site, found| {
            let allow =
                if name == "scm" { found.publishing.scm_allowed } else { found.publishing.ftp_allowed };
            json!({
                "id": format!("{}/basicPublishingCredentialsPolicies/{name}", shape::slot_id(cloud, site, found)),
                "name": name,
                "type": format!("{}/basicPublishingCredentialsPolicies", shape::slot_type(found)),
                "location": site.location,
                "properties": {"allow": allow},
            })
        })
    };
    match (call.method.as_str(), rest) {
        ("GET", []) => {
            Ok(wire::ok(&json!({"value": [shape("ftp")?, shape("scm")?], "nextLink": null, "id": null})))
        }
        ("GET", [name @ ("scm" | "ftp")]) => Ok(wire::ok(&shape(name)?)),
        ("PUT", [name @ ("scm" | "ftp")]) => {
            let body = call.json().map_err(Failure::malformed)?;
            let allow = body
                .pointer("/properties/allow")
                .and_then(Value::as_bool)
                .ok_or_else(|| Failure::bad_request("properties.allow must be a boolean."))?;
            let policy = if *name == "scm" { PublishingPolicy::Scm } else { PublishingPolicy::Ftp };
            cloud.shared.act(|world| world.set_publishing_policy(slot, policy, allow))?;
            Ok(wire::ok(&shape(name)?))
        }
        _ => Err(unknown(call)),
    }
}

/// `POST …/config/publishingcredentials/list`: declared as a long operation, answers 200 at once.
pub(super) fn credentials(cloud: &Cloud, slot: &SlotRef) -> Reply {
    cloud.shared.read(|world| world.check_post(slot))?;
    let body = look(cloud, slot, |site, found| {
        let (user, password) = (user(found), password(found));
        json!({
            "id": format!("{}/publishingcredentials/{}", shape::slot_id(cloud, site, found), found.publishing.user),
            "name": site.name,
            "type": "Microsoft.Web/sites/publishingcredentials",
            "location": site.location,
            "properties": {
                "name": null,
                "publishingUserName": user,
                "publishingPassword": password,
                "publishingPasswordHash": null,
                "publishingPasswordHashSalt": null,
                "metadata": null,
                "isDeleted": false,
                "scmUri": format!("https://{user}:{password}@{}", found.hosts.scm),
            },
        })
    })?;
    Ok(wire::ok(&body))
}

/// `POST …/publishxml`: three profiles; `destinationAppUrl` is http, FTP has no scm in it
/// (seen-in-recordings.md 14). The emulator's hosts have their port already.
pub(super) fn profile(cloud: &Cloud, slot: &SlotRef) -> Reply {
    cloud.shared.read(|world| world.check_post(slot))?;
    let xml = look(cloud, slot, |site, found| {
        let full = shape::full_name(site, found).replace('/', "__");
        let (user, password) = (escape(user(found)), escape(password(found)));
        let common = format!(
            "destinationAppUrl=\"http://{}\" SQLServerDBConnectionString=\"\" mySQLDBConnectionString=\"\" hostingProviderForumLink=\"\" controlPanelLink=\"https://portal.azure.com\" webSystem=\"WebSites\"",
            found.hosts.app
        );
        let scm = &found.hosts.scm;
        format!(
            "<publishData><publishProfile profileName=\"{full} - Web Deploy\" publishMethod=\"MSDeploy\" publishUrl=\"{scm}\" msdeploySite=\"{full}\" userName=\"{user}\" userPWD=\"{password}\" {common}><databases /></publishProfile>\
             <publishProfile profileName=\"{full} - FTP\" publishMethod=\"FTP\" publishUrl=\"ftps://{app}/site/wwwroot\" ftpPassiveMode=\"True\" userName=\"{full}\\{user}\" userPWD=\"{password}\" {common}><databases /></publishProfile>\
             <publishProfile profileName=\"{full} - Zip Deploy\" publishMethod=\"ZipDeploy\" publishUrl=\"{scm}\" userName=\"{user}\" userPWD=\"{password}\" {common}><databases /></publishProfile></publishData>",
            app = found.hosts.app,
        )
    })?;
    Ok(wire::content(StatusCode::OK, "application/xml", xml))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
