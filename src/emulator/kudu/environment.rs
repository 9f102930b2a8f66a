//! What SCM says of itself: environment, settings, runtime.
//!
//! Owns their shapes (kudu-deploy.md §8). Settings hold secrets; here they are answers to
//! a caller who has proved who he is, and go nowhere else.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::json;

use super::{Reply, look};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire;
use crate::emulator::world::{Refusal, Site, Slot, SlotRef};

/// `GET /api/environment`.
pub(super) fn environment(cloud: &Cloud, slot: &SlotRef) -> Reply {
    look(cloud, slot, |_, _, found| {
        Ok(wire::ok(&json!({
            "version": "104.0.0.0",
            "siteLastModified": wire::rfc3339(found.last_modified),
        })))
    })
}

fn all(site: &Site, slot: &Slot) -> BTreeMap<String, String> {
    let mut settings = slot.app_settings.clone();
    for (name, value) in [
        ("SCM_COMMAND_IDLE_TIMEOUT", "60"),
        ("SCM_LOGSTREAM_TIMEOUT", "7200"),
        ("SCM_TRACE_LEVEL", "1"),
        ("deployment_branch", "master"),
        ("ScmType", "None"),
        ("WEBSITE_SITE_NAME", site.name.as_str()),
        ("WEBSITE_AUTH_ENABLED", if slot.authentication { "True" } else { "False" }),
    ] {
        settings.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    settings
}

/// `GET /api/settings`.
pub(super) fn settings(cloud: &Cloud, slot: &SlotRef) -> Reply {
    look(cloud, slot, |_, site, found| Ok(wire::ok(&json!(all(site, found)))))
}

/// `GET /api/settings/{key}`.
pub(super) fn setting(cloud: &Cloud, slot: &SlotRef, name: &str) -> Reply {
    look(cloud, slot, |_, site, found| {
        let settings = all(site, found);
        let value = settings.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let missing = || Refusal::NotFound { what: format!("'{name}'") };
        value.map(|(_, value)| wire::ok(&json!(value))).ok_or_else(missing)
    })
}

/// `GET /diagnostics/runtime`, used to tell Linux.
pub(super) fn runtime(cloud: &Cloud, slot: &SlotRef) -> Reply {
    look(cloud, slot, |_, site, _| {
        let name = if site.is_linux() { "linux" } else { "windows" };
        Ok(wire::json(
            StatusCode::OK,
            &json!({"nodejs": [], "system": {"os_name": name, "os_build_lab_ex": "", "cores": 1}}),
        ))
    })
}
