//! Tenants, subscriptions, resource groups and the list of resources.
//!
//! Owns their shapes. There is one of each but the last.

use hyper::Response;
use regex::Regex;
use serde_json::{Value, json};

use super::shape;
use super::{Failure, Reply};
use crate::emulator::cloud::{Cloud, Role};
use crate::emulator::front::Body;
use crate::emulator::wire::{self, Call};

/// `GET /tenants`.
pub(super) fn tenants(cloud: &Cloud) -> Response<Body> {
    let tenant = &cloud.directory.tenant;
    wire::ok(&json!({"value": [{
        "id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "Slotway emulator",
        "defaultDomain": "contoso.example", "tenantType": "AAD", "domains": ["contoso.example"],
    }]}))
}

/// `GET /subscriptions`: az reads subscriptionId, tenantId, displayName and state
/// (real-clients.md, "Cloud and login").
pub(super) fn list(cloud: &Cloud) -> Response<Body> {
    let visible = if cloud.role() == Role::None { vec![] } else { vec![subscription(cloud)] };
    wire::ok(&json!({"value": visible, "count": {"type": "Total", "value": visible.len()}}))
}

/// `GET /subscriptions/{id}`.
pub(super) fn show(cloud: &Cloud) -> Response<Body> {
    wire::ok(&subscription(cloud))
}

fn subscription(cloud: &Cloud) -> Value {
    let id = &cloud.identity.subscription;
    json!({
        "id": format!("/subscriptions/{id}"),
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": id,
        "tenantId": cloud.directory.tenant,
        "displayName": "Slotway emulator",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Internal_2014-09-01", "quotaId": "Internal_2014-09-01", "spendingLimit": "Off",
        },
    })
}

/// `GET /subscriptions/{id}/resourceGroups`.
pub(super) fn groups(cloud: &Cloud) -> Response<Body> {
    wire::ok(&json!({"value": [group_shape(cloud)]}))
}

/// `GET /subscriptions/{id}/resourceGroups/{name}`.
pub(super) fn group(cloud: &Cloud) -> Response<Body> {
    wire::ok(&group_shape(cloud))
}

fn group_shape(cloud: &Cloud) -> Value {
    let location = cloud.shared.read(|world| world.sites().next().map(|site| site.location.clone()));
    json!({
        "id": shape::group_id(cloud),
        "name": cloud.identity.resource_group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location.unwrap_or_default().replace(' ', "").to_lowercase(),
        "properties": {"provisioningState": "Succeeded"},
    })
}

/// `GET …/resources?$filter=resourceType EQ 'Microsoft.Web/Sites' AND name EQ 'x'` (arm-app-service.md §2).
pub(super) fn resources(cloud: &Cloud, call: &Call) -> Reply {
    let wanted = Filter::parse(call.query.get("$filter").unwrap_or_default())?;
    let mut found = cloud.shared.read(|world| {
        let mut found = Vec::new();
        for site in world.sites() {
            for slot in site.slots.values() {
                found.push(json!({
                    "id": shape::slot_id(cloud, site, slot),
                    "name": shape::full_name(site, slot),
                    "type": shape::slot_type(slot),
                    "kind": site.kind,
                    "location": site.location.replace(' ', "").to_lowercase(),
                }));
            }
        }
        for plan in world.plans() {
            found.push(json!({
                "id": shape::plan_id(cloud, &plan.name), "name": plan.name, "type": "Microsoft.Web/serverFarms",
            }));
        }
        found
    });
    found.retain(|resource| wanted.takes(resource));
    Ok(wire::ok(&json!({"value": found})))
}

/// The part of the filter language that peers use: comparisons joined with AND.
struct Filter(Vec<(String, String)>);

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::gateway(400, "InvalidFilterInQueryString", format!("Invalid $filter '{text}'."));
        let pattern =
            Regex::new(r"(?i)^\s*([a-z]+)\s+eq\s+'((?:[^']|'')*)'\s*(?:and\s+|$)").map_err(|_| wrong())?;
        let (mut terms, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let term = pattern.captures(rest).ok_or_else(wrong)?;
            let field = term[1].to_ascii_lowercase();
            if !matches!(field.as_str(), "resourcetype" | "name" | "resourcegroup" | "location") {
                return Err(wrong());
            }
            terms.push((field, term[2].replace("''", "'")));
            rest = &rest[term[0].len()..];
        }
        Ok(Self(terms))
    }

    fn takes(&self, resource: &Value) -> bool {
        self.0.iter().all(|(field, value)| {
            let actual = match field.as_str() {
                "resourcetype" => &resource["type"],
                "name" => &resource["name"],
                "resourcegroup" => return true,
                _ => &resource["location"],
            };
            actual.as_str().is_some_and(|actual| actual.eq_ignore_ascii_case(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_the_peers_is_understood_in_any_letter_case() {
        let filter =
            Filter::parse("resourceType EQ 'Microsoft.Web/Sites' AND name EQ 'Web'").expect("well formed");
        assert!(filter.takes(&json!({"type": "Microsoft.Web/sites", "name": "web"})));
        assert!(!filter.takes(&json!({"type": "Microsoft.Web/sites/slots", "name": "web/staging"})));
        assert!(Filter::parse("").expect("nothing").takes(&json!({})));
        assert!(Filter::parse("substringof('x', name)").is_err());
        assert!(Filter::parse("name eq 'x' or name eq 'y'").is_err());
    }
}
