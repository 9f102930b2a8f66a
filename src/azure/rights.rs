//! The rights that a release needs, and what to do when one is missing.
//!
//! Owns the list of actions and the custom role made of it. Must not ask Azure for
//! rights: what is missing is learnt from a refusal.

use serde_json::json;

use crate::http::Refusal;

/// What the custom role is called.
pub const ROLE: &str = "Slotway Release";

/// The actions of a role that can release (arm-app-service, "Least roles"; strings
/// other than `publish/Action` and `slotsswap/action` are unconfirmed).
pub const ACTIONS: [&str; 12] = [
    "Microsoft.Web/sites/read",
    "Microsoft.Web/sites/slots/read",
    "Microsoft.Web/sites/config/read",
    "Microsoft.Web/sites/slots/config/read",
    "Microsoft.Web/sites/instances/read",
    "Microsoft.Web/sites/slots/instances/read",
    "Microsoft.Web/sites/publish/Action",
    "Microsoft.Web/sites/slots/publish/Action",
    "Microsoft.Web/sites/slots/slotsswap/action",
    "Microsoft.Web/sites/slotsdiffs/action",
    "Microsoft.Web/sites/slots/operationresults/read",
    "Microsoft.Web/serverfarms/read",
];

/// Listing what a subscription holds (the string is from general knowledge, unconfirmed).
const LOOK_FOR_THE_APP: &str = "Microsoft.Resources/subscriptions/resources/read";

/// What Resource Manager says is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    action: String,
    scope: Option<String>,
    object_id: Option<String>,
}

/// The advice for `403 AuthorizationFailed`: the action, and commands that make the
/// custom role and give it to the identity.
pub(super) fn advice(refusal: &Refusal) -> Vec<String> {
    let general = "give the identity the role Website Contributor on the app".to_owned();
    let Some(missing) = refusal.message.as_deref().and_then(read) else {
        return vec![format!("{general}, or this custom role: {}", role(None, None))];
    };
    if missing.action.eq_ignore_ascii_case(LOOK_FOR_THE_APP) {
        return vec![
            format!("the identity lacks the action {}, by which the app is looked for", missing.action),
            "give resource-group-name: then nothing is looked for, and a role on the app or its group is enough"
                .to_owned(),
        ];
    }
    let scope = missing.scope.as_deref();
    let group = scope.and_then(resource_group);
    let place = scope.map(|scope| format!(" over {scope}")).unwrap_or_default();
    let role = role(group.as_deref(), Some(&missing.action)).replace('\'', "\\u0027");
    let assignee = missing.object_id.as_deref().unwrap_or("OBJECT_ID");
    let at = group.as_deref().unwrap_or("/subscriptions/SUBSCRIPTION_ID/resourceGroups/RESOURCE_GROUP");
    vec![
        format!("the identity lacks the action {}{place}", missing.action),
        format!("{general}, or make a custom role: az role definition create --role-definition '{role}'"),
        format!(
            "and assign it: az role assignment create --role '{ROLE}' --scope {at} \
             --assignee-principal-type ServicePrincipal --assignee-object-id {assignee}"
        ),
    ]
}

/// The custom role as `az role definition create` reads it, with the missing action
/// in it even where the list above does not have it.
fn role(group: Option<&str>, missing: Option<&str>) -> String {
    let mut actions = ACTIONS.to_vec();
    if let Some(missing) = missing
        && !actions.iter().any(|action| action.eq_ignore_ascii_case(missing))
    {
        actions.push(missing);
    }
    json!({
        "Name": ROLE,
        "Description": "Releases apps through App Service deployment slots",
        "IsCustom": true,
        "Actions": actions,
        "AssignableScopes": [group.unwrap_or("/subscriptions/SUBSCRIPTION_ID/resourceGroups/RESOURCE_GROUP")],
    })
    .to_string()
}

/// "The client '…' with object id '…' does not have authorization to perform action
/// '…' over scope '…' or the scope is invalid." (Resource Manager's text, from
/// general knowledge; unconfirmed.)
fn read(message: &str) -> Option<Missing> {
    let quoted = |after: &str| -> Option<String> {
        let rest = message.split_once(after)?.1.strip_prefix('\'')?;
        let text = rest.split_once('\'')?.0;
        // These words end up in a command: nothing a shell could take apart.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.*".contains(c);
        (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
    };
    Some(Missing {
        action: quoted("perform action ")?,
        scope: quoted("over scope ").filter(|scope| scope.starts_with('/')),
        object_id: quoted("with object id ").filter(|id| uuid::Uuid::try_parse(id).is_ok()),
    })
}

/// The resource group above a scope: the narrowest place where a custom role can be assignable.
fn resource_group(scope: &str) -> Option<String> {
    let parts: Vec<&str> = scope.split('/').take(5).collect();
    match parts.as_slice() {
        ["", subscriptions, _, groups, _]
            if subscriptions.eq_ignore_ascii_case("subscriptions")
                && groups.eq_ignore_ascii_case("resourceGroups") =>
        {
            Some(parts.join("/"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Refusal {
        Refusal {
            status: 403,
            code: Some("AuthorizationFailed".to_owned()),
            extended_code: None,
            message: Some(message.to_owned()),
            correlation_id: None,
            retry_after: None,
        }
    }

    const SCOPE: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/a/slots/staging";

    #[test]
    fn the_missing_action_is_named_and_the_role_is_json_for_the_resource_group() {
        let id = "00000000-0000-0000-0000-0000000000aa";
        let lines = advice(&refusal(&format!(
            "The client 'c' with object id '{id}' does not have authorization to perform action \
             'Microsoft.Web/sites/slots/applySlotConfig/action' over scope '{SCOPE}' or the scope is invalid."
        )));
        assert!(lines[0].contains("lacks the action Microsoft.Web/sites/slots/applySlotConfig/action"));
        assert!(lines[0].ends_with(SCOPE));
        let document = lines[1].split_once("--role-definition '").expect("the definition").1;
        let document: serde_json::Value =
            serde_json::from_str(document.trim_end_matches('\'')).expect("JSON");
        assert_eq!(document["AssignableScopes"][0], "/subscriptions/s/resourceGroups/rg");
        let actions = document["Actions"].as_array().expect("a list");
        assert_eq!(actions.len(), ACTIONS.len() + 1);
        assert!(lines[2].contains(id));
    }

    #[test]
    fn a_message_of_another_shape_still_gets_the_role_and_no_foreign_text() {
        for message in ["no", "to perform action 'a; rm -rf /' over scope 'x'", "perform action ''"] {
            let lines = advice(&refusal(message));
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains("Microsoft.Web/sites/slots/slotsswap/action"));
            assert!(!lines[0].contains("rm -rf"));
        }
    }

    #[test]
    fn the_document_lists_the_same_rights() {
        let document = include_str!("../../docs/FAILURES.md");
        let words: Vec<&str> =
            document.split_whitespace().filter(|word| word.contains("Microsoft.Web/")).collect();
        let mut listed = words.clone();
        listed.sort_unstable();
        let mut wanted = ACTIONS.to_vec();
        wanted.sort_unstable();
        assert_eq!(listed, wanted);
    }
}
